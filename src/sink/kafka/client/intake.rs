//! The clients of intake topics: one that writes what was received, and one that reads a partition for its shard.

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::producer::{Producer, ProducerContext, ThreadedProducer};

use super::{Clients, Context, MESSAGE_MAX_BYTES, PRODUCER_DEFAULTS, TOKEN_POLL, await_token, statistics};
use crate::sink::SinkError;

/// How long a record may wait for its acknowledgement, milliseconds. Who sent it waits for the answer so long.
const DELIVERY_TIMEOUT_MS: &str = "10000";

/// Records that wait at most: those of several of the largest requests, each of which is stored whole or not at all.
const QUEUE_MESSAGES: &str = "50000";

/// Bytes that they may have, more than all bodies that are held at a time.
const QUEUE_BYTES: usize = 128 << 20;

/// How long the broker waits for news before it answers that there are none, milliseconds. News are answered at once.
const FETCH_WAIT_MS: &str = "500";

/// What is fetched ahead of the shard's own queue, KiB.
const FETCHED_AHEAD_KIB: &str = "4096";

impl Clients {
    /// A producer whose every record is acknowledged by all replicas in sync, or reported as not delivered in
    /// [`DELIVERY_TIMEOUT_MS`].
    pub(crate) fn intake_producer<C>(
        &self,
        batch_bytes: usize,
        context: impl FnOnce(Context) -> C,
    ) -> Result<ThreadedProducer<C>, SinkError>
    where
        C: ProducerContext + AsRef<Context> + 'static,
    {
        let (mut config, inner) = self.base(&PRODUCER_DEFAULTS)?;
        config
            .set("enable.idempotence", "true")
            .set("acks", "all")
            .set("delivery.timeout.ms", DELIVERY_TIMEOUT_MS)
            .set("allow.auto.create.topics", "false")
            // Each request waits for its own records.
            .set("delivery.report.only.error", "false")
            .set("queue.buffering.max.messages", QUEUE_MESSAGES)
            .set("queue.buffering.max.kbytes", QUEUE_BYTES.div_ceil(1024).to_string())
            .set("batch.num.messages", QUEUE_MESSAGES)
            .set("batch.size", batch_bytes.to_string())
            .set("message.max.bytes", MESSAGE_MAX_BYTES.to_string());
        statistics::watch(&mut config);
        let producer: ThreadedProducer<C> = self.create(&config, context(inner))?;
        let own = producer.client().context();
        await_token((**own).as_ref(), || std::thread::sleep(TOKEN_POLL))?;
        Ok(producer)
    }

    /// A consumer that is yet to be given its partition. It joins no group.
    pub(crate) fn intake_consumer(&self) -> Result<BaseConsumer<Context>, SinkError> {
        let (mut config, context) = self.consumer_config(false)?;
        config
            .set("enable.partition.eof", "false")
            .set("fetch.wait.max.ms", FETCH_WAIT_MS)
            .set("queued.max.messages.kbytes", FETCHED_AHEAD_KIB);
        statistics::watch(&mut config);
        let consumer: BaseConsumer<Context> = self.create(&config, context)?;
        await_token(consumer.client().context(), || drop(consumer.poll(TOKEN_POLL)))?;
        Ok(consumer)
    }
}
