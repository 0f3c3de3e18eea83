//! Tries what Kafka does not tell by itself: whether it takes the transactions of a configuration.
//! Writes no record to any topic and takes nothing over.

use std::time::Duration;

use rdkafka::error::KafkaError;
use rdkafka::producer::{BaseProducer, Producer};
use rdkafka::types::RDKafkaErrorCode as Code;
use tokio::runtime::Handle;

use super::client::{Clients, Context, Sizes, explain};
use super::config::{Config, Delivery};
use crate::sink::SinkError;

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
    producer.init_transactions(limit).map_err(|error| match error.rdkafka_error_code() {
        Some(Code::InvalidTransactionTimeout) => too_long(config),
        _ => cannot_open(&id, &producer, &error),
    })
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
