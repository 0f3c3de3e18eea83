//! A look, now and then, whether what was committed is still in Kafka, and whether a secret was rotated.

use std::time::Duration;

use tokio::time::Instant;
use tracing::{info, warn};

use super::run::Closing;
use super::{Exit, Shard};
use crate::sink::Sink;

/// How often a shard looks.
pub(super) const CHECK_INTERVAL: Duration = Duration::from_secs(30);

impl<S: Sink> Shard<S> {
    /// Takes up the secrets of the redaction where they were rotated.
    fn renew_secrets(&mut self) {
        match self.pipeline.renew_secrets() {
            Some(Ok(())) => info!(
                shard = %self.config.id,
                "a secret of the redaction has changed: from here on the same values have other hashes"
            ),
            Some(Err(reason)) => {
                warn!(shard = %self.config.id, reason, "the redaction goes on with the secrets that it has");
            }
            None => {}
        }
    }

    /// Looks now and then, between two batches, whether what was committed is still there, and has it written again if not:
    /// a quiet shard would not notice until it stops, nor a busy one whose topics another shard made again.
    pub(super) fn check(&mut self) -> Result<(), Exit> {
        if self.pipeline.has_records() {
            return Ok(());
        }
        self.renew_secrets();
        // The first look tells what the next ones have to find.
        let is_due = self.last_check.is_none_or(|last| last.elapsed() >= CHECK_INTERVAL);
        if !is_due {
            return Ok(());
        }
        self.last_check = Some(Instant::now());
        let Err(error) = self.sink.check() else { return Ok(()) };
        self.recover(error, None)?;
        // The claim of the reopening was a commit.
        self.failures = 0;
        self.metrics.health.works();
        self.commit(Closing::Now)
    }
}
