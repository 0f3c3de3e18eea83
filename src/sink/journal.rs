//! The id journal's records: which ids a batch brought, packed. No Kafka in here.
//!
//! Version 1: a version byte, then 16 bytes an id, big-endian. Version 2 has 8 bytes between them: the latest received
//! time up to that commit, milliseconds since the Unix epoch; for streams whose position the service keeps.

use crate::model::types::EventId;

/// Bytes of one id.
const ID_BYTES: usize = 16;

/// The version byte of a record without and with a received time.
const PLAIN: u8 = 1;
const TIMED: u8 = 2;

/// Ids in one journal record: 512 KiB, below any sane `max.message.bytes`.
pub const IDS_PER_RECORD: usize = 32_768;

/// Packs up to `limit` ids into `out`; tells how many.
pub fn pack_ids(
    ids: &mut dyn Iterator<Item = EventId>,
    limit: usize,
    received_ms: Option<i64>,
    out: &mut Vec<u8>,
) -> usize {
    out.clear();
    match received_ms {
        None => out.push(PLAIN),
        Some(time) => {
            out.push(TIMED);
            out.extend_from_slice(&time.to_be_bytes());
        }
    }
    let before = out.len();
    for id in ids.take(limit) {
        out.extend_from_slice(&id.0.to_be_bytes());
    }
    (out.len() - before) / ID_BYTES
}

/// The reverse of [`pack_ids`]: ids appended to `ids`, and the received time.
pub fn unpack_ids(payload: &[u8], ids: &mut Vec<EventId>) -> Result<Option<i64>, &'static str> {
    const CUT_OFF: &str = "a journal record that is cut off";
    let (received_ms, packed) = match payload.split_first() {
        Some((&PLAIN, packed)) => (None, packed),
        Some((&TIMED, rest)) => {
            let (time, packed) = rest.split_first_chunk::<8>().ok_or(CUT_OFF)?;
            (Some(i64::from_be_bytes(*time)), packed)
        }
        _ => return Err("a journal record of an unknown version; it was written by a later release"),
    };
    let (packed, rest) = packed.as_chunks::<ID_BYTES>();
    if !rest.is_empty() {
        return Err(CUT_OFF);
    }
    ids.extend(packed.iter().map(|bytes| EventId(u128::from_be_bytes(*bytes))));
    Ok(received_ms)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn ids_survive_packing(
            ids in prop::collection::vec(any::<u128>(), 0..100), limit in 1usize..120, time: Option<i64>,
        ) {
            let mut rest = ids.iter().copied().map(EventId);
            let (mut packed, mut back) = (Vec::new(), Vec::new());
            while pack_ids(&mut rest, limit, time, &mut packed) > 0 {
                prop_assert_eq!(unpack_ids(&packed, &mut back).unwrap(), time);
            }
            prop_assert_eq!(back.into_iter().map(|id| id.0).collect::<Vec<_>>(), ids);
        }
    }

    #[test]
    fn a_foreign_record_is_refused() {
        for record in [&[3, 0][..], &[2, 0], &[1, 0], &[]] {
            assert!(unpack_ids(record, &mut Vec::new()).is_err(), "{record:?}");
        }
    }
}
