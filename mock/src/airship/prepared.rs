//! The log in compressed segments of a fixed number of positions, kept up to a limit of memory.
//!
//! Invariant: segment *n* decompresses to exactly the lines of its positions, whether kept or made anew. Feeds the
//! benchmarks, where the mock must cost next to nothing.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use super::log::Log;
use crate::engine::gzip::Segment;

/// Positions in a segment: about 300 kB of text, so that flush and call costs vanish.
pub(super) const SEGMENT_POSITIONS: u64 = 512;

/// Segments of one log.
#[derive(Debug)]
pub(super) struct Prepared {
    log: Log,
    line_end: &'static str,
    kept: Vec<OnceLock<Arc<Segment>>>,
    /// Bytes that may still be kept.
    room: AtomicU64,
}

impl Prepared {
    pub(super) fn new(log: Log, line_end: &'static str, limit_bytes: u64) -> Self {
        let segments = log.len() / SEGMENT_POSITIONS;
        Self {
            log,
            line_end,
            kept: (0..segments).map(|_| OnceLock::new()).collect(),
            room: AtomicU64::new(limit_bytes),
        }
    }

    /// Segment `number`, which starts at position `number * SEGMENT_POSITIONS`.
    pub(super) fn segment(&self, number: u64) -> io::Result<Arc<Segment>> {
        let slot = usize::try_from(number).ok().and_then(|number| self.kept.get(number));
        if let Some(segment) = slot.and_then(OnceLock::get) {
            return Ok(Arc::clone(segment));
        }
        let segment = Arc::new(self.make(number)?);
        let size = segment.deflated.len() as u64;
        let fits = self.room.fetch_update(Ordering::AcqRel, Ordering::Acquire, |room| room.checked_sub(size));
        match (slot, fits) {
            (Some(slot), Ok(_)) => Ok(Arc::clone(slot.get_or_init(|| segment))),
            _ => Ok(segment),
        }
    }

    /// Makes segments until all are kept or the room is used up.
    pub(super) fn fill(&self) -> io::Result<()> {
        for number in 0..self.kept.len() as u64 {
            let size = self.segment(number)?.deflated.len() as u64;
            if self.room.load(Ordering::Acquire) < size {
                break;
            }
        }
        Ok(())
    }

    fn make(&self, number: u64) -> io::Result<Segment> {
        let start = number * SEGMENT_POSITIONS;
        let mut plain = Vec::with_capacity(SEGMENT_POSITIONS as usize * 700);
        for position in start..start + SEGMENT_POSITIONS {
            self.log.render(position, &mut plain);
            plain.extend_from_slice(self.line_end.as_bytes());
        }
        Segment::compress(&plain)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::airship::log::LogOptions;

    #[test]
    fn segments_are_equal_kept_or_not() {
        let log = Log::new(LogOptions { events: 2048, ..LogOptions::default() });
        let keeps = Prepared::new(log.clone(), "\n", u64::MAX);
        let forgets = Prepared::new(log, "\n", 0);
        keeps.fill().unwrap();
        for number in 0..4 {
            let kept = keeps.segment(number).unwrap();
            assert!(Arc::ptr_eq(&kept, &keeps.segment(number).unwrap()));
            assert_eq!(kept.deflated, forgets.segment(number).unwrap().deflated);
        }
    }
}
