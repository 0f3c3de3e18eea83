//! The placement record: how many shards a stream has, where the state of each lives, what the stream reads, and which
//! instance announced itself last. Pure decisions; no Kafka in here.
//!
//! Invariants: a shard keeps its partition of the state topics, whatever is added to the configuration; no two shards share
//! one, and the partition of a stream that is gone is given to no other.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::model::checkpoint::Checkpoint;
use crate::model::types::{ShardId, SourceId};

/// The version that this program writes. Later ones are refused.
pub const VERSION: u32 = 1;

/// The record, JSON in Kafka.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Record {
    /// Format version.
    pub version: u32,
    /// The streams by name, those that are gone included.
    pub streams: BTreeMap<String, StreamPlacement>,
    /// Partitions of streams that were started anew: nobody gets them again.
    #[serde(default)]
    pub retired: BTreeSet<i32>,
}

/// What is recorded of one stream.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct StreamPlacement {
    /// The partition of each shard, by its index; so there are as many as the stream has shards.
    pub partitions: Vec<i32>,
    /// The instance that announced itself last: it runs the stream, and every other gives it up.
    pub instance: String,
    /// What the stream's positions belong to; `None` where an earlier release began it.
    #[serde(default)]
    pub source: Option<SourceId>,
    /// The words with which it was started anew.
    #[serde(default)]
    pub started_anew: BTreeSet<String>,
}

/// A stream that an instance wants to run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Wanted {
    /// Its name.
    pub stream: String,
    /// Number of shards.
    pub shards: u32,
    /// What it reads.
    pub source: SourceId,
    /// A word that has everything left behind which is known of it, once for each word.
    pub start_anew: Option<String>,
}

/// A checkpoint where it was found, for clusters that have no record yet.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Existing {
    /// Its key, `<stream>/<index>`.
    pub key: String,
    /// The partition in which it stands.
    pub partition: i32,
    /// The latest one of this key there.
    pub checkpoint: Checkpoint,
}

/// Why a stream cannot be run as it is configured. Nothing was changed and nobody was fenced.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PlacementError {
    /// The number of shards is another one than before.
    #[error(
        "stream {stream} was cut into {was} shards and is now configured with {now}; changing the number is not supported \
         yet. Set shards = {was}, give the stream another name, or begin it anew with --start-anew {stream}=WORD, where each word has its effect once"
    )]
    ShardsChanged {
        /// The stream.
        stream: String,
        /// Shards so far.
        was: u32,
        /// Shards configured.
        now: u32,
    },
    /// The stream's positions belong to another source.
    #[error(
        "stream {stream} has read {was} so far and is now configured to read {now}; a position of the one means nothing to \
         the other. Give the stream another name, or begin it anew with --start-anew {stream}=WORD, where each word has its effect once"
    )]
    SourceChanged {
        /// The stream.
        stream: String,
        /// What it read so far.
        was: Box<SourceId>,
        /// What it is to read.
        now: Box<SourceId>,
    },
    /// An earlier release put two shards on one partition.
    #[error(
        "shards {first} and {second} both have their checkpoints in partition {partition}, where each can hide the other's. \
         Set another state.prefix, or delete the checkpoint of the one that is no longer used (write a record with its key \
         and no value to that partition)"
    )]
    Shared {
        /// The partition.
        partition: i32,
        /// One of the shards.
        first: String,
        /// The other.
        second: String,
    },
}

impl Default for Record {
    fn default() -> Self {
        Self { version: VERSION, streams: BTreeMap::new(), retired: BTreeSet::new() }
    }
}

impl Record {
    /// What an earlier release left behind, which had checkpoints and no record. Of a shard that has checkpoints in
    /// several partitions the latest one counts.
    pub fn of_checkpoints(existing: &[Existing]) -> Result<Self, PlacementError> {
        let mut latest: BTreeMap<&str, &Existing> = BTreeMap::new();
        for found in existing {
            let age = |found: &Existing| (found.checkpoint.committed_ms, found.checkpoint.sequence);
            let known = latest.entry(&found.key).or_insert(found);
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
        let mut streams: BTreeMap<&str, BTreeMap<u32, &Existing>> = BTreeMap::new();
        for (key, found) in &latest {
            if let Some((stream, index)) = key.rsplit_once('/')
                && let Ok(index) = index.parse()
            {
                streams.entry(stream).or_default().insert(index, found);
            }
        }
        // Whatever stands in a partition, even of a key that is no shard's, is in nobody else's way.
        let mut taken: BTreeSet<i32> = existing.iter().map(|found| found.partition).collect();
        let mut record = Self::default();
        for (stream, shards) in streams {
            let newest = shards.values().max_by_key(|found| found.checkpoint.committed_ms);
            let count = newest.map_or(0, |found| found.checkpoint.shards);
            let place = |index| shards.get(&index).map_or_else(|| free(&mut taken), |found| found.partition);
            let placement = StreamPlacement {
                partitions: (0..count).map(place).collect(),
                // Nobody announced itself yet.
                instance: String::new(),
                source: None,
                started_anew: BTreeSet::new(),
            };
            record.streams.insert(stream.to_owned(), placement);
        }
        record.retired = taken.difference(&record.partitions().collect()).copied().collect();
        Ok(record)
    }

    /// The record after `instance` announced itself for `wanted`. From then on it runs these streams.
    pub fn announce(&self, wanted: &[Wanted], instance: &str) -> Result<Self, PlacementError> {
        let mut record = self.clone();
        record.version = VERSION;
        for stream in wanted {
            let mut known = record.streams.remove(&stream.stream);
            let mut started_anew = known.as_ref().map(|known| known.started_anew.clone()).unwrap_or_default();
            if self.starts_anew(stream) {
                started_anew.extend(stream.start_anew.clone());
                record.retired.extend(known.take().into_iter().flat_map(|left| left.partitions));
            }
            let partitions = match known {
                Some(known) => known.accept(stream)?,
                None => {
                    let mut taken: BTreeSet<i32> =
                        record.partitions().chain(record.retired.clone()).collect();
                    (0..stream.shards).map(|_| free(&mut taken)).collect()
                }
            };
            let (instance, source) = (instance.to_owned(), Some(stream.source.clone()));
            let placement = StreamPlacement { partitions, instance, source, started_anew };
            record.streams.insert(stream.stream.clone(), placement);
        }
        Ok(record)
    }

    /// Whether an announcement for `wanted` leaves behind what is known of the stream: with a word that was not used before.
    pub fn starts_anew(&self, wanted: &Wanted) -> bool {
        let known = self.streams.get(&wanted.stream);
        wanted
            .start_anew
            .as_ref()
            .is_some_and(|word| known.is_some_and(|known| !known.started_anew.contains(word)))
    }

    /// The partition of a shard.
    pub fn partition(&self, shard: &ShardId) -> Option<i32> {
        self.streams.get(&*shard.stream)?.partitions.get(shard.index as usize).copied()
    }

    /// The instance that runs a stream; `None` where nobody announced itself.
    pub fn instance(&self, stream: &str) -> Option<&str> {
        let instance = self.streams.get(stream)?.instance.as_str();
        (!instance.is_empty()).then_some(instance)
    }

    /// Partitions that state topics must have for all of them.
    pub fn partition_count(&self) -> i32 {
        self.partitions().chain(self.retired.iter().copied()).max().map_or(1, |last| last.saturating_add(1))
    }

    fn partitions(&self) -> impl Iterator<Item = i32> + '_ {
        self.streams.values().flat_map(|stream| stream.partitions.iter().copied())
    }
}

impl StreamPlacement {
    /// The partitions, if the stream is still the same.
    fn accept(self, wanted: &Wanted) -> Result<Vec<i32>, PlacementError> {
        let stream = wanted.stream.clone();
        let was = u32::try_from(self.partitions.len()).unwrap_or(u32::MAX);
        if let Some(was) = self.source
            && !was.is_same(&wanted.source)
        {
            let now = Box::new(wanted.source.clone());
            return Err(PlacementError::SourceChanged { stream, was: Box::new(was), now });
        }
        if was != wanted.shards {
            return Err(PlacementError::ShardsChanged { stream, was, now: wanted.shards });
        }
        Ok(self.partitions)
    }
}

/// The lowest partition that is not taken; it is from then on.
fn free(taken: &mut BTreeSet<i32>) -> i32 {
    let free = (0..).find(|partition| !taken.contains(partition)).unwrap_or(i32::MAX);
    taken.insert(free);
    free
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn source(name: &str) -> SourceId {
        SourceId { kind: "airship".into(), name: name.into(), host: "connect.urbanairship.com".into() }
    }

    fn wanted(stream: &str, shards: u32) -> Wanted {
        Wanted { stream: stream.into(), shards, source: source("app"), start_anew: None }
    }

    fn existing(key: &str, partition: i32, shards: u32, committed_ms: i64) -> Existing {
        let checkpoint = Checkpoint::initial("old", shards, committed_ms);
        Existing { key: key.into(), partition, checkpoint }
    }

    fn partition(record: &Record, stream: &str, index: u32) -> Option<i32> {
        record.partition(&ShardId { stream: stream.into(), index })
    }

    #[test]
    fn known_shards_stay_and_new_ones_take_what_is_free() {
        let found = [existing("a/0", 0, 1, 5), existing("b/0", 2, 1, 5), existing("gone/0", 1, 1, 5)];
        let record = Record::of_checkpoints(&found).unwrap();
        assert_eq!(record.instance("a"), None, "nobody announced itself");
        let record = record.announce(&[wanted("new", 2), wanted("b", 1), wanted("a", 1)], "me").unwrap();
        assert_eq!((partition(&record, "a", 0), partition(&record, "b", 0)), (Some(0), Some(2)));
        assert_eq!(
            partition(&record, "new", 0),
            Some(3),
            "also the partition of a removed stream is left alone"
        );
        assert_eq!(partition(&record, "new", 1), Some(4));
        assert_eq!((record.instance("new"), record.instance("gone")), (Some("me"), None));
        assert_eq!(record.partition_count(), 5);
        assert_eq!(record.partition(&ShardId { stream: "new".into(), index: 2 }), None);
    }

    #[test]
    fn the_number_of_shards_is_judged_for_the_stream_as_a_whole() {
        let record = Record::default().announce(&[wanted("a", 1)], "me").unwrap();
        let refused = record.announce(&[wanted("b", 1), wanted("a", 2)], "you").unwrap_err();
        assert_eq!(refused, PlacementError::ShardsChanged { stream: "a".into(), was: 1, now: 2 });
        assert!(refused.to_string().contains("--start-anew a=WORD"), "{refused}");
        // An earlier release left a second shard behind that its stream no longer has.
        let found = [existing("a/0", 0, 1, 9), existing("a/1", 1, 2, 5)];
        let record = Record::of_checkpoints(&found).unwrap();
        assert_eq!(record.streams["a"].partitions, [0], "the latest one says how many there are");
        assert_eq!(record.retired, BTreeSet::from([1]));
        assert!(record.announce(&[wanted("a", 2)], "me").is_err());
    }

    #[test]
    fn a_stream_belongs_to_its_source() {
        let record = Record::default().announce(&[wanted("a", 1)], "me").unwrap();
        let other = Wanted { source: source("other"), ..wanted("a", 1) };
        let refused = record.announce(std::slice::from_ref(&other), "you").unwrap_err();
        let text = refused.to_string();
        assert!(text.contains("app key app") && text.contains("app key other"), "{text}");
        let elsewhere = SourceId { host: "connect.asnapieu.com".into(), ..source("app") };
        let moved =
            record.announce(&[Wanted { source: elsewhere.clone(), ..wanted("a", 1) }], "you").unwrap();
        assert_eq!(moved.streams["a"].source, Some(elsewhere), "another host is the same source");
        let other = Wanted { start_anew: Some("once".into()), ..other };
        let anew = record.announce(std::slice::from_ref(&other), "you").unwrap();
        assert_eq!(partition(&anew, "a", 0), Some(1), "what was known is left behind");
        assert_eq!(anew.retired, BTreeSet::from([0]));
        assert_eq!(
            anew.announce(&[other], "you").unwrap(),
            anew,
            "a restart with the same words changes nothing"
        );
        let more = anew.announce(&[wanted("b", 1)], "you").unwrap();
        assert_eq!(partition(&more, "b", 0), Some(2), "a retired partition is nobody's");
    }

    #[test]
    fn two_shards_on_one_partition_are_an_error() {
        let shared = Record::of_checkpoints(&[existing("a/0", 0, 1, 5), existing("b/0", 0, 1, 5)]);
        assert!(matches!(shared, Err(PlacementError::Shared { partition: 0, .. })));
        // One of them has moved away since; what it left behind does no harm.
        let found = [existing("a/0", 0, 1, 5), existing("b/0", 0, 1, 5), existing("a/0", 1, 1, 6)];
        let record = Record::of_checkpoints(&found).unwrap();
        assert_eq!((partition(&record, "a", 0), partition(&record, "b", 0)), (Some(1), Some(0)));
    }

    proptest! {
        #[test]
        fn no_partition_is_ever_shared(
            steps in prop::collection::vec((0u8..5, 1u32..4, any::<bool>()), 1..30),
        ) {
            let mut record = Record::default();
            let mut given: BTreeMap<i32, (String, u32, usize)> = BTreeMap::new();
            let mut epochs: BTreeMap<String, usize> = BTreeMap::new();
            for (step, (name, shards, start_anew)) in steps.into_iter().enumerate() {
                let stream = format!("s{name}");
                let announced = record.announce(&[Wanted { start_anew: start_anew.then(|| step.to_string()), ..wanted(&stream, shards) }], "me");
                let Ok(next) = announced else { continue };
                if start_anew {
                    *epochs.entry(stream.clone()).or_default() += 1;
                }
                for (index, partition) in next.streams[&stream].partitions.iter().enumerate() {
                    let epoch = epochs.get(&stream).copied().unwrap_or_default();
                    let holder = (stream.clone(), index as u32, epoch);
                    prop_assert_eq!(given.entry(*partition).or_insert_with(|| holder.clone()), &holder);
                }
                record = next;
                prop_assert_eq!(&serde_json::from_slice::<Record>(&serde_json::to_vec(&record).unwrap()).unwrap(), &record);
            }
        }
    }
}
