//! Topics that events name for the first time: found or created together, between two transactions.
//!
//! Invariant: no batch is begun meanwhile, so however long it takes, no transaction times out for it.

use std::collections::BTreeSet;

use tracing::{error, warn};

use super::recovery::pause;
use super::{Exit, Shard};
use crate::sink::{Sink, SinkError};
use crate::source::queue::Output;

impl<S: Sink> Shard<S> {
    /// Has the sink look up every topic that it does not know and that is named by what is at hand. The batch must be
    /// committed.
    pub(super) fn prepare(&mut self, queue: Option<&Output>) -> Result<(), Exit> {
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
            let lasts = self.metrics.failed(error.code(), error.to_string());
            let (said, failures) = ("topics of new events cannot be prepared; trying again", self.failures);
            if lasts {
                error!(shard = %self.config.id, reason = %error, topics = unknown.len(), failures, "{said}");
            } else {
                warn!(shard = %self.config.id, reason = %error, topics = unknown.len(), failures, "{said}");
            }
            pause(self.failures, self.pauses, &self.abandon)?;
        }
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
