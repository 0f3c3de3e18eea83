//! The only place where Kafka clients are configured: owned properties, secrets, the log bridge.

use std::sync::Arc;
use std::sync::atomic::{AtomicI32, AtomicU64, Ordering};

use rdkafka::ClientContext;
use rdkafka::admin::AdminClient;
use rdkafka::config::{ClientConfig, FromClientConfigAndContext, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, ConsumerContext};
use rdkafka::error::KafkaError;
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseProducer, ProducerContext};
use tracing::{debug, info, warn};

use super::{Config, Delivery, Property, SinkError};

/// Messages and kilobytes that the producer holds at most. Beyond it `send` waits, so a slow Kafka costs no memory. A
/// message of 600 bytes takes 1.7 KiB here, headers included; at 100,000 events a second this is a tenth of a second.
const QUEUE_MESSAGES: &str = "10000";
const QUEUE_KBYTES: &str = "16384";

/// Bytes of one produce batch. Above the default of librdkafka it gains nothing; it must stay below the smallest
/// `max.message.bytes` of the topics.
pub const BATCH_BYTES: usize = 1_000_000;

/// Librdkafka's own cap on a message. The topics' limits are checked before; this only must not be in the way.
const MESSAGE_MAX_BYTES: &str = "100000000";

/// What a producer has unless `kafka.properties` says otherwise.
const PRODUCER_DEFAULTS: [(&str, &str); 2] = [("compression.type", "lz4"), ("linger.ms", "5")];

/// Builds clients for one cluster.
#[derive(Clone, Debug)]
pub struct Clients {
    config: Config,
}

/// What a client tells us: its log, and the records that could not be written.
#[derive(Clone, Debug, Default)]
pub struct Context {
    failures: Arc<Failures>,
}

/// Records that the producer could not deliver since the last reset.
#[derive(Debug, Default)]
pub struct Failures {
    count: AtomicU64,
    last_code: AtomicI32,
}

impl Clients {
    /// For the cluster of `config`.
    pub fn new(config: Config) -> Self {
        Self { config }
    }

    /// The producer of one shard. Its secrets are read now.
    pub fn producer(
        &self,
        transactional_id: &str,
        batch_bytes: usize,
        context: Context,
    ) -> Result<BaseProducer<Context>, SinkError> {
        let mut config = self.base(&PRODUCER_DEFAULTS)?;
        config
            .set("enable.idempotence", "true")
            // The Java clients' default, so that Kafka Streams and Flink co-partition.
            .set("partitioner", "murmur2_random")
            .set("delivery.report.only.error", "true")
            .set("queue.buffering.max.messages", QUEUE_MESSAGES)
            .set("queue.buffering.max.kbytes", QUEUE_KBYTES)
            .set("batch.num.messages", QUEUE_MESSAGES)
            .set("batch.size", batch_bytes.to_string())
            .set("message.max.bytes", MESSAGE_MAX_BYTES);
        if self.config.delivery == Delivery::ExactlyOnce {
            config
                .set("transactional.id", transactional_id)
                .set("transaction.timeout.ms", self.config.transaction_timeout.as_millis().to_string());
        }
        self.create(&config, context)
    }

    /// A consumer for reading state back. It joins no group.
    pub fn consumer(&self, committed: bool) -> Result<BaseConsumer<Context>, SinkError> {
        let mut config = self.base(&[])?;
        config
            // Required by the client even where only `assign` is used; nothing is ever committed under it.
            .set("group.id", format!("{}.state", self.config.prefix))
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("enable.partition.eof", "true")
            .set("auto.offset.reset", "error")
            .set("fetch.wait.max.ms", "10")
            .set("isolation.level", if committed { "read_committed" } else { "read_uncommitted" });
        self.create(&config, Context::default())
    }

    /// A client for creating and describing topics.
    pub fn admin(&self) -> Result<AdminClient<Context>, SinkError> {
        self.create(&self.base(&[])?, Context::default())
    }

    fn base(&self, defaults: &[(&str, &str)]) -> Result<ClientConfig, SinkError> {
        #[expect(clippy::disallowed_methods, reason = "the one place that builds Kafka clients")]
        let mut config = ClientConfig::new();
        // Defaults that the user may change come first, then the user's, then what the connector owns.
        config.set("client.id", "tributary");
        for (name, value) in defaults {
            config.set(*name, *value);
        }
        for (name, property) in &self.config.properties {
            match property {
                Property::Text(text) => config.set(name, text),
                Property::Secret(source) => {
                    let secret = source.read().map_err(|error| {
                        SinkError::Unusable(format!("kafka.properties.{name}: {}", chain(&error)))
                    })?;
                    config.set(name, secret.expose())
                }
            };
        }
        config.set("bootstrap.servers", &self.config.bootstrap_servers);
        config.set_log_level(RDKafkaLogLevel::Info);
        Ok(config)
    }

    fn create<T: FromClientConfigAndContext<Context>>(
        &self,
        config: &ClientConfig,
        context: Context,
    ) -> Result<T, SinkError> {
        config.create_with_context(context).map_err(|error| match error {
            // Its description quotes the value, which may be secret.
            KafkaError::ClientConfig(_, _, name, _) => SinkError::Unusable(format!(
                "kafka.properties.{name}: librdkafka refuses the property or its value"
            )),
            other => SinkError::Unusable(format!("cannot create a Kafka client: {}", chain(&other))),
        })
    }
}

impl Context {
    /// The records that could not be delivered.
    pub fn failures(&self) -> &Failures {
        &self.failures
    }
}

impl Failures {
    /// How many since the last reset, and librdkafka's code of the latest.
    pub fn get(&self) -> Option<i32> {
        (self.count.load(Ordering::Acquire) > 0).then(|| self.last_code.load(Ordering::Acquire))
    }

    /// Forgets them.
    pub fn reset(&self) {
        self.count.store(0, Ordering::Release);
    }
}

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        match level {
            // Properties are given to producers and consumers alike; each remarks on those of the other.
            _ if facility == "CONFWARN" => debug!(facility, "librdkafka: {message}"),
            RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical => {
                warn!(facility, "librdkafka: {message}");
            }
            // Connection trouble comes many times a second while a broker is away; the shard reports it once.
            RDKafkaLogLevel::Error | RDKafkaLogLevel::Warning => info!(facility, "librdkafka: {message}"),
            _ => debug!(facility, "librdkafka: {message}"),
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        debug!(%error, reason, "librdkafka reports an error");
    }
}

impl ProducerContext for Context {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if let Err((error, _)) = result {
            let code = error.rdkafka_error_code().map_or(0, |code| code as i32);
            self.failures.last_code.store(code, Ordering::Release);
            self.failures.count.fetch_add(1, Ordering::AcqRel);
        }
    }
}

impl ConsumerContext for Context {}

/// An error and its causes in one line.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
