//! Tries what Kafka does not tell by itself: whether it takes the transactions of a configuration, whether topics may be written to,
//! whether the group may be joined, and how its clock differs from ours.
//!
//! Invariant: nothing is changed. But for the transactions it is tried by requests that Kafka always refuses, after it has judged the
//! rights: no record is written to any topic, no offset is committed, nothing is taken over, and no group is joined.

use std::time::Duration;

use rdkafka::error::KafkaError;
use rdkafka::producer::BaseProducer;
use rdkafka::types::RDKafkaErrorCode as Code;
use tokio::runtime::Handle;

use super::StateTopics;
use super::blocking;
use super::client::{Clients, Context, Sizes, explain};
use super::config::{Config, Delivery};
use crate::sink::SinkError;

mod clock;
mod joining;
mod refusals;
mod writing;

pub(crate) use clock::{Clocks, Dating, clocks, is_limited};
pub(crate) use joining::group;
pub(crate) use writing::{MOST_BYTES, Sized, Write, writes};

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
    blocking::init(&producer, &StateTopics::new(&config.prefix).checkpoints, limit).map_err(|error| {
        match error.rdkafka_error_code() {
            Some(Code::InvalidTransactionTimeout) => too_long(config),
            _ => cannot_open(&id, &producer, &error),
        }
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
