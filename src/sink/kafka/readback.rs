//! Reading back what a shard committed: its checkpoint and its id journal. Does not fence anybody.
//!
//! Invariant: a read back after fencing is complete, or an error. It reads `read_committed` up to where the partition
//! ended, open transactions included, at its beginning; where another transaction is still open it waits for that one.
//! A look before fencing waits for nothing.

use std::cell::RefCell;
use std::collections::HashSet;
use std::ops::ControlFlow;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Message, Timestamp};
use rdkafka::types::RDKafkaErrorCode as Code;
use rdkafka::{Offset, TopicPartitionList};
use tokio::time::Instant;
use tracing::{debug, warn};

use super::client::{Clients, Context, close_beside, explain, passes, with_causes};
use crate::model::errors::chain;
use crate::sink::SinkError;

mod checkpoints;
mod ending;
mod ids;
mod letters;
mod times;

use ending::{Ending, Next};
pub(crate) use ids::{Lacks, Needed};
pub(crate) use letters::{Letter, Letters, Place, Span};
use times::first_since;

/// Limit of one request to the cluster.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a client asks at most who leads a topic's partitions: it asks one broker, which may be one that does not answer.
const LEARNING: Duration = Duration::from_secs(2);

/// How long one wait for a record takes.
const POLL_TIME: Duration = Duration::from_millis(100);

/// Pause before the leader of a new partition is asked again.
const SETTLE_PAUSE: Duration = Duration::from_millis(20);

/// Offsets before the end where the latest checkpoint is looked for first. A partition belongs to one shard, so it
/// is among the last; a full read follows when it is not.
const TAIL: i64 = 64;

/// Reads state topics back.
pub(crate) struct Reader {
    committed: Option<BaseConsumer<Context>>,
    uncommitted: Option<BaseConsumer<Context>>,
    /// Topics whose leaders both clients have learnt.
    learnt: RefCell<HashSet<String>>,
    patience: Duration,
}

/// What a read back does about transactions that are open in its partition.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum OpenTransactions {
    /// Waits until they have ended. After fencing that takes milliseconds.
    WaitFor,
    /// Reads up to the first of them. Before fencing, the one that is open may be that of a dead predecessor, or our own
    /// of a producer that was given up, and would last until `transaction_timeout`.
    PassOver,
}

/// A record of a state topic.
struct Stored<'a> {
    offset: i64,
    timestamp_ms: i64,
    /// When it was appended, by the broker's clock, where the topic keeps that.
    appended_ms: Option<i64>,
    key: &'a [u8],
    payload: &'a [u8],
}

/// The latest value of a key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Value {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// When it was appended, by the broker's clock, where the topic keeps that; milliseconds since the Unix epoch.
    pub appended_ms: Option<i64>,
}

impl Reader {
    /// Connects. `patience` bounds the wait for others' open transactions.
    pub(crate) fn new(clients: &Clients, patience: Duration) -> Result<Self, SinkError> {
        Ok(Self {
            committed: Some(clients.consumer(true)?),
            uncommitted: Some(clients.consumer(false)?),
            learnt: RefCell::default(),
            patience,
        })
    }

    /// The value of the latest record of `key` in this partition.
    pub(crate) fn last_value(
        &self,
        topic: &str,
        partition: i32,
        key: &str,
        open: OpenTransactions,
    ) -> Result<Option<Value>, SinkError> {
        let (low, high) = self.stable_end(topic, partition, open)?;
        for from in [low.max(high - TAIL), low] {
            let mut last = None;
            self.read(topic, partition, from, high, |stored| {
                if stored.key == key.as_bytes() {
                    last = (!stored.payload.is_empty())
                        .then(|| Value { bytes: stored.payload.to_vec(), appended_ms: stored.appended_ms });
                }
                Ok(ControlFlow::Continue(()))
            })?;
            if from == low || last.is_some() {
                return Ok(last);
            }
        }
        Ok(None)
    }

    fn committed(&self) -> Result<&BaseConsumer<Context>, SinkError> {
        self.committed.as_ref().ok_or_else(closed)
    }

    /// The client that reads what is committed and the one that reads all. Both know who leads the topic's partitions.
    fn clients_of(&self, topic: &str) -> Result<(&BaseConsumer<Context>, &BaseConsumer<Context>), SinkError> {
        let (committed, uncommitted) = (self.committed()?, self.uncommitted.as_ref().ok_or_else(closed)?);
        if !self.learnt.borrow().contains(topic) {
            learn_leaders(uncommitted, topic);
            learn_leaders(committed, topic);
            self.learnt.borrow_mut().insert(topic.to_owned());
        }
        Ok((committed, uncommitted))
    }

    /// Low end, and the end of what is committed: with `WaitFor` once no transaction is open below the high end that was
    /// found first.
    fn stable_end(
        &self,
        topic: &str,
        partition: i32,
        open: OpenTransactions,
    ) -> Result<(i64, i64), SinkError> {
        let failed = |reason: String| {
            SinkError::Unusable(format!("cannot read the offsets of {topic} partition {partition}: {reason}"))
        };
        let (committed, uncommitted) = self.clients_of(topic)?;
        let (low, high) = watermarks(uncommitted, topic, partition).map_err(failed)?;
        let deadline = Instant::now() + self.patience;
        loop {
            let (_, stable) = watermarks(committed, topic, partition).map_err(failed)?;
            if stable >= high || open == OpenTransactions::PassOver {
                return Ok((low, stable));
            }
            if Instant::now() >= deadline {
                return Err(SinkError::Unusable(format!(
                    "a transaction stays open in {topic} partition {partition} at offset {stable}"
                )));
            }
            debug!(topic, partition, stable, high, "waiting for an open transaction");
            // Serves the client's events and paces the loop.
            drop(committed.poll(Duration::from_millis(20)));
        }
    }

    /// The offset after the last record of a partition, committed or not.
    fn high(&self, topic: &str, partition: i32) -> Result<i64, SinkError> {
        let (_, uncommitted) = self.clients_of(topic)?;
        let (_, high) = watermarks(uncommitted, topic, partition).map_err(|reason| {
            SinkError::Unusable(format!("cannot read the offsets of {topic} partition {partition}: {reason}"))
        })?;
        Ok(high)
    }

    /// Gives the committed record at an offset to `found`; `None` if there is none. Blocks.
    pub(super) fn at<T>(
        &self,
        topic: &str,
        partition: i32,
        offset: i64,
        found: impl FnOnce(&BorrowedMessage<'_>) -> T,
    ) -> Result<Option<T>, SinkError> {
        let (low, end) = self.stable_end(topic, partition, OpenTransactions::PassOver)?;
        if !(low..end).contains(&offset) {
            return Ok(None);
        }
        let (mut found, mut is_there) = (Some(found), None);
        self.read_messages(topic, partition, offset, end, |message| {
            // Behind a gap the next record comes, which is another one.
            if message.offset() == offset {
                is_there = found.take().map(|found| found(message));
            }
            Ok(ControlFlow::Break(()))
        })?;
        Ok(is_there)
    }

    /// Gives every committed record that has a key, from `from` up to `end`, to `each`, until it breaks off.
    fn read(
        &self,
        topic: &str,
        partition: i32,
        from: i64,
        end: i64,
        mut each: impl FnMut(&Stored<'_>) -> Result<ControlFlow<()>, SinkError>,
    ) -> Result<(), SinkError> {
        self.read_messages(topic, partition, from, end, |message| {
            let Some(key) = message.key() else { return Ok(ControlFlow::Continue(())) };
            let appended_ms = match message.timestamp() {
                Timestamp::LogAppendTime(ms) => Some(ms),
                _ => None,
            };
            each(&Stored {
                offset: message.offset(),
                timestamp_ms: message.timestamp().to_millis().unwrap_or(0),
                appended_ms,
                key,
                // A record without a value deletes what stands under its key.
                payload: message.payload().unwrap_or_default(),
            })
        })
    }

    /// Gives every committed record from `from` up to `end` to `each`, until it breaks off.
    fn read_messages(
        &self,
        topic: &str,
        partition: i32,
        from: i64,
        end: i64,
        mut each: impl FnMut(&BorrowedMessage<'_>) -> Result<ControlFlow<()>, SinkError>,
    ) -> Result<(), SinkError> {
        let failed = |error: KafkaError| {
            let denied = error.rdkafka_error_code() == Some(Code::TopicAuthorizationFailed);
            let right = if denied { "; it takes READ on the topic" } else { "" };
            let reason = chain(&error);
            SinkError::Unusable(format!("cannot read {topic} partition {partition} back: {reason}{right}"))
        };
        let consumer = self.committed()?;
        let mut assignment = TopicPartitionList::new();
        assignment.add_partition_offset(topic, partition, Offset::Offset(from)).map_err(failed)?;
        consumer.assign(&assignment).map_err(failed)?;
        let mut ending = Ending::new(from, end);
        let mut last_progress = Instant::now();
        loop {
            match consumer.poll(POLL_TIME) {
                Some(Ok(message)) => {
                    if message.offset() >= end {
                        break;
                    }
                    ending.stands_at(message.offset() + 1);
                    if each(&message)?.is_break() {
                        break;
                    }
                    // After it: whoever takes records may have to wait for somebody else.
                    last_progress = Instant::now();
                }
                Some(Err(KafkaError::PartitionEOF(_))) => ending.told(),
                Some(Err(error)) if error.rdkafka_error_code().is_some_and(passes) => {}
                Some(Err(error)) => return Err(failed(error)),
                None => {}
            }
            let mut next = ending.next(Instant::now());
            if next == Next::Ask {
                // Markers of transactions are behind the last record, and no record tells of them.
                let position = position(consumer, topic, partition).map_err(failed)?;
                if position.is_some_and(|position| ending.stands_at(position)) {
                    last_progress = Instant::now();
                }
                next = ending.next(Instant::now());
            }
            match next {
                Next::Done => break,
                // An error here is one of the next poll, too.
                Next::Ask => {
                    if let Ok((_, leader_end)) = consumer.fetch_watermarks(topic, partition, REQUEST_TIMEOUT)
                    {
                        ending.leader_has(leader_end, Instant::now());
                    }
                }
                Next::Poll => {}
            }
            if last_progress.elapsed() > REQUEST_TIMEOUT {
                let failed = format!(
                    "{topic} partition {partition} could not be read back to offset {end} within {} s",
                    REQUEST_TIMEOUT.as_secs()
                );
                return Err(SinkError::Unusable(with_causes(failed, consumer.client().context())));
            }
        }
        consumer.unassign().map_err(failed)
    }
}

impl Stored<'_> {
    /// Says that the record is not what it should be, and is left out: whatever else may write to the topic must not stop
    /// the shard.
    fn skip(&self, topic: &str, partition: i32, reason: &str) {
        warn!(
            topic, partition, offset = self.offset, key = %String::from_utf8_lossy(self.key), reason,
            "a record of a state topic that is none of ours is skipped; find out who writes there"
        );
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        close_beside((self.committed.take(), self.uncommitted.take()));
    }
}

fn closed() -> SinkError {
    SinkError::Unusable("the reader is closed".into())
}

/// Where the consumer stands: behind the last record, or behind the markers that followed it. `None` where nothing came yet.
fn position(
    consumer: &BaseConsumer<Context>,
    topic: &str,
    partition: i32,
) -> Result<Option<i64>, KafkaError> {
    let positions = consumer.position()?;
    let found = positions.find_partition(topic, partition).map(|found| found.offset());
    Ok(found.and_then(|offset| if let Offset::Offset(offset) = offset { Some(offset) } else { None }))
}

/// Has a client learn who leads the partitions of a topic. librdkafka (2.12.1) asks for that by itself when it is asked for the ends of
/// one, but is only woken by answers that come while it waits: it may miss the one it waits for, and look again 200 to 500 ms later.
/// If this fails, it only takes that much longer.
fn learn_leaders(consumer: &BaseConsumer<Context>, topic: &str) {
    if let Err(error) = consumer.fetch_metadata(Some(topic), LEARNING) {
        debug!(topic, %error, "cannot ask who leads its partitions");
    }
}

/// [`watermarks`] for a client that has asked for nothing yet.
pub(super) fn first_watermarks(
    consumer: &BaseConsumer<Context>,
    topic: &str,
    partition: i32,
) -> Result<(i64, i64), String> {
    learn_leaders(consumer, topic);
    watermarks(consumer, topic, partition)
}

/// Low and high end of a partition. A topic that was created a moment ago is in the metadata before its broker leads it.
fn watermarks(consumer: &BaseConsumer<Context>, topic: &str, partition: i32) -> Result<(i64, i64), String> {
    let deadline = Instant::now() + REQUEST_TIMEOUT;
    loop {
        let found = consumer.fetch_watermarks(topic, partition, REQUEST_TIMEOUT);
        let code = found.as_ref().err().and_then(KafkaError::rdkafka_error_code);
        let settling = [Code::NotLeaderForPartition, Code::LeaderNotAvailable, Code::UnknownTopicOrPartition];
        if !code.is_some_and(|code| settling.contains(&code)) || Instant::now() >= deadline {
            return found.map_err(|error| explain(consumer, &error));
        }
        debug!(topic, partition, ?code, "waiting for the partition's leader");
        // Serves the client's events and paces the loop.
        drop(consumer.poll(SETTLE_PAUSE));
    }
}
