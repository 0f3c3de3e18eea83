//! What to take from the lines of a stream: plain values, made by the configuration, one kind of source each.

use super::MAX_FIELDS;
use super::filter::{Condition, Filters, Rule};
use crate::event::paths::{PathError, Spelling};
use crate::model::types::MAX_TOPIC_FIELDS;

/// Which JSON fields to take. Paths are dotted member names, such as `device.channel`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Config {
    /// Where the id is.
    pub id: Id,
    /// What the key is made of.
    pub key: Key,
    /// What the type is.
    pub event_type: EventType,
    /// The fields that the topic is chosen by, [`MAX_TOPIC_FIELDS`] at most.
    pub topic_fields: Vec<String>,
    /// When it happened.
    pub occurred: String,
    /// When the service processed it.
    pub processed: String,
    /// How both are written.
    pub times: TimeFormat,
    /// Another time, and how it is written.
    pub time: Option<(String, TimeFormat)>,
    /// The position's field, if lines carry one.
    pub offset: Option<String>,
    /// The type of lines that only move the position and are no events (Airship `OFFSET_UPDATE`).
    pub position_only_type: Option<String>,
    /// The fields that are headers, in their order.
    pub header_fields: Vec<String>,
    /// How the names of paths are compared.
    pub spelling: Spelling,
    /// Events to leave out.
    pub filters: Filters,
}

impl Config {
    /// The fields that have to be as they came: what the connector itself does rests on them, and some stand outside of the
    /// event in Kafka. Each with what it is.
    pub fn needed(&self) -> Vec<(&str, &'static str)> {
        let id = match &self.id {
            Id::Field(path) => vec![path],
            Id::Pair { high, low } => vec![high, low],
        };
        let id = id.into_iter().map(|path| (&**path, "the event's id"));
        let kind = match &self.event_type {
            EventType::Field(path) => Some((&**path, "the event's type")),
            EventType::Constant(_) => None,
        };
        let topic = self.topic_fields.iter().map(|path| (&**path, "what the topic is chosen by"));
        let offset = self.offset.as_deref().map(|path| (path, "the position"));
        let dropped =
            self.filters.drop.iter().map(|Rule { when, .. }| (&*when.field, "what `drop` looks at"));
        let taken =
            self.filters.only.iter().map(|Condition { field, .. }| (&**field, "what `only` looks at"));
        let processed = (&*self.processed, "the time by which progress is known");
        let time = self.time.as_ref().map(|(path, _)| (&**path, "the record's time"));
        let own = id.chain(kind).chain(topic).chain([processed]).chain(time).chain(offset);
        own.chain(dropped).chain(taken).collect()
    }
}

/// Where an event's id is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Id {
    /// Text or an integer in one field.
    Field(String),
    /// The halves of a 128-bit number, each an unsigned 64-bit one. A negative half is taken as the two's complement
    /// that it was written from, and quoted halves are taken too.
    Pair {
        /// The upper half's field.
        high: String,
        /// The lower half's field.
        low: String,
    },
}

/// What an event's key is made of.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Key {
    /// Candidates, first present and non-empty wins.
    Fields(Vec<String>),
    /// All of these, with a separator between them. One that is absent or empty leaves its place empty; where all are, there is no key.
    Joined {
        /// The fields.
        fields: Vec<String>,
        /// What stands between their values.
        separator: String,
    },
    /// Adobe's visitor: visitor id, Experience Cloud id, custom id, address and user agent, and at last the hit id.
    AdobeVisitor,
}

/// What an event's type is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum EventType {
    /// The text of a field.
    Field(String),
    /// The same for all.
    Constant(&'static str),
}

/// How times are written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TimeFormat {
    /// RFC 3339 text.
    Rfc3339,
    /// Whole seconds since the Unix epoch. 0 and less mean that no time is known.
    UnixSeconds,
    /// The same in milliseconds.
    UnixMilliseconds,
}

/// Why a configuration cannot be used.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A path that is none.
    #[error(transparent)]
    Path(#[from] PathError),
    /// More fields that the topic is chosen by than a record holds.
    #[error("the topic is chosen by {0} fields, and by at most {MAX_TOPIC_FIELDS} it can be")]
    TooManyTopicFields(usize),
    /// More different fields than an extractor takes.
    #[error("{0} different fields are named, at most {MAX_FIELDS} can be taken")]
    TooManyFields(usize),
}
