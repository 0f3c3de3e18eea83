//! Reading back what a shard committed: its checkpoint and its id journal. Does not fence anybody.
//!
//! Invariant: a read back after fencing is complete, or an error. It reads `read_committed` up to where the partition
//! ended, open transactions included, at its beginning; where another transaction is still open it waits for that one.
//! A look before fencing waits for nothing.

use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::Message;
use rdkafka::{Offset, TopicPartitionList};
use tokio::time::Instant;
use tracing::debug;

use super::client::{Clients, Context, close_beside, explain, with_causes};
use super::journal::unpack_ids;
use super::{Seed, SinkError};
use crate::model::checkpoint::Checkpoint;
use crate::model::errors::chain;
use crate::model::types::Dated;

/// Limit of one request to the cluster.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// Pause before the leader of a new partition is asked again.
const SETTLE_PAUSE: Duration = Duration::from_millis(20);

/// Offsets before the end where the latest checkpoint is looked for first. A partition belongs to one shard, so it
/// is among the last; a full read follows when it is not.
const TAIL: i64 = 64;

/// Reads state topics back.
pub struct Reader {
    committed: Option<BaseConsumer<Context>>,
    uncommitted: Option<BaseConsumer<Context>>,
    patience: Duration,
}

/// What a read back does about transactions that are open in its partition.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Open {
    /// Waits until they have ended. After fencing that takes milliseconds.
    Await,
    /// Reads up to the first of them. Before fencing, the one that is open may be that of a dead predecessor, or our own
    /// of a producer that was given up, and would last until `transaction_timeout`.
    Leave,
}

/// A key with its checkpoint, as found.
pub type Found = (String, Checkpoint);

impl Reader {
    /// Connects. `patience` bounds the wait for others' open transactions.
    pub fn new(clients: &Clients, patience: Duration) -> Result<Self, SinkError> {
        Ok(Self {
            committed: Some(clients.consumer(true)?),
            uncommitted: Some(clients.consumer(false)?),
            patience,
        })
    }

    /// The latest checkpoint of `key` in this partition.
    pub fn checkpoint(
        &self,
        topic: &str,
        partition: i32,
        key: &str,
        open: Open,
    ) -> Result<Option<Checkpoint>, SinkError> {
        let enough = |found: &[Found]| found.iter().any(|(known, _)| known == key);
        let found = self.checkpoints(topic, partition, open, enough)?;
        let own = found.into_iter().filter(|(known, _)| known == key).map(|(_, checkpoint)| checkpoint);
        Ok(own.max_by_key(|checkpoint| checkpoint.sequence))
    }

    /// The latest checkpoints of all keys in this partition, wherever they stand; open transactions left aside.
    pub fn all_checkpoints(&self, topic: &str, partition: i32) -> Result<Vec<Found>, SinkError> {
        self.checkpoints(topic, partition, Open::Leave, |_| false)
    }

    /// The value of the latest record of `key` in this partition.
    pub fn last_value(
        &self,
        topic: &str,
        partition: i32,
        key: &str,
        open: Open,
    ) -> Result<Option<Vec<u8>>, SinkError> {
        let (low, high) = self.stable_end(topic, partition, open)?;
        for from in [low.max(high - TAIL), low] {
            let mut last = None;
            self.read(topic, partition, from, high, |found, payload, _| {
                if found == key.as_bytes() {
                    last = Some(payload.to_vec());
                }
                Ok(())
            })?;
            if from == low || last.is_some() {
                return Ok(last);
            }
        }
        Ok(None)
    }

    /// Reads the tail, and everything if the tail is not `enough`.
    fn checkpoints(
        &self,
        topic: &str,
        partition: i32,
        open: Open,
        enough: impl Fn(&[Found]) -> bool,
    ) -> Result<Vec<Found>, SinkError> {
        let (low, high) = self.stable_end(topic, partition, open)?;
        for from in [low.max(high - TAIL), low] {
            let mut found: Vec<Found> = Vec::new();
            self.read(topic, partition, from, high, |key, payload, _| {
                let name = String::from_utf8_lossy(key).into_owned();
                let checkpoint = Checkpoint::decode(payload).map_err(|error| {
                    SinkError::Unusable(format!(
                        "{topic} partition {partition}, key {name}: {}",
                        chain(&error)
                    ))
                })?;
                match found.iter_mut().find(|(known, _)| *known == name) {
                    Some((_, known)) if known.sequence >= checkpoint.sequence => {}
                    Some((_, known)) => *known = checkpoint,
                    None => found.push((name, checkpoint)),
                }
                Ok(())
            })?;
            if from == low || enough(&found) {
                return Ok(found);
            }
        }
        Ok(Vec::new())
    }

    /// Gives the ids of `key` that were committed at `since_ms` or later to `seed`, oldest first.
    pub fn ids(
        &self,
        topic: &str,
        partition: i32,
        key: &str,
        since_ms: i64,
        seed: Seed<'_>,
    ) -> Result<usize, SinkError> {
        let (low, high) = self.stable_end(topic, partition, Open::Await)?;
        let from = self.offset_at(topic, partition, since_ms)?.map_or(high, |offset| offset.max(low));
        let mut count = 0;
        let mut ids = Vec::new();
        self.read(topic, partition, from, high, |record_key, payload, timestamp_ms| {
            if record_key == key.as_bytes() {
                ids.clear();
                let received_ms = unpack_ids(payload, &mut ids).map_err(|error| {
                    SinkError::Unusable(format!("{topic} partition {partition}: {error}"))
                })?;
                count += ids.len();
                seed(Dated { committed_ms: timestamp_ms, received_ms }, &ids);
            }
            Ok(())
        })?;
        Ok(count)
    }

    fn committed(&self) -> Result<&BaseConsumer<Context>, SinkError> {
        self.committed.as_ref().ok_or_else(|| SinkError::Unusable("the reader is closed".into()))
    }

    /// Low end, and the end of what is committed: with `Await` once no transaction is open below the high end that was
    /// found first.
    fn stable_end(&self, topic: &str, partition: i32, open: Open) -> Result<(i64, i64), SinkError> {
        let failed = |reason: String| {
            SinkError::Unusable(format!("cannot read the offsets of {topic} partition {partition}: {reason}"))
        };
        let Some(uncommitted) = &self.uncommitted else {
            return Err(SinkError::Unusable("the reader is closed".into()));
        };
        let (low, high) = watermarks(uncommitted, topic, partition).map_err(failed)?;
        let deadline = Instant::now() + self.patience;
        loop {
            let (_, stable) = watermarks(self.committed()?, topic, partition).map_err(failed)?;
            if stable >= high || open == Open::Leave {
                return Ok((low, stable));
            }
            if Instant::now() >= deadline {
                return Err(SinkError::Unusable(format!(
                    "a transaction stays open in {topic} partition {partition} at offset {stable}"
                )));
            }
            debug!(topic, partition, stable, high, "waiting for an open transaction");
            // Serves the client's events and paces the loop.
            drop(self.committed()?.poll(Duration::from_millis(20)));
        }
    }

    fn offset_at(&self, topic: &str, partition: i32, time_ms: i64) -> Result<Option<i64>, SinkError> {
        let mut times = TopicPartitionList::new();
        let failed = |error: KafkaError| {
            SinkError::Unusable(format!("cannot look up times in {topic}: {}", chain(&error)))
        };
        times.add_partition_offset(topic, partition, Offset::Offset(time_ms.max(0))).map_err(failed)?;
        let consumer = self.committed()?;
        let found = consumer.offsets_for_times(times, REQUEST_TIMEOUT).map_err(|error| {
            SinkError::Unusable(format!("cannot look up times in {topic}: {}", explain(consumer, &error)))
        })?;
        Ok(found.find_partition(topic, partition).and_then(|found| match found.offset() {
            Offset::Offset(offset) => Some(offset),
            _ => None,
        }))
    }

    /// Gives every committed record from `from` up to `end` to `each`: key, payload, timestamp.
    fn read(
        &self,
        topic: &str,
        partition: i32,
        from: i64,
        end: i64,
        mut each: impl FnMut(&[u8], &[u8], i64) -> Result<(), SinkError>,
    ) -> Result<(), SinkError> {
        if from >= end {
            return Ok(());
        }
        let failed = |error: KafkaError| {
            SinkError::Unusable(format!("cannot read {topic} partition {partition} back: {}", chain(&error)))
        };
        let consumer = self.committed()?;
        let mut assignment = TopicPartitionList::new();
        assignment.add_partition_offset(topic, partition, Offset::Offset(from)).map_err(failed)?;
        consumer.assign(&assignment).map_err(failed)?;
        let mut last_progress = Instant::now();
        loop {
            match consumer.poll(Duration::from_millis(100)) {
                Some(Ok(message)) => {
                    last_progress = Instant::now();
                    if message.offset() >= end {
                        break;
                    }
                    if let (Some(key), Some(payload)) = (message.key(), message.payload()) {
                        each(key, payload, message.timestamp().to_millis().unwrap_or(0))?;
                    }
                }
                // With read_committed this is the last stable offset, which is at `end` or beyond.
                Some(Err(KafkaError::PartitionEOF(_))) => break,
                Some(Err(error)) if error.rdkafka_error_code().is_some_and(is_transient) => {}
                Some(Err(error)) => return Err(failed(error)),
                None => {}
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

impl Drop for Reader {
    fn drop(&mut self) {
        close_beside((self.committed.take(), self.uncommitted.take()));
    }
}

/// Low and high end of a partition. A topic that was created a moment ago is in the metadata before its broker leads it.
fn watermarks(consumer: &BaseConsumer<Context>, topic: &str, partition: i32) -> Result<(i64, i64), String> {
    use rdkafka::types::RDKafkaErrorCode as Code;
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

/// Errors that librdkafka mends by itself.
fn is_transient(code: rdkafka::types::RDKafkaErrorCode) -> bool {
    use rdkafka::types::RDKafkaErrorCode as Code;
    matches!(
        code,
        Code::AllBrokersDown | Code::BrokerTransportFailure | Code::OperationTimedOut | Code::Resolve
    )
}
