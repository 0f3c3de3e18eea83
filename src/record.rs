//! Line to record: id, key, type, times and offset in one pass over the raw bytes.
//!
//! Knows nothing of HTTP or topics. Only the configured fields are looked at, everything else is skipped
//! unparsed, so fields that drift in shape never break a line. Nothing is allocated for a line whose fields
//! hold no JSON escapes.

use std::borrow::Cow;

use crate::model::types::{DeadLetterReason, EventId, Record};

mod fields;
mod tree;

use fields::Fields;
use tree::Tree;

/// Fields that one extractor can take; bounds what is kept on the stack for each line.
pub const MAX_FIELDS: usize = 24;

/// Which JSON fields to take. Paths are dotted member names, such as `device.channel`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Config {
    /// The id's field.
    pub id: String,
    /// Candidates for the key, first present and non-empty wins.
    pub key: Vec<String>,
    /// The event type's field.
    pub event_type: String,
    /// When it happened.
    pub occurred: String,
    /// When the service processed it.
    pub processed: String,
    /// The position's field.
    pub offset: String,
    /// The type of lines that only move the position and are no events (Airship `OFFSET_UPDATE`).
    pub position_only_type: Option<String>,
}

/// What a line turned out to be.
#[derive(Clone, PartialEq, Debug)]
pub enum Line<'a> {
    /// An event.
    Event(Record<'a>),
    /// No event: the position moves to this offset.
    PositionOnly(Option<Cow<'a, [u8]>>),
}

/// Why a line is no event.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExtractError<'a> {
    /// Not a JSON object, or torn in a field that is needed.
    #[error("not a JSON object")]
    NotAnObject(#[source] serde_json::Error),
    /// An object whose id is missing, empty, or no text or integer.
    #[error("no id in the configured field")]
    NoId {
        /// The position that the line carries all the same.
        offset: Option<Cow<'a, [u8]>>,
    },
}

/// Why a configuration cannot be used.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A path has an empty member name.
    #[error("field path {0:?} has an empty part")]
    EmptyPart(String),
    /// More different fields than an extractor takes.
    #[error("{0} different fields are named, at most {MAX_FIELDS} can be taken")]
    TooManyFields(usize),
}

/// Takes the configured fields from lines. Made once a shard.
#[derive(Debug)]
pub struct Extractor {
    tree: Tree,
    id: usize,
    key: Vec<usize>,
    event_type: usize,
    occurred: usize,
    processed: usize,
    offset: usize,
    position_only_type: Option<Vec<u8>>,
    dates: jiff::fmt::temporal::DateTimeParser,
}

impl Extractor {
    /// Prepares the configured paths.
    pub fn new(config: &Config) -> Result<Self, ConfigError> {
        let mut paths = tree::Paths::default();
        let mut slot = |path: &str| paths.slot(path);
        let id = slot(&config.id)?;
        let event_type = slot(&config.event_type)?;
        let occurred = slot(&config.occurred)?;
        let processed = slot(&config.processed)?;
        let offset = slot(&config.offset)?;
        let key = config.key.iter().map(|path| slot(path)).collect::<Result<_, _>>()?;
        Ok(Self {
            tree: paths.build()?,
            id,
            key,
            event_type,
            occurred,
            processed,
            offset,
            position_only_type: config.position_only_type.as_ref().map(|name| name.as_bytes().to_vec()),
            dates: jiff::fmt::temporal::DateTimeParser::new(),
        })
    }

    /// Takes the fields of one line, given without its line end.
    pub fn extract<'a>(&self, line: &'a [u8]) -> Result<Line<'a>, ExtractError<'a>> {
        let mut fields = self.tree.take(line).map_err(ExtractError::NotAnObject)?;
        let offset = fields.take(self.offset);
        let event_type = fields.get(self.event_type);
        if self.position_only_type.is_some() && event_type == self.position_only_type.as_deref() {
            return Ok(Line::PositionOnly(offset));
        }
        let Some(id_text) = fields.get(self.id).filter(|text| !text.is_empty()) else {
            return Err(ExtractError::NoId { offset });
        };
        let id = EventId::from_text(id_text);
        Ok(Line::Event(Record {
            id,
            key: self.first_key(&mut fields),
            processed_ms: fields.get(self.processed).and_then(|text| self.milliseconds(text)),
            event_type: fields.take(self.event_type),
            occurred: fields.take(self.occurred),
            id_text: fields.take(self.id).unwrap_or_default(),
            offset,
        }))
    }

    /// Milliseconds since the Unix epoch of an RFC 3339 text.
    pub fn milliseconds(&self, text: &[u8]) -> Option<i64> {
        self.dates.parse_timestamp(text).ok().map(|time| time.as_millisecond())
    }

    fn first_key<'a>(&self, fields: &mut Fields<'a>) -> Option<Cow<'a, [u8]>> {
        let slot = *self.key.iter().find(|slot| fields.get(**slot).is_some_and(|text| !text.is_empty()))?;
        // A field may be the key and the id at once, so it is shared; only escaped text is copied for that.
        fields.share(slot)
    }
}

impl ExtractError<'_> {
    /// The dead letter's reason.
    pub fn reason(&self) -> DeadLetterReason {
        match self {
            Self::NotAnObject(_) => DeadLetterReason::NotAnObject,
            Self::NoId { .. } => DeadLetterReason::NoId,
        }
    }
}

#[cfg(test)]
mod tests;
