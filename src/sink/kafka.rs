//! Batches as Kafka transactions.
//!
//! Invariants:
//! - `open` fences, then reads back, then claims the shard with a checkpoint of its own, in this order, in one call;
//!   so nobody resumes unfenced, and whoever is fenced can tell a takeover from a transaction that timed out.
//! - A producer whose commit has an unknown outcome is never used again (librdkafka has no KIP-890).
//! - The checkpoint is the last record of its transaction.

use std::time::Duration;

use rdkafka::error::{KafkaError, RDKafkaError};
use rdkafka::message::{Header, OwnedHeaders, ToBytes};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::types::RDKafkaErrorCode as Code;
use tokio::runtime::Handle;
use tokio::time::Instant;
use tracing::{debug, info};

use super::client::{BATCH_BYTES, Clients, Context, chain};
use super::progress::{IDS_PER_RECORD, Reader, pack_ids};
use super::topics::{Topics, Wanted};
use super::{Config, Delivery, Seed, Sink, SinkError, TopicSpec};
use crate::failpoint;
use crate::model::checkpoint::Checkpoint;
use crate::model::types::{EventId, Headers, OutRecord, ShardId};

/// Limit of `init_transactions`: long enough for a broker to finish a dead producer's transaction.
const INIT_TIMEOUT: Duration = Duration::from_secs(30);

/// How long the shard's thread sleeps while the producer's queue is full. The queue lasts for a multiple of it, and
/// many records then go in at once.
const FULL_QUEUE_PAUSE: Duration = Duration::from_millis(5);

/// How long it sleeps between looks whether all records are acknowledged.
const FLUSH_PAUSE: Duration = Duration::from_millis(1);

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
    /// Where dead letters go.
    pub dead_letter_topic: String,
    /// Ids committed longer ago are not read back.
    pub window: Duration,
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
    /// Names and values of the headers that all events of the shard share.
    event_headers: [(&'static str, String); 5],
    packed: Vec<u8>,
}

/// The names of the state topics under a prefix.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StateTopics {
    /// Compacted, keyed by shard.
    pub checkpoints: String,
    /// Journal of ids, with time retention.
    pub ids: String,
}

impl StateTopics {
    /// Under `prefix`.
    pub fn new(prefix: &str) -> Self {
        Self { checkpoints: format!("{prefix}.checkpoints"), ids: format!("{prefix}.ids") }
    }

    /// Both, as they must be for `partitions` shards.
    pub fn wanted(&self, config: &Config, partitions: i32) -> [Wanted; 2] {
        let spec = TopicSpec { replication_factor: config.state_replication_factor, ..TopicSpec::default() };
        [
            Wanted {
                name: self.checkpoints.clone(),
                spec,
                config: vec![
                    ("cleanup.policy", "compact"),
                    // A checkpoint a commit adds up: small segments let compaction keep the topic short.
                    ("segment.bytes", "16777216"),
                    ("min.cleanable.dirty.ratio", "0.1"),
                ],
                at_least: partitions,
            },
            Wanted {
                name: self.ids.clone(),
                spec: TopicSpec { retention: Some(config.journal_retention), ..spec },
                config: vec![("cleanup.policy", "delete"), ("segment.bytes", "67108864")],
                at_least: partitions,
            },
        ]
    }
}

impl KafkaSink {
    /// A sink that is yet to be opened.
    pub fn new(settings: Settings, owner: String, runtime: Handle) -> Self {
        let clients = Clients::new(settings.config.clone());
        let topics = Topics::new(clients.clone(), runtime, settings.config.create_topics);
        let event_headers = constant_headers(&settings);
        let context = Context::default();
        Self { settings, clients, topics, owner, producer: None, context, event_headers, packed: Vec::new() }
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
        self.context = Context::default();
        let ShardId { stream, index } = &self.settings.shard;
        let id = format!("{}.{stream}.{index}", self.settings.config.prefix);
        let batch_bytes = self.topics.smallest_limit().map_or(BATCH_BYTES, |limit| limit.min(BATCH_BYTES));
        let producer = self.clients.producer(&id, batch_bytes, self.context.clone())?;
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
        let events = self.settings.topics.iter().map(|name| wanted_event_topic(name, spec));
        let dead_letters = wanted_event_topic(&self.settings.dead_letter_topic, TopicSpec::default());
        let wanted: Vec<Wanted> = state.into_iter().chain(events).chain([dead_letters]).collect();
        self.topics.ensure(&wanted)
    }

    fn read_back(&self, seed: Option<Seed<'_>>) -> Result<Option<Checkpoint>, SinkError> {
        let (state, key, partition) = (self.state(), self.key(), self.settings.partition);
        let reader = Reader::new(&self.clients, self.settings.config.transaction_timeout + INIT_TIMEOUT)?;
        let checkpoint = reader.checkpoint(&state.checkpoints, partition, &key)?;
        if let Some(seed) = seed {
            let since_ms = jiff::Timestamp::now().as_millisecond()
                - i64::try_from(self.settings.window.as_millis()).unwrap_or(i64::MAX / 2);
            let count = reader.ids(&state.ids, partition, &key, since_ms, seed)?;
            debug!(shard = key, ids = count, "journal read back");
        }
        Ok(checkpoint)
    }

    /// Writes a checkpoint under this owner's name, so that whoever was fenced can see by whom.
    fn claim(&mut self, found: Option<Checkpoint>) -> Result<Checkpoint, SinkError> {
        let now_ms = jiff::Timestamp::now().as_millisecond();
        let shards = self.settings.shards;
        let claimed = match found {
            None => Checkpoint::initial(&self.owner, shards, now_ms),
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
    fn enqueue(&self, mut record: BaseRecord<'_, [u8], [u8]>) -> Result<(), SinkError> {
        let producer = self.producer()?;
        let deadline = Instant::now() + self.settings.config.transaction_timeout;
        loop {
            match producer.send(record) {
                Ok(()) => return Ok(()),
                Err((KafkaError::MessageProduction(Code::QueueFull), back)) if Instant::now() < deadline => {
                    record = back;
                    pause(producer, FULL_QUEUE_PAUSE);
                }
                Err((KafkaError::MessageProduction(Code::QueueFull), _)) => {
                    return Err(SinkError::Abortable("Kafka took no records for too long".into()));
                }
                Err((error, _)) => return Err(self.classify_global(&error)),
            }
        }
    }

    fn send_state(&self, topic: &str, key: &str, payload: &[u8]) -> Result<(), SinkError> {
        let record: BaseRecord<'_, [u8], [u8]> = BaseRecord::to(topic);
        self.enqueue(record.key(key.as_bytes()).payload(payload).partition(self.settings.partition))
    }

    /// Waits until every record is acknowledged. `flush` alone would return up to 100 ms late, hence the small steps.
    fn flush(&self) -> Result<(), SinkError> {
        let producer = self.producer()?;
        let deadline = Instant::now() + self.settings.config.transaction_timeout;
        while producer.in_flight_count() > 0 {
            // Ends the lingering of what is queued; that records are left is what the loop is for.
            drop(producer.flush(Duration::ZERO));
            if self.context.failures().get().is_some() {
                break;
            }
            if Instant::now() >= deadline {
                return Err(SinkError::Abortable("Kafka did not acknowledge the records in time".into()));
            }
            pause(producer, FLUSH_PAUSE);
        }
        match self.context.failures().get() {
            Some(code) if code == Code::MessageSizeTooLarge as i32 => {
                Err(SinkError::Abortable("a topic refused a batch as too large".into()))
            }
            Some(_) => Err(self
                .fatal_error()
                .unwrap_or_else(|| SinkError::Abortable("records could not be delivered".into()))),
            None => Ok(()),
        }
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
        match self.read_back(None) {
            Ok(Some(checkpoint)) if checkpoint.owner != self.owner => SinkError::Fenced(reason.to_owned()),
            Ok(_) => SinkError::OutcomeUnknown(format!("the broker ended the transaction: {reason}")),
            Err(error) => SinkError::OutcomeUnknown(format!("{reason}; {error}")),
        }
    }

    fn classify_global(&self, error: &KafkaError) -> SinkError {
        match error {
            KafkaError::MessageProduction(Code::MessageSizeTooLarge) => {
                SinkError::TooLarge { limit: self.topics.smallest_limit().unwrap_or(BATCH_BYTES) }
            }
            _ => self.fatal_error().unwrap_or_else(|| SinkError::Abortable(chain(error))),
        }
    }

    fn classify(&self, error: &RDKafkaError) -> SinkError {
        if error.is_fatal() {
            self.diagnose(error.code(), &error.string())
        } else if error.txn_requires_abort() {
            SinkError::Abortable(error.string())
        } else {
            SinkError::OutcomeUnknown(error.string())
        }
    }

    fn commit_transaction(&self) -> Result<(), SinkError> {
        let producer = self.producer()?;
        let deadline = Instant::now() + self.settings.config.transaction_timeout;
        loop {
            let left = deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
            match producer.commit_transaction(left) {
                Ok(()) => return Ok(()),
                Err(KafkaError::Transaction(error)) if error.is_retriable() && Instant::now() < deadline => {
                    debug!(reason = error.string(), "commit is tried again");
                }
                Err(KafkaError::Transaction(error)) => return Err(self.classify(&error)),
                Err(error) => return Err(SinkError::OutcomeUnknown(chain(&error))),
            }
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

    fn headers(&self, headers: Headers<'_>) -> OwnedHeaders {
        match headers {
            Headers::Event { id, event_type, time } => {
                // Room for all at once; a clone of the constant ones would have to grow.
                let constant = self.event_headers.iter();
                let all = constant
                    .fold(OwnedHeaders::new_with_capacity(8), |all, (name, value)| {
                        all.insert(header(name, value))
                    })
                    .insert(header("ce_id", id))
                    .insert(header("ce_type", event_type));
                match time {
                    Some(time) => all.insert(header("ce_time", time)),
                    None => all,
                }
            }
            Headers::DeadLetter { reason, detail, length } => {
                let ShardId { stream, index } = &self.settings.shard;
                OwnedHeaders::new_with_capacity(6)
                    .insert(header("tributary-stream", stream.as_ref()))
                    .insert(header("tributary-shard", &index.to_string()))
                    .insert(header("tributary-source", &self.settings.source))
                    .insert(header("tributary-reason", reason.name()))
                    .insert(header("tributary-detail", detail))
                    .insert(header("tributary-length", &length.to_string()))
            }
        }
    }
}

impl Sink for KafkaSink {
    fn open(&mut self, seed: Seed<'_>) -> Result<Checkpoint, SinkError> {
        self.fence()?;
        let found = self.read_back(Some(seed))?;
        self.claim(found)
    }

    fn reopen(&mut self) -> Result<Checkpoint, SinkError> {
        self.producer = None;
        self.topics.forget();
        let ours = |found: &Option<Checkpoint>| found.as_ref().is_none_or(|found| found.owner == self.owner);
        let taken = || SinkError::Fenced("its checkpoint bears another owner".into());
        // Asked before fencing, so that a late comer does not throw out its rightful successor.
        self.topics.ensure(&self.state().wanted(&self.settings.config, self.settings.partition + 1))?;
        if !ours(&self.read_back(None)?) {
            return Err(taken());
        }
        self.fence()?;
        let found = self.read_back(None)?;
        if found.as_ref().is_some_and(|found| found.owner != self.owner) {
            self.producer = None;
            return Err(taken());
        }
        self.claim(found)
    }

    fn begin(&mut self) -> Result<(), SinkError> {
        self.context.failures().reset();
        if self.transactional() {
            match self.producer()?.begin_transaction() {
                Ok(()) => {}
                Err(KafkaError::Transaction(error)) => return Err(self.classify(&error)),
                Err(error) => return Err(SinkError::OutcomeUnknown(chain(&error))),
            }
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
                self.topics.ensure(&[wanted_event_topic(record.topic, spec)])?;
                self.topics.limit(record.topic).unwrap_or(BATCH_BYTES)
            }
        };
        let key_length = record.key.map_or(0, <[u8]>::len);
        if record.value.len() + key_length + header_bytes(&record.headers, &self.settings) + RECORD_OVERHEAD
            > limit
        {
            return Err(SinkError::TooLarge { limit });
        }
        let mut out: BaseRecord<'_, [u8], [u8]> = BaseRecord::to(record.topic);
        out.key = record.key;
        self.enqueue(
            out.payload(record.value).timestamp(record.timestamp_ms).headers(self.headers(record.headers)),
        )
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
        while pack_ids(ids, IDS_PER_RECORD, &mut packed) > 0 {
            self.send_state(&state.ids, &key, &packed)?;
        }
        self.packed = packed;
        self.fail("before_checkpoint")?;
        self.send_state(&state.checkpoints, &key, &checkpoint.encode())?;
        self.fail("after_checkpoint")?;
        self.flush()?;
        self.fail("before_commit")?;
        if self.transactional() {
            self.commit_transaction()?;
        }
        // Whatever goes wrong from here on, the commit took place: only the checkpoint can tell.
        self.fail("after_commit").map_err(|error| SinkError::OutcomeUnknown(error.to_string()))
    }

    fn abort(&mut self) -> Result<(), SinkError> {
        let too_large = self.context.failures().get() == Some(Code::MessageSizeTooLarge as i32);
        self.context.failures().reset();
        if too_large {
            // A topic's limit was lowered: the limits and the size of batches have to be worked out again.
            return Err(SinkError::OutcomeUnknown("a topic's max.message.bytes has changed".into()));
        }
        if !self.transactional() {
            return self.flush();
        }
        match self.producer()?.abort_transaction(self.settings.config.transaction_timeout) {
            Ok(()) => Ok(()),
            Err(KafkaError::Transaction(error)) if error.is_fatal() => Err(self.classify(&error)),
            Err(error) => Err(SinkError::OutcomeUnknown(chain(&error))),
        }
    }
}

/// Serves the client's events, then sleeps. A poll with a timeout would use up the core in its last millisecond, since
/// what is left of the timeout is rounded down to 0.
fn pause(producer: &BaseProducer<Context>, time: Duration) {
    producer.poll(Duration::ZERO);
    std::thread::sleep(time);
}

/// Librdkafka copies a header's name and value; this only names the types.
fn header<'a, V: ToBytes + ?Sized>(key: &'a str, value: &'a V) -> Header<'a, &'a V> {
    Header { key, value: Some(value) }
}

/// The headers that all events of a shard share.
fn constant_headers(settings: &Settings) -> [(&'static str, String); 5] {
    [
        ("ce_specversion", "1.0".into()),
        ("ce_source", settings.source.clone()),
        ("content-type", "application/json".into()),
        ("tributary-stream", settings.shard.stream.to_string()),
        ("tributary-shard", settings.shard.index.to_string()),
    ]
}

/// Bytes of the headers, near enough to judge a record's size.
fn header_bytes(headers: &Headers<'_>, settings: &Settings) -> usize {
    const NAMES: usize = 128;
    let constant = NAMES + settings.source.len() + settings.shard.stream.len();
    match headers {
        Headers::Event { id, event_type, time } => {
            constant + id.len() + event_type.len() + time.map_or(0, <[u8]>::len)
        }
        Headers::DeadLetter { detail, .. } => constant + detail.len(),
    }
}

fn wanted_event_topic(name: &str, spec: TopicSpec) -> Wanted {
    Wanted { name: name.to_owned(), spec, config: Vec::new(), at_least: 0 }
}
