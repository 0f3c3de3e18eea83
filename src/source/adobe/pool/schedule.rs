//! When a replay takes place: pure, the time is passed in.
//!
//! Invariant: two replays never begin within the interval, and one that is owed is due as soon as that allows. What is
//! owed for nothing but silence waits longer, the more often such a replay brought nothing: on a quiet night each
//! connection ends in silence, and everything that the service holds would be read again and again.

use std::time::Duration;

use crate::source::queue::CaughtUp;

/// Replays in a row that brought nothing from before, after which the service is taken to hold nothing more.
const FUTILE: u32 = 3;

/// How often the interval is doubled at most for what is owed for silence alone: 10 minutes become 80. How long the service
/// keeps its hits is not documented.
const MOST_DOUBLINGS: u32 = 3;

/// What is owed, and when the last replay began.
#[derive(Debug)]
pub(super) struct Schedule {
    enabled: bool,
    interval_ms: i64,
    last_ms: Option<i64>,
    owed: bool,
    /// Whether the replay is owed for another reason than silence.
    loud: bool,
    running: bool,
    futile: u32,
    /// Whether the replay at work was owed for silence alone.
    runs_for_silence: bool,
    /// Replays in a row that were owed for silence alone and brought nothing back.
    vain: u32,
}

impl Schedule {
    /// `last_ms` is when the last replay began, milliseconds since the Unix epoch. Nothing is ever owed unless
    /// `enabled`.
    pub(super) fn new(enabled: bool, interval: Duration, last_ms: Option<i64>, owed: bool) -> Self {
        let interval_ms = i64::try_from(interval.as_millis()).unwrap_or(i64::MAX);
        Self {
            enabled,
            interval_ms,
            last_ms,
            owed: enabled && owed,
            loud: owed,
            running: false,
            futile: 0,
            runs_for_silence: false,
            vain: 0,
        }
    }

    /// Something may have been lost.
    pub(super) fn owe(&mut self) {
        (self.owed, self.loud) = (self.enabled, true);
    }

    /// Something may have been lost, though most likely there was nothing.
    pub(super) fn owe_for_silence(&mut self) {
        self.loud &= self.owed;
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
        self.runs_for_silence = self.owed && !self.loud;
        (self.last_ms, self.running, self.owed, self.loud) = (Some(now_ms), true, false, false);
    }

    /// The replay is over. One that brought nothing that is known is tried again, a few times.
    pub(super) fn finished(&mut self, outcome: CaughtUp) {
        let CaughtUp { went_back, brought_back } = outcome;
        self.running = false;
        self.vain = if self.runs_for_silence && !brought_back { self.vain + 1 } else { 0 };
        self.futile = if went_back { 0 } else { self.futile + 1 };
        if !went_back && self.futile < FUTILE {
            self.owe();
        }
    }

    /// When the next replay is due, milliseconds since the Unix epoch.
    pub(super) fn due_at(&self) -> Option<i64> {
        let doublings = if self.loud { 0 } else { self.vain.min(MOST_DOUBLINGS) };
        let interval_ms = self.interval_ms.saturating_mul(1 << doublings);
        (self.owed && !self.running).then(|| self.last_ms.map_or(0, |last| last.saturating_add(interval_ms)))
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

    fn done(went_back: bool, brought_back: bool) -> CaughtUp {
        CaughtUp { went_back, brought_back }
    }

    #[test]
    fn a_quiet_night_is_no_series_of_replays() {
        let mut schedule = schedule(true, None, false);
        let (mut now_ms, mut begun) = (0, Vec::new());
        // Ten hours, in which each connection ends in silence after 90 s.
        while now_ms < 10 * 3_600_000 {
            now_ms += 90_000;
            schedule.owe_for_silence();
            if schedule.is_due(now_ms) {
                schedule.began(now_ms);
                begun.push(now_ms / 60_000);
                schedule.finished(done(true, false));
            }
        }
        assert_eq!(begun, [1, 22, 63, 144, 225, 306, 387, 468, 549]);
        schedule.owe();
        let last_ms = schedule.last_ms.unwrap();
        assert_eq!(schedule.due_at(), Some(last_ms + 600_000), "anything else is owed as ever");
        schedule.owe_for_silence();
        assert_eq!(schedule.due_at(), Some(last_ms + 600_000), "and silence does not put it off");
        schedule.began(now_ms);
        schedule.finished(done(true, false));
        schedule.owe_for_silence();
        assert_eq!(schedule.due_at(), Some(now_ms + 600_000), "the night is over");
    }

    #[test]
    fn silence_that_lost_something_is_taken_seriously() {
        let mut schedule = schedule(true, None, false);
        for (n, brought_back) in [(0, false), (1, false), (2, true)] {
            schedule.owe_for_silence();
            schedule.began(n);
            schedule.finished(done(true, brought_back));
        }
        schedule.owe_for_silence();
        assert_eq!(schedule.due_at(), Some(600_002));
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
        schedule.finished(done(true, true));
        assert_eq!(schedule.due_at(), Some(605_000));
    }

    #[test]
    fn futile_replays_end() {
        let mut schedule = schedule(true, None, true);
        let owed: Vec<_> = (0..3)
            .map(|n| {
                schedule.began(n);
                schedule.finished(done(false, false));
                (schedule.is_owed(), schedule.pauses())
            })
            .collect();
        assert_eq!(owed, [(true, 2), (true, 3), (false, 3)]);
        schedule.finished(done(true, true));
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
