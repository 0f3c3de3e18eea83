//! How many partitions of events a transaction touches: each costs the brokers a marker. No calls of Kafka in here.
//!
//! Invariant: nothing is allocated for an event, and nothing is hashed but where the partition is another one than before.

use std::hash::BuildHasher as _;
use std::time::Duration;

use hashbrown::HashSet;
use tokio::time::Instant;

/// A transaction that touches more of them is worth a warning.
const MANY: usize = 300;

/// Between two warnings of a shard.
const REPEAT: Duration = Duration::from_secs(60 * 60);

/// The partitions that acknowledged records of the batch.
#[derive(Debug, Default)]
pub(crate) struct Touched {
    /// Hashes of topics, and partitions.
    seen: HashSet<(u64, i32)>,
    /// The latest of them.
    latest: Option<(String, i32)>,
}

impl Touched {
    /// A batch begins.
    pub(super) fn begin(&mut self) {
        self.seen.clear();
        self.latest = None;
    }

    /// A record of the batch is there.
    pub(super) fn note(&mut self, topic: &str, partition: i32) {
        // Records are reported by produce batch, so this is mostly where the one before is.
        if self.latest.as_ref().is_some_and(|latest| latest.1 == partition && latest.0 == topic) {
            return;
        }
        let hash = self.seen.hasher().hash_one(topic);
        self.seen.insert((hash, partition));
        let (latest, at) = self.latest.get_or_insert_default();
        topic.clone_into(latest);
        *at = partition;
    }

    /// How many they are.
    pub(super) fn count(&self) -> usize {
        self.seen.len()
    }
}

/// When it was last said that they are many.
#[derive(Debug, Default)]
pub(super) struct Warned(Option<Instant>);

impl Warned {
    /// Whether a commit of so many partitions is to be warned of now.
    pub(super) fn is_due(&mut self, partitions: usize, now: Instant) -> bool {
        let due = partitions > MANY && self.0.is_none_or(|at| now.duration_since(at) >= REPEAT);
        if due {
            self.0 = Some(now);
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_partition_of_each_topic_counts_once_in_a_batch() {
        let mut touched = Touched::default();
        for (topic, partition) in [("a", 0), ("a", 1), ("b", 0), ("a", 0), ("b", 0)] {
            touched.note(topic, partition);
        }
        assert_eq!(touched.count(), 3);
        touched.begin();
        assert_eq!(touched.count(), 0);
    }

    #[test]
    fn many_are_said_once_an_hour() {
        let (mut warned, start) = (Warned::default(), Instant::now());
        let minute = Duration::from_secs(60);
        assert!(!warned.is_due(MANY, start));
        let said: Vec<u32> =
            (0..130).filter(|after| warned.is_due(MANY + 1, start + minute * *after)).collect();
        assert_eq!(said, [0, 60, 120]);
    }
}
