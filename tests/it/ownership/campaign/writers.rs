//! What the checkpoints say of who wrote them: an opening claims its shard before it writes anything, and once another one has done
//! so it never writes again. `TWO WRITERS` and `NO CLAIM` are what it says otherwise.

use super::judge::Offsets;
use crate::harness::airship::progress::Checkpoint;
use crate::harness::airship::{STREAM, Setup};
use crate::harness::broker::Broker;
use crate::harness::reader::{Isolation, read_on};
use std::collections::{BTreeMap, BTreeSet};
use tributary_mock::airship::Log;

/// The history of all shards, as far as it was read. A shard of another cut has another partition.
pub(super) struct Writers {
    topic: String,
    offsets: Offsets,
    ends: BTreeMap<i32, i64>,
    shards: BTreeMap<(i32, String), History>,
}

/// Of one shard.
struct History {
    last: Checkpoint,
    /// Openings that another one has followed.
    gone: BTreeSet<String>,
}

impl Writers {
    pub(super) fn new(setup: &Setup, log: &Log) -> Self {
        Self {
            topic: setup.checkpoints(),
            offsets: Offsets::of(log),
            ends: BTreeMap::new(),
            shards: BTreeMap::new(),
        }
    }

    /// Judges what was written since the last look.
    #[track_caller]
    pub(super) fn look(&mut self, broker: &Broker) {
        if broker.partition_count(&self.topic).is_none() {
            return;
        }
        for message in read_on(broker, &self.topic, Isolation::Committed, &mut self.ends) {
            let key = String::from_utf8_lossy(message.key.as_deref().unwrap_or_default()).into_owned();
            let next = Checkpoint::parse(&message);
            let place = (message.partition, key);
            match self.shards.get_mut(&place) {
                None => drop(self.shards.insert(place, History { last: next, gone: BTreeSet::new() })),
                Some(history) => history.take(next, &place.1),
            }
        }
    }

    /// Those of the latest cut.
    fn latest(&self) -> impl Iterator<Item = (&str, &Checkpoint)> {
        let cut = self.shards.values().map(|history| history.last.cut).max();
        let all = self.shards.iter().map(|((_, shard), history)| (shard.as_str(), &history.last));
        all.filter(move |(_, last)| Some(last.cut) == cut)
    }

    /// Whether shard `index` has got to this line.
    pub(super) fn has_reached(&self, index: u32, line: u64) -> bool {
        self.reached(index) >= Some(line)
    }

    /// The line that shard `index` has got to.
    fn reached(&self, index: u32) -> Option<u64> {
        let key = format!("{STREAM}/{index}");
        let own = self.latest().filter(|(shard, _)| *shard == key);
        own.filter_map(|(_, last)| self.offsets.position(last.offset.as_deref()?)).max()
    }

    /// Which shards have not got to their last lines, and whether it is a reader that cannot get on: one with `read_committed` stops at
    /// an open transaction.
    pub(super) fn tell_behind(&self, broker: &Broker, last_lines: &BTreeMap<u32, u64>) -> String {
        let behind = last_lines.iter().filter(|(shard, line)| !self.has_reached(**shard, **line));
        let told =
            behind.map(|(shard, line)| format!("shard {shard} is at {:?} of {line}", self.reached(*shard)));
        let told = told.collect::<Vec<_>>().join(", ");
        let (ends, topic) = (broker.high_watermarks(&self.topic), &self.topic);
        format!("{told}; {topic} was read up to {:?} and ends at {ends:?}", self.ends)
    }

    /// Events that the checkpoints say were delivered. Those of the latest cut count what was delivered before it, too.
    pub(super) fn delivered(&self) -> u64 {
        self.latest().map(|(_, last)| last.delivered).sum()
    }
}

impl History {
    #[track_caller]
    fn take(&mut self, next: Checkpoint, shard: &str) {
        let Self { last, gone } = self;
        let (owner, sequence) = (&next.owner, next.sequence);
        assert!(
            !gone.contains(owner),
            "TWO WRITERS: opening {owner} wrote checkpoint {sequence} of {shard} although {} had opened it",
            last.owner
        );
        assert!(
            sequence > last.sequence,
            "TWO WRITERS: opening {owner} wrote checkpoint {sequence} of {shard} behind {} of {}",
            last.sequence,
            last.owner
        );
        if *owner != last.owner {
            let counts = |at: &Checkpoint| (at.received, at.delivered, at.duplicates, at.dead_letters);
            assert!(
                counts(&next) == counts(last) && next.position == last.position,
                "NO CLAIM: the first checkpoint of opening {owner} of {shard}, {sequence}, moves on already"
            );
            gone.insert(last.owner.clone());
        }
        *last = next;
    }
}
