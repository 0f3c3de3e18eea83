//! One shard: resume, take blocks, commit batches. The only place that sees the whole flow; one thread runs it.
//!
//! Invariants:
//! - A batch keeps its blocks until its outcome is known; after an abort the same blocks make the same batch, or, where
//!   the time was not enough, its first half makes one, and the rest goes in front of what follows.
//! - Ids, totals and position of a batch count only with its commit: an abort takes all of them back.
//! - Knows neither signals nor other shards, nor what a reader does to get its lines.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::error;

use crate::model::block::Block;
use crate::model::checkpoint::Checkpoint;
use crate::model::types::OnUnclean;
use crate::model::types::ShardId;
use crate::sink::{Opened, Sink, SinkError};
use crate::source::reader::Resume;

pub(crate) mod batch;
mod checking;
pub(crate) mod cursor;
pub(crate) mod health;
pub(crate) mod mark;
pub(crate) mod metrics;
mod notes;
pub mod pipeline;
mod preparing;
pub(crate) mod progress;
pub(crate) mod readiness;
mod recovery;
mod replay;
mod run;
mod running;
mod traced;
mod unplaced;

use batch::Batch;
use metrics::Metrics;
use pipeline::Pipeline;
use recovery::{RETRY_PAUSES, pause};
use running::Running;
use traced::Traced;
use unplaced::Unplaced;

/// What a shard is, besides its sink and its queue.
#[derive(Clone, Debug)]
pub struct Config {
    /// Which one.
    pub id: ShardId,
    /// When transactions close.
    pub batch: batch::Config,
    /// How long the service keeps events; a checkpoint older than that is reported.
    pub retention: Duration,
    /// Where the service keeps the position: what to do when events may be lost that it sent.
    pub on_unclean: Option<OnUnclean>,
}

/// Why a shard ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Exit {
    /// Its lines ended, and all of them are committed.
    Stopped,
    /// A later instance has taken over.
    Fenced,
    /// Another opening wrote in between, and this instance is still the rightful one: it is to be opened afresh.
    Overtaken,
    /// It can never work as it is configured.
    Misconfigured,
    /// It was told not to wait any longer; what was not committed comes again after the next start.
    Abandoned,
}

impl Exit {
    /// The end that an error of the sink means, if it means one.
    fn of(error: &SinkError) -> Option<Self> {
        match error {
            SinkError::Fenced(_) => Some(Self::Fenced),
            SinkError::Overtaken(_) => Some(Self::Overtaken),
            SinkError::Misconfigured(_) => Some(Self::Misconfigured),
            _ => None,
        }
    }
}

/// A shard at work.
pub struct Shard<S> {
    config: Config,
    sink: S,
    pipeline: Pipeline,
    batch: Batch,
    /// Blocks that come before those of the queue.
    backlog: VecDeque<Block>,
    checkpoint: Checkpoint,
    last_commit: Instant,
    last_check: Option<Instant>,
    running: Running,
    /// Whether ids are to be written again as soon as the batch at hand is settled.
    journal_lost: bool,
    /// Failed writes since the last commit.
    failures: u32,
    /// How many of them in a row were a time that was over.
    timeouts: u32,
    /// First and longest pause between attempts to write.
    pauses: (Duration, Duration),
    metrics: Metrics,
    abandon: CancellationToken,
    /// Where the reader begins.
    resume: Resume,
    /// Whether the reader has taken everything that was on its way. Where nothing is lost without that, it always has.
    drained: bool,
    unplaced: Unplaced,
    /// When it was last said that a template may make no more topics.
    topics_said_at: Option<Instant>,
    traced: Traced,
}

impl<S: Sink> Shard<S> {
    /// Opens the sink, trying again while Kafka cannot be used, until `stop`. Nothing was received by then, so
    /// there is nothing to wait for.
    pub fn open(
        config: Config,
        mut sink: S,
        mut pipeline: Pipeline,
        metrics: Metrics,
        abandon: CancellationToken,
        stop: &CancellationToken,
    ) -> Result<Self, Exit> {
        metrics.health.opening(config.batch.interval);
        let mut failures = 0;
        let opened = loop {
            pipeline.forget_ids();
            let error = match sink.open(&mut |dated, first, ids| pipeline.seed(dated, first, ids)) {
                Ok(opened) => break opened,
                Err(error) => error,
            };
            if let Some(exit) = Exit::of(&error) {
                error!(shard = %config.id, reason = %error, "the shard was not opened");
                return Err(exit);
            }
            failures += 1;
            metrics.cannot(error.class(), error.to_string());
            error!(shard = %config.id, reason = %error, failures, "cannot open the shard in Kafka; trying again");
            pause(failures, RETRY_PAUSES, stop).map_err(|_| Exit::Stopped)?;
        };
        let (batch, last_commit) = (Batch::new(config.batch), Instant::now());
        let (checkpoint, resume) = (opened.checkpoint.clone(), resume(&opened));
        let running = Running::new(checkpoint.ran_ms, Instant::now());
        pipeline.number_ids(&checkpoint);
        let mut shard = Self {
            drained: config.on_unclean.is_none(),
            config,
            sink,
            pipeline,
            batch,
            backlog: VecDeque::new(),
            checkpoint,
            last_commit,
            last_check: None,
            running,
            journal_lost: false,
            failures: 0,
            timeouts: 0,
            pauses: RETRY_PAUSES,
            metrics,
            abandon,
            resume,
            unplaced: Unplaced::default(),
            topics_said_at: None,
            traced: Traced::default(),
        };
        shard.metrics.opened(&shard.checkpoint);
        if !opened.has_all_ids {
            shard.metrics.journal_gaps.inc();
            // The ids that are there are written again with the next commit, so that the hole is met once.
            shard.pipeline.rewrite_ids();
        }
        shard.take_up(&opened);
        Ok(shard)
    }

    /// Where the reader is to begin.
    pub fn resume(&self) -> Resume {
        self.resume.clone()
    }
}

/// Where the reader begins.
fn resume(opened: &Opened) -> Resume {
    Resume {
        position: opened.checkpoint.position.clone(),
        left: opened.left,
        committed_ms: opened.left.map(|_| opened.checkpoint.committed_ms),
        dated_ms: opened.checkpoint.position_dated_ms(),
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// A name for this process or for this opening of a shard, unlike any other's.
pub fn new_name() -> Arc<str> {
    uuid::Uuid::new_v4().to_string().into()
}

#[cfg(test)]
mod tests;
