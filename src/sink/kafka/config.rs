//! What is configured of Kafka: how it is reached, what is asked of it, and what is created there.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::model::secret::SecretSource;
use crate::web::client;

/// The guarantee that is asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Delivery {
    /// Each batch is one transaction, checkpoint included.
    #[default]
    ExactlyOnce,
    /// Idempotent producer; the checkpoint is written after all acknowledgements.
    AtLeastOnce,
}

/// A librdkafka property's value.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Property {
    /// Text as written.
    Text(String),
    /// A secret, read each time a client is built.
    Secret(SecretSource),
}

/// How Kafka is reached and what is created there.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Config {
    /// `host:port`, comma-separated.
    pub bootstrap_servers: String,
    /// librdkafka properties that the connector does not own.
    pub properties: BTreeMap<String, Property>,
    /// How a token endpoint is reached.
    pub http: client::Config,
    /// Exactly once or at least once.
    pub delivery: Delivery,
    /// `transaction.timeout.ms`: after this the broker aborts a dead shard's transaction.
    pub transaction_timeout: Duration,
    /// Whether missing topics are created or reported.
    pub create_topics: bool,
    /// What every topic takes, bytes; `None` asks for each topic's `max.message.bytes`.
    pub max_message_bytes: Option<usize>,
    /// The state topics' names and the transactional ids begin with it.
    pub prefix: String,
    /// Replication factor of the state topics; `None` is the broker's default.
    pub state_replication_factor: Option<i32>,
    /// How long the id journal is kept.
    pub journal_retention: Duration,
    /// How large the id journal of one shard may become, bytes.
    pub journal_bytes: u64,
    /// Whether the state topics' settings are checked. Kafka can always be asked; the demo's in-process broker cannot.
    pub check_settings: bool,
}

/// Which headers events get. Dead letters always have theirs, since their reason stands there.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum EventHeaders {
    /// None: whatever they would say stands in the event.
    #[default]
    None,
    /// Those of CloudEvents 1.0, Kafka binding in binary mode, and the names of stream and shard.
    CloudEvents,
    /// These, in their order.
    List(Vec<EventHeader>),
}

/// A header of events.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum EventHeader {
    /// One of those of [`EventHeaders::CloudEvents`], or `traceparent`, by its name.
    Standard(&'static str),
    /// The same for all events.
    Static {
        /// Its name.
        name: String,
        /// Its value.
        value: String,
    },
    /// What a field says: the next one of those that records tell. Without a value there is no header.
    Field {
        /// Its name.
        name: String,
    },
}

/// The headers of [`EventHeaders::CloudEvents`], by their names.
pub(crate) const CLOUD_EVENTS: [&str; 8] = [
    "ce_specversion",
    "ce_source",
    "content-type",
    "tributary-stream",
    "tributary-shard",
    "ce_id",
    "ce_type",
    "ce_time",
];

/// The header that names the trace of the batch (W3C Trace Context).
pub(crate) const TRACEPARENT: &str = "traceparent";

/// The headers that a list may name.
pub(crate) const STANDARD: [&str; 9] = [
    CLOUD_EVENTS[0],
    CLOUD_EVENTS[1],
    CLOUD_EVENTS[2],
    CLOUD_EVENTS[3],
    CLOUD_EVENTS[4],
    CLOUD_EVENTS[5],
    CLOUD_EVENTS[6],
    CLOUD_EVENTS[7],
    TRACEPARENT,
];

/// How a missing event topic is created.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct TopicSpec {
    /// `None` is the broker's default.
    pub partitions: Option<i32>,
    /// `None` is the broker's default.
    pub replication_factor: Option<i32>,
    /// `None` is the broker's default.
    pub retention: Option<Duration>,
    /// Of each partition; `None` is the broker's default.
    pub retention_bytes: Option<u64>,
}
