//! Which properties librdkafka takes.

use rdkafka::config::ClientConfig;
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaConfRes;

/// Why librdkafka does not take a property.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Refusal {
    /// It knows none of that name.
    Name,
    /// It takes no such value for it.
    Value,
}

/// Whether librdkafka refuses a property, asked without a client. What depends on other properties, on files or on brokers
/// shows only when one is built.
pub(crate) fn refusal(name: &str, value: &str) -> Option<Refusal> {
    #[expect(clippy::disallowed_methods, reason = "no client is built from it")]
    let mut config = ClientConfig::new();
    match config.set(name, value).create_native_config() {
        Ok(_) => None,
        Err(KafkaError::ClientConfig(RDKafkaConfRes::RD_KAFKA_CONF_UNKNOWN, ..)) => Some(Refusal::Name),
        Err(_) => Some(Refusal::Value),
    }
}
