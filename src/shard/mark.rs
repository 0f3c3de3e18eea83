//! How far a stream has got whose position the service keeps, and what a replay of it brings: pure decisions.
//!
//! A replay reads again from the oldest event held. What was delivered is dropped: by its id where all ids are still
//! known, by its received time before that. The rule stays in force a while beyond the point where the replay meets what
//! was delivered last: events come out of order, and the service's partitions catch up each at its own speed, so one event
//! that is new says little about the others.

use crate::event::dedupe::Extent;
use crate::model::types::Watermark;

/// How much earlier than its predecessors an event may have been received and still not be taken for a new one by its
/// time alone. Events reach the stream minutes after they were received.
const DISORDER_MS: i64 = 5 * 60 * 1000;

/// How long a replay must have brought nothing that was delivered before, by our clock, until its rule ends.
const SETTLED_MS: i64 = 60 * 1000;

/// How far ahead of our clock a received time may be and still be one: it is of the service's clock. What is further ahead
/// is an error in the event.
const CLOCKS_DIFFER_MS: i64 = 60 * 60 * 1000;

/// Events that a service may repeat at any connect.
const FEW: u64 = 50;

/// What replays brought since the process began.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ReplayCounts {
    /// Events dropped since their id was known.
    pub dropped_by_id: u64,
    /// Events dropped since they were received in a time of which not all ids are known.
    pub dropped_by_time: u64,
    /// Of those, the ones received when something may have been lost: they may be missing.
    pub doubtful: u64,
    /// Events delivered that were received before the replay began: without it they would be missing.
    pub brought_back: u64,
}

impl ReplayCounts {
    /// What was added since `before`; all of it if a replay began in between.
    pub fn since(self, before: Self) -> Self {
        let since = |now: u64, before: u64| now.checked_sub(before).unwrap_or(now);
        Self {
            dropped_by_id: since(self.dropped_by_id, before.dropped_by_id),
            dropped_by_time: since(self.dropped_by_time, before.dropped_by_time),
            doubtful: since(self.doubtful, before.doubtful),
            brought_back: since(self.brought_back, before.brought_back),
        }
    }
}

/// Where a stream is.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Mark {
    /// What the checkpoint holds.
    pub watermark: Watermark,
    /// What replays brought.
    pub counts: ReplayCounts,
    /// The earliest received time in the replay at work.
    oldest_ms: Option<i64>,
    /// When it last brought an event that was delivered before, by our clock.
    known_at_ms: Option<i64>,
    /// Whether the event that is being judged was delivered before.
    is_known: bool,
    /// Events of the replay at work that are older than it and were left out, now as before.
    filtered: u64,
}

/// What a replay at its end cannot tell for sure, and what it did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Report {
    /// What it brought.
    pub counts: ReplayCounts,
    /// Time between the gap's beginning and the oldest event that the service still held, milliseconds: what was
    /// received in it may be missing.
    pub uncovered_ms: i64,
}

impl Mark {
    /// At the watermark of a checkpoint; nothing is counted yet of a replay that it says is at work.
    pub(crate) fn at(watermark: Watermark) -> Self {
        Self { watermark, ..Self::default() }
    }

    /// Something may have been lost: a replay has to go back to before this.
    pub(crate) fn owe_replay(&mut self) {
        self.watermark.owed_from_ms.get_or_insert(self.watermark.received_ms.unwrap_or(0));
    }

    /// No replay will come: `on_unclean` is "continue" now, or --reset largest. Returns whether one was owed.
    pub(crate) fn forgive_replay(&mut self) -> bool {
        self.watermark.owed_from_ms.take().is_some()
    }

    /// A replay begins at `at_ms`, by our clock.
    pub(crate) fn begin_replay(&mut self, at_ms: i64) {
        self.owe_replay();
        self.watermark.replayed_ms = Some(at_ms);
        // Where nothing was delivered there is nothing to drop.
        self.watermark.replaying_until_ms =
            self.watermark.received_ms.map(|ms| ms.saturating_add(DISORDER_MS));
        (self.counts, self.oldest_ms, self.known_at_ms) = (ReplayCounts::default(), None, None);
        self.filtered = 0;
    }

    /// Whether a replay that has met what was delivered really went back: most of what it brought is known. Some of it is
    /// known even without a reset, since the service repeats a few events at a connect.
    pub(crate) fn went_back(&self) -> bool {
        let known = self.counts.dropped_by_id + self.counts.dropped_by_time + self.filtered;
        let had_nothing = self.watermark.owed_from_ms == Some(0);
        had_nothing || (known > FEW && known > self.counts.brought_back)
    }

    /// The replay is over.
    pub(crate) fn end_replay(&mut self, replay_owed: bool) -> Report {
        let gap_ms = self.watermark.owed_from_ms.unwrap_or(i64::MAX);
        let uncovered_ms = self.oldest_ms.map_or(0, |oldest| oldest.saturating_sub(gap_ms).max(0));
        // What is still owed, since this one had no effect or a connection broke off in it, may be as old as ever.
        if !replay_owed {
            self.watermark.owed_from_ms = None;
        }
        // Before anything was delivered, no time is missing.
        Report { counts: self.counts, uncovered_ms: if gap_ms == 0 { 0 } else { uncovered_ms } }
    }

    /// Whether a replay may bring events that were delivered.
    pub(crate) fn is_replaying(&self) -> bool {
        self.watermark.replaying_until_ms.is_some()
    }

    /// Whether ids are needed however old they are.
    pub(crate) fn needs_old_ids(&self) -> bool {
        self.is_replaying() || self.watermark.owed_from_ms.is_some()
    }

    /// Whether an event of a replay is to be dropped by its time. Its id is not known.
    pub(crate) fn drops(&mut self, received_ms: Option<i64>) -> bool {
        let (Some(received_ms), Some(forgotten_ms)) = (received_ms, self.watermark.forgotten_ms) else {
            return false;
        };
        if received_ms > forgotten_ms {
            return false;
        }
        self.is_known = true;
        self.counts.dropped_by_time += 1;
        // If no replay is owed any more, an event dropped by its time may be a new one that came late.
        self.counts.doubtful += u64::from(self.watermark.owed_from_ms.is_none_or(|gap| received_ms >= gap));
        true
    }

    /// A replay brought an event whose id is known, or one that was delivered now.
    pub(crate) fn count(&mut self, received_ms: Option<i64>, is_new: bool) {
        let Some(until_ms) = self.watermark.replaying_until_ms else { return };
        if !is_new {
            self.is_known = true;
            self.counts.dropped_by_id += 1;
        } else if received_ms.is_some_and(|ms| ms <= until_ms - DISORDER_MS) {
            self.counts.brought_back += 1;
        }
    }

    /// An event was left out. An old one shows that the replay is still at work, as one does that was delivered: with a filter
    /// that takes little there may be none of these for long.
    pub(crate) fn filter(&mut self, received_ms: i64) {
        let Some(until_ms) = self.watermark.replaying_until_ms else { return };
        if received_ms <= until_ms - DISORDER_MS {
            self.is_known = true;
            self.filtered += 1;
        }
    }

    /// An event was taken at `clock_ms`, whatever became of it. One that is of a far future, by its time, does not count as
    /// that: no other would ever be later. A little ahead of us they all are when our clock is behind the service's; the mark
    /// has to follow these, since ids are forgotten, and replays judged, by the service's time.
    pub(crate) fn pass(&mut self, received_ms: i64, clock_ms: i64) {
        let is_absurd = received_ms > clock_ms.saturating_add(CLOCKS_DIFFER_MS);
        let received_ms = if is_absurd { clock_ms } else { received_ms };
        if let Some(until_ms) = self.watermark.replaying_until_ms {
            self.oldest_ms = Some(self.oldest_ms.map_or(received_ms, |oldest| oldest.min(received_ms)));
            if std::mem::take(&mut self.is_known) || self.known_at_ms.is_none() {
                self.known_at_ms = Some(clock_ms);
            }
            let settled = self.known_at_ms.is_some_and(|at| clock_ms.saturating_sub(at) >= SETTLED_MS);
            if received_ms > until_ms && settled {
                self.watermark.replaying_until_ms = None;
            }
        }
        self.watermark.received_ms = self.watermark.received_ms.max(Some(received_ms));
    }

    /// What the checkpoint says after a commit with which the window knows `extent`.
    pub(crate) fn after(&self, extent: Extent) -> Watermark {
        let forgotten_ms = self.watermark.forgotten_ms.max(extent.forgotten_ms);
        Watermark { forgotten_ms, ids_since_ms: None, ..self.watermark }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(received_ms: Option<i64>, forgotten_ms: Option<i64>) -> Mark {
        Mark {
            watermark: Watermark { received_ms, forgotten_ms, ..Default::default() },
            ..Default::default()
        }
    }

    #[test]
    fn a_replay_drops_by_time_only_what_may_be_forgotten() {
        let mut mark = mark(Some(10_000), Some(4_000));
        mark.begin_replay(99_000);
        assert!(mark.drops(Some(3_999)) && mark.drops(Some(4_000)));
        assert!(!mark.drops(Some(4_001)), "its id would be known");
        assert!(!mark.drops(None), "an event without a time is judged by its id");
        mark.count(Some(5_000), false);
        mark.count(Some(6_000), true);
        mark.count(Some(11_000), true);
        let counts = ReplayCounts { dropped_by_id: 1, dropped_by_time: 2, doubtful: 0, brought_back: 1 };
        assert_eq!(mark.counts, counts);
    }

    #[test]
    fn the_rule_ends_when_nothing_known_comes_any_more() {
        let (mut mark, clock_ms) = (mark(Some(10_000), Some(10_000)), 1_000_000);
        mark.begin_replay(clock_ms);
        for received_ms in [2_000, 10_000, 10_001 + DISORDER_MS] {
            mark.pass(received_ms, clock_ms);
            assert!(mark.is_replaying(), "{received_ms}: another partition may be far behind");
        }
        let later_ms = clock_ms + SETTLED_MS;
        assert!(mark.drops(Some(3_000)), "as it was");
        mark.pass(3_000, later_ms - 1);
        mark.pass(10_001 + DISORDER_MS, later_ms + SETTLED_MS - 2);
        assert!(mark.is_replaying());
        mark.pass(10_000 + DISORDER_MS, later_ms + SETTLED_MS);
        assert!(mark.is_replaying(), "no later than what was delivered");
        mark.pass(10_001 + DISORDER_MS, later_ms + SETTLED_MS);
        assert!(!mark.is_replaying());
        assert_eq!(mark.watermark.received_ms, Some(10_001 + DISORDER_MS));
    }

    #[test]
    fn old_events_that_are_left_out_are_part_of_the_replay() {
        let (mut mark, clock_ms) = (mark(Some(10_000 + DISORDER_MS), None), 1_000_000);
        mark.filter(1);
        assert!(!mark.went_back(), "there is none yet");
        mark.begin_replay(clock_ms);
        for at_ms in [clock_ms, clock_ms + SETTLED_MS] {
            mark.filter(3_000);
            mark.pass(3_000, at_ms);
            mark.pass(10_001 + 2 * DISORDER_MS, at_ms);
            assert!(mark.is_replaying(), "it brings what is old still");
        }
        (0..FEW).for_each(|_| mark.filter(3_000));
        assert!(mark.went_back());
    }

    #[test]
    fn new_events_that_are_left_out_are_no_part_of_the_replay() {
        let (mut mark, clock_ms) = (mark(Some(10_000 + DISORDER_MS), None), 1_000_000);
        mark.begin_replay(clock_ms);
        (0..2 * FEW).for_each(|_| mark.filter(10_001 + DISORDER_MS));
        mark.pass(10_001 + 2 * DISORDER_MS, clock_ms);
        mark.pass(10_001 + 2 * DISORDER_MS, clock_ms + SETTLED_MS);
        assert!(!mark.is_replaying() && !mark.went_back(), "the last known one came a minute ago");
    }

    #[test]
    fn an_event_of_the_future_does_not_move_the_mark_there() {
        let mut mark = mark(Some(10_000), None);
        for absurd_ms in [i64::MAX, 20_001 + 3_600_000] {
            mark.pass(absurd_ms, 20_000);
            assert_eq!(mark.watermark.received_ms, Some(20_000));
        }
    }

    /// The service's clock is not ours. What is forgotten up to some time is dropped up to that time by the same clock.
    #[test]
    fn a_clock_that_is_behind_the_services_moves_no_mark_back() {
        let mut mark = mark(None, None);
        mark.pass(620_000, 20_000);
        assert_eq!(mark.watermark.received_ms, Some(620_000));
        mark.watermark.forgotten_ms = mark.watermark.received_ms;
        mark.begin_replay(30_000);
        assert!(mark.drops(Some(600_000)) && mark.drops(Some(620_000)), "its id is forgotten");
        assert!(!mark.drops(Some(620_001)));
    }

    #[test]
    fn what_may_be_missing_is_said_in_numbers() {
        let mut mark = mark(Some(10_000), Some(11_000));
        mark.owe_replay();
        mark.pass(12_000, 99_000);
        mark.begin_replay(99_000);
        assert_eq!(mark.watermark.owed_from_ms, Some(10_000), "the gap began before");
        mark.pass(10_500, 99_000);
        assert!(mark.drops(Some(10_500)));
        let report = mark.end_replay(false);
        assert_eq!((report.uncovered_ms, report.counts.doubtful), (500, 1));
        assert_eq!(mark.watermark.owed_from_ms, None);
    }

    #[test]
    fn a_stream_that_delivered_nothing_has_nothing_to_drop() {
        let mut mark = mark(None, None);
        mark.begin_replay(99_000);
        assert!(!mark.is_replaying() && !mark.drops(Some(0)));
        mark.pass(5_000, 99_000);
        assert_eq!(mark.end_replay(true).uncovered_ms, 0);
        assert_eq!(mark.watermark.owed_from_ms, Some(0));
    }

    #[test]
    fn a_few_repeats_are_no_replay() {
        let mut mark = mark(Some(10_000), None);
        mark.begin_replay(99_000);
        (0..FEW).for_each(|_| mark.count(Some(9_000), false));
        assert!(!mark.went_back(), "a service repeats some at any connect");
        (0..FEW).for_each(|_| mark.count(Some(1_000), false));
        assert!(mark.went_back());
    }

    #[test]
    fn what_stays_owed_keeps_its_beginning() {
        let mut mark = mark(Some(10_000), None);
        mark.owe_replay();
        mark.begin_replay(99_000);
        mark.pass(20_000, 99_000);
        mark.end_replay(true);
        assert_eq!(mark.watermark.owed_from_ms, Some(10_000));
        mark.begin_replay(199_000);
        mark.end_replay(false);
        assert_eq!(mark.watermark.owed_from_ms, None);
    }
}
