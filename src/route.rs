//! Record to topic and timestamp. Knows nothing of Kafka clients.
//!
//! Invariant: every name that comes out is a legal Kafka topic name. The names of one router are bounded in
//! number ([`MAX_TYPES`]), so a stream of made-up event types cannot fill a cluster with topics.

use std::collections::BTreeMap;

use hashbrown::HashMap;

use crate::model::types::Record;

/// Longest topic name that Kafka accepts, bytes.
pub const MAX_TOPIC_LENGTH: usize = 249;

/// Event types that one stream may make topics of. Airship documents 43.
pub const MAX_TYPES: usize = 1000;

const PLACEHOLDER: &str = "{type}";

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

/// No topic for an event.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Unroutable {
    /// The template needs a type that the event has not.
    #[error("the event has no type for the topic template, and no default_topic is set")]
    NoType,
    /// The stream brought more types than may make topics.
    #[error("more than {MAX_TYPES} event types made topics already, and no default_topic is set")]
    TooManyTypes,
}

/// Chooses topics. The answer for a type is worked out once and looked up from then on.
#[derive(Debug)]
pub struct Router {
    config: Config,
    by_type: HashMap<Vec<u8>, String>,
    fixed: bool,
}

impl Router {
    /// Prepares a configuration.
    pub fn new(config: Config) -> Self {
        let fixed = !config.topic.contains(PLACEHOLDER);
        let by_type =
            config.topics.iter().map(|(name, topic)| (name.clone().into_bytes(), topic.clone())).collect();
        Self { config, by_type, fixed }
    }

    /// The topics that are known before any event: fixed, mapped and default ones.
    pub fn known_topics(&self) -> impl Iterator<Item = &str> {
        let fixed = self.fixed.then_some(self.config.topic.as_str());
        fixed
            .into_iter()
            .chain(self.config.topics.values().map(String::as_str))
            .chain(self.config.default_topic.as_deref())
    }

    /// The topic of an event of this type.
    pub fn topic(&mut self, event_type: Option<&[u8]>) -> Result<&str, Unroutable> {
        let Some(event_type) = event_type.filter(|name| !name.is_empty()) else {
            return if self.fixed { Ok(&self.config.topic) } else { self.fallback(Unroutable::NoType) };
        };
        if !self.by_type.contains_key(event_type) {
            if self.fixed {
                return Ok(&self.config.topic);
            }
            if self.by_type.len() >= MAX_TYPES {
                return self.fallback(Unroutable::TooManyTypes);
            }
            let topic = fill(&self.config.topic, event_type);
            self.by_type.insert(event_type.to_vec(), topic);
        }
        Ok(&self.by_type[event_type])
    }

    fn fallback(&self, reason: Unroutable) -> Result<&str, Unroutable> {
        self.config.default_topic.as_deref().ok_or(reason)
    }

    /// The Kafka timestamp of an event, milliseconds. `occurred_ms` is asked only when it is wanted.
    ///
    /// Times ahead of the clock are clamped to it: brokers refuse records more than an hour in the future.
    pub fn timestamp(
        &self,
        record: &Record<'_>,
        occurred_ms: impl Fn(&[u8]) -> Option<i64>,
        now_ms: i64,
    ) -> i64 {
        let time = match self.config.timestamp {
            Timestamp::Processed => record.processed_ms,
            Timestamp::Occurred => record.occurred.as_deref().and_then(occurred_ms).or(record.processed_ms),
        };
        // A time before 1970 is no Kafka timestamp; -1 would even mean "none".
        time.filter(|time| *time >= 0).map_or(now_ms, |time| time.min(now_ms))
    }
}

/// Fills the template, putting `_` for what a topic name may not hold.
fn fill(template: &str, event_type: &[u8]) -> String {
    let legal = |byte: &u8| {
        let keep = byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
        if keep { char::from(*byte) } else { '_' }
    };
    let name: String = event_type.iter().map(legal).collect();
    let mut topic = template.replace(PLACEHOLDER, &name);
    topic.truncate(MAX_TOPIC_LENGTH);
    if matches!(topic.as_str(), "." | "..") { topic.replace('.', "_") } else { topic }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn router(topic: &str) -> Router {
        Router::new(Config {
            topic: topic.into(),
            topics: BTreeMap::from([("OPEN".into(), "opens".into())]),
            default_topic: None,
            timestamp: Timestamp::Processed,
        })
    }

    #[test]
    fn a_mapped_type_goes_before_the_template() {
        let mut router = router("airship.{type}");
        assert_eq!(router.topic(Some(b"OPEN")), Ok("opens"));
        assert_eq!(router.topic(Some(b"SEND")), Ok("airship.SEND"));
        assert_eq!(router.topic(None), Err(Unroutable::NoType));
        assert_eq!(router.known_topics().collect::<Vec<_>>(), ["opens"]);
    }

    #[test]
    fn a_fixed_topic_needs_no_type() {
        let mut router = router("all");
        assert_eq!(router.topic(None), Ok("all"));
        assert_eq!(router.topic(Some(b"SEND")), Ok("all"));
        assert_eq!(router.topic(Some(b"OPEN")), Ok("opens"));
        assert_eq!(router.by_type.len(), 1, "types of a fixed topic are not remembered");
    }

    #[test]
    fn names_are_sanitised_and_bounded() {
        assert_eq!(fill("a.{type}", "caf\u{e9}/x y".as_bytes()), "a.caf___x_y");
        assert_eq!(fill("{type}", b".."), "__");
        assert_eq!(fill("{type}", &[b'x'; 400]).len(), MAX_TOPIC_LENGTH);
        let mut router = router("{type}");
        for n in 0..MAX_TYPES * 2 {
            assert!(router.topic(Some(n.to_string().as_bytes())).is_ok() == (n + 1 < MAX_TYPES));
        }
        assert_eq!(router.topic(Some(b"one more")), Err(Unroutable::TooManyTypes));
        assert_eq!(router.topic(Some(b"7")), Ok("7"), "known types go on");
    }
}
