//! When a transaction closes: on count, bytes or age, whichever comes first. Knows nothing of transactions.
//!
//! A batch keeps its blocks until the outcome of its transaction is known, so a retry needs no copy.

use std::time::Duration;

use tokio::time::Instant;

use crate::model::block::Block;

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
pub struct Batch {
    config: Config,
    blocks: Vec<Block>,
    lines: usize,
    bytes: usize,
    opened: Option<Instant>,
}

impl Default for Config {
    fn default() -> Self {
        Self { interval: Duration::from_millis(100), max_events: 50_000, max_bytes: 16 << 20 }
    }
}

impl Batch {
    /// An empty batch.
    pub fn new(config: Config) -> Self {
        Self { config, blocks: Vec::new(), lines: 0, bytes: 0, opened: None }
    }

    /// Lines that may still be added before the batch closes by count.
    pub fn room(&self) -> usize {
        self.config.max_events.saturating_sub(self.lines)
    }

    /// Keeps a block of `lines` lines.
    pub fn push(&mut self, block: Block, lines: usize, now: Instant) {
        self.opened.get_or_insert(now);
        self.lines += lines;
        self.bytes += block.len();
        self.blocks.push(block);
    }

    /// Whether it must be committed by its size.
    pub fn is_full(&self) -> bool {
        self.lines >= self.config.max_events || self.bytes >= self.config.max_bytes
    }

    /// When it must be committed by its age; `None` while it is empty.
    pub fn deadline(&self) -> Option<Instant> {
        self.opened.map(|opened| opened + self.config.interval)
    }

    /// Its blocks, oldest first.
    pub fn blocks(&self) -> &[Block] {
        &self.blocks
    }

    /// Bytes of lines in it.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Empties it after its commit, keeping the allocation.
    pub fn clear(&mut self) {
        self.blocks.clear();
        (self.lines, self.bytes, self.opened) = (0, 0, None);
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

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
}
