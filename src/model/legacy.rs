//! What shards leave to those that take their place when a stream is cut into another number: pure decisions.
//!
//! Invariant: whoever begins with it misses nothing that one of them had not delivered, and knows the recent ids of all.

use std::collections::HashSet;

use super::checkpoint::{Checkpoint, Ids, Totals};
use super::offset;
use super::types::{Dated, EventId, Position, Run};

/// Ids that were committed together, as old as their shard says.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Group {
    /// How long the shard that took them had run since, milliseconds.
    age_ms: u64,
    dated: Dated,
    ids: Vec<EventId>,
}

/// What is left behind by the shards before.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Legacy {
    left: Vec<Checkpoint>,
    totals: Totals,
    groups: Vec<Group>,
}

impl Legacy {
    /// One of them left this. Its totals count unless they are in those of another already.
    pub(crate) fn add(&mut self, left: Checkpoint, totals_count: bool) {
        if totals_count {
            self.totals = self.totals.plus(left.totals);
        }
        self.left.push(left);
    }

    /// A shard that had run for `ran_ms` left these ids.
    pub(crate) fn add_ids(&mut self, ran_ms: u64, dated: Dated, ids: &[EventId]) {
        let age_ms = ran_ms.saturating_sub(dated.ran_ms);
        self.groups.push(Group { age_ms, dated, ids: ids.to_vec() });
    }

    /// Whether nothing was left: no shard of the stream was ever opened.
    pub(crate) fn is_empty(&self) -> bool {
        self.left.is_empty()
    }

    /// The first checkpoint of a shard that takes their place. `fresh` is that of one that begins with nothing, and
    /// `begins_at_oldest` tells whether it would begin with the oldest event that the service holds.
    ///
    /// The first shard takes the totals of all, so that the sum over the stream stays.
    pub(crate) fn checkpoint(&self, fresh: Checkpoint, is_first: bool, begins_at_oldest: bool) -> Checkpoint {
        let least = self.least_advanced(begins_at_oldest);
        Checkpoint {
            position: least.and_then(|least| least.position.clone()),
            position_ms: least.and_then(Checkpoint::position_dated_ms),
            processed_ms: least.and_then(|least| least.processed_ms),
            totals: if is_first { self.totals } else { Totals::default() },
            ran_ms: self.ran_ms(),
            ids: Some(Ids { oldest: 0, written: self.ids() as u64, since_ms: fresh.committed_ms }),
            ..fresh
        }
    }

    /// Keeps each id once, where it is youngest, and so many of them at most: the youngest. Oldest first from then on. Tells how many
    /// were too many, repeats among them included.
    pub(crate) fn keep_youngest(&mut self, max_ids: usize) -> usize {
        self.groups.sort_by_key(|group| group.age_ms);
        let mut kept = HashSet::new();
        let mut too_many = 0;
        for group in &mut self.groups {
            let mut own = Vec::with_capacity(group.ids.len());
            for id in group.ids.iter().rev() {
                if kept.contains(id) {
                    continue;
                }
                if kept.len() == max_ids {
                    too_many += 1;
                    continue;
                }
                kept.insert(*id);
                own.push(*id);
            }
            own.reverse();
            group.ids = own;
        }
        self.groups.retain(|group| !group.ids.is_empty());
        self.groups.reverse();
        too_many
    }

    /// The ids of all in their order, numbered anew.
    pub(crate) fn runs(&self) -> Vec<Run<'_>> {
        let ran_ms = self.ran_ms();
        let mut first = 0;
        let number = |group: &Group| {
            let number = first;
            first += group.ids.len() as u64;
            number
        };
        let firsts: Vec<u64> = self.groups.iter().map(number).collect();
        let runs = self.groups.iter().zip(firsts).map(|(group, first)| Run {
            dated: Dated { ran_ms: ran_ms.saturating_sub(group.age_ms), ..group.dated },
            first,
            ids: &group.ids,
        });
        runs.collect()
    }

    /// How many ids there are.
    pub(crate) fn ids(&self) -> usize {
        self.groups.iter().map(|group| group.ids.len()).sum()
    }

    /// Whether nobody can tell for sure which of the positions is the least advanced.
    pub(crate) fn is_unsure(&self) -> bool {
        let mut placed = self.left.iter().filter(|left| left.position.is_some());
        let differ = self.left.iter().filter_map(|left| left.position.as_ref()).collect::<Vec<_>>();
        differ.windows(2).any(|pair| pair[0] != pair[1]) && placed.any(|left| number(left).is_none())
    }

    /// How far apart the positions are, milliseconds: what the ids have to cover.
    pub(crate) fn apart_ms(&self) -> i64 {
        let dated = || self.left.iter().filter_map(Checkpoint::position_dated_ms);
        dated().max().zip(dated().min()).map_or(0, |(latest, earliest)| latest.saturating_sub(earliest))
    }

    /// How many shards were opened and never got a position.
    pub(crate) fn without_position(&self) -> usize {
        self.left.iter().filter(|left| left.position.is_none()).count()
    }

    /// As long as the one that ran longest.
    fn ran_ms(&self) -> u64 {
        self.left.iter().map(|left| left.ran_ms).max().unwrap_or(0)
    }

    /// The one that had got least far. Offsets are opaque: they are compared as numbers only where all of them are such, else
    /// by when the service processed what stands there.
    ///
    /// One that never got a position has delivered nothing. Where it would have begun with the oldest event it is the least
    /// advanced; otherwise nobody knows where it would have begun, and the others tell.
    fn least_advanced(&self, begins_at_oldest: bool) -> Option<&Checkpoint> {
        if begins_at_oldest && self.without_position() > 0 {
            return None;
        }
        let placed = || self.left.iter().filter(|left| left.position.is_some());
        let numbers: Option<Vec<u128>> = placed().map(number).collect();
        match numbers {
            Some(numbers) => placed().zip(numbers).min_by_key(|(_, number)| *number).map(|(least, _)| least),
            // Of one that was set by hand nobody knows how old it is, so it comes first.
            None => placed().min_by_key(|left| left.position_ms.or(left.processed_ms)),
        }
    }
}

fn number(checkpoint: &Checkpoint) -> Option<u128> {
    match checkpoint.position.as_ref()? {
        Position::Offset { offset, .. } => offset::number(offset),
        Position::Watermark(_) | Position::Letters(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left(offset: Option<&str>, position_ms: i64, ran_ms: u64) -> Checkpoint {
        let position = offset.map(Position::offset);
        let position_ms = position.is_some().then_some(position_ms);
        let totals = Totals { delivered: 10, ..Totals::default() };
        Checkpoint { position, position_ms, ran_ms, totals, ..Checkpoint::initial("old", 2, 0) }
    }

    fn legacy(left: impl IntoIterator<Item = Checkpoint>) -> Legacy {
        let mut legacy = Legacy::default();
        left.into_iter().for_each(|left| legacy.add(left, true));
        legacy
    }

    fn begins(legacy: &Legacy, begins_at_oldest: bool) -> Option<String> {
        let checkpoint = legacy.checkpoint(Checkpoint::initial("new", 3, 5), true, begins_at_oldest);
        checkpoint.position.map(|position| position.to_string())
    }

    #[test]
    fn the_least_advanced_position_is_that_of_all_new_shards() {
        let numbers = legacy([left(Some("1000"), 1, 0), left(Some("999"), 2, 0)]);
        assert_eq!(
            begins(&numbers, false).as_deref(),
            Some("999"),
            "as numbers, not as texts, nor by their times"
        );
        let both = legacy([left(Some("MTAwMA"), 2, 0), left(Some("1001"), 1, 0)]);
        assert_eq!(begins(&both, false).as_deref(), Some("MTAwMA"));
        let opaque = legacy([left(Some("x"), 2, 0), left(Some("1"), 1, 0), left(Some("y"), 3, 0)]);
        assert_eq!(begins(&opaque, false).as_deref(), Some("1"), "by their times");
        assert_eq!((opaque.apart_ms(), numbers.apart_ms()), (2, 1));
    }

    #[test]
    fn a_shard_that_never_read_anything_has_everything_before_it() {
        let legacy = legacy([left(Some("7"), 1, 0), left(None, 0, 0)]);
        assert_eq!(begins(&legacy, true), None, "the oldest event that is held");
        assert_eq!(
            begins(&legacy, false).as_deref(),
            Some("7"),
            "nobody knows what came before its first connect"
        );
        assert_eq!(legacy.without_position(), 1);
    }

    #[test]
    fn the_totals_of_the_stream_stay() {
        let legacy = legacy([left(None, 0, 0), left(None, 0, 0)]);
        let delivered =
            |is_first| legacy.checkpoint(Checkpoint::initial("new", 3, 5), is_first, false).totals.delivered;
        assert_eq!((delivered(true), delivered(false)), (20, 0));
    }

    #[test]
    fn the_ids_of_all_stand_in_the_order_of_their_age() {
        let mut legacy = legacy([left(None, 0, 10_000), left(None, 0, 100)]);
        let dated = |ran_ms| Dated { committed_ms: 1, ran_ms, received_ms: None };
        let ids = |range: std::ops::Range<u128>| range.map(EventId).collect::<Vec<_>>();
        legacy.add_ids(10_000, dated(9_000), &ids(0..2));
        legacy.add_ids(10_000, dated(10_000), &ids(2..3));
        legacy.add_ids(100, dated(50), &ids(3..6));
        assert_eq!(legacy.keep_youngest(10), 0);
        let checkpoint = legacy.checkpoint(Checkpoint::initial("new", 3, 5), false, false);
        assert_eq!(checkpoint.ids, Some(Ids { oldest: 0, written: 6, since_ms: 5 }));
        assert_eq!(checkpoint.ran_ms, 10_000);
        let runs = legacy.runs();
        let found: Vec<_> = runs.iter().map(|run| (run.dated.ran_ms, run.first, run.ids.to_vec())).collect();
        assert_eq!(found, [(9_000, 0, ids(0..2)), (9_950, 2, ids(3..6)), (10_000, 5, ids(2..3))]);
    }

    /// Shards of one cut have the same ids of the cut before.
    #[test]
    fn each_id_counts_once_and_the_youngest_stay() {
        let mut legacy = legacy([left(None, 0, 100), left(None, 0, 100)]);
        let dated = |ran_ms| Dated { committed_ms: 1, ran_ms, received_ms: None };
        let ids = |range: std::ops::Range<u128>| range.map(EventId).collect::<Vec<_>>();
        for _ in 0..2 {
            legacy.add_ids(100, dated(10), &ids(0..4));
            legacy.add_ids(100, dated(90), &ids(3..6));
        }
        assert_eq!(legacy.keep_youngest(5), 2, "the oldest, of both");
        let found: Vec<_> =
            legacy.runs().iter().map(|run| (run.dated.ran_ms, run.first, run.ids.to_vec())).collect();
        assert_eq!(found, [(10, 0, ids(1..3)), (90, 2, ids(3..6))]);
        assert_eq!(legacy.ids(), 5);
    }

    #[test]
    fn offsets_that_are_no_numbers_are_not_sure() {
        assert!(!legacy([left(Some("5"), 1, 0), left(Some("MTAwMA"), 2, 0)]).is_unsure());
        assert!(!legacy([left(Some("x"), 1, 0), left(Some("x"), 2, 0), left(None, 0, 0)]).is_unsure());
        assert!(legacy([left(Some("x"), 1, 0), left(Some("5"), 2, 0)]).is_unsure());
    }
}
