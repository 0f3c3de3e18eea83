//! Blocks of hits, and the parts of single partitions in them, compressed and kept up to a limit of memory.
//!
//! Invariant: a block decompresses to exactly its lines, in order, whether kept or made anew; so does a part. Feeds the
//! benchmarks, where the mock must cost next to nothing.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use super::group::BLOCK;
use super::log::Log;
use crate::engine::gzip::Segment;

/// Compressed lines.
#[derive(Debug)]
pub(super) struct Pack {
    pub(super) segment: Segment,
    /// The hits, in order.
    pub(super) hits: Vec<u64>,
}

/// The packs of one log.
#[derive(Debug)]
pub(super) struct Prepared {
    log: Log,
    line_end: &'static str,
    blocks: Vec<OnceLock<Arc<Pack>>>,
    /// Of each block, one for each partition.
    parts: Vec<OnceLock<Arc<Pack>>>,
    /// Bytes that may still be kept.
    room: AtomicU64,
}

impl Prepared {
    pub(super) fn new(log: Log, line_end: &'static str, limit_bytes: u64) -> Self {
        let blocks = (log.len() / BLOCK) as usize;
        let empty = |count| (0..count).map(|_| OnceLock::new()).collect();
        Self {
            blocks: empty(blocks),
            parts: empty(blocks * log.options().partitions as usize),
            room: AtomicU64::new(limit_bytes),
            log,
            line_end,
        }
    }

    /// Block `number`, which starts at hit `number * BLOCK`.
    pub(super) fn block(&self, number: u64) -> io::Result<Arc<Pack>> {
        self.get(self.blocks.get(number as usize), number, None)
    }

    /// The hits of `partition` in block `number`.
    pub(super) fn part(&self, number: u64, partition: usize) -> io::Result<Arc<Pack>> {
        let at = number as usize * self.log.options().partitions as usize + partition;
        self.get(self.parts.get(at), number, Some(partition))
    }

    /// Makes packs until all are kept or the room is used up: blocks for one connection, or parts for several.
    pub(super) fn fill(&self, parts: bool) -> io::Result<()> {
        for number in 0..self.blocks.len() as u64 {
            let partitions = if parts { self.log.options().partitions as usize } else { 1 };
            for partition in 0..partitions {
                let pack = if parts { self.part(number, partition)? } else { self.block(number)? };
                if self.room.load(Ordering::Acquire) < pack.segment.deflated.len() as u64 {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    fn get(
        &self,
        slot: Option<&OnceLock<Arc<Pack>>>,
        number: u64,
        partition: Option<usize>,
    ) -> io::Result<Arc<Pack>> {
        if let Some(pack) = slot.and_then(OnceLock::get) {
            return Ok(Arc::clone(pack));
        }
        let pack = Arc::new(self.make(number, partition)?);
        let size = pack.segment.deflated.len() as u64;
        let fits = self.room.fetch_update(Ordering::AcqRel, Ordering::Acquire, |room| room.checked_sub(size));
        match (slot, fits) {
            (Some(slot), Ok(_)) => Ok(Arc::clone(slot.get_or_init(|| pack))),
            _ => Ok(pack),
        }
    }

    fn make(&self, number: u64, partition: Option<usize>) -> io::Result<Pack> {
        let range = number * BLOCK..(number + 1) * BLOCK;
        let hits: Vec<u64> = range
            .filter(|hit| partition.is_none_or(|partition| self.log.partition(*hit) == partition))
            .collect();
        let mut plain = Vec::with_capacity(hits.len() * 1_700);
        for hit in &hits {
            self.log.render(*hit, &mut plain);
            plain.extend_from_slice(self.line_end.as_bytes());
        }
        Ok(Pack { segment: Segment::compress(&plain)?, hits })
    }
}
