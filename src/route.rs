//! Record to outgoing record: topic, key, headers, timestamp. Knows nothing of Kafka clients.

use std::collections::BTreeMap;

/// How topics are chosen.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Config {
    /// A fixed topic name or a template with `{type}`.
    pub topic: String,
    /// Event types with a topic of their own, before the template.
    pub topics: BTreeMap<String, String>,
    /// Where an event goes whose template cannot be filled; `None` makes it a dead letter.
    pub default_topic: Option<String>,
    /// Which time becomes the Kafka timestamp.
    pub timestamp: Timestamp,
}

/// Which time becomes the Kafka timestamp.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Timestamp {
    /// When the service processed the event.
    #[default]
    Processed,
    /// When the event happened, by the device's clock. Old ones may fall out of the topic's retention at once.
    Occurred,
}
