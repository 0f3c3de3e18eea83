//! Topics that events name for the first time: found or created together, between two transactions.
//!
//! Invariant: no batch is begun meanwhile, so however long it takes, no transaction times out for it.

use std::collections::BTreeSet;

use tracing::{error, warn};

use super::recovery::pause;
use super::run::Closing;
use super::{Exit, Shard};
use crate::sink::{Sink, SinkError};
use crate::source::queue::Output;

/// What is said where preparing does not help, which would be a defect: here, or in what the sink says.
pub(super) const STILL_UNKNOWN: &str = "the topic of an event is still unknown after topics were prepared";

impl<S: Sink> Shard<S> {
    /// The backlog begins with an event whose topic the sink does not know, and has done so `stops` times in a row. Has its
    /// topic prepared; from the second time on after a pause, since the last time was of no use.
    pub(super) fn unblock(&mut self, stops: u32, queue: Option<&Output>) -> Result<(), Exit> {
        self.commit(Closing::Now)?;
        if stops > 1 {
            let error = SinkError::Unusable(STILL_UNKNOWN.into());
            self.cannot_prepare(&error, 0, stops - 1)?;
        }
        self.prepare(queue)
    }

    /// Has the sink look up every topic that it does not know and that is named by what is at hand. The batch must be
    /// committed.
    fn prepare(&mut self, queue: Option<&Output>) -> Result<(), Exit> {
        if !self.backlog.is_empty() {
            self.metrics.health.holds();
        }
        loop {
            let unknown = self.unknown_topics(queue);
            let error = match self.sink.prepare(&unknown) {
                Ok(()) => {
                    self.failures = 0;
                    return Ok(());
                }
                Err(error @ (SinkError::Outgrown(_) | SinkError::OutcomeUnknown(_))) => {
                    self.recover(error, None)?;
                    continue;
                }
                Err(error) => error,
            };
            self.failures = self.failures.saturating_add(1);
            self.cannot_prepare(&error, unknown.len(), self.failures)?;
        }
    }

    /// Says what failed, for the `failures`-th time, and waits.
    fn cannot_prepare(&mut self, error: &SinkError, topics: usize, failures: u32) -> Result<(), Exit> {
        let lasts = self.metrics.failed(error);
        let said = "topics of new events cannot be prepared; trying again";
        if lasts {
            error!(shard = %self.config.id, reason = %error, topics, failures, "{said}");
        } else {
            warn!(shard = %self.config.id, reason = %error, topics, failures, "{said}");
        }
        pause(failures, self.pauses, &self.abandon)
    }

    /// The topics that the sink does not know, of the batch, of what comes after it, and of what waits in the queue.
    pub(super) fn unknown_topics(&mut self, queue: Option<&Output>) -> BTreeSet<String> {
        let mut unknown = BTreeSet::new();
        let (pipeline, sink) = (&mut self.pipeline, &self.sink);
        for block in self.batch.blocks().iter().chain(&self.backlog) {
            pipeline.unknown_topics(block, sink, &mut unknown);
        }
        if let Some(queue) = queue {
            queue.look(|block| pipeline.unknown_topics(block, sink, &mut unknown));
        }
        unknown
    }
}
