//! Which partition of the state topics belongs to which shard: pure.
//!
//! Invariant: a shard whose checkpoint exists keeps its partition, whatever is added to or reordered in the
//! configuration; no two shards share one. The last stable offset is per partition, so another shard's open
//! transaction can never hide a committed checkpoint.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::types::ShardId;

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
