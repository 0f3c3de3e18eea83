//! A shard at work: blocks into the batch, the batch into Kafka, until the lines end.

use std::time::Duration;

use tokio::time::Instant;
use tracing::{error, info};

use super::pipeline::Stop;
use super::recovery::Recovered;
use super::traced::Committed;
use super::{Exit, Shard};
use crate::clock::now_ms;
use crate::model::block::Block;
use crate::model::checkpoint::{Checkpoint, Delta, Hold};
use crate::sink::Sink;
use crate::source::queue::{Item, Output, Received};

/// A moved position without events is committed at most this often.
const IDLE_COMMIT_INTERVAL: Duration = Duration::from_secs(1);

/// Why a batch is closed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Closing {
    /// Its limits are reached, or its age. A moved position alone waits for its own interval.
    Due,
    /// What is there must be in Kafka before anything else happens.
    Now,
    /// The shard stops.
    Last,
}

/// How far a block was put into the batch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Put {
    /// As far as there was room.
    Taken,
    /// Up to an event whose topic the sink does not know.
    Stopped {
        /// Whether anything was taken before it.
        moved: bool,
    },
}

impl Put {
    /// How often in a row the same event has stopped it, with this time, where it was so many `before`.
    fn stops(self, before: u32) -> u32 {
        match self {
            Self::Taken => 0,
            Self::Stopped { moved: true } => 1,
            Self::Stopped { moved: false } => before.saturating_add(1),
        }
    }
}

impl<S: Sink> Shard<S> {
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
            // What comes while records wait for their commit is taken together.
            let received = match self.pipeline.has_records() {
                true => queue.gather(self.patience()),
                false => queue.receive(self.patience()),
            };
            match received {
                Received::Item(item) => self.take_item(item, queue)?,
                Received::Timeout => {}
                Received::Closed => break,
            }
            // What has come by now is not left for the next batch.
            for item in queue.waiting() {
                self.take_item(item, queue)?;
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

    fn take_item(&mut self, item: Item, queue: &Output) -> Result<(), Exit> {
        match item {
            Item::Block { block, resumed, connection } => {
                self.traced.came_by(connection);
                self.take(block, resumed, queue)
            }
            Item::Note(note) => self.note(note),
        }
    }

    /// How long to wait for the next block.
    fn patience(&self) -> Duration {
        let now = Instant::now();
        let deadline = self.deadline().map(|deadline| deadline.saturating_duration_since(now));
        deadline.map_or(IDLE_COMMIT_INTERVAL, |left| left.min(IDLE_COMMIT_INTERVAL))
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
    pub(super) fn take(&mut self, block: Block, mut resumed: bool, queue: &Output) -> Result<(), Exit> {
        self.backlog.push_back(block);
        let mut stops = 0;
        while let Some(block) = self.backlog.pop_front() {
            let put = self.put(block)?;
            if std::mem::take(&mut resumed) {
                self.report_gap();
            }
            stops = put.stops(stops);
            if stops > 0 {
                self.unblock(stops, Some(queue))?;
            } else if !self.backlog.is_empty() || self.batch.is_full() {
                self.commit(Closing::Due)?;
            }
        }
        Ok(())
    }

    /// Puts as much of a block into the batch as it takes; the rest goes to the front of the backlog.
    fn put(&mut self, block: Block) -> Result<Put, Exit> {
        self.metrics.health.holds();
        let room = self.batch.room().max(1);
        let now = Instant::now();
        self.pipeline.trace(self.traced.begin());
        match self.pipeline.process(&block, room, &mut self.sink) {
            Ok(taken) => {
                // Blank lines have bytes, and records may have none.
                let moved = taken.lines > 0 || taken.bytes > 0;
                let met_unknown_topic = taken.stop == Some(Stop::UnknownTopic);
                if moved || !met_unknown_topic {
                    let (block, left) = block.cut_at(taken.lines, taken.bytes);
                    self.batch.push(block, taken.lines, now);
                    if let Some(left) = left {
                        self.backlog.push_front(left);
                    }
                } else {
                    self.backlog.push_front(block);
                }
                if taken.stop == Some(Stop::NoRoom) {
                    self.commit(Closing::Now)?;
                }
                Ok(if met_unknown_topic { Put::Stopped { moved } } else { Put::Taken })
            }
            Err(error) => {
                // The block belongs to the batch that is now made anew.
                let (block, lines, left) = block.cut_after_lines(room);
                self.batch.push(block, lines, now);
                if let Some(left) = left {
                    self.backlog.push_front(left);
                }
                self.recover(error, None)?;
                Ok(Put::Taken)
            }
        }
    }

    /// Commits what is there, if there is anything to commit: the batch, and what did not fit into it.
    pub(super) fn close(&mut self, why: Closing) -> Result<(), Exit> {
        self.commit(why)?;
        let mut stops = 0;
        while let Some(block) = self.backlog.pop_front() {
            stops = self.put(block)?.stops(stops);
            if stops > 0 {
                self.unblock(stops, None)?;
            }
            self.commit(why)?;
        }
        Ok(())
    }

    /// Commits the batch, if there is anything to commit. Where it took too long, only a part of it is committed, and the rest
    /// is in the backlog.
    pub(super) fn commit(&mut self, why: Closing) -> Result<(), Exit> {
        let (has_records, has_moved) = (self.pipeline.has_records(), self.pipeline.has_moved());
        let wanted = match why {
            Closing::Due => has_records || (has_moved && self.last_commit.elapsed() >= IDLE_COMMIT_INTERVAL),
            Closing::Now => has_records || has_moved,
            Closing::Last => true,
        };
        if !wanted {
            self.pipeline.fold();
            self.batch.clear();
            self.traced.clear();
            self.metrics.health.holds_nothing();
            return Ok(());
        }
        let started = Instant::now();
        self.traced.committing();
        loop {
            let lets_go = why == Closing::Last && self.backlog.is_empty();
            let Some(next) = self.next_checkpoint(lets_go) else { return Err(Exit::Abandoned) };
            let result = self.pipeline.commit(&next, &mut self.sink);
            let landed = match result {
                Ok(()) => true,
                Err(error) => self.recover(error, Some(&next))? == Recovered::Landed,
            };
            if landed {
                let added = self.pipeline.added();
                self.metrics.committed(&added, self.batch.bytes(), started.elapsed(), &next);
                let batch = Committed {
                    shard: &self.config.id,
                    added: &added,
                    bytes: self.batch.bytes(),
                    sequence: next.sequence,
                    started,
                };
                self.traced.committed(&batch);
                self.watch_topics(&added.dead_letters);
                // After a recovery the sink has claimed a later sequence of its own, which says nothing of a stop.
                let reclaimed = self.checkpoint.sequence >= next.sequence;
                if !reclaimed {
                    self.checkpoint = next;
                }
                self.pipeline.committed(self.checkpoint.dated());
                self.restore_journal();
                self.watch_positions();
                (self.failures, self.timeouts) = (0, 0);
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
