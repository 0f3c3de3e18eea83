//! Record to topic and timestamp. Knows nothing of Kafka clients.
//!
//! Invariant: every name that comes out is a legal Kafka topic name. One that was made of an event's values is never a topic
//! of the connector's own or of Kafka's. The names of one router are bounded in number ([`Config::max_topics`]), so a stream of
//! made-up values cannot fill a cluster with topics.

use std::collections::BTreeMap;

use hashbrown::HashMap;

use crate::model::text::Text;
use crate::model::topic::{collide, is_internal};
use crate::model::types::{DeadLetterReason, Record};

mod template;

pub use template::{Template, TemplateError};

/// Topics that one shard may make of a template, unless it is configured. Airship documents 43 event types.
pub const MAX_TOPICS: usize = 1000;

/// How topics are chosen.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Config {
    /// A fixed topic name, or a template.
    pub topic: Template,
    /// Values of a field with a topic of their own, before the template.
    pub topics: BTreeMap<String, String>,
    /// That field.
    pub by: Option<String>,
    /// Where an event goes whose template cannot be filled; `None` makes it a dead letter.
    pub default_topic: Option<String>,
    /// How many topics the template may make.
    pub max_topics: usize,
    /// Which time becomes the Kafka timestamp.
    pub timestamp: Timestamp,
    /// How far from the received time it may be.
    pub bounds: Bounds,
    /// Topics that an event's value must not name: those of the connector's state, and of dead letters.
    pub reserved: Vec<String>,
}

impl Config {
    /// The fields whose values [`Router::route`] takes, in their order: those of the template, and that of the table.
    pub fn fields(&self) -> Vec<String> {
        let mut fields = self.topic.fields().to_vec();
        let by = self.by.as_ref().filter(|by| !self.topics.is_empty() && !fields.contains(by));
        fields.extend(by.cloned());
        fields
    }
}

/// Which time becomes the Kafka timestamp.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Timestamp {
    /// When the service processed the event, or, if it does not tell that, when the event happened.
    #[default]
    Processed,
    /// When the event happened, by the device's clock, or, if unknown, when the service processed it. Old ones may fall out of the topic's retention at once.
    Occurred,
    /// What a field of the user's choice says, or, if unknown, as [`Self::Processed`].
    Field,
}

/// How far from the received time a time may be, milliseconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Bounds {
    /// Before it.
    pub past_ms: i64,
    /// After it.
    pub future_ms: i64,
}

/// A time that was beyond its bounds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Clamped {
    /// In the past.
    Past,
    /// In the future.
    Future,
}

impl Clamped {
    /// Both, for metrics that must exist from the start.
    pub const ALL: [Self; 2] = [Self::Past, Self::Future];

    /// The stable name used in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Past => "past",
            Self::Future => "future",
        }
    }
}

/// No topic for an event.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Unroutable {
    /// The template needs a value that the event has not.
    #[error("the event has no {field} for the topic template, and no default_topic is set")]
    NoValue {
        /// The template's field.
        field: String,
    },
    /// The values would make the name of a topic that is not for events.
    #[error("its values make the topic {topic}, which is the connector's own or Kafka's")]
    Reserved {
        /// The name.
        topic: String,
    },
    /// The template made as many topics as it may.
    #[error(
        "the template made {max_topics} topics already, which is max_topics, and this event would make one more"
    )]
    TooManyTopics {
        /// How many it may make.
        max_topics: usize,
    },
}

impl Unroutable {
    /// The dead letter's reason.
    pub fn reason(&self) -> DeadLetterReason {
        match self {
            Self::NoValue { .. } | Self::Reserved { .. } => DeadLetterReason::Unroutable,
            Self::TooManyTopics { .. } => DeadLetterReason::TooManyTopics,
        }
    }
}

/// A topic that a [`Router`] chose.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Route(usize);

/// The configured topic, where it is a fixed one.
const FIXED: Route = Route(0);

/// Chooses topics. The names that a template makes are kept, so that nothing is allocated for one that was made before.
#[derive(Debug)]
pub struct Router {
    config: Config,
    fields: Vec<String>,
    /// The place among the fields of the one that the table is for.
    by: Option<usize>,
    by_value: HashMap<Vec<u8>, Route>,
    made: HashMap<String, Route>,
    /// The configured topic or template first.
    names: Vec<String>,
    default: Option<Route>,
    /// Where names are made, one after the other.
    scratch: String,
}

impl Router {
    /// Prepares a configuration.
    pub fn new(config: Config) -> Self {
        let mut names = vec![config.topic.as_str().to_owned()];
        let mut route = |name: &String| {
            names.push(name.clone());
            Route(names.len() - 1)
        };
        let mapped = config.topics.iter();
        let by_value = mapped.map(|(value, topic)| (value.clone().into_bytes(), route(topic))).collect();
        let default = config.default_topic.as_ref().map(route);
        let fields = config.fields();
        let by = config.by.as_ref().and_then(|by| fields.iter().position(|field| field == by));
        Self { config, fields, by, by_value, made: HashMap::new(), names, default, scratch: String::new() }
    }

    /// The topics that are known before any event: fixed, mapped and default ones.
    pub fn known_topics(&self) -> impl Iterator<Item = &str> {
        let fixed = self.config.topic.is_fixed().then_some(self.config.topic.as_str());
        fixed
            .into_iter()
            .chain(self.config.topics.values().map(String::as_str))
            .chain(self.config.default_topic.as_deref())
    }

    /// The name of a topic.
    pub fn name(&self, route: Route) -> &str {
        &self.names[route.0]
    }

    /// Where events go that have no topic.
    pub fn default_route(&self) -> Option<Route> {
        self.default
    }

    /// The topic of an event in whose [`Config::fields`] are these values.
    pub fn route(&mut self, values: &[Option<Text<'_>>]) -> Result<Route, Unroutable> {
        let value = |n: usize| values.get(n)?.as_deref().filter(|value| !value.is_empty());
        if let Some(known) = self.by.and_then(value).and_then(|value| self.by_value.get(value)) {
            return Ok(*known);
        }
        if self.config.topic.is_fixed() {
            return Ok(FIXED);
        }
        if let Err(absent) = self.config.topic.fill(value, &mut self.scratch) {
            return self.default.ok_or_else(|| Unroutable::NoValue { field: self.fields[absent].clone() });
        }
        match self.made.get(&self.scratch) {
            Some(known) => Ok(*known),
            None => self.make(),
        }
    }

    /// Keeps a name that was made for the first time.
    fn make(&mut self) -> Result<Route, Unroutable> {
        let topic = self.scratch.clone();
        let is_reserved = self.config.reserved.iter().any(|reserved| collide(reserved, &topic));
        if is_reserved || is_internal(&topic) {
            return Err(Unroutable::Reserved { topic });
        }
        let max_topics = self.config.max_topics;
        if self.made.len() >= max_topics {
            return Err(Unroutable::TooManyTopics { max_topics });
        }
        let route = Route(self.names.len());
        self.names.push(topic.clone());
        self.made.insert(topic, route);
        Ok(route)
    }

    /// The Kafka timestamp of an event, milliseconds, and whether another time was beyond the bounds: the wanted time, else the
    /// others, else the clock. `occurred_ms` is asked only when it is needed.
    ///
    /// Times ahead of the clock are that of the clock: brokers refuse records more than an hour in the future.
    pub fn timestamp(
        &self,
        record: &Record<'_>,
        occurred_ms: impl Fn(&[u8]) -> Option<i64>,
        now_ms: i64,
    ) -> (i64, Option<Clamped>) {
        // A time before 1970 is no Kafka timestamp; -1 would even mean "none".
        let usable = |time: &i64| *time >= 0;
        let processed = record.processed_ms.filter(usable);
        let occurred = || record.occurred.as_deref().and_then(&occurred_ms).filter(usable);
        let time = match self.config.timestamp {
            Timestamp::Processed => processed.or_else(occurred),
            Timestamp::Occurred => occurred().or(processed),
            Timestamp::Field => record.time_ms.filter(usable).or(processed).or_else(occurred),
        };
        let Some(time) = time else { return (now_ms, None) };
        let received = processed.map_or(now_ms, |time| time.min(now_ms));
        let Bounds { past_ms, future_ms } = self.config.bounds;
        // A received time that is itself too old by our clock is no measure for a later one.
        let is_wrong = received < now_ms.saturating_sub(past_ms) && time > received.saturating_add(future_ms);
        let received = if is_wrong { now_ms } else { received };
        if time > received.saturating_add(future_ms) {
            (received, Some(Clamped::Future))
        } else if time < received.saturating_sub(past_ms) {
            (received, Some(Clamped::Past))
        } else {
            (time.min(now_ms), None)
        }
    }
}

#[cfg(test)]
mod tests;
