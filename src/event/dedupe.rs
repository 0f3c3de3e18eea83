//! The bounded window of recent event ids. Does not know who stored the seed.
//!
//! Ids are kept in a ring in order of arrival, 16 bytes each; a hash table of 4-byte ring numbers finds them.
//! That is about 27 bytes an id in a full window. Ids of the batch in progress are *pending*: they count as seen, but an abort
//! takes them out again, and only a commit dates them and lets old ids go.
//!
//! Ids age by the time in which the shard ran, never by a clock: after a stop or an outage their repeats are yet to come.
//! They are numbered in the order of their commit, so that the journal can be checked against the window.
//!
//! A commit also says up to which received time its events came, so that the window can tell of which time it still
//! knows every id: a replay has to judge older events by their time.

use std::collections::VecDeque;
use std::hash::BuildHasher;
use std::time::Duration;

use hashbrown::{DefaultHashBuilder, HashTable};

use crate::model::types::{Dated, EventId, Run};

/// Ids for which there is room at first, at most. A window that had room for all that it may hold would touch all of it with few ids:
/// in the table, since hashes are anywhere, and in the ring, since it goes round.
const FIRST_IDS: usize = 14 << 10;

/// The bounds of the window.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Config {
    /// How long an id is remembered, in time in which the shard ran.
    pub window: Duration,
    /// How many ids are remembered at most; the oldest go first.
    pub max_ids: usize,
}

/// The ids of one commit, which expire together.
#[derive(Clone, Copy, Debug)]
struct Group {
    dated: Dated,
    /// The number of its first id, or a lower one.
    first: u64,
    count: usize,
}

/// What a window knows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Extent {
    /// The number of the oldest id kept.
    pub oldest: u64,
    /// The number that the next id will have.
    pub next: u64,
    /// When the oldest ids kept were written to the journal.
    pub since_ms: i64,
    /// Every id of events received later than this is known; `None` while none was forgotten.
    pub forgotten_ms: Option<i64>,
}

/// Recent ids. Invariant: `ring` holds the ids of `groups` in order, then `pending` ids; `table` holds exactly
/// the ring's numbers, `first` being the number of the ring's front (wrapping, so fewer than 2^32 ids fit).
#[derive(Debug)]
pub struct Window {
    window_ms: u64,
    max_ids: usize,
    ring: VecDeque<EventId>,
    first: u32,
    groups: VecDeque<Group>,
    pending: usize,
    /// The number of the first pending id.
    next: u64,
    /// Whether the journal lacks what is in the window, so that a commit has to write all of it.
    is_unwritten: bool,
    table: HashTable<u32>,
    hasher: DefaultHashBuilder,
    forgotten_ms: Option<i64>,
    keeps_old: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self { window: Duration::from_secs(30 * 60), max_ids: 1_000_000 }
    }
}

/// The room to begin with where there may be so many ids. Both double as they grow, and a ring of this room comes to hold all of
/// them without much room left over.
fn first_room(most: usize) -> usize {
    let mut room = most;
    while room > FIRST_IDS {
        room = room.div_ceil(2);
    }
    room
}

impl Window {
    /// An empty window. `batch_ids` is how many pending ids to expect, for sizing.
    pub fn new(config: Config, batch_ids: usize) -> Self {
        let room = first_room(config.max_ids.saturating_add(batch_ids));
        Self {
            window_ms: u64::try_from(config.window.as_millis()).unwrap_or(u64::MAX),
            max_ids: config.max_ids,
            ring: VecDeque::with_capacity(room),
            first: 0,
            groups: VecDeque::new(),
            pending: 0,
            next: 0,
            is_unwritten: false,
            table: HashTable::with_capacity(room),
            hasher: DefaultHashBuilder::default(),
            forgotten_ms: None,
            keeps_old: false,
        }
    }

    /// Adds ids of an earlier commit. Call it oldest first, before any [`Self::insert`]. None is too old yet: whether a
    /// replay needs them is not known while they are read back.
    pub fn seed(&mut self, run: &Run<'_>) {
        for id in run.ids {
            self.insert(*id);
        }
        let keeps_old = std::mem::replace(&mut self.keeps_old, true);
        let next = self.next.max(run.first.saturating_add(run.ids.len() as u64));
        self.next = run.first;
        self.commit(run.dated);
        self.next = next;
        self.keeps_old = keeps_old;
    }

    /// The number that the next id will have, pending ones aside.
    pub fn next(&self) -> u64 {
        self.next
    }

    /// At least so many ids were written before.
    pub fn number_from(&mut self, next: u64) {
        self.next = self.next.max(next);
    }

    /// The journal lacks what is in the window: the next commit writes all of it, under new numbers.
    pub fn rewrite(&mut self) {
        for group in &mut self.groups {
            group.first = self.next;
            self.next = self.next.saturating_add(group.count as u64);
        }
        self.is_unwritten = !self.groups.is_empty();
    }

    /// Whether the next commit has more to write than new ids.
    pub fn is_unwritten(&self) -> bool {
        self.is_unwritten
    }

    /// Notes that ids of events received up to this time are missing.
    pub fn note_forgotten(&mut self, received_ms: Option<i64>) {
        self.forgotten_ms = self.forgotten_ms.max(received_ms);
    }

    /// Every id of events received later than this is known; `None` while none was forgotten.
    pub fn forgotten_ms(&self) -> Option<i64> {
        self.forgotten_ms
    }

    /// Whether ids are kept however old they are, up to the limit in number: while a replay needs them.
    pub fn keep_old(&mut self, keep: bool) {
        self.keeps_old = keep;
    }

    /// Whether `id` is known.
    pub fn contains(&self, id: EventId) -> bool {
        let known = |number: &u32| self.ring[number.wrapping_sub(self.first) as usize] == id;
        self.table.find(self.hasher.hash_one(id.0), known).is_some()
    }

    /// Whether `id` is new; if so it is pending from now on.
    pub fn insert(&mut self, id: EventId) -> bool {
        let (hasher, ring, first) = (&self.hasher, &self.ring, self.first);
        let number = first.wrapping_add(ring.len() as u32);
        let entry = self.table.entry(
            hasher.hash_one(id.0),
            |known| ring[known.wrapping_sub(first) as usize] == id,
            |known| hasher.hash_one(ring[known.wrapping_sub(first) as usize].0),
        );
        match entry {
            hashbrown::hash_table::Entry::Occupied(_) => false,
            hashbrown::hash_table::Entry::Vacant(vacant) => {
                vacant.insert(number);
                self.ring.push_back(id);
                self.pending += 1;
                true
            }
        }
    }

    /// What a commit of this date has to write to the journal: the pending ids, in order of arrival.
    pub fn to_write(&self, dated: Dated) -> impl Iterator<Item = Run<'_>> {
        let again = if self.is_unwritten { self.groups.len() } else { 0 };
        let mut from = 0;
        let old = self.groups.iter().take(again).flat_map(move |group| {
            let at = from;
            from += group.count;
            self.run(group.dated, group.first, at, group.count)
        });
        old.chain(self.run(dated, self.next, self.ring.len() - self.pending, self.pending))
    }

    /// A part of the ring, which may lie in two pieces.
    fn run(&self, dated: Dated, first: u64, from: usize, count: usize) -> impl Iterator<Item = Run<'_>> {
        let (front, back) = self.ring.as_slices();
        let (cut, to) = (front.len(), from + count);
        let head = &front[from.min(cut)..to.min(cut)];
        let tail = &back[from.saturating_sub(cut)..to.saturating_sub(cut)];
        let pieces = [(first, head), (first.saturating_add(head.len() as u64), tail)];
        let whole = pieces.into_iter().filter(|(_, ids)| !ids.is_empty());
        whole.map(move |(first, ids)| Run { dated, first, ids })
    }

    /// Takes the pending ids out again: their transaction was aborted.
    pub fn rollback(&mut self) {
        for _ in 0..std::mem::take(&mut self.pending) {
            if let Some(id) = self.ring.back().copied() {
                // The table is asked while the ring still holds the id that its number stands for.
                self.forget(id, self.first.wrapping_add(self.ring.len() as u32 - 1));
                self.ring.pop_back();
            }
        }
    }

    /// Dates the pending ids and lets go of what is too old or too many.
    pub fn commit(&mut self, dated: Dated) {
        if std::mem::take(&mut self.is_unwritten) {
            // They stand in the journal where this commit does.
            self.groups.iter_mut().for_each(|group| group.dated.committed_ms = dated.committed_ms);
        }
        if self.pending > 0 {
            let count = std::mem::take(&mut self.pending);
            self.groups.push_back(Group { dated, first: self.next, count });
            self.next = self.next.saturating_add(count as u64);
        }
        let mut excess = self.ring.len().saturating_sub(self.max_ids);
        while let Some(group) = self.groups.front().copied() {
            let count = self.outdated(&group, excess, dated.ran_ms);
            if count == 0 {
                break;
            }
            excess = excess.saturating_sub(count);
            self.note_forgotten(group.dated.received_ms);
            self.forget_oldest(count);
            match self.groups.front_mut() {
                Some(front) if count < front.count => {
                    front.count -= count;
                    front.first = front.first.saturating_add(count as u64);
                }
                _ => drop(self.groups.pop_front()),
            }
        }
    }

    /// What the window will know after a commit of the pending ids.
    pub fn extent_after(&self, dated: Dated) -> Extent {
        let next = self.next.saturating_add(self.pending as u64);
        let mut excess = self.ring.len().saturating_sub(self.max_ids);
        let mut forgotten_ms = self.forgotten_ms;
        for group in &self.groups {
            let count = self.outdated(group, excess, dated.ran_ms);
            if count > 0 {
                forgotten_ms = forgotten_ms.max(group.dated.received_ms);
                excess = excess.saturating_sub(count);
            }
            if count < group.count {
                let since_ms = if self.is_unwritten { dated.committed_ms } else { group.dated.committed_ms };
                let oldest = group.first.saturating_add(count as u64);
                return Extent { oldest, next, since_ms, forgotten_ms };
            }
        }
        let forgotten_ms = if excess > 0 { forgotten_ms.max(dated.received_ms) } else { forgotten_ms };
        let oldest = self.next.saturating_add(excess as u64);
        Extent { oldest, next, since_ms: dated.committed_ms, forgotten_ms }
    }

    /// How many ids of the oldest group a commit lets go of.
    fn outdated(&self, group: &Group, excess: usize, ran_ms: u64) -> usize {
        let expired = !self.keeps_old && group.dated.ran_ms < ran_ms.saturating_sub(self.window_ms);
        if expired { group.count } else { excess.min(group.count) }
    }

    /// Forgets every id.
    pub fn clear(&mut self) {
        self.ring.clear();
        self.groups.clear();
        self.table.clear();
        (self.pending, self.next, self.is_unwritten, self.forgotten_ms) = (0, 0, false, None);
    }

    /// Ids in the window, pending ones included.
    pub fn len(&self) -> usize {
        self.ring.len()
    }

    /// Whether the window holds no id.
    pub fn is_empty(&self) -> bool {
        self.ring.is_empty()
    }

    fn forget_oldest(&mut self, count: usize) {
        for _ in 0..count {
            if let Some(id) = self.ring.front().copied() {
                self.forget(id, self.first);
                self.ring.pop_front();
                self.first = self.first.wrapping_add(1);
            }
        }
    }

    fn forget(&mut self, id: EventId, number: u32) {
        if let Ok(entry) = self.table.find_entry(self.hasher.hash_one(id.0), |known| *known == number) {
            entry.remove();
        }
    }
}

#[cfg(test)]
mod tests;
