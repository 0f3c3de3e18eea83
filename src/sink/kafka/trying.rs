//! Tries what Kafka does not tell by itself: whether it takes the transactions of a configuration, and whether the group may be
//! used. Writes no record to any topic, takes nothing over, and joins no group.

use std::time::Duration;

use rdkafka::TopicPartitionList;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::producer::BaseProducer;
use rdkafka::types::RDKafkaErrorCode as Code;
use tokio::runtime::Handle;

use super::client::{Clients, Context, Sizes, close_beside, explain};
use super::config::{Config, Delivery};
use super::{StateTopics, blocking};
use crate::sink::SinkError;

/// How long what a consumer has to say is waited for after it failed, and how much of it is heard.
const LAST_WORDS: Duration = Duration::from_millis(100);
const MOST_WORDS: usize = 100;

/// Has a broker open a transactional id of its own under the prefix, which fences nobody: that takes the right to write with ids of
/// the prefix, brokers that have transactions, and a time that they take. Blocks for `limit` at most, and for the first token of an
/// OAuth login.
pub(crate) fn transactions(config: &Config, runtime: Handle, limit: Duration) -> Result<(), SinkError> {
    let id = format!("{}.check", config.prefix);
    let clients = Clients::new(config.clone(), runtime);
    let clients = match config.delivery {
        Delivery::ExactlyOnce => clients,
        // Without transactions only fences are made, which are of no long time.
        Delivery::AtLeastOnce => clients.fencing(),
    };
    let producer = clients.producer(&id, Sizes::default())?;
    blocking::init(&producer, limit).map_err(|error| match error.rdkafka_error_code() {
        Some(Code::InvalidTransactionTimeout) => too_long(config),
        _ => cannot_open(&id, &producer, &error),
    })
}

/// Asks for what the consumer group has committed, which is nothing: that takes the right to see the group. Blocks for `limit` at most,
/// and for the first token of an OAuth login.
pub(crate) fn group(config: &Config, runtime: Handle, limit: Duration) -> Result<(), SinkError> {
    let topic = StateTopics::new(&config.prefix).shards;
    let consumer = Clients::new(config.clone(), runtime).group_reader(&topic)?;
    let mut partitions = TopicPartitionList::new();
    partitions.add_partition(&topic, 0);
    let asked = consumer.committed_offsets(partitions, limit);
    let asked = asked.map(drop).map_err(|error| {
        let reason = match refusal(&consumer) {
            Some(code) => format!("{code}; it takes READ on the group"),
            None => explain(&consumer, &error),
        };
        SinkError::Unusable(format!("cannot ask for the consumer group {topic}: {reason}"))
    });
    close_beside(consumer);
    asked
}

/// Whether the group was refused to a consumer. librdkafka goes on looking for the group's coordinator then, so the request itself only
/// runs out of time.
fn refusal(consumer: &BaseConsumer<Context>) -> Option<Code> {
    let told = std::iter::from_fn(|| consumer.poll(LAST_WORDS));
    let mut codes = told.take(MOST_WORDS).filter_map(|told| told.err()?.rdkafka_error_code());
    codes.find(|code| *code == Code::GroupAuthorizationFailed)
}

/// What is said of a time that the brokers do not take.
pub(super) fn too_long(config: &Config) -> SinkError {
    SinkError::Misconfigured(format!(
        "the brokers take no transaction of {} s; lower kafka.transaction_timeout, or raise the brokers' \
         transaction.max.timeout.ms",
        config.transaction_timeout.as_secs_f64()
    ))
}

/// What is said of a transactional id that cannot be opened.
pub(super) fn cannot_open(id: &str, producer: &BaseProducer<Context>, error: &KafkaError) -> SinkError {
    let denied = error.rdkafka_error_code() == Some(Code::TransactionalIdAuthorizationFailed);
    let right = if denied { "; it takes WRITE on the transactional id" } else { "" };
    let reason = explain(producer, error);
    SinkError::Unusable(format!("cannot open the transactional id {id}: {reason}{right}"))
}
