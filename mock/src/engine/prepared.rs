//! Lines that are compressed in packs, kept up to a limit of memory.
//!
//! Invariant: a pack decompresses to exactly its lines, in order, whether kept or made anew. Feeds the benchmarks, where
//! the mock must cost next to nothing. Knows no log.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use super::gzip::Segment;

/// Packs that have a place, which takes memory before there is any line.
const MOST_PACKS: u64 = 1 << 20;

/// Compressed lines.
#[derive(Debug)]
pub(crate) struct Pack {
    pub(crate) segment: Segment,
    /// The numbers of the lines, in order.
    pub(crate) lines: Vec<u64>,
}

/// The packs of one log.
#[derive(Debug)]
pub(crate) struct Prepared {
    kept: Vec<OnceLock<Arc<Pack>>>,
    /// Bytes that may still be kept.
    room: AtomicU64,
}

impl Pack {
    /// Compresses these lines, each of which `render` appends with its line end.
    pub(crate) fn compress(lines: Vec<u64>, render: impl Fn(u64, &mut Vec<u8>)) -> io::Result<Self> {
        let mut plain = Vec::with_capacity(lines.len() * 1_700);
        for line in &lines {
            render(*line, &mut plain);
        }
        Ok(Self { segment: Segment::compress(&plain)?, lines })
    }
}

impl Prepared {
    /// Room for so many packs, if they are not too large together. Later ones than [`MOST_PACKS`] are always made anew.
    pub(crate) fn new(packs: u64, limit_bytes: u64) -> Self {
        let packs = if limit_bytes == 0 { 0 } else { packs.min(MOST_PACKS) };
        Self { kept: (0..packs).map(|_| OnceLock::new()).collect(), room: AtomicU64::new(limit_bytes) }
    }

    /// The pack with this number, made now unless it was kept.
    pub(crate) fn get(&self, number: u64, make: impl FnOnce() -> io::Result<Pack>) -> io::Result<Arc<Pack>> {
        let slot = usize::try_from(number).ok().and_then(|number| self.kept.get(number));
        if let Some(pack) = slot.and_then(OnceLock::get) {
            return Ok(Arc::clone(pack));
        }
        let pack = Arc::new(make()?);
        let size = pack.segment.deflated.len() as u64;
        let fits = self.room.fetch_update(Ordering::AcqRel, Ordering::Acquire, |room| room.checked_sub(size));
        match (slot, fits) {
            (Some(slot), Ok(_)) => Ok(Arc::clone(slot.get_or_init(|| pack))),
            _ => Ok(pack),
        }
    }

    /// Whether there is still room for a pack as large as this one.
    pub(crate) fn has_room_for(&self, pack: &Pack) -> bool {
        self.room.load(Ordering::Acquire) >= pack.segment.deflated.len() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packs_are_equal_kept_or_not() {
        let (keeps, forgets) = (Prepared::new(4, u64::MAX), Prepared::new(4, 0));
        for number in 0..4 {
            let make = || Pack::compress(vec![number, 7], |line, out| out.extend(line.to_string().bytes()));
            let kept = keeps.get(number, make).unwrap();
            assert!(keeps.has_room_for(&kept) && !forgets.has_room_for(&kept));
            let again = keeps.get(number, || Err(io::Error::other("it is kept"))).unwrap();
            assert!(Arc::ptr_eq(&kept, &again));
            assert_eq!(kept.segment.deflated, forgets.get(number, make).unwrap().segment.deflated);
        }
    }
}
