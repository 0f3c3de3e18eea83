//! Records of a partition that were read, by which the partition is known again: where its topic was deleted and made again, or has
//! lost its end, others stand at their offsets, or none.
//!
//! Invariants: their offsets rise, and the last record that was read is the last of them. Of offsets that are divisible by the same
//! power of two and not by the next one, only the latest is kept. So there are at most 65, however many were read; and where the last
//! `n` are lost, fewer than `3 n` lie between the latest of these that is still there and the first that was lost.

use std::ops::Range;

use serde::{Deserialize, Serialize};

/// A record that was read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RecordMark {
    /// Its offset.
    pub offset: i64,
    /// Its timestamp, milliseconds since the Unix epoch, whoever's clock that is; -1 where it has none, as in Kafka.
    pub timestamp_ms: i64,
}

impl RecordMark {
    /// The offset after it.
    pub fn next(self) -> i64 {
        self.offset.saturating_add(1)
    }
}

/// Some of the records that were read. In JSON it is a list of pairs: offset and timestamp.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(from = "Vec<(i64, i64)>", into = "Vec<(i64, i64)>")]
pub struct Trail(Vec<RecordMark>);

/// What a partition shows of the records that were read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Seen {
    /// Nothing: none that is known is in it any more.
    Nothing,
    /// What was read before this offset is what stands there: all of it, or what is left where the end was lost.
    Before(i64),
    /// Other records stand where they stood: it is another partition.
    Others,
}

impl From<Vec<(i64, i64)>> for Trail {
    /// Takes pairs in any order.
    fn from(mut pairs: Vec<(i64, i64)>) -> Self {
        pairs.sort_unstable();
        let mut trail = Self::default();
        pairs.into_iter().for_each(|(offset, timestamp_ms)| trail.pass(RecordMark { offset, timestamp_ms }));
        trail
    }
}

impl From<Trail> for Vec<(i64, i64)> {
    fn from(trail: Trail) -> Self {
        trail.0.into_iter().map(|mark| (mark.offset, mark.timestamp_ms)).collect()
    }
}

impl Trail {
    /// A record was read: what stood there or after it was lost. The one whose place it takes is among the last few, but for rare ones.
    pub fn pass(&mut self, mark: RecordMark) {
        self.cut(mark.offset);
        let is_of_its_kind =
            |known: &RecordMark| known.offset.trailing_zeros() == mark.offset.trailing_zeros();
        if let Some(at) = self.0.iter().rposition(is_of_its_kind) {
            self.0.remove(at);
        }
        self.0.push(mark);
    }

    /// What stood at this offset or after it was lost.
    pub fn cut(&mut self, offset: i64) {
        while self.0.last().is_some_and(|last| last.offset >= offset) {
            self.0.pop();
        }
    }

    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What a partition that holds the offsets `there` shows of them. `look` tells the timestamp of the record at an offset, if there is
    /// one. Nothing is known before `next` if the last record was not read right before it, as where somebody has set the position.
    pub fn seen<E>(
        &self,
        next: i64,
        there: Range<i64>,
        mut look: impl FnMut(i64) -> Result<Option<i64>, E>,
    ) -> Result<Seen, E> {
        if self.0.last().is_none_or(|last| last.next() != next) {
            return Ok(Seen::Nothing);
        }
        let (is_shorter, mut has_others) = (next > there.end, false);
        for mark in self.0.iter().rev().filter(|mark| there.contains(&mark.offset)) {
            match look(mark.offset)? {
                Some(found) if found == mark.timestamp_ms => {
                    let has_lost_its_end = is_shorter || has_others;
                    return Ok(Seen::Before(if has_lost_its_end { mark.next() } else { next }));
                }
                Some(_) => has_others = true,
                // It was deleted meanwhile, or by compaction.
                None => {}
            }
        }
        Ok(if has_others { Seen::Others } else { Seen::Nothing })
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use proptest::prelude::*;

    use super::*;

    fn mark(offset: i64) -> RecordMark {
        RecordMark { offset, timestamp_ms: 1_000 + offset }
    }

    fn read(offsets: Range<i64>) -> Trail {
        let mut trail = Trail::default();
        offsets.for_each(|offset| trail.pass(mark(offset)));
        trail
    }

    fn offsets(trail: &Trail) -> Vec<i64> {
        trail.0.iter().map(|mark| mark.offset).collect()
    }

    /// What is seen of those that were read before `next` where these are there as they were read, and then others.
    fn seen(trail: &Trail, next: i64, same: Range<i64>, others: Range<i64>) -> Seen {
        let look = |offset| {
            let timestamp = |_| if same.contains(&offset) { mark(offset).timestamp_ms } else { 7 };
            Ok::<_, Infallible>(
                Some(offset).filter(|at| same.contains(at) || others.contains(at)).map(timestamp),
            )
        };
        trail.seen(next, same.start..others.end, look).unwrap()
    }

    #[test]
    fn few_are_kept_and_the_last_is_one_of_them() {
        assert_eq!(offsets(&read(0..20)), [0, 8, 12, 16, 18, 19]);
        assert_eq!(offsets(&read(5..8)), [6, 7]);
        let mut trail = read(0..20);
        trail.pass(mark(14));
        assert_eq!(offsets(&trail), [0, 8, 12, 14], "the end was lost");
        trail.pass(mark(0));
        assert_eq!(offsets(&trail), [0], "it begins anew");
        let last = RecordMark { offset: i64::MAX, timestamp_ms: -1 };
        trail.pass(last);
        assert_eq!((offsets(&trail), last.next()), (vec![0, i64::MAX], i64::MAX));
    }

    #[test]
    fn the_partition_of_before_is_known_again() {
        let trail = read(0..20);
        assert_eq!(seen(&trail, 20, 0..20, 20..20), Seen::Before(20));
        assert_eq!(seen(&trail, 20, 19..20, 20..90), Seen::Before(20), "the retention took the rest");
        assert_eq!(seen(&trail, 20, 20..20, 20..90), Seen::Nothing, "all of it");
        assert_eq!(seen(&trail, 20, 0..0, 0..0), Seen::Nothing, "there is no record");
        assert_eq!(seen(&Trail::default(), 20, 0..0, 0..90), Seen::Nothing, "as in older checkpoints");
    }

    #[test]
    fn another_one_is_told_from_one_that_lost_its_end() {
        let trail = read(0..20);
        for end in [1, 5, 20, 90] {
            assert_eq!(seen(&trail, 20, 0..0, 0..end), Seen::Others, "made again, with {end} records");
        }
        for end in [15, 18, 20, 90] {
            assert_eq!(
                seen(&trail, 20, 0..15, 15..end),
                Seen::Before(13),
                "its end from 15 on, and then {end}"
            );
        }
        assert_eq!(seen(&trail, 20, 17..17, 17..90), Seen::Others, "what is left of it is another's");
    }

    #[test]
    fn a_position_that_somebody_set_has_no_trail() {
        for next in [7, 19, 21, i64::MAX] {
            assert_eq!(seen(&read(0..20), next, 0..0, 0..90), Seen::Nothing, "{next}");
        }
    }

    #[test]
    fn what_compaction_took_tells_nothing() {
        let trail = read(0..20);
        let only_8 = |at| Ok((at == 8).then_some(1_008));
        assert_eq!(trail.seen(20, 0..20, |_| Ok::<_, Infallible>(None)), Ok(Seen::Nothing));
        assert_eq!(trail.seen::<Infallible>(20, 0..20, only_8), Ok(Seen::Before(20)));
        assert_eq!(trail.seen::<Infallible>(20, 0..19, only_8), Ok(Seen::Before(9)), "it is shorter");
        assert_eq!(trail.seen(20, 0..20, |_| Err("away")), Err("away"));
    }

    #[test]
    fn pairs_may_come_in_any_order() {
        let trail: Trail = serde_json::from_str("[[19,1019],[0,1000],[5,1],[3,2],[-4,9],[19,1019]]").unwrap();
        assert_eq!(offsets(&trail), [-4, 0, 19]);
        let stored = serde_json::to_string(&read(0..20)).unwrap();
        assert_eq!(stored, "[[0,1000],[8,1008],[12,1012],[16,1016],[18,1018],[19,1019]]");
        assert_eq!(serde_json::from_str::<Trail>(&stored).unwrap(), read(0..20));
    }

    proptest! {
        #[test]
        fn so_few_are_read_again(first in 0i64..1_000_000, count in 1i64..2_000, lost in 1i64..2_000) {
            let (end, trail) = (first + count, read(first..first + count));
            prop_assert_eq!(trail.0.last().copied(), Some(mark(end - 1)));
            prop_assert!(trail.0.len() <= 65 && trail.0.is_sorted_by_key(|mark| mark.offset));
            let lost = lost.min(count);
            match seen(&trail, end, first..end - lost, end - lost..end) {
                Seen::Before(next) => prop_assert!(next <= end - lost && end - lost - next < 3 * lost, "{next}"),
                _ => prop_assert!(4 * lost > count, "no more was read than was lost"),
            }
        }
    }
}
