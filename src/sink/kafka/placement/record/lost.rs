//! The record, put together from what is left where it was lost, or where an earlier release kept none.

use std::collections::{BTreeMap, BTreeSet};

use super::{Cut, PlacementError, Record, StreamPlacement, free};
use crate::model::checkpoint::Checkpoint;

/// A checkpoint where it was found, for clusters that have no record yet.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Existing {
    /// Its key, `<stream>/<index>`.
    pub key: String,
    /// The partition in which it stands.
    pub partition: i32,
    /// The latest one of this key there.
    pub checkpoint: Checkpoint,
}

/// The shards of one cut, by index, with their latest checkpoints.
type Shards<'a> = BTreeMap<u32, &'a Existing>;

impl Record {
    /// What an earlier release left behind, which had checkpoints and no record, or what is left of a record that was lost.
    /// Of a shard that has checkpoints in several partitions the latest one counts.
    ///
    /// Checkpoints know neither the instance, nor the source, nor the words with which a stream was started anew. So after a
    /// loss another source is not noticed, and a word that was used before has its effect once more. Instances that run
    /// bring all of that back ([`Self::restore`]); for streams that do not run it is lost.
    pub(crate) fn of_checkpoints(existing: &[Existing]) -> Result<Self, PlacementError> {
        let mut latest: BTreeMap<(&str, u32), &Existing> = BTreeMap::new();
        for found in existing {
            let age = |found: &Existing| (found.checkpoint.committed_ms, found.checkpoint.sequence);
            let known = latest.entry((&found.key, found.checkpoint.cut)).or_insert(found);
            if age(found) > age(known) {
                *known = found;
            }
        }
        let mut holders: BTreeMap<i32, &str> = BTreeMap::new();
        for found in latest.values() {
            if let Some(first) = holders.insert(found.partition, &found.key) {
                let (first, second) = (first.to_owned(), found.key.clone());
                return Err(PlacementError::Shared { partition: found.partition, first, second });
            }
        }
        let mut streams: BTreeMap<&str, BTreeMap<u32, Shards<'_>>> = BTreeMap::new();
        for ((key, cut), found) in &latest {
            if let Some((stream, index)) = key.rsplit_once('/')
                && let Ok(index) = index.parse()
            {
                streams.entry(stream).or_default().entry(*cut).or_default().insert(index, found);
            }
        }
        // Whatever stands in a partition, even of a key that is no shard's, is in nobody else's way.
        let mut taken: BTreeSet<i32> = existing.iter().map(|found| found.partition).collect();
        let mut record = Self::default();
        for (stream, cuts) in streams {
            let checkpoints = cuts.values().flat_map(|shards| shards.values());
            let generation = checkpoints.map(|found| found.checkpoint.generation).max();
            let mut cuts: Vec<Cut> = cuts
                .iter()
                .rev()
                .map(|(number, shards)| Cut { number: *number, partitions: places(shards, &mut taken) })
                .collect();
            let latest = cuts.remove(0);
            let generation = generation.unwrap_or_default();
            let placement = StreamPlacement {
                partitions: latest.partitions,
                // Nobody announced itself yet.
                instance: String::new(),
                placed_by: String::new(),
                placed_ms: 0,
                source: None,
                started_anew: BTreeSet::new(),
                generation,
                cut: latest.number,
                before: cuts,
            };
            record.streams.insert(stream.to_owned(), placement);
        }
        record.settle_version();
        record.retired = taken.difference(&record.partitions().collect()).copied().collect();
        Ok(record)
    }

    /// The record after its topic was lost, and with it what `instance` announced, as `own` remembers it. What was announced
    /// since by others stays.
    pub(crate) fn restore(&self, own: &Self, instance: &str) -> Result<Self, PlacementError> {
        let mut record = self.clone();
        for (stream, placement) in own.streams.iter().filter(|(_, known)| known.instance == instance) {
            // What was placed since is not undone by one that has not noticed it.
            let age = |placed: &StreamPlacement| (placed.cut, placed.placed_ms);
            let known = self.streams.get(stream);
            if known.is_some_and(|known| known.cut > placement.cut)
                || known.is_some_and(|known| !known.instance.is_empty() && age(known) >= age(placement))
            {
                continue;
            }
            for (other, known) in self.streams.iter().filter(|(other, _)| *other != stream) {
                let shared =
                    placement.partitions.iter().find(|partition| known.partitions.contains(partition));
                if let Some(partition) = shared {
                    let (first, second) = (other.clone(), stream.clone());
                    return Err(PlacementError::Shared { partition: *partition, first, second });
                }
            }
            record.streams.insert(stream.clone(), placement.clone());
        }
        let used: BTreeSet<i32> = record.partitions().collect();
        record.retired.extend(&own.retired);
        record.retired.retain(|partition| !used.contains(partition));
        record.settle_version();
        Ok(record)
    }

    /// Refuses two shards on one partition, which would hide each other's checkpoints.
    pub(super) fn check_unshared(&self) -> Result<(), PlacementError> {
        let mut holders: BTreeMap<i32, String> = BTreeMap::new();
        for (stream, placed) in &self.streams {
            for (index, partition) in placed.partitions.iter().enumerate() {
                let second = format!("{stream}/{index}");
                if let Some(first) = holders.insert(*partition, second.clone()) {
                    return Err(PlacementError::Shared { partition: *partition, first, second });
                }
            }
        }
        Ok(())
    }
}

/// The partition of each shard of a cut; of one that was never opened, a new one.
fn places(shards: &Shards<'_>, taken: &mut BTreeSet<i32>) -> Vec<i32> {
    let newest = shards.values().max_by_key(|found| found.checkpoint.committed_ms);
    let count = newest.map_or(0, |found| found.checkpoint.shards);
    let place = |index| shards.get(&index).map_or_else(|| free(taken), |found| found.partition);
    (0..count).map(place).collect()
}
