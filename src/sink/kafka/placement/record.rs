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
pub(crate) const VERSION: u32 = 1;

/// What stands for the instance of a stream that the members of the consumer group share. No single instance is called so.
pub(crate) const GROUP: &str = "group";

/// So long after their placement shards of a shared stream may be opened for the first time: whoever opens one is not the
/// one who placed it.
const FIRST_OPENINGS_MS: i64 = 10 * 60_000;

/// The record, JSON in Kafka.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Record {
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
pub(crate) struct StreamPlacement {
    /// The partition of each shard, by its index; so there are as many as the stream has shards.
    pub partitions: Vec<i32>,
    /// The instance that announced itself last: it runs the stream, and every other gives it up. [`GROUP`] where the members
    /// of the consumer group share it.
    pub instance: String,
    /// The process that placed the shards; empty where that is not known.
    #[serde(default)]
    pub placed_by: String,
    /// When it did so, milliseconds since the Unix epoch, by its clock; 0 where that is not known.
    #[serde(default)]
    pub placed_ms: i64,
    /// What the stream's positions belong to; `None` where an earlier release began it.
    #[serde(default)]
    pub source: Option<SourceId>,
    /// The words with which it was started anew.
    #[serde(default)]
    pub started_anew: BTreeSet<String>,
}

/// Who announces itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Who<'a> {
    /// The name under which it runs the streams: its own, or [`GROUP`].
    pub instance: &'a str,
    /// The name of its process, unlike any other's.
    pub process: &'a str,
    /// When this is, milliseconds since the Unix epoch.
    pub now_ms: i64,
}

/// A stream that an instance wants to run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Wanted {
    /// The stream's name.
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
pub(crate) struct Existing {
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
pub(crate) enum PlacementError {
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
    /// What an earlier release left behind, which had checkpoints and no record, or what is left of a record that was lost.
    /// Of a shard that has checkpoints in several partitions the latest one counts.
    ///
    /// Checkpoints know neither the instance, nor the source, nor the words with which a stream was started anew. So after a
    /// loss another source is not noticed, and a word that was used before has its effect once more. Instances that run
    /// bring all of that back ([`Self::restore`]); for streams that do not run it is lost.
    pub(crate) fn of_checkpoints(existing: &[Existing]) -> Result<Self, PlacementError> {
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
                placed_by: String::new(),
                placed_ms: 0,
                source: None,
                started_anew: BTreeSet::new(),
            };
            record.streams.insert(stream.to_owned(), placement);
        }
        record.retired = taken.difference(&record.partitions().collect()).copied().collect();
        Ok(record)
    }

    /// The record after `who` announced itself for `wanted`. From then on it runs these streams.
    pub(crate) fn announce(&self, wanted: &[Wanted], who: Who<'_>) -> Result<Self, PlacementError> {
        let mut record = self.clone();
        record.version = VERSION;
        for stream in wanted {
            let mut known = record.streams.remove(&stream.stream);
            let mut started_anew = known.as_ref().map(|known| known.started_anew.clone()).unwrap_or_default();
            // Also where nothing is known yet: the argument stays where restarts repeat it.
            started_anew.extend(stream.start_anew.clone());
            if self.starts_anew(stream) {
                record.retired.extend(known.take().into_iter().flat_map(|left| left.partitions));
            }
            let placed = match known {
                Some(known) => known.accept(stream)?,
                None => record.place(stream, who),
            };
            let (instance, source) = (who.instance.to_owned(), Some(stream.source.clone()));
            let placement = StreamPlacement { instance, source, started_anew, ..placed };
            record.streams.insert(stream.stream.clone(), placement);
        }
        Ok(record)
    }

    /// A stream that is not known yet, on partitions that nobody has.
    fn place(&self, stream: &Wanted, who: Who<'_>) -> StreamPlacement {
        let mut taken: BTreeSet<i32> = self.partitions().chain(self.retired.clone()).collect();
        StreamPlacement {
            partitions: (0..stream.shards).map(|_| free(&mut taken)).collect(),
            instance: String::new(),
            placed_by: who.process.to_owned(),
            placed_ms: who.now_ms,
            source: None,
            started_anew: BTreeSet::new(),
        }
    }

    /// Whether a shard may be opened by `who` without a checkpoint although nothing was lost.
    pub(crate) fn is_new(&self, stream: &str, who: Who<'_>) -> bool {
        self.streams.get(stream).is_none_or(|known| {
            let is_young = who.now_ms.saturating_sub(known.placed_ms) < FIRST_OPENINGS_MS;
            // Where shards are shared, nobody knows which of them were opened by others meanwhile.
            if who.instance == GROUP { is_young } else { known.placed_by == who.process }
        })
    }

    /// The record after its topic was lost, and with it what `instance` announced, as `own` remembers it. What was announced
    /// since by others stays.
    pub(crate) fn restore(&self, own: &Self, instance: &str) -> Result<Self, PlacementError> {
        let mut record = self.clone();
        for (stream, placement) in own.streams.iter().filter(|(_, known)| known.instance == instance) {
            if self.instance(stream).is_some() {
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
        Ok(record)
    }

    /// Whether an announcement for `wanted` leaves behind what is known of the stream: with a word that was not used before.
    pub(crate) fn starts_anew(&self, wanted: &Wanted) -> bool {
        let known = self.streams.get(&wanted.stream);
        wanted
            .start_anew
            .as_ref()
            .is_some_and(|word| known.is_some_and(|known| !known.started_anew.contains(word)))
    }

    /// The partition of a shard.
    pub(crate) fn partition(&self, shard: &ShardId) -> Option<i32> {
        self.streams.get(&*shard.stream)?.partitions.get(shard.index as usize).copied()
    }

    /// The instance that runs a stream; `None` where nobody announced itself.
    pub(crate) fn instance(&self, stream: &str) -> Option<&str> {
        let instance = self.streams.get(stream)?.instance.as_str();
        (!instance.is_empty()).then_some(instance)
    }

    /// How many partitions the state topics need, so that each shard has one of its own.
    pub(crate) fn partition_count(&self) -> i32 {
        self.partitions().chain(self.retired.iter().copied()).max().map_or(1, |last| last.saturating_add(1))
    }

    fn partitions(&self) -> impl Iterator<Item = i32> + '_ {
        self.streams.values().flat_map(|stream| stream.partitions.iter().copied())
    }
}

impl StreamPlacement {
    /// Itself, if the stream is still the same.
    fn accept(self, wanted: &Wanted) -> Result<Self, PlacementError> {
        let stream = wanted.stream.clone();
        let was = u32::try_from(self.partitions.len()).unwrap_or(u32::MAX);
        if let Some(was) = self.source.as_ref().filter(|was| !was.is_same(&wanted.source)) {
            let (was, now) = (Box::new(was.clone()), Box::new(wanted.source.clone()));
            return Err(PlacementError::SourceChanged { stream, was, now });
        }
        if was != wanted.shards {
            return Err(PlacementError::ShardsChanged { stream, was, now: wanted.shards });
        }
        Ok(self)
    }
}

/// The lowest partition that is not taken; it is from then on.
fn free(taken: &mut BTreeSet<i32>) -> i32 {
    let free = (0..).find(|partition| !taken.contains(partition)).unwrap_or(i32::MAX);
    taken.insert(free);
    free
}

#[cfg(test)]
mod tests;
