//! How a stream came to be cut into its shards: by which configuration, and into which ones before. Pure decisions.
//!
//! A stream that is cut anew gets new shards on new partitions, and the record keeps where those before them are: each new
//! shard fences all of them, reads what they left, and begins there. So the cut is one step, that of the record, and a new shard
//! that has no checkpoint of its own yet takes it again, whatever happened in between.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

use super::{PlacementError, Record, StreamPlacement, UNCUT, VERSION, Wanted, Who, free};
use crate::model::types::{EventId, ShardId};
use crate::sink::kafka::state::REPLAY_PARTITIONS;

/// The shards that a stream was cut into at one time.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Cut {
    /// Which time: 0 when the stream was placed.
    pub number: u32,
    /// The partition of each shard, by its index.
    pub partitions: Vec<i32>,
}

/// Where a shard's state is, and what it begins with.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Place {
    /// Its partition of the state topics, which is also its number in the consumer group.
    pub partition: i32,
    /// How many shards the stream has.
    pub(crate) shards: u32,
    /// The latest configuration that announced this number.
    pub(crate) generation: u64,
    /// Which cut of the stream it is of.
    pub(crate) cut: u32,
    /// The cuts before, latest first, for as long as the record keeps them.
    pub(crate) before: Vec<Cut>,
}

impl Place {
    /// The place of what replays a stream's dead letters: beside all shards, in a topic of its own. The partition is that which the
    /// stream's name chooses, for ever: what is recorded in one is not looked for in another.
    pub(crate) fn of_replay(stream: &str) -> Self {
        let EventId(hash) = EventId::from_text(stream.as_bytes());
        let partition =
            i32::try_from(hash % u128::from(REPLAY_PARTITIONS.unsigned_abs())).unwrap_or_default();
        Self { partition, shards: 1, generation: 0, cut: 0, before: Vec::new() }
    }
}

/// How the number of shards that is configured stands to what is recorded.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Numbers {
    /// It is the same.
    Agree,
    /// A later configuration brings another one.
    Changed,
    /// A later configuration than this one has brought another one.
    Superseded,
    /// The same configuration has two, which nobody can decide between.
    Contradict,
}

/// The transactional id of a shard. Those of one cut are unlike those of another, so that a shard can fence all of the cut
/// before without disturbing those beside it. No name of a stream holds a `~`.
pub(crate) fn transactional_id(prefix: &str, shard: &ShardId, cut: u32) -> String {
    let (stream, part) = (&shard.stream, shard.part());
    match cut {
        0 => format!("{prefix}.{stream}.{part}"),
        cut => format!("{prefix}.{stream}.{part}~{cut}"),
    }
}

impl StreamPlacement {
    /// Number of shards.
    pub(super) fn shards(&self) -> u32 {
        u32::try_from(self.partitions.len()).unwrap_or(u32::MAX)
    }

    /// The partitions of its shards, and of those before them.
    pub(super) fn all_partitions(&self) -> Vec<i32> {
        let before = self.before.iter().flat_map(|cut| cut.partitions.iter().copied());
        self.partitions.iter().copied().chain(before).collect()
    }

    /// The cut that stands.
    fn cut(&self) -> Cut {
        Cut { number: self.cut, partitions: self.partitions.clone() }
    }

    pub(super) fn compare(&self, wanted: &Wanted) -> Numbers {
        match (self.shards() == wanted.shards, wanted.generation.cmp(&self.generation)) {
            (true, _) => Numbers::Agree,
            (false, Ordering::Greater) => Numbers::Changed,
            (false, Ordering::Less) => Numbers::Superseded,
            (false, Ordering::Equal) => Numbers::Contradict,
        }
    }

    /// Itself, if the stream is still the same, with the later of both generations.
    pub(super) fn accept(self, wanted: &Wanted) -> Result<Self, PlacementError> {
        let (stream, was) = (wanted.stream.clone(), self.shards());
        if let Some(was) = self.source.as_ref().filter(|was| !was.is_same(&wanted.source)) {
            let (was, now) = (Box::new(was.clone()), Box::new(wanted.source.clone()));
            return Err(PlacementError::SourceChanged { stream, was, now });
        }
        let (now, generation) = (wanted.shards, self.generation);
        match self.compare(wanted) {
            Numbers::Agree | Numbers::Changed => {
                Ok(Self { generation: self.generation.max(wanted.generation), ..self })
            }
            Numbers::Superseded => {
                Err(PlacementError::Superseded { stream, was, now, by: generation, ours: wanted.generation })
            }
            Numbers::Contradict => Err(PlacementError::ShardsChanged { stream, was, now, generation }),
        }
    }
}

impl Record {
    /// A record that no release misunderstands is of the version that all of them read.
    pub(super) fn settle_version(&mut self) {
        let was_cut = self.streams.values().any(|placed| placed.cut > 0);
        self.version = if was_cut { VERSION } else { UNCUT };
    }

    /// The stream cut into another number of shards, on partitions that nobody has.
    pub(super) fn cut_anew(&self, known: StreamPlacement, wanted: &Wanted, who: Who<'_>) -> StreamPlacement {
        // What it had is nobody's, although it may not stand in this record at the moment.
        let mut others = self.clone();
        others.retired.extend(known.all_partitions());
        let placed = others.place(wanted, who);
        let before = [known.cut()].into_iter().chain(known.before.clone()).collect();
        StreamPlacement {
            partitions: placed.partitions,
            placed_by: placed.placed_by,
            placed_ms: placed.placed_ms,
            cut: known.cut + 1,
            before,
            ..known
        }
    }

    /// All shards of a stream, those of earlier cuts included, with their cuts.
    pub(crate) fn all_shards(&self, stream: &str) -> Vec<(ShardId, u32)> {
        let Some(placed) = self.streams.get(stream) else { return Vec::new() };
        let cuts = [placed.cut()].into_iter().chain(placed.before.clone());
        let shards = |cut: Cut| {
            let id = |(index, _)| (ShardId { stream: stream.into(), index }, cut.number);
            (0..).zip(cut.partitions).map(id).collect::<Vec<_>>()
        };
        cuts.flat_map(shards).collect()
    }

    /// Forgets the cuts of a stream beyond the first `kept`: nobody begins with what they left any more.
    pub(crate) fn forget_cuts(&mut self, stream: &str, kept: usize) {
        let Some(placed) = self.streams.get_mut(stream) else { return };
        let forgotten = placed.before.split_off(kept.min(placed.before.len()));
        self.retired.extend(forgotten.into_iter().flat_map(|cut| cut.partitions));
    }

    /// Where the shard of a stream that is configured with so many shards has its state; `None` where the record has another
    /// number.
    pub(crate) fn place_of(&self, shard: &ShardId, shards: u32) -> Option<Place> {
        self.recorded(shard).filter(|place| place.shards == shards)
    }

    /// The same, whatever number is configured.
    pub(crate) fn recorded(&self, shard: &ShardId) -> Option<Place> {
        let placed = self.streams.get(&*shard.stream)?;
        let partition = *placed.partitions.get(shard.index as usize)?;
        Some(Place {
            partition,
            shards: placed.shards(),
            generation: placed.generation,
            cut: placed.cut,
            before: placed.before.clone(),
        })
    }

    /// Why a stream of this configuration is not run: a later one cut it into another number of shards.
    pub(crate) fn why_superseded(&self, wanted: &Wanted) -> Option<PlacementError> {
        let known = self.streams.get(&wanted.stream)?;
        match known.clone().accept(wanted) {
            Err(superseded @ PlacementError::Superseded { .. }) => Some(superseded),
            _ => None,
        }
    }

    /// Whether this is the later configuration, and has another number of shards than the record: it is to be announced.
    pub(crate) fn is_behind(&self, wanted: &Wanted) -> bool {
        self.streams.get(&wanted.stream).is_some_and(|known| known.compare(wanted) == Numbers::Changed)
    }

    /// Whether a partition is that of a shard that nobody runs any more.
    pub(crate) fn is_past(&self, partition: i32) -> bool {
        let is_before =
            |placed: &StreamPlacement| placed.before.iter().any(|cut| cut.partitions.contains(&partition));
        self.retired.contains(&partition) || self.streams.values().any(is_before)
    }

    /// `count` partitions that nobody has.
    pub(super) fn free(&self, count: u32) -> Vec<i32> {
        let mut taken = self.partitions().chain(self.retired.clone()).collect();
        (0..count).map(|_| free(&mut taken)).collect()
    }
}
