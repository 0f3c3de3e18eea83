//! Batches as Kafka transactions.
//!
//! Invariants:
//! - `open` fences, then reads back, then claims the shard with a checkpoint of its own, in this order, in one call;
//!   so nobody resumes unfenced, and whoever is fenced can tell a takeover from a transaction that timed out.
//! - A producer whose commit has an unknown outcome is never used again (librdkafka has no KIP-890).
//! - The checkpoint is the last record of its transaction.

use std::time::Duration;

use rdkafka::error::KafkaError;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::types::RDKafkaErrorCode as Code;
use tokio::runtime::Handle;
use tracing::{debug, info};

use super::client::{BATCH_BYTES, Clients, Context};
use super::journal::{IDS_PER_RECORD, pack_ids};
use super::progress::{Open, Reader};
use super::topics::{Topics, Wanted};
use super::{Config, Delivery, Opened, Seed, Sink, SinkError, TopicSpec};
use crate::clock::now_ms;
use crate::failpoint;
use crate::model::checkpoint::Checkpoint;
use crate::model::errors::chain;
use crate::model::types::{EventId, Headers, OutRecord, ShardId};

mod blocking;
mod headers;
mod state;

pub use state::StateTopics;

use headers::RecordHeaders;

/// Limit of `init_transactions`: long enough for a broker to finish a dead producer's transaction.
const INIT_TIMEOUT: Duration = Duration::from_secs(30);

/// Room for a record's framing in a batch, bytes, beyond key, value and headers.
const RECORD_OVERHEAD: usize = 128;

/// What one shard's sink is made of.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The cluster.
    pub config: Config,
    /// The shard.
    pub shard: ShardId,
    /// Number of shards of the stream.
    pub shards: u32,
    /// Partition of the state topics that belongs to the shard, see [`super::placement`].
    pub partition: i32,
    /// `ce_source`: where the events come from.
    pub source: String,
    /// Topics that must exist before the first event.
    pub topics: Vec<String>,
    /// How event topics are created.
    pub topic_spec: TopicSpec,
    /// Whether events get headers; dead letters always do, since their reason stands there.
    pub event_headers: bool,
    /// Where dead letters go.
    pub dead_letter_topic: String,
    /// Ids committed longer before the checkpoint are not read back.
    pub window: Duration,
    /// Whether a shard that did not stop is refused, for a start that another instance must not lose to.
    pub only_if_free: bool,
}

/// One shard's sink.
pub struct KafkaSink {
    settings: Settings,
    clients: Clients,
    topics: Topics,
    /// This instance's name in the checkpoints it writes.
    owner: String,
    producer: Option<BaseProducer<Context>>,
    context: Context,
    headers: RecordHeaders,
    packed: Vec<u8>,
}

impl KafkaSink {
    /// A sink that is yet to be opened.
    pub fn new(settings: Settings, owner: String, runtime: Handle) -> Self {
        let clients = Clients::new(settings.config.clone(), runtime.clone());
        let topics = Topics::new(clients.clone(), runtime, &settings.config);
        let headers = RecordHeaders::new(&settings);
        let context = Context::default();
        Self { settings, clients, topics, owner, producer: None, context, headers, packed: Vec::new() }
    }

    fn transactional(&self) -> bool {
        self.settings.config.delivery == Delivery::ExactlyOnce
    }

    fn producer(&self) -> Result<&BaseProducer<Context>, SinkError> {
        self.producer.as_ref().ok_or_else(|| SinkError::OutcomeUnknown("the producer was given up".into()))
    }

    fn state(&self) -> StateTopics {
        StateTopics::new(&self.settings.config.prefix)
    }

    fn key(&self) -> String {
        Checkpoint::key(&self.settings.shard)
    }

    /// Fences whoever had the shard.
    fn fence(&mut self) -> Result<(), SinkError> {
        self.producer = None;
        self.ensure_topics()?;
        let ShardId { stream, index } = &self.settings.shard;
        let id = format!("{}.{stream}.{index}", self.settings.config.prefix);
        let batch_bytes = self.topics.smallest_limit().map_or(BATCH_BYTES, |limit| limit.min(BATCH_BYTES));
        let producer = self.clients.producer(&id, batch_bytes)?;
        self.context = producer.client().context().as_ref().clone();
        if self.transactional() {
            producer.init_transactions(INIT_TIMEOUT).map_err(|error| {
                SinkError::Unusable(format!("cannot open the transactional id {id}: {}", chain(&error)))
            })?;
        }
        self.producer = Some(producer);
        Ok(())
    }

    fn ensure_topics(&mut self) -> Result<(), SinkError> {
        let state = self.state().wanted(&self.settings.config, self.settings.partition + 1);
        let spec = self.settings.topic_spec;
        let events = self.settings.topics.iter().map(|name| Wanted::event(name, spec));
        let dead_letters = Wanted::event(&self.settings.dead_letter_topic, TopicSpec::default());
        let wanted: Vec<Wanted> = state.into_iter().chain(events).chain([dead_letters]).collect();
        self.topics.ensure(&wanted)
    }

    fn reader(&self) -> Result<Reader, SinkError> {
        Reader::new(&self.clients, self.settings.config.transaction_timeout + INIT_TIMEOUT)
    }

    fn read_back(&self, open: Open) -> Result<Option<Checkpoint>, SinkError> {
        self.reader()?.checkpoint(&self.state().checkpoints, self.settings.partition, &self.key(), open)
    }

    /// Gives the ids that a shard at `found` still needs; tells whether the journal held all of them.
    fn read_ids(&self, reader: &Reader, found: &Checkpoint, seed: Seed<'_>) -> Result<bool, SinkError> {
        let (key, since_ms) = (self.key(), found.ids_since_ms(self.settings.window));
        let count = reader.ids(&self.state().ids, self.settings.partition, &key, since_ms, seed)?;
        debug!(shard = key, ids = count, "journal read back");
        let retention = self.settings.config.journal_retention.as_millis();
        let kept_ms = now_ms() - i64::try_from(retention).unwrap_or(i64::MAX / 2);
        Ok(since_ms >= kept_ms)
    }

    /// Refuses a shard that did not stop, since another instance may still be at work on it.
    fn check_held(&mut self) -> Result<(), SinkError> {
        self.topics.ensure(&self.state().wanted(&self.settings.config, self.settings.partition + 1))?;
        match self.read_back(Open::Leave)? {
            Some(found) if !(found.clean || found.released) => Err(SinkError::Held(format!(
                "another instance may hold shard {}: its last checkpoint (sequence {}) is not that of a stop. \
                 Stop that instance; if there is none, start this one without --reset and stop it, then try again",
                self.settings.shard, found.sequence
            ))),
            _ => Ok(()),
        }
    }

    /// Writes a checkpoint under this owner's name, so that whoever was fenced can see by whom.
    fn claim(&mut self, found: Option<Checkpoint>) -> Result<Checkpoint, SinkError> {
        let shards = self.settings.shards;
        let claimed = match found {
            None => Checkpoint::initial(&self.owner, shards, now_ms()),
            Some(found) if found.shards != shards => {
                return Err(SinkError::Unusable(format!(
                    "stream {} was cut into {} shards and is now configured with {shards}; changing the number is \
                     not supported yet, set it back",
                    self.settings.shard.stream, found.shards
                )));
            }
            Some(found) => found.claimed_by(&self.owner),
        };
        self.begin()?;
        self.commit(&mut std::iter::empty(), &claimed)?;
        info!(
            shard = self.key(),
            sequence = claimed.sequence,
            position = claimed.position.as_ref().map(tracing::field::display),
            "opened"
        );
        Ok(claimed)
    }

    /// Sends, waiting while the producer's queue is full. Waiting is bounded by the transaction's own limit.
    fn enqueue(&self, record: BaseRecord<'_, [u8], [u8]>) -> Result<(), SinkError> {
        match blocking::send(self.producer()?, record, self.settings.config.transaction_timeout) {
            Ok(()) => Ok(()),
            Err(KafkaError::MessageProduction(Code::QueueFull)) => {
                self.check_credentials()?;
                Err(SinkError::Abortable("Kafka took no records for too long".into()))
            }
            Err(KafkaError::MessageProduction(Code::MessageSizeTooLarge)) => {
                Err(SinkError::TooLarge { limit: self.topics.smallest_limit().unwrap_or(BATCH_BYTES) })
            }
            Err(error) => Err(self.fatal_error().unwrap_or_else(|| SinkError::Abortable(chain(&error)))),
        }
    }

    fn send_state(&self, topic: &str, key: &str, payload: &[u8]) -> Result<(), SinkError> {
        let record: BaseRecord<'_, [u8], [u8]> = BaseRecord::to(topic);
        self.enqueue(record.key(key.as_bytes()).payload(payload).partition(self.settings.partition))
    }

    /// Waits until every record is acknowledged.
    fn flush(&self) -> Result<(), SinkError> {
        if !blocking::flush(self.producer()?, self.settings.config.transaction_timeout) {
            self.check_credentials()?;
            return Err(SinkError::Abortable("Kafka did not acknowledge the records in time".into()));
        }
        match self.context.failures().get() {
            None => {
                self.context.note_accepted();
                Ok(())
            }
            Some(code) if code == Code::MessageSizeTooLarge as i32 => {
                Err(SinkError::Abortable("a topic refused a batch as too large".into()))
            }
            Some(_) => Err(self
                .fatal_error()
                .unwrap_or_else(|| SinkError::Abortable("records could not be delivered".into()))),
        }
    }

    /// To be asked where Kafka does not answer. A producer keeps the secrets that it was built with; only one that is
    /// opened anew reads those that were rotated since.
    fn check_credentials(&self) -> Result<(), SinkError> {
        if self.context.was_refused() {
            let reason = "Kafka refused the producer's credentials, which are now read again";
            return Err(SinkError::OutcomeUnknown(reason.into()));
        }
        Ok(())
    }

    fn fatal_error(&self) -> Option<SinkError> {
        let (code, reason) = self.producer.as_ref()?.client().fatal_error()?;
        Some(self.diagnose(code, &reason))
    }

    /// A fenced producer is one of two things: taken over by another instance, or timed out by the broker. The latest
    /// claim tells which; only if nobody else claimed the shard may it be opened again.
    fn diagnose(&self, code: Code, reason: &str) -> SinkError {
        if !matches!(code, Code::Fenced | Code::ProducerFenced | Code::InvalidProducerEpoch) {
            return SinkError::OutcomeUnknown(format!("the producer failed: {reason}"));
        }
        match self.read_back(Open::Await) {
            Ok(Some(checkpoint)) if checkpoint.owner != self.owner => SinkError::Fenced(reason.to_owned()),
            Ok(_) => SinkError::OutcomeUnknown(format!("the broker ended the transaction: {reason}")),
            Err(error) => SinkError::OutcomeUnknown(format!("{reason}; {error}")),
        }
    }

    fn classify(&self, error: &KafkaError) -> SinkError {
        let KafkaError::Transaction(error) = error else { return SinkError::OutcomeUnknown(chain(error)) };
        if error.is_fatal() {
            self.diagnose(error.code(), &error.string())
        } else if error.txn_requires_abort() {
            SinkError::Abortable(error.string())
        } else {
            SinkError::OutcomeUnknown(error.string())
        }
    }

    fn fail(&self, failpoint: &'static str) -> Result<(), SinkError> {
        match failpoint::pass(failpoint) {
            None => Ok(()),
            Some(failpoint::Action::Abort) => Err(SinkError::Abortable(format!("failpoint {failpoint}"))),
            Some(failpoint::Action::Error) => {
                Err(SinkError::OutcomeUnknown(format!("failpoint {failpoint}")))
            }
        }
    }
}

impl Sink for KafkaSink {
    fn open(&mut self, seed: Seed<'_>) -> Result<Opened, SinkError> {
        if self.settings.only_if_free {
            self.check_held()?;
        }
        self.fence()?;
        // From the fence on it is this instance that holds the shard.
        self.settings.only_if_free = false;
        let reader = self.reader()?;
        let (state, partition) = (self.state(), self.settings.partition);
        let found = reader.checkpoint(&state.checkpoints, partition, &self.key(), Open::Await)?;
        let has_all_ids = found.as_ref().map_or(Ok(true), |found| self.read_ids(&reader, found, seed))?;
        let stopped_in_order = found.as_ref().map(|found| found.clean);
        Ok(Opened { checkpoint: self.claim(found)?, stopped_in_order, has_all_ids })
    }

    fn reopen(&mut self) -> Result<Checkpoint, SinkError> {
        self.producer = None;
        self.topics.forget();
        let ours = |found: &Option<Checkpoint>| found.as_ref().is_none_or(|found| found.owner == self.owner);
        let taken = || SinkError::Fenced("its checkpoint bears another owner".into());
        // Asked before fencing, so that a late comer does not throw out its rightful successor.
        self.topics.ensure(&self.state().wanted(&self.settings.config, self.settings.partition + 1))?;
        // Our own transaction may still be open, and is ended by fencing only.
        if !ours(&self.read_back(Open::Leave)?) {
            return Err(taken());
        }
        self.fence()?;
        let found = self.read_back(Open::Await)?;
        if found.as_ref().is_some_and(|found| found.owner != self.owner) {
            self.producer = None;
            return Err(taken());
        }
        self.claim(found)
    }

    fn begin(&mut self) -> Result<(), SinkError> {
        self.context.failures().reset();
        if self.transactional() {
            self.producer()?.begin_transaction().map_err(|error| self.classify(&error))?;
        }
        self.fail("after_begin")
    }

    fn send(&mut self, record: &OutRecord<'_>) -> Result<(), SinkError> {
        let limit = match self.topics.limit(record.topic) {
            Some(limit) => limit,
            None => {
                let spec = if record.topic == self.settings.dead_letter_topic {
                    TopicSpec::default()
                } else {
                    self.settings.topic_spec
                };
                self.topics.ensure(&[Wanted::event(record.topic, spec)])?;
                self.topics.limit(record.topic).unwrap_or(BATCH_BYTES)
            }
        };
        let key_length = record.key.map_or(0, <[u8]>::len);
        if record.value.len() + key_length + self.headers.bytes(&record.headers) + RECORD_OVERHEAD > limit {
            return Err(SinkError::TooLarge { limit });
        }
        let out: BaseRecord<'_, [u8], [u8]> = BaseRecord::to(record.topic);
        let mut out = out.payload(record.value).timestamp(record.timestamp_ms);
        out.key = record.key;
        if self.settings.event_headers || matches!(record.headers, Headers::DeadLetter { .. }) {
            out.headers = Some(self.headers.of(record.headers));
        }
        self.enqueue(out)
    }

    fn commit(
        &mut self,
        ids: &mut dyn Iterator<Item = EventId>,
        checkpoint: &Checkpoint,
    ) -> Result<(), SinkError> {
        let (state, key) = (self.state(), self.key());
        if !self.transactional() {
            // Without transactions the order is what counts: first the events, then that they were written.
            self.flush()?;
        }
        let mut packed = std::mem::take(&mut self.packed);
        while pack_ids(ids, IDS_PER_RECORD, checkpoint.received_ms(), &mut packed) > 0 {
            self.send_state(&state.ids, &key, &packed)?;
        }
        self.packed = packed;
        self.fail("before_checkpoint")?;
        self.send_state(&state.checkpoints, &key, &checkpoint.encode())?;
        self.fail("after_checkpoint")?;
        self.flush()?;
        self.fail("before_commit")?;
        if self.transactional() {
            blocking::commit(self.producer()?, self.settings.config.transaction_timeout)
                .map_err(|error| self.classify(&error))?;
        }
        // Whatever goes wrong from here on, the commit took place: only the checkpoint can tell.
        self.fail("after_commit").map_err(|error| SinkError::OutcomeUnknown(error.to_string()))
    }

    fn abort(&mut self) -> Result<(), SinkError> {
        let too_large = self.context.failures().get() == Some(Code::MessageSizeTooLarge as i32);
        self.context.failures().reset();
        self.check_credentials()?;
        if too_large {
            // A topic's limit was lowered: the limits and the size of batches have to be worked out again.
            return Err(SinkError::OutcomeUnknown("a topic's max.message.bytes has changed".into()));
        }
        if !self.transactional() {
            return self.flush();
        }
        blocking::abort(self.producer()?, self.settings.config.transaction_timeout).map_err(|error| {
            match self.classify(&error) {
                // What cannot be aborted is not aborted again.
                SinkError::Abortable(reason) => SinkError::OutcomeUnknown(reason),
                other => other,
            }
        })
    }
}
