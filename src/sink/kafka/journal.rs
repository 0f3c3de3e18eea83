//! The id journal's records: which ids a batch brought, packed, and whether what is read back is all that is needed. No
//! Kafka in here.
//!
//! Version 3: a version byte; 8 bytes each of the latest received time up to that commit (milliseconds since the Unix
//! epoch, the smallest number for none), of the time that the shard had run, and of the number of the first id; then 16
//! bytes an id. All big-endian. Ids are numbered, so the journal itself tells whether it is complete, whatever clocks say.
//! Versions 1 (only the version byte before the ids) and 2 (version byte and received time) are still read.

use std::ops::Range;

use crate::model::types::{EventId, Run};

/// Bytes of one id.
pub(crate) const ID_BYTES: usize = 16;

/// Bytes before the ids.
pub(crate) const HEAD_BYTES: usize = 25;

/// The version byte of a record without and with a received time, and of a numbered one.
const PLAIN: u8 = 1;
const TIMED: u8 = 2;
const NUMBERED: u8 = 3;

/// Stands for no received time.
const NO_TIME: i64 = i64::MIN;

/// Ids in one journal record at most: 512 KiB.
pub(crate) const IDS_PER_RECORD: usize = 32_768;

/// What stands before the ids.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Head {
    /// The latest received time up to that commit.
    pub received_ms: Option<i64>,
    /// How long the shard had run, milliseconds, and the number of the first id; `None` in records of older versions.
    pub numbered: Option<(u64, u64)>,
}

/// Packs ids into `out`.
pub(crate) fn pack(run: &Run<'_>, out: &mut Vec<u8>) {
    out.clear();
    out.push(NUMBERED);
    out.extend_from_slice(&run.dated.received_ms.unwrap_or(NO_TIME).to_be_bytes());
    out.extend_from_slice(&run.dated.ran_ms.to_be_bytes());
    out.extend_from_slice(&run.first.to_be_bytes());
    out.extend(run.ids.iter().flat_map(|id| id.0.to_be_bytes()));
}

/// The reverse of [`pack`]: ids appended to `ids`.
pub(crate) fn unpack(payload: &[u8], ids: &mut Vec<EventId>) -> Result<Head, &'static str> {
    const CUT_OFF: &str = "the record is cut off";
    let number = |bytes: &mut &[u8]| -> Result<[u8; 8], &'static str> {
        let (number, rest) = bytes.split_first_chunk::<8>().ok_or(CUT_OFF)?;
        *bytes = rest;
        Ok(*number)
    };
    let (version, mut rest) = payload.split_first().ok_or(CUT_OFF)?;
    let head = match *version {
        PLAIN => Head { received_ms: None, numbered: None },
        TIMED => Head { received_ms: Some(i64::from_be_bytes(number(&mut rest)?)), numbered: None },
        NUMBERED => {
            let received_ms = i64::from_be_bytes(number(&mut rest)?);
            let ran_ms = u64::from_be_bytes(number(&mut rest)?);
            let first = u64::from_be_bytes(number(&mut rest)?);
            let received_ms = Some(received_ms).filter(|time| *time != NO_TIME);
            Head { received_ms, numbered: Some((ran_ms, first)) }
        }
        _ => return Err("its version is not known to this release"),
    };
    let (packed, rest) = rest.as_chunks::<ID_BYTES>();
    if !rest.is_empty() {
        return Err(CUT_OFF);
    }
    ids.extend(packed.iter().map(|bytes| EventId(u128::from_be_bytes(*bytes))));
    Ok(head)
}

/// Compares the numbers that are needed with those that are found, record by record.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Audit {
    needed: Range<u64>,
    /// All needed numbers below this one were found or are missing for good.
    at: u64,
    missing: u64,
    began: bool,
}

impl Audit {
    /// For these numbers.
    pub(crate) fn new(needed: Range<u64>) -> Self {
        Self { at: needed.start, needed, missing: 0, began: false }
    }

    /// Takes a record with `count` ids from number `first` on; tells how many of them are older than what is needed. After
    /// a crash without transactions there may be more than is needed, and the same numbers twice.
    pub(crate) fn take(&mut self, first: u64, count: usize) -> usize {
        self.began = true;
        self.skip_to(first);
        self.at = self.at.max(first.saturating_add(count as u64));
        usize::try_from(self.needed.start.saturating_sub(first)).unwrap_or(usize::MAX).min(count)
    }

    /// Whether a record that begins with `first`, as the first one found, shows that the search began too late.
    pub(crate) fn begins_late(&self, first: u64) -> bool {
        !self.began && !self.needed.is_empty() && first > self.needed.start
    }

    /// Whether ids are needed and no record was found.
    pub(crate) fn found_nothing(&self) -> bool {
        !self.began && !self.needed.is_empty()
    }

    /// How many needed ids are missing, once all records were taken.
    pub(crate) fn missing(mut self) -> u64 {
        self.skip_to(self.needed.end);
        self.missing
    }

    fn skip_to(&mut self, number: u64) {
        self.missing += number.min(self.needed.end).saturating_sub(self.at);
        self.at = self.at.max(number);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::types::Dated;

    proptest! {
        #[test]
        fn ids_survive_packing(
            ids in prop::collection::vec(any::<u128>(), 0..100), received_ms: Option<i64>, ran_ms: u64, first: u64,
        ) {
            let ids: Vec<EventId> = ids.into_iter().map(EventId).collect();
            let received_ms = received_ms.filter(|time| *time != NO_TIME);
            let dated = Dated { committed_ms: 0, ran_ms, received_ms };
            let (mut packed, mut back) = (vec![7], Vec::new());
            pack(&Run { dated, first, ids: &ids }, &mut packed);
            prop_assert_eq!(packed.len(), HEAD_BYTES + ids.len() * ID_BYTES);
            prop_assert_eq!(unpack(&packed, &mut back).unwrap(), Head { received_ms, numbered: Some((ran_ms, first)) });
            prop_assert_eq!(back, ids);
        }

        /// Whatever is found, `missing` is what a plain count says.
        #[test]
        fn what_is_missing_is_counted(needed in (0u64..50, 0u64..50), found in prop::collection::vec((0u64..60, 0usize..20), 0..8)) {
            let needed = needed.0..needed.0 + needed.1;
            let mut found = found;
            found.sort_unstable();
            let mut audit = Audit::new(needed.clone());
            for (first, count) in &found {
                let older = audit.take(*first, *count);
                let expected = (*first..*first + *count as u64).filter(|number| *number < needed.start).count();
                prop_assert_eq!(older, expected);
            }
            let holds = |number: &u64| found.iter().any(|(first, count)| (*first..*first + *count as u64).contains(number));
            prop_assert_eq!(audit.missing(), needed.filter(|number| !holds(number)).count() as u64);
        }
    }

    #[test]
    fn records_of_older_versions_are_read() {
        let id = EventId(5);
        let mut ids = Vec::new();
        let plain = [&[PLAIN][..], &5u128.to_be_bytes()].concat();
        assert_eq!(unpack(&plain, &mut ids), Ok(Head { received_ms: None, numbered: None }));
        let timed = [&[TIMED][..], &77i64.to_be_bytes(), &5u128.to_be_bytes()].concat();
        assert_eq!(unpack(&timed, &mut ids), Ok(Head { received_ms: Some(77), numbered: None }));
        assert_eq!(ids, [id, id]);
    }

    #[test]
    fn a_foreign_record_is_refused() {
        for record in [&[4, 0][..], &[3, 0], &[2, 0], &[1, 0], &[], b"{\"id\":1}"] {
            assert!(unpack(record, &mut Vec::new()).is_err(), "{record:?}");
        }
    }

    #[test]
    fn a_search_that_began_too_late_is_noticed() {
        let mut audit = Audit::new(10..20);
        assert!(audit.found_nothing() && audit.begins_late(11) && !audit.begins_late(10));
        audit.take(3, 8);
        assert!(!audit.found_nothing() && !audit.begins_late(15), "the first one decides; this is a hole");
        audit.take(15, 2);
        assert_eq!(audit.missing(), 4 + 3);
        assert!(!Audit::new(5..5).found_nothing(), "nothing is needed");
    }
}
