//! The placement record: how many shards a stream has, where the state of each lives, what the stream reads, and which
//! instance announced itself last. Pure decisions; no Kafka in here.
//!
//! Invariants: a shard keeps its partition of the state topics, whatever is added to the configuration; no two shards share
//! one, and the partition of a stream that is gone is given to no other.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::model::types::{ShardId, SourceId};

mod cuts;
mod lost;

use cuts::Numbers;
pub(crate) use cuts::Place;
pub(crate) use cuts::{Cut, transactional_id};
pub(crate) use lost::Existing;

/// The latest version that this program knows. Later ones are refused.
pub(crate) const VERSION: u32 = 2;

/// The version of a record in which no stream was cut anew: releases that know nothing of that read it.
const UNCUT: u32 = 1;

/// The highest number of cuts that is read. Above it there is room for more than anybody makes.
const LAST_CUT: u32 = u32::MAX / 2;

/// What stands in the record for [`Instance::Group`]. No single instance is called so.
const GROUP: &str = "group";

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
    /// The instance that announced itself last: it runs the stream, and every other gives it up. The name of an
    /// [`Instance`]; empty where nobody did.
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
    /// The latest configuration that announced itself with this number of shards.
    #[serde(default)]
    pub generation: u64,
    /// How often it was cut anew.
    #[serde(default)]
    pub cut: u32,
    /// The cuts before, latest first, of which the shards begin with what was left.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub before: Vec<Cut>,
}

/// Who runs a stream.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Instance {
    /// The members of the consumer group, which share it.
    Group,
    /// One process of this name.
    One(Arc<str>),
}

impl Instance {
    /// As the record calls it.
    pub fn name(&self) -> &str {
        match self {
            Self::Group => GROUP,
            Self::One(name) => name,
        }
    }
}

/// Who announces itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Who<'a> {
    /// Who is to run the streams from then on.
    pub instance: &'a Instance,
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
    /// Which configuration this is; a later one has a higher number.
    pub generation: u64,
    /// A word that has everything left behind which is known of it, once for each word.
    pub start_anew: Option<String>,
    /// Whether the number of shards may not change: whoever writes what they read counts on it.
    pub is_fixed: bool,
}

/// Why a stream cannot be run as it is configured. Nothing was changed and nobody was fenced.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum PlacementError {
    /// The number of shards is another one than before.
    #[error(
        "stream {stream} was cut into {was} shards and is now configured with {now}, by configurations of the same generation \
         ({generation}). Set a higher generation to cut it anew, with nothing lost and nothing twice; or set shards = {was}"
    )]
    ShardsChanged {
        /// The stream.
        stream: String,
        /// Shards so far.
        was: u32,
        /// Shards configured.
        now: u32,
        /// The generation of both.
        generation: u64,
    },
    /// The number of shards is another one than before, and must stay what it was.
    #[error(
        "stream {stream} is pushed to us and was begun with {was} shards; it is now configured with {now}, and the number of such a \
         stream cannot change: it says in which partition of the intake topic an event is, and copies of it would be in two. Set \
         shards = {was}; or give the stream another name, and let the sender push there"
    )]
    ShardsFixed {
        /// The stream.
        stream: String,
        /// Shards so far.
        was: u32,
        /// Shards configured.
        now: u32,
    },
    /// A later configuration has another number of shards.
    #[error(
        "stream {stream} was cut into {was} shards by configuration generation {by}; this one is of generation {ours}, with {now} \
         shards, and leaves the stream to later ones. Bring it up to date; or set a generation above {by} to cut the stream anew"
    )]
    Superseded {
        /// The stream.
        stream: String,
        /// Shards by now.
        was: u32,
        /// Shards configured here.
        now: u32,
        /// The later generation.
        by: u64,
        /// The generation configured here.
        ours: u64,
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

/// Why stored bytes are no record.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum DecodeError {
    /// Not the JSON of a record.
    #[error(transparent)]
    Malformed(#[from] serde_json::Error),
    /// Written by a later release.
    #[error("it is of version {0}, written by a later release; this one reads up to {VERSION}")]
    Newer(u32),
    /// This stream was cut more often than anybody could.
    #[error(
        "it says that stream {stream} was cut {cut} times, and none of ours was cut more than {LAST_CUT} times"
    )]
    BeyondReach {
        /// The stream.
        stream: String,
        /// How often.
        cut: u32,
    },
}

/// What every version of the record has.
#[derive(Deserialize)]
struct Versioned {
    version: u32,
}

impl Default for Record {
    fn default() -> Self {
        Self { version: UNCUT, streams: BTreeMap::new(), retired: BTreeSet::new() }
    }
}

impl Record {
    /// The stored form.
    pub(crate) fn encode(&self) -> Vec<u8> {
        // The type holds nothing that JSON cannot.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Reads the stored form.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        // In a later version everything else may be different, so the version alone is read first.
        let Versioned { version } = serde_json::from_slice(bytes)?;
        if version > VERSION {
            return Err(DecodeError::Newer(version));
        }
        let record: Self = serde_json::from_slice(bytes)?;
        match record.streams.iter().find(|(_, placed)| placed.cut > LAST_CUT) {
            Some((stream, placed)) => {
                Err(DecodeError::BeyondReach { stream: stream.clone(), cut: placed.cut })
            }
            None => Ok(record),
        }
    }

    /// The record after `who` announced itself for `wanted`. From then on it runs these streams.
    pub(crate) fn announce(&self, wanted: &[Wanted], who: Who<'_>) -> Result<Self, PlacementError> {
        let mut record = self.clone();
        for stream in wanted {
            self.check_fixed(stream)?;
            let is_superseded = self.why_superseded(stream).is_some();
            if is_superseded && *who.instance == Instance::Group {
                // The others run it, and decide about it. This member waits, and takes the rest.
                continue;
            }
            let mut known = record.streams.remove(&stream.stream);
            let mut started_anew = known.as_ref().map(|known| known.started_anew.clone()).unwrap_or_default();
            // Also where nothing is known yet: the argument stays where restarts repeat it.
            started_anew.extend(stream.start_anew.clone());
            if self.starts_anew(stream) && !is_superseded {
                record.retired.extend(known.take().iter().flat_map(StreamPlacement::all_partitions));
            }
            let is_new_cut = known.as_ref().is_some_and(|known| known.compare(stream) == Numbers::Changed);
            let placed = match known {
                Some(known) if is_new_cut => record.cut_anew(known.accept(stream)?, stream, who),
                Some(known) => known.accept(stream)?,
                None => {
                    // The transactional ids go on being those of the last cut.
                    let cut = self.streams.get(&stream.stream).map_or(0, |left| left.cut);
                    StreamPlacement { cut, generation: stream.generation, ..record.place(stream, who) }
                }
            };
            let (instance, source) = (who.instance.name().to_owned(), Some(stream.source.clone()));
            let placement = StreamPlacement { instance, source, started_anew, ..placed };
            record.streams.insert(stream.stream.clone(), placement);
        }
        record.settle_version();
        record.check_unshared()?;
        Ok(record)
    }

    /// Refuses another number of shards of a stream that cannot change it, also where it is started anew: other instances may still
    /// receive events for it.
    fn check_fixed(&self, wanted: &Wanted) -> Result<(), PlacementError> {
        let was = self.streams.get(&wanted.stream).map(|known| known.partitions.len() as u32);
        match was {
            Some(was) if wanted.is_fixed && was != wanted.shards => {
                Err(PlacementError::ShardsFixed { stream: wanted.stream.clone(), was, now: wanted.shards })
            }
            _ => Ok(()),
        }
    }

    /// A stream that is not known yet, on partitions that nobody has.
    fn place(&self, stream: &Wanted, who: Who<'_>) -> StreamPlacement {
        StreamPlacement {
            partitions: self.free(stream.shards),
            instance: String::new(),
            placed_by: who.process.to_owned(),
            placed_ms: who.now_ms,
            source: None,
            started_anew: BTreeSet::new(),
            generation: 0,
            cut: 0,
            before: Vec::new(),
        }
    }

    /// Whether a shard may be opened by `who` without a checkpoint although nothing was lost.
    pub(crate) fn is_new(&self, stream: &str, who: Who<'_>) -> bool {
        self.streams.get(stream).is_none_or(|known| {
            let is_young = who.now_ms.saturating_sub(known.placed_ms) < FIRST_OPENINGS_MS;
            // Where shards are shared, nobody knows which of them were opened by others meanwhile.
            if *who.instance == Instance::Group { is_young } else { known.placed_by == who.process }
        })
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
        self.streams.values().flat_map(StreamPlacement::all_partitions)
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
