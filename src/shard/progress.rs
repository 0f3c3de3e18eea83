//! What a batch adds, and where the stream is after it.

use super::mark::{Mark, ReplayCounts};
use crate::model::checkpoint::Totals;
use crate::model::types::{DeadLetterReason, Drop};

/// Counts by reason, in the order of [`DeadLetterReason::ALL`].
pub type DeadLetters = [u64; DeadLetterReason::ALL.len()];

/// Counts by reason, in the order of [`Drop::ALL`].
pub type Filtered = [u64; Drop::ALL.len()];

/// What a batch adds.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Added {
    /// The totals.
    pub totals: Totals,
    /// Dead letters by reason.
    pub dead_letters: DeadLetters,
    /// What replays brought.
    pub replay: ReplayCounts,
    /// Events left out by reason.
    pub filtered: Filtered,
    /// Lines of a stream that is told where to resume, without an offset that can be sent back.
    pub unplaced: u64,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Progress {
    /// The last offset seen. A buffer that is used again and again.
    pub(super) offset: Vec<u8>,
    pub(super) moved: bool,
    pub(super) processed_ms: Option<i64>,
    pub(super) added: Totals,
    /// Where the service keeps the position. Unlike the rest it goes on from batch to batch.
    pub(super) mark: Mark,
    /// Kept here and not beside the dead letters: blocks without records are folded, not replayed.
    pub(super) filtered: Filtered,
    /// Lines without an offset that can be sent back.
    pub(super) unplaced: u64,
    /// Those since the last one with an offset. It goes on from batch to batch.
    pub(super) unplaced_run: u64,
}

impl Progress {
    /// Notes that a line had no offset that can be sent back.
    pub(super) fn stay(&mut self) {
        self.unplaced += 1;
        self.unplaced_run += 1;
    }

    pub(super) fn move_to(&mut self, offset: Option<&[u8]>) {
        if let Some(offset) = offset {
            self.offset.clear();
            self.offset.extend_from_slice(offset);
            self.moved = true;
            self.unplaced_run = 0;
        }
    }

    pub(super) fn filter(&mut self, reason: Drop) {
        self.added.filtered += 1;
        if let Some(index) = Drop::ALL.iter().position(|known| *known == reason) {
            self.filtered[index] += 1;
        }
    }

    pub(super) fn start_anew(&mut self) {
        self.offset.clear();
        (self.moved, self.processed_ms, self.added) = (false, None, Totals::default());
        self.filtered = Filtered::default();
        self.unplaced = 0;
    }
}
