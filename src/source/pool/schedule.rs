//! When a replay takes place: pure, the time is passed in.
//!
//! Invariant: two replays never begin within the interval, and one that is owed is due as soon as that allows.

use std::time::Duration;

/// Replays in a row that brought nothing from before, after which the service is taken to hold nothing more.
const FUTILE: u32 = 3;

/// What is owed, and when the last replay began.
#[derive(Debug)]
pub(super) struct Schedule {
    enabled: bool,
    interval_ms: i64,
    last_ms: Option<i64>,
    owed: bool,
    running: bool,
    futile: u32,
}

impl Schedule {
    /// `last_ms` is when the last replay began, milliseconds since the Unix epoch. Nothing is ever owed unless
    /// `enabled`.
    pub(super) fn new(enabled: bool, interval: Duration, last_ms: Option<i64>, owed: bool) -> Self {
        let interval_ms = i64::try_from(interval.as_millis()).unwrap_or(i64::MAX);
        Self { enabled, interval_ms, last_ms, owed: enabled && owed, running: false, futile: 0 }
    }

    /// Something may have been lost.
    pub(super) fn owe(&mut self) {
        self.owed = self.enabled;
    }

    /// What is owed is no longer wanted.
    pub(super) fn give_up(&mut self) {
        self.owed = false;
    }

    pub(super) fn is_owed(&self) -> bool {
        self.owed
    }

    /// How many usual pauses to wait before a replay: if the last reset had no effect, the service counts closed
    /// connections for longer than was thought.
    pub(super) fn pauses(&self) -> u32 {
        1 + self.futile.min(FUTILE - 1)
    }

    /// A replay begins. What was lost before is no longer owed, once it has finished.
    pub(super) fn began(&mut self, now_ms: i64) {
        (self.last_ms, self.running, self.owed) = (Some(now_ms), true, false);
    }

    /// The replay is over. One that brought nothing that is known is tried again, a few times.
    pub(super) fn finished(&mut self, went_back: bool) {
        self.running = false;
        self.futile = if went_back { 0 } else { self.futile + 1 };
        if !went_back && self.futile < FUTILE {
            self.owe();
        }
    }

    /// When the next replay is due, milliseconds since the Unix epoch.
    pub(super) fn due_at(&self) -> Option<i64> {
        (self.owed && !self.running)
            .then(|| self.last_ms.map_or(0, |last| last.saturating_add(self.interval_ms)))
    }

    pub(super) fn is_due(&self, now_ms: i64) -> bool {
        self.due_at().is_some_and(|due| due <= now_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schedule(enabled: bool, last_ms: Option<i64>, owed: bool) -> Schedule {
        Schedule::new(enabled, Duration::from_secs(600), last_ms, owed)
    }

    #[test]
    fn what_is_owed_is_due_after_the_interval() {
        assert!(schedule(true, None, true).is_due(0), "never replayed: at once");
        let mut waiting = schedule(true, Some(1_000), false);
        assert_eq!(waiting.due_at(), None);
        waiting.owe();
        assert_eq!(waiting.due_at(), Some(601_000));
        assert!(!waiting.is_due(600_999) && waiting.is_due(601_000));
    }

    #[test]
    fn what_is_lost_in_a_replay_is_owed_after_it() {
        let mut schedule = schedule(true, None, true);
        schedule.began(5_000);
        assert_eq!(schedule.due_at(), None, "it is running");
        schedule.owe();
        assert_eq!(schedule.due_at(), None);
        schedule.finished(true);
        assert_eq!(schedule.due_at(), Some(605_000));
    }

    #[test]
    fn futile_replays_end() {
        let mut schedule = schedule(true, None, true);
        let owed: Vec<_> = (0..3)
            .map(|n| {
                schedule.began(n);
                schedule.finished(false);
                (schedule.is_owed(), schedule.pauses())
            })
            .collect();
        assert_eq!(owed, [(true, 2), (true, 3), (false, 3)]);
        schedule.finished(true);
        assert_eq!(schedule.pauses(), 1);
    }

    #[test]
    fn nothing_is_owed_unless_asked_for() {
        let mut schedule = schedule(false, None, true);
        assert!(!schedule.is_due(i64::MAX));
        schedule.owe();
        assert!(!schedule.is_owed());
    }
}
