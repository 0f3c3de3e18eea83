//! What a connection sends next.
//!
//! Invariant: the hits of a partition are claimed in order. Blocks and their parts, which can be compressed ahead, are
//! claimed as a whole or not at all.

use std::ops::Range;

use tokio::time::Instant;

use super::Group;

/// Hits in a block: large enough that the part of one partition in sixteen is worth a call.
pub(in crate::adobe) const BLOCK: u64 = 2048;

/// Hits that are claimed one by one at a time.
const SINGLE_HITS: u64 = 256;

/// How much may be claimed.
#[derive(Clone, Copy, Debug)]
pub(in crate::adobe) struct Limits {
    pub(in crate::adobe) hits: u64,
    /// Only hits below this.
    pub(in crate::adobe) below: u64,
    /// Whether blocks and parts are wanted.
    pub(in crate::adobe) blocks: bool,
}

/// What is to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::adobe) enum Claim {
    /// There is nothing.
    Nothing,
    /// A rebalance is going on.
    Paused(Instant),
    /// The block with this number, all of it in order.
    Block(u64),
    /// The hits of this partition in the block with this number.
    Part(u64, usize),
    /// These.
    Hits(Vec<u64>),
}

/// A claim, and how many of its hits were sent before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::adobe) struct Claimed {
    pub(in crate::adobe) claim: Claim,
    pub(in crate::adobe) duplicates: u64,
}

impl Group {
    /// Claims the next hits for connection `number` and moves the position behind them.
    pub(in crate::adobe) fn claim(
        &mut self,
        number: u64,
        limits: Limits,
        window: &Range<u64>,
        now: Instant,
    ) -> Claimed {
        if let Some(until) = self.paused_until.filter(|until| *until > now) {
            return Claimed { claim: Claim::Paused(until), duplicates: 0 };
        }
        let own: Vec<usize> =
            (0..self.partitions.len()).filter(|at| self.partitions[*at].owner == Some(number)).collect();
        for at in &own {
            let partition = &mut self.partitions[*at];
            partition.sent = partition.sent.max(window.start);
        }
        let available = window.end.min(limits.below);
        let least = own.iter().map(|at| self.partitions[*at].sent).min().unwrap_or(available);
        if least >= available || limits.hits == 0 {
            return Claimed { claim: Claim::Nothing, duplicates: 0 };
        }
        let block = least / BLOCK;
        let whole = block * BLOCK..(block + 1) * BLOCK;
        if limits.blocks && limits.hits >= BLOCK && least == whole.start && whole.end <= available {
            let at_start: Vec<usize> =
                own.iter().copied().filter(|at| self.partitions[*at].sent == whole.start).collect();
            if at_start.len() == self.partitions.len() {
                let duplicates = self.advance(&at_start, whole);
                return Claimed { claim: Claim::Block(block), duplicates };
            }
            if let Some(first) = at_start.first() {
                let duplicates = self.advance(&[*first], whole);
                return Claimed { claim: Claim::Part(block, *first), duplicates };
            }
        }
        self.claim_hits(&own, limits.hits.min(SINGLE_HITS), least..whole.end.min(available))
    }

    fn claim_hits(&mut self, own: &[usize], most: u64, range: Range<u64>) -> Claimed {
        let mut hits = Vec::new();
        let mut duplicates = 0;
        let mut end = range.start;
        while end < range.end && (hits.len() as u64) < most {
            let at = self.log.partition(end);
            if own.contains(&at) && self.partitions[at].sent <= end {
                duplicates += u64::from(end < self.partitions[at].highest);
                hits.push(end);
            }
            end += 1;
        }
        for at in own {
            let partition = &mut self.partitions[*at];
            partition.sent = partition.sent.max(end);
            partition.highest = partition.highest.max(partition.sent);
        }
        Claimed { claim: Claim::Hits(hits), duplicates }
    }

    /// Moves partitions behind `range`; returns how many of their hits there had been sent before.
    fn advance(&mut self, partitions: &[usize], range: Range<u64>) -> u64 {
        let mut duplicates = 0;
        if partitions.iter().any(|at| self.partitions[*at].highest > range.start) {
            duplicates = range
                .clone()
                .filter(|index| {
                    let at = self.log.partition(*index);
                    partitions.contains(&at) && *index < self.partitions[at].highest
                })
                .count() as u64;
        }
        for at in partitions {
            let partition = &mut self.partitions[*at];
            partition.sent = range.end;
            partition.highest = partition.highest.max(range.end);
        }
        duplicates
    }
}
