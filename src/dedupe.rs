//! The bounded window of recent event ids. Does not know who stored the seed.
//!
//! Ids are kept in a ring in order of arrival, 16 bytes each; a hash table of 4-byte ring numbers finds them.
//! That is about 27 bytes an id. Ids of the batch in progress are *pending*: they count as seen, but an abort
//! takes them out again, and only a commit dates them and lets old ids go.
//!
//! A commit also says up to which received time its events came, so that the window can tell of which time it still
//! knows every id: a replay has to judge older events by their time.

use std::collections::VecDeque;
use std::hash::BuildHasher;
use std::time::Duration;

use hashbrown::{DefaultHashBuilder, HashTable};

use crate::model::types::{Dated, EventId};

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
    received_ms: Option<i64>,
    count: usize,
}

/// What a window knows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Extent {
    /// When the oldest ids kept were committed.
    pub since_ms: i64,
    /// Every id of events received later than this is known; `None` while none was forgotten.
    pub forgotten_ms: Option<i64>,
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
    forgotten_ms: Option<i64>,
    keeps_old: bool,
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
            forgotten_ms: None,
            keeps_old: false,
        }
    }

    /// Adds ids of an earlier commit. Call it oldest first, before any [`Self::insert`]. None is too old yet: whether a
    /// replay needs them is not known while they are read back.
    pub fn seed(&mut self, dated: Dated, ids: impl IntoIterator<Item = EventId>) {
        for id in ids {
            self.insert(id);
        }
        let keeps_old = std::mem::replace(&mut self.keeps_old, true);
        self.commit(dated);
        self.keeps_old = keeps_old;
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
        let known = |number: &u32| self.ring[number.wrapping_sub(self.first) as usize] == id.0;
        self.table.find(self.hasher.hash_one(id.0), known).is_some()
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
    pub fn commit(&mut self, dated: Dated) {
        if self.pending > 0 {
            let Dated { committed_ms, received_ms } = dated;
            self.groups.push_back(Group {
                committed_ms,
                received_ms,
                count: std::mem::take(&mut self.pending),
            });
        }
        let mut excess = self.ring.len().saturating_sub(self.max_ids);
        while let Some(group) = self.groups.front().copied() {
            let count = self.outdated(&group, excess, dated.committed_ms);
            if count == 0 {
                break;
            }
            excess = excess.saturating_sub(count);
            self.note_forgotten(group.received_ms);
            self.forget_oldest(count);
            match self.groups.front_mut() {
                Some(front) if count < front.count => front.count -= count,
                _ => drop(self.groups.pop_front()),
            }
        }
    }

    /// What the window will know after a commit of the pending ids.
    pub fn extent_after(&self, dated: Dated) -> Extent {
        let mut excess = self.ring.len().saturating_sub(self.max_ids);
        let mut forgotten_ms = self.forgotten_ms;
        for group in &self.groups {
            let count = self.outdated(group, excess, dated.committed_ms);
            if count > 0 {
                forgotten_ms = forgotten_ms.max(group.received_ms);
                excess = excess.saturating_sub(count);
            }
            if count < group.count {
                return Extent { since_ms: group.committed_ms, forgotten_ms };
            }
        }
        let forgotten_ms = if excess > 0 { forgotten_ms.max(dated.received_ms) } else { forgotten_ms };
        Extent { since_ms: dated.committed_ms, forgotten_ms }
    }

    /// How many ids of the oldest group a commit lets go of.
    fn outdated(&self, group: &Group, excess: usize, committed_ms: i64) -> usize {
        let expired = !self.keeps_old && group.committed_ms < committed_ms.saturating_sub(self.window_ms);
        if expired { group.count } else { excess.min(group.count) }
    }

    /// Forgets every id.
    pub fn clear(&mut self) {
        self.ring.clear();
        self.groups.clear();
        self.table.clear();
        (self.pending, self.forgotten_ms) = (0, None);
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

    fn at(committed_ms: i64) -> Dated {
        Dated { committed_ms, received_ms: None }
    }

    #[test]
    fn it_knows_up_to_when_ids_are_forgotten() {
        let mut window = window(1000, 3);
        let dated = |committed_ms| Dated { committed_ms, received_ms: Some(committed_ms - 50) };
        let check =
            |window: &mut Window, ids: std::ops::Range<u128>, committed_ms, expected: (i64, Option<i64>)| {
                ids.for_each(|id| assert!(window.insert(EventId(id))));
                let foretold = window.extent_after(dated(committed_ms));
                window.commit(dated(committed_ms));
                assert_eq!((foretold.since_ms, foretold.forgotten_ms), expected);
                assert_eq!(window.forgotten_ms, expected.1, "what was foretold happened");
            };
        check(&mut window, 0..2, 100, (100, None));
        check(&mut window, 2..3, 200, (100, None));
        check(&mut window, 3..4, 300, (100, Some(50)));
        check(&mut window, 4..5, 400, (200, Some(50)));
        check(&mut window, 5..6, 1301, (400, Some(250)));
        window.keep_old(true);
        check(&mut window, 6..7, 9999, (400, Some(250)));
        assert!(window.contains(EventId(4)) && !window.contains(EventId(3)));
    }

    #[test]
    fn an_aborted_batch_is_new_again() {
        let mut window = window(1000, 100);
        assert!(window.insert(EventId(1)));
        window.commit(at(0));
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
        window.seed(at(0), [EventId(1)]);
        window.seed(at(900), [EventId(2)]);
        window.commit(at(1000));
        assert_eq!(window.len(), 2);
        window.commit(at(1001));
        assert!(window.insert(EventId(1)), "older than the window");
        assert!(!window.insert(EventId(2)));
    }

    #[test]
    fn none_expires_while_ids_are_read_back() {
        let mut window = window(1000, 100);
        window.seed(at(0), [EventId(1)]);
        window.seed(at(9000), [EventId(2)]);
        window.keep_old(true);
        window.commit(at(9001));
        assert!(!window.insert(EventId(1)), "a replay needs it");
        window.keep_old(false);
        window.commit(at(9002));
        assert_eq!(window.len(), 1, "and no longer");
    }

    #[test]
    fn ids_expire_by_number_oldest_first() {
        let mut window = window(1000, 3);
        window.seed(at(0), (0..5).map(EventId));
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
                        window.commit(at(now));
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
