//! The producer of records that Kafka is to refuse.

use std::time::Duration;

use rdkafka::producer::{BaseProducer, Producer, ProducerContext};

use super::{Clients, Context, MESSAGE_MAX_BYTES, TOKEN_POLL, await_token};
use crate::sink::SinkError;
use crate::sink::kafka::config::Config;

/// What a user may tune of producers, under all of its names. A record that is to be refused for its size must not become smaller, and
/// records that are to be refused together must not be sent apart.
const TUNED: [&str; 5] =
    ["compression.type", "compression.codec", "compression.level", "linger.ms", "queue.buffering.max.ms"];

/// Bytes that wait at most: more than those of one turn.
const QUEUE_KIB: &str = "131072";

/// How long a produce batch waits for its last record: far longer than anybody waits for its answer, so that a part of it is never sent.
const LINGER: Duration = Duration::from_secs(300);

/// The longest that a record may wait in a producer.
const MESSAGE_TIMEOUT: Duration = Duration::from_secs(600);

/// The longest wait for an answer. It must end before [`LINGER`].
pub(crate) const LONGEST_WAIT: Duration = Duration::from_secs(120);

impl Clients {
    /// A producer that sends `together` records of a partition in one produce batch, and none before it has all of them; each once,
    /// uncompressed, without idempotence or transactions. What it holds when it is dropped is not sent.
    pub(crate) fn probing_producer<C>(
        &self,
        together: usize,
        context: impl FnOnce(Context) -> C,
    ) -> Result<BaseProducer<C>, SinkError>
    where
        C: ProducerContext + AsRef<Context>,
    {
        let mut properties = self.config.properties.clone();
        properties.retain(|name, _| !TUNED.contains(&name.as_str()));
        let plain = Self { config: Config { properties, ..self.config.clone() }, ..self.clone() };
        let (mut config, inner) = plain.base(&[])?;
        config
            .set("acks", "all")
            .set("retries", "0")
            .set("compression.type", "none")
            .set("linger.ms", LINGER.as_millis().to_string())
            .set("message.timeout.ms", MESSAGE_TIMEOUT.as_millis().to_string())
            .set("allow.auto.create.topics", "false")
            .set("delivery.report.only.error", "false")
            .set("queue.buffering.max.kbytes", QUEUE_KIB)
            .set("batch.num.messages", together.to_string())
            .set("batch.size", MESSAGE_MAX_BYTES.to_string())
            .set("message.max.bytes", MESSAGE_MAX_BYTES.to_string());
        let producer: BaseProducer<C> = self.create(&config, context(inner))?;
        let own = producer.client().context();
        await_token((**own).as_ref(), || producer.poll(TOKEN_POLL))?;
        Ok(producer)
    }
}
