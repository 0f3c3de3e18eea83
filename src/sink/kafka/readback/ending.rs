//! When a read back has come to its end: a pure decision.
//!
//! That the broker has no more is not enough: right after a change of leader, or from a follower, that may be said before
//! all of what was measured is to be had.

use std::time::Duration;

use tokio::time::Instant;

/// How long nothing may come from a broker that has everything, until it is taken that nothing is left there. Compaction
/// may have emptied the last batch, and then no position tells that the end was reached.
const QUIET: Duration = Duration::from_secs(2);

/// What is to be done next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Next {
    /// More is to come.
    Poll,
    /// The leader is to be asked how far it goes.
    Ask,
    /// Everything was read.
    Done,
}

/// How far a read back has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Ending {
    position: i64,
    end: i64,
    /// Whether the broker said that it has no more.
    was_told: bool,
    /// Since when nothing has come although the leader has everything up to the end.
    quiet_since: Option<Instant>,
}

impl Ending {
    /// Of a read from one offset to another, which was measured before.
    pub(super) fn new(from: i64, end: i64) -> Self {
        Self { position: from, end, was_told: false, quiet_since: None }
    }

    /// The consumer stands here, behind records and the markers of transactions. Tells whether that is progress.
    pub(super) fn stands_at(&mut self, position: i64) -> bool {
        let has_moved = position > self.position;
        if has_moved {
            self.position = position;
            self.quiet_since = None;
        }
        has_moved
    }

    /// The broker that was read from has no more.
    pub(super) fn told(&mut self) {
        self.was_told = true;
    }

    /// The partition's leader goes so far.
    pub(super) fn leader_has(&mut self, end: i64, now: Instant) {
        self.quiet_since = if end < self.end { None } else { self.quiet_since.or(Some(now)) };
    }

    /// What follows. Nothing is done before the broker said something, also where nothing is to be read: that shows a right
    /// that is missing at the first start, not at the second.
    pub(super) fn next(&self, now: Instant) -> Next {
        match self.quiet_since {
            _ if !self.was_told => Next::Poll,
            _ if self.position >= self.end => Next::Done,
            None => Next::Ask,
            Some(since) if now.saturating_duration_since(since) >= QUIET => Next::Done,
            Some(_) => Next::Poll,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_done_where_the_end_is_reached() {
        let now = Instant::now();
        let mut ending = Ending::new(3, 10);
        assert!(ending.stands_at(9));
        assert_eq!(ending.next(now), Next::Poll);
        ending.told();
        assert!(ending.stands_at(10) && !ending.stands_at(10), "a marker follows the last record");
        assert_eq!(ending.next(now), Next::Done);
    }

    #[test]
    fn nothing_to_read_is_heard_of_all_the_same() {
        let now = Instant::now();
        let mut ending = Ending::new(10, 10);
        assert_eq!(ending.next(now), Next::Poll);
        ending.told();
        assert_eq!(ending.next(now), Next::Done);
    }

    #[test]
    fn a_broker_that_lags_behind_is_waited_for() {
        let now = Instant::now();
        let mut ending = Ending::new(0, 10);
        ending.told();
        assert_eq!(ending.next(now), Next::Ask);
        ending.leader_has(9, now);
        assert_eq!(ending.next(now + 100 * QUIET), Next::Ask, "for as long as it lags");
        ending.leader_has(10, now);
        assert_eq!(ending.next(now), Next::Poll, "what it has now is on its way");
        assert!(ending.stands_at(10));
        assert_eq!(ending.next(now), Next::Done);
    }

    #[test]
    fn an_end_that_compaction_emptied_is_taken_after_a_while() {
        let now = Instant::now();
        let mut ending = Ending::new(0, 10);
        ending.told();
        ending.stands_at(8);
        ending.leader_has(12, now);
        ending.leader_has(12, now + QUIET / 2);
        assert_eq!(ending.next(now + QUIET - Duration::from_millis(1)), Next::Poll);
        assert_eq!(ending.next(now + QUIET), Next::Done);
        ending.stands_at(9);
        assert_eq!(ending.next(now + QUIET), Next::Ask, "something came: the wait begins anew");
    }
}
