//! Which partition of the state topics belongs to which shard.
//!
//! Invariant: a shard whose checkpoint exists keeps its partition, whatever is added to or reordered in the
//! configuration; no two shards share one. The last stable offset is per partition, so another shard's open
//! transaction can never hide a committed checkpoint.

use std::collections::{BTreeMap, BTreeSet};

use tokio::runtime::Handle;

use super::client::Clients;
use super::kafka::StateTopics;
use super::progress::Reader;
use super::topics::{Topics, Wanted};
use super::{Config, SinkError};
use crate::model::types::ShardId;

/// Where the state of each shard lives.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Placement {
    partitions: BTreeMap<ShardId, i32>,
}

impl Placement {
    /// Makes sure of the state topics and of `others`, so that all missing ones are named at once, and looks up where
    /// known shards are. Fences nobody; blocks.
    pub fn find(
        config: &Config,
        shards: &[ShardId],
        others: &[Wanted],
        runtime: Handle,
    ) -> Result<Self, SinkError> {
        let clients = Clients::new(config.clone(), runtime.clone());
        let state = StateTopics::new(&config.prefix);
        let mut topics = Topics::new(clients.clone(), runtime, config);
        let count = i32::try_from(shards.len()).unwrap_or(i32::MAX);
        let wanted: Vec<Wanted> =
            state.wanted(config, count).into_iter().chain(others.iter().cloned()).collect();
        topics.ensure(&wanted)?;
        let partitions = topics.partitions(&state.checkpoints)?;
        let reader = Reader::new(&clients, config.transaction_timeout)?;
        let mut existing = BTreeMap::new();
        for partition in 0..partitions {
            for (key, _) in reader.all_checkpoints(&state.checkpoints, partition)? {
                existing.insert(key, partition);
            }
        }
        Ok(Self { partitions: place(shards, &existing) })
    }

    /// The partition of a shard that was asked for in [`Self::find`].
    pub fn partition(&self, shard: &ShardId) -> i32 {
        self.partitions.get(shard).copied().unwrap_or_default()
    }
}

/// The partition of each of `shards`, given which partition holds the checkpoint of which key.
pub fn place(shards: &[ShardId], existing: &BTreeMap<String, i32>) -> BTreeMap<ShardId, i32> {
    let mut taken: BTreeSet<i32> = existing.values().copied().collect();
    shards
        .iter()
        .map(|shard| {
            let kept = existing.get(&shard.to_string()).copied();
            let partition = kept.unwrap_or_else(|| {
                let free = (0..).find(|partition| !taken.contains(partition)).unwrap_or(i32::MAX);
                taken.insert(free);
                free
            });
            (shard.clone(), partition)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shard(stream: &str, index: u32) -> ShardId {
        ShardId { stream: stream.into(), index }
    }

    #[test]
    fn known_shards_stay_and_new_ones_take_what_is_free() {
        let shards = [shard("new", 0), shard("b", 0), shard("new", 1), shard("a", 0)];
        let existing = BTreeMap::from([("a/0".into(), 0), ("b/0".into(), 2), ("gone/0".into(), 1)]);
        let placed = place(&shards, &existing);
        assert_eq!(placed[&shard("a", 0)], 0);
        assert_eq!(placed[&shard("b", 0)], 2);
        assert_eq!(placed[&shard("new", 0)], 3, "also the partition of a removed stream is left alone");
        assert_eq!(placed[&shard("new", 1)], 4);
    }
}
