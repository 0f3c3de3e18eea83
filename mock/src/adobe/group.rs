//! The connections of one stream and its position: who gets which partition, from where.
//!
//! Invariant: a partition has one owner or none, and its position moves with what was claimed for sending, so no hit
//! goes to two connections unless it is rewound, which is counted. Pure: the clock is passed in; knows no HTTP.

mod claim;

pub(super) use claim::{BLOCK, Claim, Claimed, Limits};

use std::time::Duration;

use tokio::time::Instant;

use super::config::Config;
use super::log::Log;

/// How positions and slots behave.
#[derive(Clone, Debug)]
pub(super) struct Rules {
    pub(super) from_start: bool,
    pub(super) rebalance_pause: Duration,
    pub(super) rebalance_replay: u64,
    /// Hits of each partition that are sent again after a break.
    pub(super) break_replay: u64,
    pub(super) min_reconnect: Duration,
    pub(super) ghost_linger: Duration,
    pub(super) ghosts_of_faults: bool,
}

/// The state of one stream.
#[derive(Debug)]
pub(super) struct Group {
    rules: Rules,
    log: Log,
    partitions: Vec<Partition>,
    /// In order of opening.
    members: Vec<Member>,
    ghosts: Vec<Ghost>,
    was_opened: bool,
    paused_until: Option<Instant>,
    last_end: Option<Instant>,
}

#[derive(Clone, Debug, Default)]
struct Partition {
    /// Hits of this partition below have been sent.
    sent: u64,
    /// Hits of this partition below have been sent at some time.
    highest: u64,
    /// The owner's number.
    owner: Option<u64>,
}

#[derive(Clone, Debug)]
struct Member {
    number: u64,
    max_connections: u64,
}

/// A connection that is gone, but still counts.
#[derive(Clone, Debug)]
struct Ghost {
    until: Instant,
    max_connections: u64,
}

/// `reset`, by its meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reset {
    Oldest,
    Newest,
}

/// What a connection asks for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted {
    pub(super) max_connections: u64,
    pub(super) reset: Option<Reset>,
}

/// Why a connection is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    TooMany,
    OtherMaximum,
    TooSoon,
}

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The server sent the last chunk.
    Orderly,
    /// A fault broke it.
    Fault,
    /// The client went away.
    Client,
}

/// What joining or leaving did besides, for the statistics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Effects {
    pub(super) rebalanced: bool,
    /// Hits that will be sent again.
    pub(super) rewound: u64,
    /// Whether `reset` was heeded.
    pub(super) reset: Option<bool>,
    pub(super) ghost: bool,
}

impl Rules {
    pub(super) fn new(config: &Config) -> Self {
        Self {
            from_start: config.from_start,
            rebalance_pause: config.rebalance_pause,
            rebalance_replay: config.rebalance_replay,
            break_replay: if config.lose_in_flight { 0 } else { config.break_replay },
            min_reconnect: config.min_reconnect,
            ghost_linger: config.ghost_linger,
            ghosts_of_faults: config.ghosts_of_faults,
        }
    }
}

impl Group {
    pub(super) fn new(rules: Rules, log: Log) -> Self {
        let partitions = vec![Partition::default(); log.options().partitions as usize];
        Self {
            rules,
            log,
            partitions,
            members: Vec::new(),
            ghosts: Vec::new(),
            was_opened: false,
            paused_until: None,
            last_end: None,
        }
    }

    /// Opens connection `number` while the hits of `window` are readable.
    pub(super) fn join(
        &mut self,
        number: u64,
        wanted: Wanted,
        window: &std::ops::Range<u64>,
        now: Instant,
    ) -> Result<Effects, Refused> {
        self.ghosts.retain(|ghost| ghost.until > now);
        let mut maxima = self
            .members
            .iter()
            .map(|member| member.max_connections)
            .chain(self.ghosts.iter().map(|ghost| ghost.max_connections));
        if maxima.any(|maximum| maximum != wanted.max_connections) {
            return Err(Refused::OtherMaximum);
        }
        if self.taken() as u64 >= wanted.max_connections {
            return Err(Refused::TooMany);
        }
        if self.last_end.is_some_and(|end| now.saturating_duration_since(end) < self.rules.min_reconnect) {
            return Err(Refused::TooSoon);
        }
        let mut effects = Effects::default();
        let is_alone = self.taken() == 0;
        if !self.was_opened {
            self.move_to(if self.rules.from_start { window.start } else { window.end });
        }
        self.was_opened = true;
        if let Some(reset) = wanted.reset {
            effects.reset = Some(is_alone);
            if is_alone {
                self.move_to(if reset == Reset::Oldest { window.start } else { window.end });
            }
        }
        self.members.push(Member { number, max_connections: wanted.max_connections });
        self.share_out(now, &mut effects);
        Ok(effects)
    }

    /// Ends connection `number`.
    pub(super) fn leave(&mut self, number: u64, end: End, now: Instant) -> Effects {
        let mut effects = Effects::default();
        let Some(at) = self.members.iter().position(|member| member.number == number) else { return effects };
        let member = self.members.remove(at);
        self.last_end = Some(now);
        let lingers = match end {
            End::Orderly => false,
            End::Fault => self.rules.ghosts_of_faults,
            End::Client => true,
        };
        if lingers && !self.rules.ghost_linger.is_zero() {
            effects.ghost = true;
            let until = now + self.rules.ghost_linger;
            self.ghosts.push(Ghost { until, max_connections: member.max_connections });
        }
        if end != End::Orderly {
            for partition in 0..self.partitions.len() {
                if self.partitions[partition].owner == Some(number) {
                    effects.rewound += self.rewind(partition, self.rules.break_replay);
                }
            }
        }
        self.share_out(now, &mut effects);
        effects
    }

    /// Connections that count as open: those that are, and the ghosts.
    pub(super) fn taken(&self) -> usize {
        self.members.len() + self.ghosts.len()
    }

    /// The numbers of the connections that are open, in order of opening.
    pub(super) fn open(&self) -> Vec<u64> {
        self.members.iter().map(|member| member.number).collect()
    }

    pub(super) fn ghosts(&self, now: Instant) -> usize {
        self.ghosts.iter().filter(|ghost| ghost.until > now).count()
    }

    /// Lets all ghosts go.
    pub(super) fn forget_ghosts(&mut self) {
        self.ghosts.clear();
    }

    /// The least position of what connection `number` owns.
    pub(super) fn next_of(&self, number: u64) -> Option<u64> {
        let own = self.partitions.iter().filter(|partition| partition.owner == Some(number));
        own.map(|partition| partition.sent).min()
    }

    /// The positions of all partitions.
    pub(super) fn positions(&self) -> Vec<u64> {
        self.partitions.iter().map(|partition| partition.sent).collect()
    }

    fn move_to(&mut self, position: u64) {
        for partition in &mut self.partitions {
            partition.sent = position;
        }
    }

    /// Gives the partitions to the members in turn.
    fn share_out(&mut self, now: Instant, effects: &mut Effects) {
        let members = self.members.len();
        let mut moved = Vec::new();
        for (at, partition) in self.partitions.iter_mut().enumerate() {
            let owner = (members > 0).then(|| self.members[at % members].number);
            if partition.owner.is_some() && owner.is_some() && owner != partition.owner {
                moved.push(at);
            }
            partition.owner = owner;
        }
        // The first connection takes over from nobody, and the last one leaves to nobody.
        if !moved.is_empty() {
            effects.rebalanced = true;
            self.paused_until = Some(now + self.rules.rebalance_pause);
        }
        for partition in moved {
            effects.rewound += self.rewind(partition, self.rules.rebalance_replay);
        }
    }

    /// Moves a partition back by so many of its hits; returns how many there were.
    fn rewind(&mut self, partition: usize, hits: u64) -> u64 {
        let mut rewound = 0;
        let mut position = self.partitions[partition].sent;
        while rewound < hits && position > 0 {
            position -= 1;
            if self.log.partition(position) == partition {
                rewound += 1;
            }
        }
        if rewound > 0 {
            self.partitions[partition].sent = position;
        }
        rewound
    }
}

#[cfg(test)]
mod tests;
