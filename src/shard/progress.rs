//! What a batch adds, and where the stream is after it.

use super::cursor::Cursor;
use super::mark::ReplayCounts;
use crate::event::route::Clamped;
use crate::model::checkpoint::Totals;
use crate::model::types::DeadLetterReason;

/// Counts by reason, in the order of [`DeadLetterReason::ALL`].
pub(crate) type DeadLetters = [u64; DeadLetterReason::ALL.len()];

/// What a batch adds.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Added {
    /// The totals.
    pub totals: Totals,
    /// Dead letters by reason.
    pub dead_letters: DeadLetters,
    /// Times that were beyond their bounds, in the order of [`Clamped::ALL`].
    pub clamped: [u64; Clamped::ALL.len()],
    /// What replays brought.
    pub replay: ReplayCounts,
    /// Events left out by reason, in the order in which the extractor numbers these.
    pub filtered: Vec<u64>,
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
    pub(super) filtered: Vec<u64>,
}

impl Progress {
    /// Nothing yet, of a stream that leaves events out for so many reasons.
    pub(super) fn new(cursor: Cursor, filter_reasons: usize) -> Self {
        Self { cursor, processed_ms: None, added: Totals::default(), filtered: vec![0; filter_reasons] }
    }

    pub(super) fn filter(&mut self, reason: usize) {
        self.added.filtered += 1;
        if let Some(count) = self.filtered.get_mut(reason) {
            *count += 1;
        }
    }

    /// It is committed, and the window knows all ids after `forgotten_ms`.
    pub(super) fn commit(&mut self, forgotten_ms: Option<i64>) {
        self.cursor.commit(forgotten_ms);
        (self.processed_ms, self.added) = (None, Totals::default());
        self.filtered.fill(0);
    }
}
