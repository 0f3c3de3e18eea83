//! The bounded window of recent event ids. Does not know who stored the seed.
//!
//! Ids are kept in a ring in order of arrival, 16 bytes each; a hash table of 4-byte ring numbers finds them.
//! That is about 27 bytes an id. Ids of the batch in progress are *pending*: they count as seen, but an abort
//! takes them out again, and only a commit dates them and lets old ids go.

use std::collections::VecDeque;
use std::hash::BuildHasher;
use std::time::Duration;

use hashbrown::{DefaultHashBuilder, HashTable};

use crate::model::types::EventId;

/// Ids for which room is set aside at once. Untouched pages cost nothing, growing a full table costs a copy.
const MAX_RESERVED_IDS: usize = 4 << 20;

/// The bounds of the window.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Config {
    /// How long an id is remembered.
    pub window: Duration,
    /// How many ids are remembered at most; the oldest go first.
    pub max_ids: usize,
}

/// The ids of one commit, which expire together.
#[derive(Clone, Copy, Debug)]
struct Group {
    committed_ms: i64,
    count: usize,
}

/// Recent ids. Invariant: `ring` holds the ids of `groups` in order, then `pending` ids; `table` holds exactly
/// the ring's numbers, `first` being the number of the ring's front (wrapping, so fewer than 2^32 ids fit).
#[derive(Debug)]
pub struct Window {
    window_ms: i64,
    max_ids: usize,
    ring: VecDeque<u128>,
    first: u32,
    groups: VecDeque<Group>,
    pending: usize,
    table: HashTable<u32>,
    hasher: DefaultHashBuilder,
}

impl Default for Config {
    fn default() -> Self {
        Self { window: Duration::from_secs(30 * 60), max_ids: 1_000_000 }
    }
}

impl Window {
    /// An empty window. `batch_ids` is how many pending ids to expect, for sizing.
    pub fn new(config: Config, batch_ids: usize) -> Self {
        let reserved = config.max_ids.saturating_add(batch_ids).min(MAX_RESERVED_IDS);
        Self {
            window_ms: i64::try_from(config.window.as_millis()).unwrap_or(i64::MAX),
            max_ids: config.max_ids,
            ring: VecDeque::with_capacity(reserved),
            first: 0,
            groups: VecDeque::new(),
            pending: 0,
            table: HashTable::with_capacity(reserved),
            hasher: DefaultHashBuilder::default(),
        }
    }

    /// Adds ids that were committed at `committed_ms`. Call it oldest first, before any [`Self::insert`].
    pub fn seed(&mut self, committed_ms: i64, ids: impl IntoIterator<Item = EventId>) {
        for id in ids {
            self.insert(id);
        }
        self.commit(committed_ms);
    }

    /// Whether `id` is new; if so it is pending from now on.
    pub fn insert(&mut self, id: EventId) -> bool {
        let (hasher, ring, first) = (&self.hasher, &self.ring, self.first);
        let number = first.wrapping_add(ring.len() as u32);
        let entry = self.table.entry(
            hasher.hash_one(id.0),
            |known| ring[known.wrapping_sub(first) as usize] == id.0,
            |known| hasher.hash_one(ring[known.wrapping_sub(first) as usize]),
        );
        match entry {
            hashbrown::hash_table::Entry::Occupied(_) => false,
            hashbrown::hash_table::Entry::Vacant(vacant) => {
                vacant.insert(number);
                self.ring.push_back(id.0);
                self.pending += 1;
                true
            }
        }
    }

    /// The pending ids, in order of arrival.
    pub fn pending(&self) -> impl ExactSizeIterator<Item = EventId> + '_ {
        self.ring.range(self.ring.len() - self.pending..).map(|id| EventId(*id))
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
    pub fn commit(&mut self, committed_ms: i64) {
        if self.pending > 0 {
            self.groups.push_back(Group { committed_ms, count: std::mem::take(&mut self.pending) });
        }
        let oldest_kept = committed_ms.saturating_sub(self.window_ms);
        while let Some(group) = self.groups.front_mut() {
            let expired = if group.committed_ms < oldest_kept { group.count } else { 0 };
            let count = expired.max(self.ring.len().saturating_sub(self.max_ids)).min(group.count);
            if count == 0 {
                break;
            }
            group.count -= count;
            if group.count == 0 {
                self.groups.pop_front();
            }
            self.forget_oldest(count);
        }
    }

    /// Forgets every id.
    pub fn clear(&mut self) {
        self.ring.clear();
        self.groups.clear();
        self.table.clear();
        self.pending = 0;
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

    fn forget(&mut self, id: u128, number: u32) {
        if let Ok(entry) = self.table.find_entry(self.hasher.hash_one(id), |known| *known == number) {
            entry.remove();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    fn window(window_ms: u64, max_ids: usize) -> Window {
        Window::new(Config { window: Duration::from_millis(window_ms), max_ids }, 4)
    }

    #[test]
    fn an_aborted_batch_is_new_again() {
        let mut window = window(1000, 100);
        assert!(window.insert(EventId(1)));
        window.commit(0);
        assert!(window.insert(EventId(2)));
        assert!(!window.insert(EventId(2)), "a repeat within the batch");
        window.rollback();
        assert!(!window.insert(EventId(1)), "what was committed stays");
        assert!(window.insert(EventId(2)));
        assert_eq!(window.pending().collect::<Vec<_>>(), [EventId(2)]);
    }

    #[test]
    fn ids_expire_by_age() {
        let mut window = window(1000, 100);
        window.seed(0, [EventId(1)]);
        window.seed(900, [EventId(2)]);
        window.commit(1000);
        assert_eq!(window.len(), 2);
        window.commit(1001);
        assert!(window.insert(EventId(1)), "older than the window");
        assert!(!window.insert(EventId(2)));
    }

    #[test]
    fn ids_expire_by_number_oldest_first() {
        let mut window = window(1000, 3);
        window.seed(0, (0..5).map(EventId));
        assert_eq!(window.len(), 3);
        assert!(!window.insert(EventId(2)));
        assert!(window.insert(EventId(1)));
    }

    /// One thing that may happen to a window.
    #[derive(Clone, Debug)]
    enum Step {
        Insert(u8),
        Commit(i64),
        Rollback,
    }

    proptest! {
        /// Against a naive model, over many wraps of the ring.
        #[test]
        fn it_agrees_with_a_naive_model(steps in prop::collection::vec(prop_oneof![
            8 => any::<u8>().prop_map(Step::Insert),
            2 => (0i64..50).prop_map(Step::Commit),
            1 => Just(Step::Rollback),
        ], 0..400)) {
            let mut window = window(100, 20);
            window.first = u32::MAX - 5;
            let (mut now, mut kept, mut pending) = (0, Vec::<(i64, u8)>::new(), Vec::<u8>::new());
            for step in steps {
                match step {
                    Step::Insert(id) => {
                        let known = pending.contains(&id) || kept.iter().any(|(_, known)| *known == id);
                        prop_assert_eq!(window.insert(EventId(id.into())), !known);
                        if !known { pending.push(id); }
                    }
                    Step::Commit(later) => {
                        now += later;
                        kept.extend(pending.drain(..).map(|id| (now, id)));
                        window.commit(now);
                        kept.retain(|(at, _)| *at >= now - 100);
                        let extra = kept.len().saturating_sub(20);
                        kept.drain(..extra);
                    }
                    Step::Rollback => { pending.clear(); window.rollback(); }
                }
                let all: HashSet<u128> = kept.iter().map(|(_, id)| u128::from(*id)).chain(pending.iter().map(|id| u128::from(*id))).collect();
                prop_assert_eq!(window.ring.iter().copied().collect::<HashSet<_>>(), all);
                prop_assert_eq!(window.table.len(), window.ring.len());
            }
        }
    }
}
