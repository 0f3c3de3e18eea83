//! What a shard does with what its reader tells beside lines, and what it reports of gaps and replays.

use std::time::Duration;

use tokio::time::Instant;
use tracing::{debug, info, warn};

use super::mark::Report;
use super::metrics::Gap;
use super::progress::DeadLetters;
use super::run::Closing;
use super::{Exit, Shard};
use crate::clock::now_ms;
use crate::model::checkpoint::Hold;
use crate::model::types::{DeadLetterReason, OnUnclean};
use crate::sink::{Opened, Sink};
use crate::source::queue::{CaughtUp, Loss, Note};

/// A first event after a resume that is this much later than the last one committed may mean that some are missing.
const POSSIBLE_GAP_MS: i64 = 3600 * 1000;

/// A warning that lasts is said again after this.
const SAID_AGAIN: Duration = Duration::from_secs(60);

impl<S: Sink> Shard<S> {
    /// Acts on a note, in its place among the lines.
    pub(super) fn note(&mut self, note: Note) -> Result<(), Exit> {
        match note {
            Note::Lost { how, replay_owed } => {
                let (gap, reason) = match how {
                    Loss::BrokeOff => (Gap::BrokeOff, "a connection broke off"),
                    Loss::Silence => (Gap::Silence, "a connection was given up since nothing came"),
                    Loss::Unanswered => {
                        (Gap::Unanswered, "a connection broke off before its request was answered")
                    }
                };
                self.report_lost(gap, reason, replay_owed);
                if replay_owed {
                    self.pipeline.owe_replay();
                }
            }
            Note::ReplayBegins { at_ms, committed } => {
                self.close(Closing::Now)?;
                self.pipeline.begin_replay(at_ms);
                // Before the service is asked: whatever it sends from then on is judged as a replay, also after a crash.
                self.close(Closing::Now)?;
                self.metrics.replays.inc();
                if committed.send(self.checkpoint.received_ms()).is_err() {
                    debug!(shard = %self.config.id, "the replay was called off");
                }
            }
            Note::CaughtUp { outcome } => {
                self.close(Closing::Now)?;
                let (went_back, brought_back) = self.pipeline.replay_outcome();
                if outcome.send(CaughtUp { went_back, brought_back }).is_err() {
                    debug!(shard = %self.config.id, "nobody waits for the replay any more");
                }
            }
            Note::ReplayDone { replay_owed } => {
                self.close(Closing::Now)?;
                let report = self.pipeline.end_replay(replay_owed);
                self.close(Closing::Now)?;
                if let Some(report) = report {
                    self.report_replay(&report, replay_owed);
                }
            }
            // The reader has said in the log what that means.
            Note::PositionGivenUp => self.metrics.gap(Gap::PositionGivenUp),
            Note::GivenUp => {
                if self.pipeline.forgive_replay() {
                    self.report_lost(Gap::ReplayCalledOff, "given up by --reset largest", false);
                }
            }
            Note::Drained => self.drained = true,
        }
        Ok(())
    }

    /// Looks at how the shard was left.
    pub(super) fn take_up(&mut self, opened: &Opened) {
        self.report_old_checkpoint();
        self.pipeline.take_up(opened.checkpoint.position.as_ref());
        if opened.checkpoint_missing {
            self.metrics.gap(Gap::CheckpointMissing);
            warn!(
                shard = %self.config.id, gap_reason = Gap::CheckpointMissing.name(),
                "possible gap: the placement record knows this shard, but its checkpoint is not there; it was deleted, or \
                 the first start ended before it wrote one. The stream begins where its configuration says"
            );
        }
        let Some(on_unclean) = self.config.on_unclean else { return };
        self.pipeline.keep_watermark(opened.checkpoint.position.as_ref(), opened.has_all_ids);
        let replay_owed = on_unclean == OnUnclean::Replay;
        if !replay_owed && self.pipeline.forgive_replay() {
            self.report_lost(Gap::ReplayCalledOff, "a replay was owed", replay_owed);
        }
        if opened.left.is_some_and(|left| left != Hold::Drained) {
            self.report_lost(Gap::UncleanStop, "the last stop was not in order", replay_owed);
            if replay_owed {
                self.pipeline.owe_replay();
            }
        }
    }

    fn report_lost(&self, gap: Gap, reason: &str, replay_owed: bool) {
        self.metrics.gap(gap);
        let (shard, gap_reason, last_received_ms) =
            (&self.config.id, gap.name(), self.checkpoint.received_ms());
        if gap == Gap::Silence {
            // The routine of a quiet stream, and no alarm: a counter of its own has it.
            info!(%shard, reason, gap_reason, replay_owed, last_received_ms, "reconnecting after a silence");
            return;
        }
        warn!(
            %shard, reason, gap_reason, replay_owed, last_received_ms,
            "possible gap: what the service had sent and did not arrive is lost{}",
            if replay_owed { ", until a replay brings it back" } else { "; on_unclean = \"replay\" would bring it back" }
        );
    }

    /// Says, now and then, that a stream which is told where to resume brings no positions.
    pub(super) fn watch_positions(&mut self) {
        let run = self.pipeline.unplaced_run();
        if self.unplaced.is_to_be_said(run, Instant::now()) {
            warn!(
                shard = %self.config.id, events = run,
                "the latest events have no offset that could be sent back to the service: a reconnect or a restart \
                 resumes before them, and what is older than the known ids comes twice"
            );
        }
    }

    /// Says, now and then, that events of a batch are dead letters since the template of `topic` may make no more topics.
    pub(super) fn watch_topics(&mut self, dead_letters: &DeadLetters) {
        let reasons = DeadLetterReason::ALL.iter().zip(dead_letters);
        let counted = reasons.filter(|(reason, _)| **reason == DeadLetterReason::TooManyTopics);
        let events: u64 = counted.map(|(_, count)| *count).sum();
        let now = Instant::now();
        let is_new = self.topics_said_at.is_none_or(|at| now.duration_since(at) >= SAID_AGAIN);
        if events > 0 && is_new {
            self.topics_said_at = Some(now);
            warn!(
                shard = %self.config.id, events,
                "the template of `topic` has made as many topics as `max_topics` allows; events whose topic would be one more \
                 become dead letters (too_many_topics): raise max_topics if so many are meant, or choose by another field"
            );
        }
    }

    fn report_replay(&self, report: &Report, replay_owed: bool) {
        let counts = report.counts;
        info!(
            shard = %self.config.id, brought_back = counts.brought_back, dropped_by_id = counts.dropped_by_id,
            dropped_by_time = counts.dropped_by_time, may_be_missing = counts.doubtful,
            uncovered_s = report.uncovered_ms / 1000, replay_owed,
            "replay: what was delivered before is reached"
        );
        // If another replay follows, that one says what is missing.
        if !replay_owed && (counts.doubtful > 0 || report.uncovered_ms > 0) {
            warn!(
                shard = %self.config.id, may_be_missing = counts.doubtful, uncovered_s = report.uncovered_ms / 1000,
                "possible gap: the replay could not bring back everything: of the time in question ids are forgotten \
                 (dedupe.window, dedupe.max_ids), or the service no longer holds it"
            );
            self.metrics.gap(Gap::ReplayIncomplete);
        }
    }

    fn report_old_checkpoint(&self) {
        let age_ms = now_ms() - self.checkpoint.committed_ms;
        if self.checkpoint.position.is_some() && age_ms > super::millis(self.config.retention) {
            warn!(
                shard = %self.config.id, age_s = age_ms / 1000, retention_s = self.config.retention.as_secs(),
                "possible gap: the checkpoint is older than what the service keeps"
            );
            self.metrics.gap(Gap::OldCheckpoint);
        }
    }

    pub(super) fn report_gap(&self) {
        let (Some(before), Some(first)) = (self.checkpoint.processed_ms, self.pipeline.first_processed_ms())
        else {
            return;
        };
        if first - before > POSSIBLE_GAP_MS {
            warn!(
                shard = %self.config.id, last_processed_ms = before, first_processed_ms = first,
                "possible gap: the first event after resuming was processed much later than the last one committed"
            );
            self.metrics.gap(Gap::LateFirstEvent);
        }
    }
}
