//! The reader of a shard whose events were pushed to us: it takes them from its partition of the intake topic.

use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tracing::{debug, info, warn};

use crate::clock::now_ms;
use crate::model::block::Block;
use crate::model::types::{Position, ShardId};
use crate::sink::kafka::client::Clients;
use crate::sink::kafka::config::Config;
use crate::sink::kafka::intake::Intake;
use crate::sink::kafka::intake::reader::{Gap, Reached, Reader};
use crate::source::failure::Class;
use crate::source::metrics::ConnectionState;
use crate::source::queue::{Closed, Item, Note};
use crate::source::reader::{ReaderContext, Resume};
use crate::task;

/// First and longest pause before the partition is opened again.
const PAUSES: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(10));

/// Reads one partition.
struct Reading {
    shard: ShardId,
    topic: String,
    partition: i32,
    clients: Clients,
    runtime: Handle,
    context: ReaderContext,
    /// Where it goes on.
    next: Reached,
}

/// The reader at work, until it is told to stop or the shard takes no more.
pub(super) fn reader(
    kafka: &Config,
    intake: &Intake,
    shard: ShardId,
    resume: &Resume,
    context: ReaderContext,
    runtime: &Handle,
) -> BoxFuture<'static, ()> {
    let next = match &resume.position {
        // A position that was set by hand may be no number: then none is in the partition, which is reported.
        Some(Position::Offset { offset, read }) => {
            Reached { offset: Some(offset.parse().unwrap_or(i64::MAX)), read: read.clone() }
        }
        _ => Reached::default(),
    };
    context.metrics.set_longest_pause(PAUSES.1);
    let reading = Reading {
        topic: intake.topic.clone(),
        partition: i32::try_from(shard.index).unwrap_or(i32::MAX),
        clients: Clients::new(kafka.clone(), runtime.clone()),
        runtime: runtime.clone(),
        context,
        next,
        shard,
    };
    async move {
        let (done, ended) = oneshot::channel::<()>();
        let name = format!("intake-{}", reading.shard.index);
        let started = task::spawn_thread(name, move || {
            if reading.run().is_err() {
                debug!("the shard takes no more");
            }
            drop(done);
        });
        match started {
            // An error says that the thread has ended.
            Ok(()) => drop(ended.await),
            Err(error) => warn!(%error, "there is no thread that reads the intake topic"),
        }
    }
    .boxed()
}

impl Reading {
    fn run(mut self) -> Result<(), Closed> {
        let (mut pause, mut resumed) = (PAUSES.0, self.next.offset.is_some());
        while !self.context.stop.is_cancelled() {
            self.context.metrics.set_state(ConnectionState::Connecting);
            let opened = Reader::open(&self.clients, &self.topic, self.partition, &self.next);
            let ended = match opened {
                Ok((reader, gap)) => {
                    info!(
                        shard = %self.shard, topic = self.topic, partition = self.partition, offset = reader.first(),
                        "reading the intake topic"
                    );
                    if let Some(gap) = gap {
                        self.give_up_position(gap, reader.first())?;
                    }
                    self.read(reader, &mut resumed, &mut pause)?
                }
                Err(error) => Some(error.to_string()),
            };
            let Some(reason) = ended else { break };
            warn!(shard = %self.shard, reason, pause_ms = pause.as_millis() as u64, "the intake topic cannot be read; trying again");
            self.context.metrics.failed(Class::Network, reason, now_ms());
            self.context.metrics.set_state(ConnectionState::BackingOff);
            let waiting = async { tokio::time::timeout(pause, self.context.stop.cancelled()).await };
            drop(self.runtime.block_on(waiting));
            pause = (pause * 2).min(PAUSES.1);
        }
        self.context.metrics.set_state(ConnectionState::Idle);
        Ok(())
    }

    /// Reads until told to stop, or until it fails: why.
    fn read(
        &mut self,
        reader: Reader,
        resumed: &mut bool,
        pause: &mut Duration,
    ) -> Result<Option<String>, Closed> {
        let open = self.context.metrics.opened();
        self.context.metrics.proven();
        let ended = loop {
            if self.context.stop.is_cancelled() {
                break None;
            }
            match reader.read() {
                Ok(None) => {}
                Ok(Some(records)) => {
                    records.iter().for_each(|record| self.next.pass(record.mark));
                    let block = Block::Records(records);
                    self.context.metrics.received(block.len(), now_ms());
                    let resumed = std::mem::take(resumed);
                    self.runtime.block_on(self.context.input.send(Item::Block {
                        block,
                        resumed,
                        connection: None,
                    }))?;
                    *pause = PAUSES.0;
                }
                Err(error) => break Some(error.to_string()),
            }
        };
        drop(open);
        Ok(ended)
    }

    fn give_up_position(&mut self, gap: Gap, next: i64) -> Result<(), Closed> {
        warn!(
            shard = %self.shard, topic = self.topic, partition = self.partition, wanted = gap.wanted, first = gap.first,
            end = gap.end, next,
            "possible gap: the intake topic does not hold the place where this shard was; what was received in between and \
             deleted, by its retention or with the topic, is lost. Going on with the oldest record that may not have been read yet"
        );
        self.next.move_to(next);
        self.context.metrics.positions_abandoned.inc();
        self.runtime.block_on(self.context.input.send(Item::Note(Note::PositionGivenUp)))
    }
}
