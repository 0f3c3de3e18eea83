//! A set of offsets, kept as ranges.
//!
//! Invariant: the ranges are in order, none is empty, and between two of them at least one offset is missing. So two sets of the
//! same offsets are equal, and a set of neighbours is one range, however it was put together.

use std::ops::Range;

use serde::{Deserialize, Serialize};

/// Offsets. In JSON it is a list of pairs: the first offset of a range, and the one after its last.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(from = "Vec<(i64, i64)>", into = "Vec<(i64, i64)>")]
pub struct Ranges(Vec<(i64, i64)>);

impl From<Vec<(i64, i64)>> for Ranges {
    /// Takes pairs in any order, also those that overlap or are empty.
    fn from(pairs: Vec<(i64, i64)>) -> Self {
        let mut ranges = Self::default();
        pairs.into_iter().for_each(|(first, end)| ranges.insert(first..end));
        ranges
    }
}

impl From<Ranges> for Vec<(i64, i64)> {
    fn from(ranges: Ranges) -> Self {
        ranges.0
    }
}

impl Ranges {
    /// Adds all offsets of a range. At the end, where offsets come in order, this takes constant time.
    pub fn insert(&mut self, range: Range<i64>) {
        if range.is_empty() {
            return;
        }
        let places = self.touched(&range);
        let touched = &self.0[places.clone()];
        let start = touched.first().map_or(range.start, |(first, _)| range.start.min(*first));
        let end = touched.last().map_or(range.end, |(_, last)| range.end.max(*last));
        self.0.splice(places, [(start, end)]);
    }

    /// Whether a range has offsets of the set, or lies beside one of them: then it can be added without one more range.
    pub fn touches(&self, range: &Range<i64>) -> bool {
        !self.touched(range).is_empty()
    }

    /// Those that touch a range: they end where it begins or later, and begin where it ends or before.
    fn touched(&self, range: &Range<i64>) -> Range<usize> {
        let from = self.0.partition_point(|(_, other)| *other < range.start);
        let to = from + self.0[from..].partition_point(|(other, _)| *other <= range.end);
        from..to
    }

    /// Takes out all offsets before `least`.
    pub fn forget_before(&mut self, least: i64) {
        let gone = self.0.partition_point(|(_, end)| *end <= least);
        self.0.drain(..gone);
        if let Some((first, _)) = self.0.first_mut() {
            *first = least.max(*first);
        }
    }

    /// Whether an offset is in it.
    pub fn contains(&self, offset: i64) -> bool {
        let at = self.0.partition_point(|(_, end)| *end <= offset);
        self.0.get(at).is_some_and(|(first, _)| *first <= offset)
    }

    /// The first offset, and the one after the last.
    pub fn bounds(&self) -> Option<Range<i64>> {
        Some(self.0.first()?.0..self.0.last()?.1)
    }

    /// How many ranges it takes.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether no offset is in it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn offsets(ranges: &Ranges) -> BTreeSet<i64> {
        ranges.0.iter().flat_map(|(first, end)| *first..*end).collect()
    }

    #[test]
    fn neighbours_are_one_range() {
        let mut ranges = Ranges::default();
        for range in [0..2, 4..5, 2..4] {
            ranges.insert(range);
        }
        assert_eq!((ranges.len(), ranges.bounds()), (1, Some(0..5)));
        assert_eq!(serde_json::to_string(&ranges).unwrap(), "[[0,5]]");
        assert_eq!(serde_json::from_str::<Ranges>("[[3,5],[0,3],[9,9]]").unwrap(), ranges);
    }

    proptest! {
        #[test]
        fn it_is_the_set_of_what_was_put_in(
            puts in prop::collection::vec((0i64..60, 0i64..9), 0..40), least in 0i64..70,
        ) {
            let (mut ranges, mut expected) = (Ranges::default(), BTreeSet::new());
            for (first, length) in puts {
                let (touches, before) = (ranges.touches(&(first..first + length)), ranges.len());
                ranges.insert(first..first + length);
                prop_assert!(length == 0 || touches == (ranges.len() <= before), "{} {} {:?}", first, length, ranges);
                expected.extend(first..first + length);
                prop_assert_eq!(offsets(&ranges), expected.clone());
                prop_assert!(ranges.0.windows(2).all(|pair| pair[0].1 < pair[1].0), "{:?}", ranges);
            }
            for offset in 0..70 {
                prop_assert_eq!(ranges.contains(offset), expected.contains(&offset));
            }
            let again: Ranges = serde_json::from_str(&serde_json::to_string(&ranges).unwrap()).unwrap();
            prop_assert_eq!(&again, &ranges);
            ranges.forget_before(least);
            expected.retain(|offset| *offset >= least);
            prop_assert_eq!(offsets(&ranges), expected);
            prop_assert!(ranges.0.iter().all(|(first, end)| first < end));
        }
    }
}
