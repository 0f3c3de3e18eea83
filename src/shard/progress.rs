//! What a batch adds, and where the stream is after it.

use super::cursor::Cursor;
use super::mark::ReplayCounts;
use crate::model::checkpoint::Totals;
use crate::model::types::{DeadLetterReason, FilterReason};

/// Counts by reason, in the order of [`DeadLetterReason::ALL`].
pub(crate) type DeadLetters = [u64; DeadLetterReason::ALL.len()];

/// Counts by reason, in the order of [`FilterReason::ALL`].
pub(crate) type Filtered = [u64; FilterReason::ALL.len()];

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

/// What a batch has come to so far.
#[derive(Clone, Debug)]
pub(super) struct Progress {
    pub(super) cursor: Cursor,
    pub(super) processed_ms: Option<i64>,
    pub(super) added: Totals,
    /// Kept here and not beside the dead letters: blocks without records are folded, not made again.
    pub(super) filtered: Filtered,
}

impl Progress {
    pub(super) fn new(cursor: Cursor) -> Self {
        Self { cursor, processed_ms: None, added: Totals::default(), filtered: Filtered::default() }
    }

    pub(super) fn filter(&mut self, reason: FilterReason) {
        self.added.filtered += 1;
        if let Some(index) = FilterReason::ALL.iter().position(|known| *known == reason) {
            self.filtered[index] += 1;
        }
    }

    /// It is committed, and the window knows all ids after `forgotten_ms`.
    pub(super) fn commit(&mut self, forgotten_ms: Option<i64>) {
        self.cursor.commit(forgotten_ms);
        (self.processed_ms, self.added, self.filtered) = (None, Totals::default(), Filtered::default());
    }
}
