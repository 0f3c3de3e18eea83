//! The faults that are armed, and the moment for each.
//!
//! Invariant: an armed fault fires exactly as often as it says. Claiming one is all that happens here; its caller does
//! it and counts it.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{Armed, Fault};

/// How far a connection has come, as faults see it.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    /// Events written.
    pub(crate) events: u64,
    /// The next position to consider.
    pub(crate) position: u64,
    /// The stream's number.
    pub(crate) stream: u64,
    /// Faults that fired here, with `events` at that time.
    fired: Vec<(u64, u64)>,
}

/// All armed faults.
#[derive(Debug, Default)]
pub(crate) struct Board(Mutex<BoardState>);

#[derive(Debug, Default)]
struct BoardState {
    next_id: u64,
    armed: Vec<(u64, Armed)>,
}

impl Progress {
    /// Of the new stream with this number, which begins at `position`.
    pub(crate) fn starting_at(stream: u64, position: u64) -> Self {
        Self { stream, position, ..Self::default() }
    }
}

impl Board {
    pub(crate) fn arm(&self, armed: Armed) {
        let mut state = self.state();
        let id = state.next_id;
        state.next_id += 1;
        state.armed.push((id, armed));
    }

    pub(crate) fn clear(&self) {
        self.state().armed.clear();
    }

    /// Disarms what was only for a stream that is over.
    pub(crate) fn forget(&self, stream: u64) {
        self.state().armed.retain(|(_, armed)| armed.stream != Some(stream));
    }

    /// What is still armed, with the times that are left.
    pub(crate) fn armed(&self) -> Vec<Armed> {
        self.state().armed.iter().map(|(_, armed)| armed.clone()).collect()
    }

    /// The fault that this connect suffers.
    pub(crate) fn claim_connect(&self) -> Option<Fault> {
        let mut state = self.state();
        let at = state.armed.iter_mut().position(|(_, armed)| {
            if !armed.fault.is_at_connect() {
                return false;
            }
            // Counts down the connects that are to pass unharmed.
            let due = armed.after_events == 0;
            armed.after_events = armed.after_events.saturating_sub(1);
            due
        })?;
        Some(state.fire(at))
    }

    /// The fault that a stream suffers now.
    pub(crate) fn claim(&self, progress: &mut Progress) -> Option<Fault> {
        let mut state = self.state();
        let at = state
            .armed
            .iter()
            .position(|(id, armed)| armed.concerns(progress) && armed.is_due(*id, progress))?;
        progress.fired.push((state.armed[at].0, progress.events));
        Some(state.fire(at))
    }

    /// Events and positions that may pass before the next `claim`.
    pub(crate) fn distance(&self, progress: &Progress) -> (u64, u64) {
        self.state()
            .armed
            .iter()
            .filter(|(_, armed)| armed.concerns(progress))
            .map(|(id, armed)| armed.distance(*id, progress))
            .fold((u64::MAX, u64::MAX), |least, next| (least.0.min(next.0), least.1.min(next.1)))
    }

    fn state(&self) -> MutexGuard<'_, BoardState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl BoardState {
    fn fire(&mut self, at: usize) -> Fault {
        let (_, armed) = &mut self.armed[at];
        let fault = armed.fault.clone();
        match armed.times {
            0 => {}
            1 => {
                self.armed.remove(at);
            }
            _ => armed.times -= 1,
        }
        fault
    }
}

impl Armed {
    fn concerns(&self, progress: &Progress) -> bool {
        !self.fault.is_at_connect() && self.stream.is_none_or(|stream| stream == progress.stream)
    }

    fn is_due(&self, id: u64, progress: &Progress) -> bool {
        let last = progress.fired.iter().rev().find(|(fired, _)| *fired == id);
        match (self.at_position, last) {
            (Some(position), None) => progress.position >= position,
            (Some(_), Some(_)) => false,
            (None, None) => progress.events >= self.after_events,
            (None, Some((_, events))) => progress.events >= events + self.after_events.max(1),
        }
    }

    /// Events and positions that may still pass on this connection before the fault is due.
    fn distance(&self, id: u64, progress: &Progress) -> (u64, u64) {
        let last = progress.fired.iter().rev().find(|(fired, _)| *fired == id);
        match (self.at_position, last) {
            (Some(position), None) => (u64::MAX, position.saturating_sub(progress.position)),
            (Some(_), Some(_)) => (u64::MAX, u64::MAX),
            (None, None) => (self.after_events.saturating_sub(progress.events), u64::MAX),
            (None, Some((_, events))) => {
                ((events + self.after_events.max(1)).saturating_sub(progress.events), u64::MAX)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn progress(events: u64, position: u64) -> Progress {
        Progress { events, position, ..Progress::default() }
    }

    #[test]
    fn after_events_counts_on_the_connection_and_again() {
        let board = Board::default();
        board.arm(Armed::after(10, Fault::Eof {}).times(2));
        let mut connection = progress(9, 500);
        assert_eq!(board.distance(&connection), (1, u64::MAX));
        assert_eq!(board.claim(&mut connection), None);
        connection.events = 10;
        assert_eq!(board.claim(&mut connection), Some(Fault::Eof {}));
        assert_eq!(board.claim(&mut connection), None);
        connection.events = 20;
        assert_eq!(board.claim(&mut connection), Some(Fault::Eof {}));
        connection.events = 30;
        assert_eq!(board.claim(&mut connection), None);
        assert_eq!(board.armed(), []);
    }

    #[test]
    fn at_position_fires_once_a_connection() {
        let board = Board::default();
        board.arm(Armed::at(100, Fault::Reset {}).times(0));
        let mut connection = progress(5, 99);
        assert_eq!(board.distance(&connection), (u64::MAX, 1));
        assert_eq!(board.claim(&mut connection), None);
        connection.position = 101;
        assert_eq!(board.claim(&mut connection), Some(Fault::Reset {}));
        assert_eq!(board.claim(&mut connection), None);
        assert_eq!(board.claim(&mut progress(0, 101)), Some(Fault::Reset {}));
    }

    #[test]
    fn a_stream_can_be_singled_out() {
        let board = Board::default();
        board.arm(Armed::now(Fault::Eof {}).on(7));
        let mut other = Progress::starting_at(6, 0);
        assert_eq!((board.claim(&mut other), board.distance(&other)), (None, (u64::MAX, u64::MAX)));
        assert_eq!(board.claim(&mut Progress::starting_at(7, 0)), Some(Fault::Eof {}));
        board.arm(Armed::now(Fault::Eof {}).on(7));
        board.forget(7);
        assert_eq!(board.armed(), []);
    }

    #[test]
    fn connect_faults_leave_streams_alone() {
        let board = Board::default();
        board.arm(Armed::after(1, Fault::Hang {}).times(2));
        assert_eq!(board.claim(&mut progress(50, 50)), None);
        assert_eq!(board.claim_connect(), None);
        assert_eq!(board.claim_connect(), Some(Fault::Hang {}));
        assert_eq!(board.claim_connect(), Some(Fault::Hang {}));
        assert_eq!(board.claim_connect(), None);
    }
}
