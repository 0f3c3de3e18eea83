//! What a shard does about a failed write, until the batch is known to count or stands in a new transaction.

use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::{Exit, Shard};
use crate::model::checkpoint::Checkpoint;
use crate::sink::{Known, Reopened, Sink, SinkError};

/// First and longest pause between attempts to write the same batch.
const RETRY_PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// How often a pausing shard looks whether it is to give up.
const ABANDON_CHECK: Duration = Duration::from_millis(50);

/// How a failed write was got over.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Recovered {
    /// The attempted commit had taken place.
    Landed,
    /// The batch stands in a new transaction.
    Replayed,
}

impl<S: Sink> Shard<S> {
    /// Gets over a failed write: afterwards either the attempted checkpoint is known to count, or the batch stands
    /// in a new transaction, ready to be committed.
    pub(super) fn recover(
        &mut self,
        mut error: SinkError,
        mut attempted: Option<&Checkpoint>,
    ) -> Result<Recovered, Exit> {
        let mut failures = 0;
        loop {
            failures += 1;
            let lasts = self.metrics.failed(error.to_string());
            if let Some(exit) = Exit::of(&error) {
                warn!(shard = %self.config.id, reason = %error, "write refused");
                return Err(exit);
            }
            let said = "write failed; the batch is kept and tried again";
            if lasts {
                error!(shard = %self.config.id, reason = %error, failures, "{said}");
            } else {
                warn!(shard = %self.config.id, reason = %error, failures, "{said}");
            }
            if failures > 1 {
                pause(failures, &self.abandon)?;
            }
            let cleared = match error {
                SinkError::Abortable(_) => self.sink.abort().map(|()| Recovered::Replayed),
                _ => {
                    let known = Known { last: &self.checkpoint, attempted };
                    self.sink.reopen(known).map(|reopened| self.reopened(reopened, attempted))
                }
            };
            if cleared.is_ok() {
                // Its outcome is known from here on.
                attempted = None;
            }
            let replayed = cleared.and_then(|recovered| match recovered {
                Recovered::Landed => Ok(recovered),
                Recovered::Replayed => {
                    self.pipeline.replay(self.batch.blocks(), &mut self.sink).map(|()| recovered)
                }
            });
            match replayed {
                Ok(recovered) => {
                    info!(shard = %self.config.id, ?recovered, "the batch is safe");
                    return Ok(recovered);
                }
                Err(next) => error = next,
            }
        }
    }

    /// What the sink's checkpoint says of the attempted one.
    fn reopened(&mut self, reopened: Reopened, attempted: Option<&Checkpoint>) -> Recovered {
        let landed = attempted.is_some_and(|attempted| reopened.checkpoint.carries(attempted));
        self.checkpoint = reopened.checkpoint;
        self.journal_lost |= reopened.journal_lost;
        if landed {
            return Recovered::Landed;
        }
        self.restore_journal();
        Recovered::Replayed
    }

    /// Has the next commit write the ids again that the journal lost. Not while the outcome of one is yet to be noted,
    /// which would count as that of this one.
    pub(super) fn restore_journal(&mut self) {
        if std::mem::take(&mut self.journal_lost) {
            self.pipeline.rewrite_ids();
        }
    }
}

/// Waits before attempt number `failures + 1`, or says that nobody waits for it any more.
pub(super) fn pause(failures: u32, abandon: &CancellationToken) -> Result<(), Exit> {
    let (first, longest) = RETRY_PAUSES;
    let until =
        Instant::now() + first.saturating_mul(2u32.saturating_pow(failures.saturating_sub(1))).min(longest);
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
