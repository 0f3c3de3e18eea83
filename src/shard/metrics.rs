//! What a shard counts. Everything counts only what is committed, so the figures never run ahead of Kafka.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Unit;

use super::health::Health;
use super::mark::ReplayCounts;
use super::progress::Added;
use crate::clock::now_ms;
use crate::event::route::Clamped;
use crate::model::checkpoint::Checkpoint;
use crate::model::figure::Figure;
use crate::model::last_error::LastErrors;
use crate::model::types::DeadLetterReason;
use crate::sink::SinkError;

/// What becomes of an event that a replay brings, as metric labels.
pub(crate) const REPLAY_OUTCOMES: [&str; 3] = ["brought_back", "dropped_by_id", "dropped_by_time"];

/// Why events may be missing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Gap {
    /// A connection broke off, and the service keeps the position.
    BrokeOff,
    /// The same, but we ended it since nothing came. On a quiet stream that is routine.
    Silence,
    /// The same, but the request was not answered yet.
    Unanswered,
    /// The last stop was not in order, and the service keeps the position.
    UncleanStop,
    /// A replay that was owed will not come.
    ReplayCalledOff,
    /// A replay could not bring back everything.
    ReplayIncomplete,
    /// The checkpoint is older than what the service keeps.
    OldCheckpoint,
    /// The first event after resuming is much later than the last one before.
    LateFirstEvent,
    /// The placement record knows the shard, and Kafka has no checkpoint of it.
    CheckpointMissing,
    /// The service refused the position for good, and the stream began anew.
    PositionGivenUp,
}

/// A shard's metrics. Clones share the figures.
#[derive(Clone, Debug)]
pub struct Metrics {
    /// Lines taken, blank ones and position updates not counted.
    pub received: Counter,
    /// Events written to their topics.
    pub delivered: Counter,
    /// Events dropped since their id was known.
    pub duplicates: Counter,
    /// Dead letters, in the order of [`DeadLetterReason::ALL`].
    pub dead_letters: [Counter; DeadLetterReason::ALL.len()],
    /// Times that were beyond their bounds, in the order of [`Clamped::ALL`].
    pub clamped: [Counter; Clamped::ALL.len()],
    /// Events left out, in the order in which the extractor numbers the reasons.
    pub filtered: Vec<Counter>,
    /// The same by reason, those of filters that were changed under way included.
    filter_reasons: Arc<Mutex<BTreeMap<Arc<str>, Counter>>>,
    /// Commits.
    pub commits: Counter,
    /// From the closing of a batch to its known commit, seconds.
    pub commit_seconds: Histogram,
    /// Records of a batch.
    pub batch_events: Histogram,
    /// Bytes of lines of a batch.
    pub batch_bytes: Histogram,
    /// Writes that failed and were tried again.
    pub write_failures: Counter,
    /// The same by what Kafka or its client called it.
    pub failure_codes: Codes,
    /// Bytes of lines that wait for the shard.
    pub queue_bytes: Gauge,
    /// Times that the shard ended unasked and was opened again.
    pub restarts: Counter,
    /// Times that events may be missing, in the order of [`Gap::ALL`].
    pub possible_gaps: [Counter; Gap::ALL.len()],
    /// Lines of a stream that is told where to resume, without an offset that can be sent back.
    pub unplaced: Counter,
    /// Openings at which the journal lacked ids that are still needed.
    pub journal_gaps: Counter,
    /// Replays begun.
    pub replays: Counter,
    /// Events that replays brought, by what became of them, in the order of [`REPLAY_OUTCOMES`].
    pub replayed: [Counter; REPLAY_OUTCOMES.len()],
    /// The latest error of each [`SinkError::class`], and of `secret`.
    pub errors: LastErrors,
    /// What it is doing, and what is wrong.
    pub health: Health,
    last_commit_ms: Arc<AtomicI64>,
    last_processed_ms: Arc<AtomicI64>,
}

impl Gap {
    /// All reasons, for metrics that must exist from the start.
    pub const ALL: [Self; 10] = [
        Self::BrokeOff,
        Self::Silence,
        Self::Unanswered,
        Self::UncleanStop,
        Self::ReplayCalledOff,
        Self::ReplayIncomplete,
        Self::OldCheckpoint,
        Self::LateFirstEvent,
        Self::CheckpointMissing,
        Self::PositionGivenUp,
    ];

    /// The stable name used in metrics and logs.
    pub fn name(self) -> &'static str {
        match self {
            Self::BrokeOff => "broke_off",
            Self::Silence => "silence",
            Self::Unanswered => "unanswered",
            Self::UncleanStop => "unclean_stop",
            Self::ReplayCalledOff => "replay_called_off",
            Self::ReplayIncomplete => "replay_incomplete",
            Self::OldCheckpoint => "old_checkpoint",
            Self::LateFirstEvent => "late_first_event",
            Self::CheckpointMissing => "checkpoint_missing",
            Self::PositionGivenUp => "position_given_up",
        }
    }
}

/// Counts by code. Which ones there are is for Kafka to say, but it has only so many.
#[derive(Clone, Debug, Default)]
pub struct Codes(Arc<Mutex<BTreeMap<String, u64>>>);

impl Codes {
    /// The counts so far.
    pub fn all(&self) -> BTreeMap<String, u64> {
        self.counts().clone()
    }

    fn count(&self, code: &str) {
        let mut counts = self.counts();
        match counts.get_mut(code) {
            Some(count) => *count += 1,
            None => drop(counts.insert(code.to_owned(), 1)),
        }
    }

    fn counts(&self) -> MutexGuard<'_, BTreeMap<String, u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn counts(counters: &[Counter]) -> impl Iterator<Item = u64> {
    counters.iter().map(|counter| counter.get())
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            received: Counter::default(),
            delivered: Counter::default(),
            duplicates: Counter::default(),
            dead_letters: Default::default(),
            clamped: Default::default(),
            filtered: Vec::new(),
            filter_reasons: Arc::default(),
            commits: Counter::default(),
            // From 2 ms, a fast commit, to the 30 s of a transaction's limit.
            commit_seconds: Histogram::new([
                0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0,
            ]),
            batch_events: Histogram::new([1.0, 10.0, 100.0, 1e3, 2e3, 5e3, 1e4, 2e4, 5e4, 1e5]),
            batch_bytes: Histogram::new([1e3, 1e4, 1e5, 1e6, 2e6, 4e6, 8e6, 16e6, 32e6, 64e6]),
            write_failures: Counter::default(),
            failure_codes: Codes::default(),
            queue_bytes: Gauge::default(),
            restarts: Counter::default(),
            possible_gaps: Default::default(),
            unplaced: Counter::default(),
            journal_gaps: Counter::default(),
            replays: Counter::default(),
            replayed: Default::default(),
            errors: LastErrors::default(),
            health: Health::default(),
            last_commit_ms: Arc::default(),
            last_processed_ms: Arc::default(),
        }
    }
}

impl Metrics {
    /// Of a stream that leaves events out for these reasons.
    pub fn new(filter_reasons: &[Arc<str>]) -> Self {
        let mut metrics = Self::default();
        metrics.leave_out_for(filter_reasons);
        metrics
    }

    /// From its next start on the shard leaves events out for these reasons. A reason that it knows goes on being counted.
    pub(crate) fn leave_out_for(&mut self, reasons: &[Arc<str>]) {
        let mut known = self.filter_reasons.lock().unwrap_or_else(PoisonError::into_inner);
        let counters = reasons.iter().map(|reason| known.entry(Arc::clone(reason)).or_default().clone());
        self.filtered = counters.collect();
    }

    /// The shard goes on from `checkpoint`.
    pub fn opened(&self, checkpoint: &Checkpoint) {
        self.health.opened();
        self.date(checkpoint);
    }

    /// A batch is committed with `checkpoint`.
    pub fn committed(&self, added: &Added, bytes: usize, took: Duration, checkpoint: &Checkpoint) {
        self.received.inc_by(added.totals.received);
        self.delivered.inc_by(added.totals.delivered);
        self.duplicates.inc_by(added.totals.duplicates);
        for (counter, count) in self.dead_letters.iter().zip(added.dead_letters) {
            counter.inc_by(count);
        }
        for (counter, count) in self.clamped.iter().zip(added.clamped) {
            counter.inc_by(count);
        }
        let ReplayCounts { brought_back, dropped_by_id, dropped_by_time, .. } = added.replay;
        for (counter, count) in self.replayed.iter().zip([brought_back, dropped_by_id, dropped_by_time]) {
            counter.inc_by(count);
        }
        for (counter, count) in self.filtered.iter().zip(&added.filtered) {
            counter.inc_by(*count);
        }
        self.unplaced.inc_by(added.unplaced);
        self.commits.inc();
        self.commit_seconds.observe(took.as_secs_f64());
        self.batch_events.observe((added.totals.delivered + added.totals.dead_letters) as f64);
        self.batch_bytes.observe(bytes as f64);
        self.health.committed();
        self.date(checkpoint);
    }

    /// Events may be missing.
    pub fn gap(&self, gap: Gap) {
        if let Some(index) = Gap::ALL.iter().position(|known| *known == gap) {
            self.possible_gaps[index].inc();
        }
    }

    /// A write failed. Tells whether the log is to say it as an error.
    pub fn failed(&self, error: &SinkError) -> bool {
        self.write_failures.inc();
        self.failure_codes.count(error.code());
        self.cannot(error.class(), error.to_string())
    }

    /// An error of this class, one of a small, closed set, keeps the shard from its work. Tells whether the log is to say it as
    /// an error.
    pub fn cannot(&self, class: &'static str, reason: String) -> bool {
        self.errors.note(class, reason.clone(), now_ms());
        self.health.failed(reason)
    }

    /// Everything that is counted, at `now_ms`, milliseconds since the Unix epoch.
    pub fn figures(&self, now_ms: i64) -> Vec<Figure> {
        let seconds = Some(Unit::Seconds);
        let dead_letters =
            DeadLetterReason::ALL.iter().map(|reason| reason.name()).zip(counts(&self.dead_letters));
        let replayed = REPLAY_OUTCOMES.into_iter().zip(counts(&self.replayed));
        let gaps = Gap::ALL.iter().map(|gap| gap.name()).zip(counts(&self.possible_gaps));
        let known = self.filter_reasons.lock().unwrap_or_else(PoisonError::into_inner);
        let filtered: Vec<_> =
            known.iter().map(|(reason, counter)| (reason.to_string(), counter.get())).collect();
        drop(known);
        let codes = self.failure_codes.all();
        vec![
            Figure::counter("tributary_events_received", "Lines committed, of whatever kind", &self.received),
            Figure::counter(
                "tributary_events_delivered",
                "Events committed to their topics",
                &self.delivered,
            ),
            Figure::counter(
                "tributary_duplicates_dropped",
                "Events dropped since their id was known",
                &self.duplicates,
            ),
            Figure::counter("tributary_commits", "Batches committed", &self.commits),
            Figure::counter(
                "tributary_write_failures",
                "Writes that failed and were tried again",
                &self.write_failures,
            ),
            Figure::counters(
                "tributary_write_failure_codes",
                "Writes that failed, by what Kafka or its client called it",
                "code",
                codes,
            ),
            Figure::counter(
                "tributary_shard_restarts",
                "Times that a shard ended unasked and was opened again",
                &self.restarts,
            ),
            Figure::counter(
                "tributary_events_without_position",
                "Lines without an offset that can be sent back",
                &self.unplaced,
            ),
            Figure::counter(
                "tributary_id_journal_gaps",
                "Openings at which ids were missing from the journal that repeats are known by",
                &self.journal_gaps,
            ),
            Figure::counter("tributary_replays", "Times that everything held was read again", &self.replays),
            Figure::counters("tributary_replay_events", "Events that replays brought", "outcome", replayed),
            Figure::counters(
                "tributary_dead_letters",
                "Lines written to the dead-letter topic",
                "reason",
                dead_letters,
            ),
            Figure::counters(
                "tributary_timestamps_clamped",
                "Events whose time was beyond timestamp_bounds",
                "reason",
                Clamped::ALL.iter().map(|clamped| clamped.name()).zip(counts(&self.clamped)),
            ),
            Figure::counters("tributary_possible_gaps", "Times that events may be missing", "reason", gaps),
            Figure::counters(
                "tributary_events_filtered",
                "Events left out by `drop` and `only`",
                "reason",
                filtered,
            ),
            Figure::age(
                "tributary_stream_lag",
                "Now minus the processing time of the last committed event",
                self.last_processed_ms(),
                now_ms,
            ),
            Figure::age(
                "tributary_checkpoint_age",
                "Since the last checkpoint was committed",
                self.last_commit_ms(),
                now_ms,
            ),
            Figure::bytes("tributary_queue", "Lines that wait for the shard", &self.queue_bytes),
            Figure::histogram(
                "tributary_commit_duration",
                "From the closing of a batch to its known commit",
                seconds,
                &self.commit_seconds,
            ),
            Figure::histogram("tributary_batch_events", "Records of a batch", None, &self.batch_events),
            Figure::histogram("tributary_batch", "Lines of a batch", Some(Unit::Bytes), &self.batch_bytes),
        ]
    }

    /// Dead letters of all reasons.
    pub fn total_dead_letters(&self) -> u64 {
        self.dead_letters.iter().map(|counter| counter.get()).sum()
    }

    /// When the latest checkpoint was written, milliseconds since the Unix epoch; 0 for never.
    pub fn last_commit_ms(&self) -> i64 {
        self.last_commit_ms.load(Ordering::Relaxed)
    }

    /// When the service processed the last committed event, milliseconds since the Unix epoch; 0 for never.
    pub fn last_processed_ms(&self) -> i64 {
        self.last_processed_ms.load(Ordering::Relaxed)
    }

    fn date(&self, checkpoint: &Checkpoint) {
        self.last_commit_ms.store(checkpoint.committed_ms, Ordering::Relaxed);
        if let Some(processed_ms) = checkpoint.processed_ms {
            self.last_processed_ms.store(processed_ms, Ordering::Relaxed);
        }
    }
}
