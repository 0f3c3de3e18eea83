//! What a shard does about a failed write, until the batch is known to count or stands in a new transaction.

use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::pipeline::Stop;
use super::preparing::STILL_UNKNOWN;
use super::{Exit, Shard};
use crate::model::block::Block;
use crate::model::checkpoint::Checkpoint;
use crate::sink::{Known, Reopened, Sink, SinkError};

/// First and longest pause between attempts to write.
pub(super) const RETRY_PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// Timeouts in a row after which the producer is opened anew.
const STUCK: u32 = 2;

/// How often a pausing shard looks whether it is to give up.
const ABANDON_CHECK: Duration = Duration::from_millis(50);

/// How a failed write was got over.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Recovered {
    /// The attempted commit had taken place.
    Landed,
    /// The batch stands in a new transaction.
    Rebuilt,
}

impl<S: Sink> Shard<S> {
    /// Gets over a failed write: afterwards either the attempted checkpoint is known to count, or the batch stands
    /// in a new transaction, ready to be committed.
    pub(super) fn recover(
        &mut self,
        mut error: SinkError,
        mut attempted: Option<&Checkpoint>,
    ) -> Result<Recovered, Exit> {
        let mut too_slow = false;
        // Whether only a reopening can tell if the attempted commit counts. A reopening may itself fail in its claim:
        // that error speaks of the claim, not of the attempt. So this stays set until a reopening succeeds.
        let mut in_doubt = false;
        loop {
            too_slow |= matches!(error, SinkError::TooSlow { .. });
            in_doubt |= !error.can_be_aborted() || self.is_stuck(&error);
            self.report(&error)?;
            if in_doubt && self.abandon.is_cancelled() {
                // Another instance may have the shard by now: an opening would fence the rightful one.
                return Err(Exit::Abandoned);
            }
            let cleared = if in_doubt {
                let known = Known { last: &self.checkpoint, attempted };
                self.sink.reopen(known).map(|reopened| self.reopened(reopened, attempted))
            } else {
                self.sink.abort().map(|()| Recovered::Rebuilt)
            };
            let rebuilt = match cleared {
                Ok(Recovered::Landed) => Ok(Recovered::Landed),
                Ok(Recovered::Rebuilt) => {
                    // Its outcome is known from here on.
                    attempted = None;
                    in_doubt = false;
                    self.change_batch(std::mem::take(&mut too_slow));
                    self.rebuild().map(|()| Recovered::Rebuilt)
                }
                Err(next) => Err(next),
            };
            match rebuilt {
                Ok(recovered) => {
                    info!(shard = %self.config.id, ?recovered, "the batch is safe");
                    return Ok(recovered);
                }
                Err(next) => error = next,
            }
        }
    }

    /// Whether the time was over again, before anything was committed. Kafka may be slow; but a producer that has missed something
    /// while a broker stood still would run into it again and again, and only one that is opened anew would not.
    fn is_stuck(&mut self, error: &SinkError) -> bool {
        let is_over = matches!(error, SinkError::TooSlow { .. });
        self.timeouts = if is_over { self.timeouts.saturating_add(1) } else { 0 };
        self.timeouts >= STUCK
    }

    /// Says what failed, and waits: longer with each failure since the last commit, so that what lasts is not tried without
    /// end at full speed.
    fn report(&mut self, error: &SinkError) -> Result<(), Exit> {
        if let SinkError::Outgrown(reason) = error {
            info!(shard = %self.config.id, reason, "the producer is opened anew");
            return Ok(());
        }
        self.failures = self.failures.saturating_add(1);
        self.traced.failed(error.code());
        let lasts = self.metrics.failed(error);
        if let Some(exit) = Exit::of(error) {
            warn!(shard = %self.config.id, reason = %error, "write refused");
            return Err(exit);
        }
        let (said, code, failures) =
            ("write failed; the batch is kept and tried again", error.code(), self.failures);
        if lasts {
            error!(shard = %self.config.id, reason = %error, code, failures, "{said}");
        } else {
            warn!(shard = %self.config.id, reason = %error, code, failures, "{said}");
        }
        if self.failures > 1 { pause(self.failures, self.pauses, &self.abandon) } else { Ok(()) }
    }

    /// What is done otherwise when the batch is made again.
    fn change_batch(&mut self, too_slow: bool) {
        let refused = self.sink.refused();
        let reason = refused.first().map(|refused| refused.detail.clone());
        let records = self.pipeline.refuse(refused);
        if records > 0 {
            info!(shard = %self.config.id, records, reason, "records that their topic refuses become dead letters");
            self.failures = 0;
        }
        if too_slow {
            let rest = self.batch.halve(Instant::now());
            if !rest.is_empty() {
                let lines = self.batch.lines();
                info!(shard = %self.config.id, lines, "the batch is halved, since the time was not enough");
            }
            self.put_off(rest);
        }
    }

    /// What is in the batch no more is the first to come after it.
    fn put_off(&mut self, rest: Vec<Block>) {
        self.pipeline.keep_refused(self.batch.lines());
        for block in rest.into_iter().rev() {
            self.backlog.push_front(block);
        }
    }

    /// Puts the batch into a new transaction.
    fn rebuild(&mut self) -> Result<(), SinkError> {
        self.batch.try_again(Instant::now());
        let mut is_prepared = false;
        loop {
            match self.pipeline.rebuild(self.batch.blocks(), &mut self.sink)? {
                None => return Ok(()),
                Some(Stop::NoRoom) => {
                    // It had room beside a letter whose event is delivered no more.
                    let rest = self.batch.keep_first(self.pipeline.batch_lines(), Instant::now());
                    self.put_off(rest);
                    return Ok(());
                }
                // All of them were prepared at once, so another time would be of no use.
                Some(Stop::UnknownTopic) if is_prepared => {
                    return Err(SinkError::Unusable(STILL_UNKNOWN.into()));
                }
                Some(Stop::UnknownTopic) => is_prepared = true,
            }
            if self.pipeline.has_records() {
                self.sink.abort()?;
            }
            self.pipeline.roll_back();
            let unknown = self.unknown_topics(None);
            self.sink.prepare(&unknown)?;
        }
    }

    /// What the sink's checkpoint says of the attempted one.
    fn reopened(&mut self, reopened: Reopened, attempted: Option<&Checkpoint>) -> Recovered {
        let landed = attempted.is_some_and(|attempted| reopened.checkpoint.carries(attempted));
        self.checkpoint = reopened.checkpoint;
        self.timeouts = 0;
        self.journal_lost |= reopened.journal_lost;
        if landed {
            return Recovered::Landed;
        }
        self.restore_journal();
        Recovered::Rebuilt
    }

    /// Has the next commit write the ids again that the journal lost. Not while the outcome of one is yet to be noted,
    /// which would count as that of this one.
    pub(super) fn restore_journal(&mut self) {
        if std::mem::take(&mut self.journal_lost) {
            self.pipeline.rewrite_ids();
        }
    }
}

/// Waits after `failures` failures in a row, or says that nobody waits for it any more.
pub(super) fn pause(
    failures: u32,
    pauses: (Duration, Duration),
    abandon: &CancellationToken,
) -> Result<(), Exit> {
    let until = Instant::now() + length(failures, pauses);
    loop {
        if abandon.is_cancelled() {
            return Err(Exit::Abandoned);
        }
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(());
        }
        std::thread::park_timeout(left.min(ABANDON_CHECK));
    }
}

/// A pause doubles with each failure.
fn length(failures: u32, (first, longest): (Duration, Duration)) -> Duration {
    first.saturating_mul(2u32.saturating_pow(failures.saturating_sub(1))).min(longest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest() {
        let lengths: Vec<u128> = (1..9).map(|failures| length(failures, RETRY_PAUSES).as_millis()).collect();
        assert_eq!(lengths, [100, 200, 400, 800, 1600, 3200, 5000, 5000]);
        assert_eq!(length(u32::MAX, RETRY_PAUSES), RETRY_PAUSES.1);
    }
}
