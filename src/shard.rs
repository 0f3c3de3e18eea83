//! One shard: resume, take blocks, commit batches. The only place that sees the whole flow; one thread runs it.
//!
//! Invariants:
//! - A batch keeps its blocks until its outcome is known; after an abort the same blocks make the same batch, or, where
//!   the time was not enough, its first half makes one, and the rest goes in front of what follows.
//! - Ids, totals and position of a batch count only with its commit: an abort takes all of them back.
//! - Knows neither signals nor other shards, nor what a session does to get its lines.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use crate::batch::{self, Batch};
use crate::clock::now_ms;
use crate::model::block::Block;
use crate::model::checkpoint::{Checkpoint, Delta, Hold};
use crate::model::types::OnUnclean;
use crate::model::types::ShardId;
use crate::sink::{Opened, Sink, SinkError};
use crate::source::queue::{Item, Output, Received};
use crate::source::reader::Resume;

mod checking;
pub mod cursor;
pub mod health;
pub mod mark;
pub mod metrics;
mod notes;
pub mod pipeline;
mod preparing;
pub mod progress;
pub mod readiness;
mod recovery;
mod running;
mod unplaced;

use metrics::Metrics;
use pipeline::Pipeline;
use recovery::{RETRY_PAUSES, Recovered, pause};
use running::Running;
use unplaced::Unplaced;

/// A moved position without events is committed at most this often.
const IDLE_COMMIT_INTERVAL: Duration = Duration::from_secs(1);

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
    /// First and longest pause between attempts to write.
    pauses: (Duration, Duration),
    metrics: Metrics,
    abandon: CancellationToken,
    /// Where the reader begins.
    resume: Resume,
    /// Whether the reader has taken everything that was on its way. Where nothing is lost without that, it always has.
    drained: bool,
    unplaced: Unplaced,
}

/// Why a batch is closed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Closing {
    /// Its limits are reached, or its age. A moved position alone waits for its own interval.
    Due,
    /// What is there must be in Kafka before anything else happens.
    Now,
    /// The shard stops.
    Last,
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
            metrics.health.failed(error.to_string());
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
            pauses: RETRY_PAUSES,
            metrics,
            abandon,
            resume,
            unplaced: Unplaced::default(),
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

    /// Takes lines until they end, then commits what is left.
    pub fn run(mut self, queue: &Output) -> Exit {
        match self.take_all(queue) {
            Ok(()) => Exit::Stopped,
            Err(exit) => {
                if exit == Exit::Fenced {
                    error!(
                        shard = %self.config.id,
                        "fenced: another instance has taken over this shard; it stops here and writes nothing more"
                    );
                }
                exit
            }
        }
    }

    fn take_all(&mut self, queue: &Output) -> Result<(), Exit> {
        loop {
            self.metrics.queue_bytes.set(queue.bytes() as i64);
            match queue.receive(self.patience()) {
                Received::Item(Item::Block { block, resumed }) => self.take(block, resumed, queue)?,
                Received::Item(Item::Note(note)) => self.note(note)?,
                Received::Timeout => {}
                Received::Closed => break,
            }
            self.running.tick(Instant::now(), queue.is_connected());
            if self.is_due(Instant::now()) {
                self.close(Closing::Due)?;
            }
            self.check()?;
            if self.abandon.is_cancelled() {
                return Err(Exit::Abandoned);
            }
        }
        if self.abandon.is_cancelled() {
            return Err(Exit::Abandoned);
        }
        self.close(Closing::Last)?;
        info!(
            shard = %self.config.id, sequence = self.checkpoint.sequence, drained = self.drained,
            "stopped; everything received is committed"
        );
        Ok(())
    }

    /// How long to wait for the next block.
    fn patience(&self) -> Duration {
        let now = Instant::now();
        self.deadline().map_or(IDLE_COMMIT_INTERVAL, |deadline| deadline.saturating_duration_since(now))
    }

    fn deadline(&self) -> Option<Instant> {
        if !self.pipeline.has_records() && self.pipeline.has_moved() {
            // There is only a position to save.
            return Some(self.last_commit + IDLE_COMMIT_INTERVAL);
        }
        self.batch.deadline()
    }

    fn is_due(&self, now: Instant) -> bool {
        self.batch.is_full() || self.deadline().is_some_and(|deadline| now >= deadline)
    }

    /// Puts one block through the event path, closing the batch where its limits fall inside the block.
    fn take(&mut self, block: Block, mut resumed: bool, queue: &Output) -> Result<(), Exit> {
        self.backlog.push_back(block);
        while let Some(block) = self.backlog.pop_front() {
            let met_unknown_topic = self.put(block)?;
            if std::mem::take(&mut resumed) {
                self.report_gap();
            }
            if met_unknown_topic {
                self.commit(Closing::Now)?;
                self.prepare(Some(queue))?;
            } else if !self.backlog.is_empty() || self.batch.is_full() {
                self.commit(Closing::Due)?;
            }
        }
        Ok(())
    }

    /// Puts as much of a block into the batch as it takes; the rest goes to the front of the backlog. Tells whether that
    /// begins with an event whose topic the sink does not know.
    fn put(&mut self, block: Block) -> Result<bool, Exit> {
        self.metrics.health.holds();
        let room = self.batch.room().max(1);
        let now = Instant::now();
        match self.pipeline.process(&block, room, &mut self.sink) {
            Ok(taken) => {
                if taken.bytes > 0 || !taken.met_unknown_topic {
                    let (block, left) = block.cut_at(taken.bytes);
                    self.batch.push(block, taken.lines, now);
                    if let Some(left) = left {
                        self.backlog.push_front(left);
                    }
                } else {
                    self.backlog.push_front(block);
                }
                Ok(taken.met_unknown_topic)
            }
            Err(error) => {
                // The block belongs to the batch that is now made anew.
                let (block, lines, left) = block.cut_after_lines(room);
                self.batch.push(block, lines, now);
                if let Some(left) = left {
                    self.backlog.push_front(left);
                }
                self.recover(error, None)?;
                Ok(false)
            }
        }
    }

    /// Commits what is there, if there is anything to commit: the batch, and what did not fit into it.
    fn close(&mut self, why: Closing) -> Result<(), Exit> {
        self.commit(why)?;
        while let Some(block) = self.backlog.pop_front() {
            if self.put(block)? {
                self.commit(Closing::Now)?;
                self.prepare(None)?;
            }
            self.commit(why)?;
        }
        Ok(())
    }

    /// Commits the batch, if there is anything to commit. Where it took too long, only a part of it is committed, and the rest
    /// is in the backlog.
    fn commit(&mut self, why: Closing) -> Result<(), Exit> {
        let (has_records, has_moved) = (self.pipeline.has_records(), self.pipeline.has_moved());
        let wanted = match why {
            Closing::Due => has_records || (has_moved && self.last_commit.elapsed() >= IDLE_COMMIT_INTERVAL),
            Closing::Now => has_records || has_moved,
            Closing::Last => true,
        };
        if !wanted {
            self.pipeline.fold();
            self.batch.clear();
            self.metrics.health.holds_nothing();
            return Ok(());
        }
        let started = Instant::now();
        loop {
            let lets_go = why == Closing::Last && self.backlog.is_empty();
            let Some(next) = self.next_checkpoint(lets_go) else { return Err(Exit::Abandoned) };
            let result = self.pipeline.commit(&next, &mut self.sink);
            let landed = match result {
                Ok(()) => true,
                Err(error) => self.recover(error, Some(&next))? == Recovered::Landed,
            };
            if landed {
                self.metrics.committed(&self.pipeline.added(), self.batch.bytes(), started.elapsed(), &next);
                // After a recovery the sink has claimed a later sequence of its own, which says nothing of a stop.
                let reclaimed = self.checkpoint.sequence >= next.sequence;
                if !reclaimed {
                    self.checkpoint = next;
                }
                self.pipeline.committed(self.checkpoint.dated());
                self.restore_journal();
                self.watch_positions();
                self.failures = 0;
                self.last_commit = Instant::now();
                self.batch.committed(self.last_commit);
                if lets_go && reclaimed {
                    continue;
                }
                return if why == Closing::Last { Ok(()) } else { self.check() };
            }
        }
    }

    fn next_checkpoint(&self, lets_go: bool) -> Option<Checkpoint> {
        let now_ms = now_ms();
        let delta = self.pipeline.delta(self.checkpoint.sequence, now_ms, self.running.ran_ms());
        let hold = match (lets_go, self.drained) {
            (true, true) => Hold::Drained,
            (true, false) => Hold::Released,
            (false, _) => Hold::Held,
        };
        let delta = Delta { hold, ..delta };
        let next = self.checkpoint.after(&delta, now_ms);
        next.inspect_err(|misfit| error!(shard = %self.config.id, %misfit, "checkpoint refused")).ok()
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
