//! What waits to be written to an output that may be slow, or stand still: bounded in bytes, and nobody waits to add to it.
//!
//! Invariant: `add` never blocks for longer than a few moves in memory. Only the one thread that writes waits.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// One piece to be written in one go.
pub(super) struct Piece {
    pub(super) bytes: Box<[u8]>,
    pub(super) kind: Kind,
}

/// What a piece is, and so what it means that it was not written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    /// A line of the log, which is missed.
    Line,
    /// A drawing, which nobody misses.
    Drawing,
    /// A line that tells of so many lines that are missing: it has to be told again.
    Tells(u64),
}

/// Pieces in the order in which they came.
pub(super) struct Queue {
    state: Mutex<State>,
    changed: Condvar,
    /// Bytes that may wait.
    limit: usize,
}

struct State {
    waiting: VecDeque<Piece>,
    bytes: usize,
    /// Whether a piece was taken that is not written yet.
    is_writing: bool,
}

impl Queue {
    pub(super) const fn new(limit: usize) -> Self {
        let state = State { waiting: VecDeque::new(), bytes: 0, is_writing: false };
        Self { state: Mutex::new(state), changed: Condvar::new(), limit }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a piece; false where there is no room for it.
    pub(super) fn add(&self, piece: Piece) -> bool {
        let mut state = self.lock();
        let bytes = state.bytes + piece.bytes.len();
        if bytes > self.limit {
            return false;
        }
        state.bytes = bytes;
        state.waiting.push_back(piece);
        self.changed.notify_all();
        true
    }

    /// Waits for the next piece. The caller says [`Queue::written`] once it has dealt with it.
    pub(super) fn take(&self) -> Piece {
        let mut state = self.lock();
        loop {
            if let Some(piece) = state.waiting.pop_front() {
                state.bytes -= piece.bytes.len();
                state.is_writing = true;
                return piece;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// The piece that was taken last is dealt with.
    pub(super) fn written(&self) {
        self.lock().is_writing = false;
        self.changed.notify_all();
    }

    /// Whether it is at most half full.
    pub(super) fn has_room(&self) -> bool {
        self.lock().bytes <= self.limit / 2
    }

    /// Waits until all is written, and no longer than `limit`; tells whether it is.
    pub(super) fn drain(&self, limit: Duration) -> bool {
        let is_busy = |state: &mut State| state.is_writing || !state.waiting.is_empty();
        let waited = self.changed.wait_timeout_while(self.lock(), limit, is_busy);
        !waited.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }
}
