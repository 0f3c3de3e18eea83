//! The configuration as it is written: every key, its default and, in its doc comment, its description in the
//! JSON Schema.
//!
//! Invariant: every struct refuses unknown keys, and every key can be left out, so that [`super::read`] can
//! take out what is wrong and go on. What must be given is an `Option` and is asked for in
//! [`super::validate`]. Nothing here judges a value; nothing here is used outside of `config`.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use schemars::JsonSchema;
use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer, Serialize};

use super::http::Http;
use super::secret::Property;
use super::stream::Stream;
use super::traces::Traces;
use super::units::{Size, Span};
use super::webhook::Webhook;

/// The configuration of Tributary: carries HTTP event streams into Kafka, exactly once.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(title = "Tributary configuration")]
#[schemars(extend("required" = ["kafka", "stream"]))]
pub(super) struct Raw {
    /// The guarantee: one transaction a batch, or an idempotent producer with the checkpoint after all
    /// acknowledgements.
    pub(super) delivery: Delivery,
    /// Who runs a shard: this process all of them, or the members of a Kafka consumer group.
    pub(super) ownership: Ownership,
    /// Which configuration this is. Where one with a higher number brings another number of shards of a stream, the stream is cut
    /// anew; instances of a lower one leave it to the others.
    pub(super) generation: u64,
    /// With `ownership = "group"`, this process's name among the instances: a stable one, as that of a pod, lets a quick restart
    /// keep its shards. Default: the host's name.
    pub(super) instance_id: Option<String>,
    /// With `ownership = "group"`, how long an instance may say nothing before its shards go to others. Brokers take 6 s to
    /// 30 min unless they are configured otherwise.
    pub(super) session_timeout: Span,
    /// How the process ends.
    pub(super) shutdown: Shutdown,
    /// How Kafka is reached.
    pub(super) kafka: Kafka,
    /// The topics that hold checkpoints and recent ids.
    pub(super) state: State,
    /// When a batch closes, whichever comes first.
    pub(super) commit: Commit,
    /// The window of recent ids in which repeated events are dropped.
    pub(super) dedupe: Dedupe,
    /// What waits between the network and the thread that owns the producer.
    pub(super) queue: Queue,
    /// How services and token endpoints are reached.
    pub(super) http: Http,
    /// What is logged.
    pub(super) log: Log,
    /// Traces of batches.
    pub(super) traces: Traces,
    /// The HTTP server for the status page, probes and metrics.
    pub(super) admin: Admin,
    /// What receives the streams of kind `airship_webhook`.
    pub(super) webhook: Webhook,
    /// The streams to carry.
    #[serde(deserialize_with = "read_apart")]
    #[schemars(length(min = 1))]
    pub(super) stream: Vec<Stream>,
}

impl Default for Raw {
    fn default() -> Self {
        Self {
            delivery: Delivery::default(),
            ownership: Ownership::default(),
            generation: 0,
            instance_id: None,
            session_timeout: Span::seconds(10),
            shutdown: Shutdown::default(),
            kafka: Kafka::default(),
            state: State::default(),
            commit: Commit::default(),
            dedupe: Dedupe::default(),
            queue: Queue::default(),
            http: Http::default(),
            log: Log::default(),
            traces: Traces::default(),
            admin: Admin::default(),
            webhook: Webhook::default(),
            stream: Vec::new(),
        }
    }
}

/// Streams are read one by one, since which keys are known depends on `kind`.
fn read_apart<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Stream>, D::Error> {
    IgnoredAny::deserialize(deserializer).map(|_| Vec::new())
}

/// The guarantee that is asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Delivery {
    /// Each batch is one transaction.
    #[default]
    ExactlyOnce,
    /// Idempotent producer; duplicates are possible after a crash.
    AtLeastOnce,
}

/// Who runs a shard.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Ownership {
    /// This process runs all shards.
    #[default]
    Static,
    /// The members of a Kafka consumer group share the shards.
    Group,
}

/// How the process ends.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Shutdown {
    /// Time to commit what is queued after a signal to stop.
    pub(super) timeout: Span,
}

impl Default for Shutdown {
    fn default() -> Self {
        Self { timeout: Span::seconds(20) }
    }
}

/// How Kafka is reached.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["bootstrap_servers"]))]
pub(super) struct Kafka {
    /// `host:port` of brokers to begin with, separated by commas.
    pub(super) bootstrap_servers: Option<String>,
    /// After this time the broker aborts the open transaction of a dead shard.
    pub(super) transaction_timeout: Span,
    /// Whether missing topics are created; otherwise they are named in one error, and an event whose own topic is missing goes
    /// to its stream's `default_topic`.
    pub(super) create_topics: bool,
    /// The largest record that the topics take, where it cannot be asked for (no right to describe topics, or a
    /// broker that does not answer that). By default each topic's own `max.message.bytes` is read.
    pub(super) max_message_bytes: Option<Size>,
    /// librdkafka properties by their own names: TLS, SASL, compression and so on. Not those that the
    /// connector owns. A secret is given as `{ env = "NAME" }` or `{ file = "PATH" }`.
    pub(super) properties: BTreeMap<String, Property>,
}

impl Default for Kafka {
    fn default() -> Self {
        Self {
            bootstrap_servers: None,
            transaction_timeout: Span::seconds(30),
            create_topics: true,
            max_message_bytes: None,
            properties: BTreeMap::new(),
        }
    }
}

/// The topics that hold checkpoints and recent ids.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct State {
    /// Begins the names `<prefix>.checkpoints`, `.ids`, `.shards`, `.replays`, `.dead-letters` and `<prefix>.<name>.intake` (webhooks), and the
    /// transactional ids.
    pub(super) prefix: String,
    /// Replication factor of those topics; default: the broker's own.
    #[schemars(range(min = 1))]
    pub(super) replication_factor: Option<i32>,
}

impl Default for State {
    fn default() -> Self {
        Self { prefix: "tributary".to_owned(), replication_factor: None }
    }
}

/// When a batch closes, whichever comes first.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Commit {
    /// Age of the batch's first event.
    pub(super) interval: Span,
    /// Events in the batch.
    #[schemars(range(min = 1))]
    pub(super) max_events: usize,
    /// Bytes of events in the batch.
    pub(super) max_bytes: Size,
}

impl Default for Commit {
    fn default() -> Self {
        Self { interval: Span::millis(100), max_events: 50_000, max_bytes: Size::mebibytes(16) }
    }
}

/// The window of recent ids in which repeated events are dropped.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Dedupe {
    /// How long an id is remembered.
    pub(super) window: Span,
    /// How many ids a shard remembers at most; the oldest go first.
    #[schemars(range(min = 1))]
    pub(super) max_ids: usize,
}

impl Default for Dedupe {
    fn default() -> Self {
        Self { window: Span::seconds(30 * 60), max_ids: 1_000_000 }
    }
}

/// What waits between the network and the thread that owns the producer.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Queue {
    /// Bytes of events that may wait, per shard; beyond it reading stops.
    pub(super) max_bytes: Size,
}

impl Default for Queue {
    fn default() -> Self {
        Self { max_bytes: Size::mebibytes(8) }
    }
}

/// What is logged.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Log {
    /// A level (off, error, warn, info, debug, trace), or `NAME=LEVEL` for a part of the program, with commas between several. `TRIBUTARY_LOG`
    /// wins. Default: `"info"`.
    pub(super) filter: Option<String>,
}

/// The HTTP server for probes and metrics.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Admin {
    /// Whether it runs.
    pub(super) enabled: bool,
    /// Address and port of the status page (`/`), `/api/status`, `/live`, `/ready` and `/metrics`. Nobody is asked for a credential.
    pub(super) listen: String,
}

impl Default for Admin {
    fn default() -> Self {
        let listen = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9464);
        Self { enabled: true, listen: listen.to_string() }
    }
}
