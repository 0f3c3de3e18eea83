//! The only place where Kafka clients are configured: owned properties, secrets, the log bridge.

use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use rdkafka::ClientContext;
use rdkafka::admin::AdminClient;
use rdkafka::config::{ClientConfig, FromClientConfigAndContext, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::producer::{BaseProducer, Producer};
use tokio::runtime::Handle;
use tokio::time::Instant;

use super::config::{Config, Delivery, Property};
use super::figures::KafkaFigures;
use super::oauth::{self, TokenSource};
use crate::model::errors::chain;
use crate::model::hide::Hider;
use crate::sink::SinkError;
use crate::web::oauth::Grant;

mod addresses;
pub(super) mod beside;
mod causes;
mod context;
mod failures;
mod files;
mod intake;
mod member;
mod probing;
mod refusal;
mod statistics;
#[cfg(test)]
mod tests;

pub(super) use addresses::explain_admin;
pub(super) use causes::{Served, explain, passes, with_causes};
pub(crate) use context::Context;
pub(crate) use probing::LONGEST_WAIT;
pub(crate) use refusal::{Refusal, refusal};

use failures::Failures;

/// Messages that the producer holds at most. Beyond it `send` waits, so a slow Kafka costs no memory. A
/// message of 600 bytes takes 1.7 KiB here, headers included; at 100,000 events a second this is a tenth of a second.
const QUEUE_MESSAGES: &str = "10000";

/// Bytes that it holds at most, unless a single record has more.
pub(crate) const QUEUE_BYTES: usize = 16 << 20;

/// Bytes of one produce batch. Above the default of librdkafka it gains nothing; it must stay below the smallest
/// `max.message.bytes` of the topics.
pub(crate) const BATCH_BYTES: usize = 1_000_000;

/// Librdkafka's own cap on a message, as large as it may be. The topics' limits are checked before; this only must not be in
/// the way.
pub(crate) const MESSAGE_MAX_BYTES: usize = 1_000_000_000;

/// What every client has unless `kafka.properties` says otherwise. Keep-alive: between a quiet stream's commits a NAT or
/// firewall may forget its connections, which nobody else would notice.
/// Backoff: once a client of librdkafka (2.12.1) has learnt the brokers, it gives up the connection that told it of them, and waits for
/// half of this time, 11 ms at least, before it connects to one of them. Each start makes several clients, one after the other.
const DEFAULTS: [(&str, &str); 3] =
    [("client.id", "tributary"), ("socket.keepalive.enable", "true"), ("reconnect.backoff.ms", "20")];

/// What a producer has unless `kafka.properties` says otherwise. It lingers briefly: records are handed to it many at a time, and
/// those that end a batch would only keep the commit waiting.
const PRODUCER_DEFAULTS: [(&str, &str); 2] = [("compression.type", "lz4"), ("linger.ms", "1")];

/// Longest time of a transaction that a producer names which begins none. Every broker takes it.
const FENCING_TIMEOUT: Duration = Duration::from_secs(10);

/// One wait for a client's events while its first token is missing.
const TOKEN_POLL: Duration = Duration::from_millis(100);

/// How long to wait for the first token of a client.
const TOKEN_TIMEOUT: Duration = Duration::from_secs(20);

/// Builds clients for one cluster.
#[derive(Clone, Debug)]
pub(crate) struct Clients {
    config: Config,
    runtime: Handle,
    /// Made with the first client that needs it: all of them share the token.
    tokens: Arc<OnceLock<Arc<TokenSource>>>,
    figures: KafkaFigures,
}

/// How much a producer holds, and sends at once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Sizes {
    /// Bytes of one produce batch; a record that exceeds it is alone in its own.
    pub batch_bytes: usize,
    /// Bytes that wait at most.
    pub queue_bytes: usize,
}

impl Default for Sizes {
    fn default() -> Self {
        Self { batch_bytes: BATCH_BYTES, queue_bytes: QUEUE_BYTES }
    }
}

impl Clients {
    /// For the cluster of `config`. Tokens are asked for on `runtime`.
    pub(crate) fn new(config: Config, runtime: Handle) -> Self {
        Self { config, runtime, tokens: Arc::default(), figures: KafkaFigures::default() }
    }

    /// The same, whose clients count there.
    pub(crate) fn counting(self, figures: KafkaFigures) -> Self {
        Self { figures, ..self }
    }

    /// The same, but for producers that only fence: with a transactional id whatever is asked of events.
    pub(crate) fn fencing(&self) -> Self {
        // They begin no transaction, so no time of one may be in their way.
        let transaction_timeout = self.config.transaction_timeout.min(FENCING_TIMEOUT);
        let config = Config { delivery: Delivery::ExactlyOnce, transaction_timeout, ..self.config.clone() };
        Self { config, ..self.clone() }
    }

    /// The same, but for a producer that writes outside of all transactions: only for a rule that is broken on purpose.
    pub(crate) fn without_transactions(&self) -> Self {
        let config = Config { delivery: Delivery::AtLeastOnce, ..self.config.clone() };
        Self { config, ..self.clone() }
    }

    /// Whether brokers ask for OAuth tokens.
    pub(crate) fn uses_tokens(&self) -> bool {
        self.config.properties.contains_key("sasl.oauthbearer.method")
    }

    /// The producer of one shard. Its secrets are read now.
    pub(crate) fn producer(
        &self,
        transactional_id: &str,
        sizes: Sizes,
    ) -> Result<BaseProducer<Context>, SinkError> {
        let (mut config, mut context) = self.base(&PRODUCER_DEFAULTS)?;
        context.failures = Arc::new(Failures::new(sizes.batch_bytes));
        config
            .set("enable.idempotence", "true")
            // A topic that was deleted would come back by itself with the broker's settings, and nobody would notice that
            // what was in it is lost.
            .set("allow.auto.create.topics", "false")
            // For questions where a partition ends: what is not settled yet is there, too. librdkafka heeds it although it says that
            // producers have no such setting.
            .set("isolation.level", "read_uncommitted")
            // The Java clients' default, so that Kafka Streams and Flink co-partition.
            .set("partitioner", "murmur2_random")
            // What was delivered says where it is, and what only seems to be does not: see `delivery::UNPROVEN`.
            .set("delivery.report.only.error", "false")
            .set("queue.buffering.max.messages", QUEUE_MESSAGES)
            .set("queue.buffering.max.kbytes", sizes.queue_bytes.div_ceil(1024).to_string())
            .set("batch.num.messages", QUEUE_MESSAGES)
            .set("batch.size", sizes.batch_bytes.to_string())
            .set("message.max.bytes", MESSAGE_MAX_BYTES.to_string());
        statistics::watch(&mut config);
        if self.config.delivery == Delivery::ExactlyOnce {
            config
                .set("transactional.id", transactional_id)
                .set("transaction.timeout.ms", self.config.transaction_timeout.as_millis().to_string());
        }
        let producer: BaseProducer<Context> = self.create(&config, context)?;
        await_token(producer.client().context(), || producer.poll(TOKEN_POLL))?;
        Ok(producer)
    }

    /// A consumer for reading state back. It joins no group.
    pub(crate) fn consumer(&self, committed: bool) -> Result<BaseConsumer<Context>, SinkError> {
        let (config, context) = self.consumer_config(committed)?;
        let consumer: BaseConsumer<Context> = self.create(&config, context)?;
        await_token(consumer.client().context(), || drop(consumer.poll(TOKEN_POLL)))?;
        Ok(consumer)
    }

    fn consumer_config(&self, committed: bool) -> Result<(ClientConfig, Context), SinkError> {
        let (mut config, context) = self.base(&[])?;
        config
            // State is read from the leader: a follower of the same rack may lag behind.
            .set("client.rack", "")
            // Required by the client even where only `assign` is used; nothing is ever committed under it.
            .set("group.id", format!("{}.state", self.config.prefix))
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("enable.partition.eof", "true")
            .set("auto.offset.reset", "error")
            .set("fetch.wait.max.ms", "10")
            .set("isolation.level", if committed { "read_committed" } else { "read_uncommitted" });
        Ok((config, context))
    }

    /// A client for creating and describing topics.
    pub(crate) fn admin(&self) -> Result<AdminClient<Context>, SinkError> {
        let (config, context) = self.base(&[])?;
        self.create(&config, context)
    }

    fn base(&self, defaults: &[(&str, &str)]) -> Result<(ClientConfig, Context), SinkError> {
        let mut properties = self.config.properties.clone();
        let tokens = oauth::take_grant(&mut properties)?.map(|grant| self.token_source(grant));
        #[expect(clippy::disallowed_methods, reason = "the one place that builds Kafka clients")]
        let mut config = ClientConfig::new();
        // Defaults that the user may change come first, then the user's, then what the connector owns.
        for (name, value) in DEFAULTS.iter().chain(defaults) {
            config.set(*name, *value);
        }
        let mut secrets = Vec::new();
        for (name, property) in &properties {
            match property {
                Property::Text(text) => {
                    files::only_ends(name, text)?;
                    config.set(name, text)
                }
                Property::Secret(source) => {
                    let secret = source.read().map_err(|error| {
                        SinkError::Unusable(format!("kafka.properties.{name}: {}", chain(&error)))
                    })?;
                    config.set(name, secret.expose());
                    secrets.push(secret);
                    &mut config
                }
            };
        }
        config.set("bootstrap.servers", &self.config.bootstrap_servers);
        config.set_log_level(RDKafkaLogLevel::Info);
        Ok((config, Context::new(tokens, Hider::new(&secrets), self.figures.clone())))
    }

    fn token_source(&self, grant: Grant) -> Arc<TokenSource> {
        let new = || Arc::new(TokenSource::new(grant, self.config.http.clone(), &self.runtime));
        Arc::clone(self.tokens.get_or_init(new))
    }

    fn create<C, T>(&self, config: &ClientConfig, context: C) -> Result<T, SinkError>
    where
        C: ClientContext,
        T: FromClientConfigAndContext<C>,
    {
        config.create_with_context(context).map_err(|error| match error {
            // Its description quotes the value, which may be secret.
            KafkaError::ClientConfig(_, _, name, _) => SinkError::Unusable(format!(
                "kafka.properties.{name}: librdkafka refuses the property or its value"
            )),
            other => SinkError::Unusable(format!("cannot create a Kafka client: {}", chain(&other))),
        })
    }
}

/// Serves a client's events until its first token is there; a request that blocks would not do that.
fn await_token(context: &Context, mut serve: impl FnMut()) -> Result<(), SinkError> {
    if context.tokens.is_none() {
        return Ok(());
    }
    let deadline = Instant::now() + TOKEN_TIMEOUT;
    while !context.granted.load(Ordering::Acquire) {
        if Instant::now() >= deadline {
            return Err(SinkError::Unusable("no OAuth token for Kafka; the log says why".into()));
        }
        serve();
    }
    Ok(())
}

/// Drops consumers and admin clients on a thread of their own: closing one takes 100 ms, which a start does not have to wait for.
pub(super) fn close_beside(clients: impl Send + 'static) {
    drop(std::thread::Builder::new().name("close-client".into()).spawn(move || drop(clients)));
}
