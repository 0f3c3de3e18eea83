//! When a transaction closes: on count, bytes or age, whichever comes first. Knows nothing of transactions.
//!
//! A batch keeps its blocks until the outcome of its transaction is known, so a retry needs no copy. One that was not
//! written in time is halved, down to one line; the number of lines allowed grows again with batches that are quick.

use std::time::Duration;

use tokio::time::Instant;

use crate::model::block::Block;

/// A full batch that took at most this share of the time of one that took too long may be followed by a larger one. With
/// less distance every other batch would take too long again.
const QUICK: u32 = 4;

/// The limits of a batch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Config {
    /// Age at which a batch closes, counted from its first line.
    pub interval: Duration,
    /// Lines at which a batch closes.
    pub max_events: usize,
    /// Bytes of lines at which a batch closes.
    pub max_bytes: usize,
}

/// The lines of one transaction.
#[derive(Debug)]
pub(crate) struct Batch {
    config: Config,
    blocks: Vec<Block>,
    lines: usize,
    bytes: usize,
    opened: Option<Instant>,
    /// When the attempt to write it began that is under way.
    tried: Option<Instant>,
    /// Lines at which it closes for now; at most as many as configured.
    allowed: usize,
    /// How long the last attempt took that was given up for that.
    too_long: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self { interval: Duration::from_millis(100), max_events: 50_000, max_bytes: 16 << 20 }
    }
}

impl Batch {
    /// An empty batch.
    pub(crate) fn new(config: Config) -> Self {
        Self {
            config,
            blocks: Vec::new(),
            lines: 0,
            bytes: 0,
            opened: None,
            tried: None,
            allowed: config.max_events,
            too_long: Duration::ZERO,
        }
    }

    /// Lines that may still be added before the batch closes by count.
    pub(crate) fn room(&self) -> usize {
        self.allowed.saturating_sub(self.lines)
    }

    /// Keeps a block of `lines` lines.
    pub(crate) fn push(&mut self, block: Block, lines: usize, now: Instant) {
        self.opened.get_or_insert(now);
        self.tried.get_or_insert(now);
        self.lines += lines;
        self.bytes += block.len();
        self.blocks.push(block);
    }

    /// Whether it must be committed by its size.
    pub(crate) fn is_full(&self) -> bool {
        self.lines >= self.allowed || self.bytes >= self.config.max_bytes
    }

    /// When it must be committed by its age; `None` while it is empty.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.opened.map(|opened| opened + self.config.interval)
    }

    /// Its blocks, oldest first.
    pub(crate) fn blocks(&self) -> &[Block] {
        &self.blocks
    }

    /// Lines in it.
    pub(crate) fn lines(&self) -> usize {
        self.lines
    }

    /// Bytes of lines in it.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Another attempt to write it begins.
    pub(crate) fn try_again(&mut self, now: Instant) {
        self.tried = self.opened.map(|_| now);
    }

    /// It could not be written in time: keeps the first half of its lines and gives the rest back, oldest first.
    pub(crate) fn halve(&mut self, now: Instant) -> Vec<Block> {
        if self.lines == 0 {
            // Whatever took too long was not the number of lines.
            return Vec::new();
        }
        self.too_long = self.tried.map_or(Duration::ZERO, |tried| now.saturating_duration_since(tried));
        self.allowed = (self.lines / 2).max(1);
        self.keep_first(self.allowed, now)
    }

    /// Keeps its first `lines` lines and gives the rest back, oldest first.
    pub(crate) fn keep_first(&mut self, lines: usize, now: Instant) -> Vec<Block> {
        let blocks = std::mem::take(&mut self.blocks);
        (self.lines, self.bytes) = (0, 0);
        let mut rest = Vec::new();
        for block in blocks {
            let room = lines.saturating_sub(self.lines);
            if room == 0 {
                rest.push(block);
                continue;
            }
            let (kept, lines, left) = block.cut_after_lines(room);
            self.push(kept, lines, now);
            rest.extend(left);
        }
        rest
    }

    /// It is committed. Empties it, keeping the allocation.
    pub(crate) fn committed(&mut self, now: Instant) {
        let took = self.tried.map_or(Duration::ZERO, |tried| now.saturating_duration_since(tried));
        if self.allowed < self.config.max_events && self.is_full() && took * QUICK <= self.too_long {
            self.allowed = self.allowed.saturating_mul(2).min(self.config.max_events);
        }
        self.clear();
    }

    /// Empties it without a commit: nothing in it has to be written.
    pub(crate) fn clear(&mut self) {
        self.blocks.clear();
        (self.lines, self.bytes, self.opened, self.tried) = (0, 0, None, None);
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;

    fn block(bytes: usize) -> Block {
        Block::Lines(Bytes::from(vec![b'\n'; bytes]))
    }

    #[test]
    fn it_closes_on_count_bytes_or_age() {
        let config = Config { interval: Duration::from_millis(100), max_events: 10, max_bytes: 1000 };
        let now = Instant::now();
        let mut batch = Batch::new(config);
        assert_eq!(batch.deadline(), None, "an empty batch has no age");
        batch.push(block(10), 9, now);
        assert!(!batch.is_full());
        assert_eq!(batch.room(), 1);
        batch.push(block(10), 1, now + Duration::from_millis(50));
        assert!(batch.is_full(), "count");
        assert_eq!(
            batch.deadline(),
            Some(now + Duration::from_millis(100)),
            "age counts from the first line"
        );
        batch.clear();
        assert!(!batch.is_full());
        batch.push(block(1000), 1, now);
        assert!(batch.is_full(), "bytes");
    }

    #[test]
    fn it_grows_again_only_with_full_batches_that_are_quick() {
        let now = Instant::now();
        let config = Config { max_events: 16, ..Config::default() };
        let mut batch = Batch::new(config);
        let text = |lines: usize| Block::Lines(Bytes::from("x\n".repeat(lines)));
        batch.push(text(16), 16, now);
        let slow = Duration::from_secs(10);
        assert_eq!(batch.halve(now + slow), [text(8)]);
        assert_eq!(batch.blocks(), [text(8)]);
        assert!(batch.is_full() && batch.room() == 0);
        batch.try_again(now);
        batch.committed(now + slow / 3);
        assert_eq!(batch.room(), 8, "that took too long for a larger one");
        batch.push(text(7), 7, now);
        batch.committed(now);
        assert_eq!(batch.room(), 8, "it was not full, so it tells nothing");
        batch.push(text(8), 8, now);
        batch.committed(now + slow / 4);
        assert_eq!(batch.room(), 16);
        batch.push(text(16), 16, now);
        batch.committed(now);
        assert_eq!(batch.room(), 16, "never above what is configured");
    }

    #[test]
    fn an_empty_batch_that_took_too_long_says_nothing_about_the_number_of_lines() {
        let mut batch = Batch::new(Config { max_events: 100, ..Config::default() });
        assert_eq!(batch.halve(Instant::now()).len(), 0);
        assert_eq!(batch.room(), 100);
    }

    proptest! {
        #[test]
        fn halving_loses_no_line_and_keeps_their_order(
            sizes in prop::collection::vec(0usize..7, 1..9), times in 1usize..8,
        ) {
            let mut number = 0;
            let mut batch = Batch::new(Config::default());
            let mut all = String::new();
            for lines in &sizes {
                let text: String = (0..*lines).map(|n| format!("{}\n\r\n", number + n)).collect();
                number += lines;
                all += &text;
                batch.push(Block::Lines(Bytes::from(text)), *lines, Instant::now());
            }
            let mut behind: Vec<Block> = Vec::new();
            let mut left = number;
            for _ in 0..times {
                behind.splice(0..0, batch.halve(Instant::now()));
                left = (left / 2).max(1).min(left);
                let text = text(batch.blocks());
                prop_assert_eq!(text.lines().filter(|line| !line.is_empty()).count(), left);
            }
            prop_assert_eq!(text(batch.blocks()) + &text(&behind), all);
        }
    }

    fn text(blocks: &[Block]) -> String {
        let text = |block: &Block| match block {
            Block::Lines(bytes) => String::from_utf8(bytes.to_vec()).unwrap(),
            Block::Oversize { .. } | Block::Records(_) => String::new(),
        };
        blocks.iter().map(text).collect()
    }
}
