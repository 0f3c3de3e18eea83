//! Line to record: id, key, type, times and offset in one pass over the raw bytes.
//!
//! Knows nothing of HTTP or topics. Only the configured fields are looked at, everything else is skipped
//! unparsed, so fields that drift in shape never break a line. Nothing is allocated for a line whose fields
//! hold no JSON escapes, but for a visitor's own id of more than 46 bytes, and for a joined key of more than 48 until one was given back.

use std::fmt::Write;

use crate::model::mend::{self, Mark};
use crate::model::text::Text;
use crate::model::types::{DeadLetterReason, EventId, MAX_TOPIC_FIELDS, Record, TopicValues};
use crate::model::{numbers, offset, packed};

mod config;
mod fields;
mod filter;
mod pool;
mod tree;
mod visitor;

pub use config::{Config, ConfigError, EventType, Id, Key, TimeFormat};
pub use filter::{Condition, Filters, ONLY, Rule};

use fields::{Fields, Value};
use filter::Filter;
use pool::Pool;
use tree::{Paths, Tree};
use visitor::Visitor;

/// Fields that one extractor can take; bounds what is kept on the stack for each line.
pub const MAX_FIELDS: usize = 32;

/// What a line turned out to be.
#[derive(Clone, PartialEq, Debug)]
#[expect(clippy::large_enum_variant, reason = "nearly all are events, and boxing them would allocate")]
pub enum Line<'a> {
    /// An event.
    Event(Record<'a>),
    /// No event: the position moves to this offset.
    PositionOnly(Option<Text<'a>>),
    /// An event that the stream leaves out.
    Filtered {
        /// Why, as a number in [`Filters::reasons`].
        reason: usize,
        /// When the service processed it, milliseconds since the Unix epoch.
        processed_ms: Option<i64>,
        /// The position after this line.
        offset: Option<Text<'a>>,
    },
}

/// Why a line is no event.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExtractError<'a> {
    /// Not a JSON object, or torn in a field that is needed.
    #[error("not a JSON object")]
    NotAnObject(#[source] serde_json::Error),
    /// An object whose id is missing, empty, or no text or integer; of a pair, where a half is no 64-bit integer, or
    /// both are zero.
    #[error("no id in the configured field")]
    NoId {
        /// The position that the line carries all the same.
        offset: Option<Text<'a>>,
    },
}

/// Takes the configured fields from lines. Made once a shard.
#[derive(Debug)]
pub struct Extractor {
    tree: Tree,
    id: IdSlots,
    key: KeySlots,
    event_type: TypeSlot,
    topic_fields: Vec<usize>,
    occurred: usize,
    processed: usize,
    times: TimeFormat,
    time: Option<(usize, TimeFormat)>,
    offset: Option<usize>,
    position_only_type: Option<Vec<u8>>,
    filter: Filter,
    dates: jiff::fmt::temporal::DateTimeParser,
    header_fields: Vec<usize>,
    pool: Pool,
}

#[derive(Debug)]
enum IdSlots {
    Field(usize),
    Pair(Pair),
}

/// The slots of two halves.
#[derive(Debug)]
struct Pair {
    high: usize,
    low: usize,
}

#[derive(Debug)]
enum KeySlots {
    Fields(Vec<usize>),
    Joined(Vec<usize>, String),
    AdobeVisitor(Visitor),
}

#[derive(Debug)]
enum TypeSlot {
    Field(usize),
    Constant(&'static str),
}

/// An id found in a line.
struct FoundId<'a> {
    id: EventId,
    text: Text<'a>,
    /// The halves, where it has any.
    halves: Option<(u64, u64)>,
}

impl Extractor {
    /// Prepares the configured paths.
    pub fn new(config: &Config) -> Result<Self, ConfigError> {
        if config.topic_fields.len() > MAX_TOPIC_FIELDS {
            return Err(ConfigError::TooManyTopicFields(config.topic_fields.len()));
        }
        let mut paths = Paths::new(config.spelling);
        let slots = |fields: &[String], paths: &mut Paths| {
            fields.iter().map(|path| paths.slot(path)).collect::<Result<Vec<_>, _>>()
        };
        Ok(Self {
            id: match &config.id {
                Id::Field(path) => IdSlots::Field(paths.slot(path)?),
                Id::Pair { high, low } => IdSlots::Pair(Pair::new(high, low, &mut paths)?),
            },
            event_type: match &config.event_type {
                EventType::Field(path) => TypeSlot::Field(paths.slot(path)?),
                EventType::Constant(name) => TypeSlot::Constant(name),
            },
            topic_fields: slots(&config.topic_fields, &mut paths)?,
            occurred: paths.slot(&config.occurred)?,
            processed: paths.slot(&config.processed)?,
            times: config.times,
            time: match &config.time {
                Some((path, format)) => Some((paths.slot(path)?, *format)),
                None => None,
            },
            offset: config.offset.as_ref().map(|path| paths.slot(path)).transpose()?,
            key: match &config.key {
                Key::Fields(fields) => KeySlots::Fields(slots(fields, &mut paths)?),
                Key::Joined { fields, separator } => {
                    KeySlots::Joined(slots(fields, &mut paths)?, separator.clone())
                }
                Key::AdobeVisitor => KeySlots::AdobeVisitor(Visitor::new(&mut paths)?),
            },
            position_only_type: config.position_only_type.as_ref().map(|name| name.as_bytes().to_vec()),
            filter: Filter::new(&config.filters, &mut paths)?,
            header_fields: slots(&config.header_fields, &mut paths)?,
            dates: jiff::fmt::temporal::DateTimeParser::new(),
            pool: Pool::default(),
            tree: paths.build()?,
        })
    }

    /// Takes the fields of one line, given without its line end.
    pub fn extract<'a>(&self, line: &'a [u8]) -> Result<Line<'a>, ExtractError<'a>> {
        self.extract_shown(line, line)
    }

    /// Takes them from a line in which something is redacted, so that nothing of that is among them. [`Config::needed`] are not.
    pub fn extract_shown<'a>(&self, line: &'a [u8], received: &[u8]) -> Result<Line<'a>, ExtractError<'a>> {
        let (fields, mended) = self.fields(line).map_err(ExtractError::NotAnObject)?;
        let offset = self.offset.and_then(|slot| fields.text(slot)).filter(|text| offset::is_usable(text));
        if self.is_position_only(&fields) {
            return Ok(Line::PositionOnly(offset));
        }
        let processed_ms = self.time_ms(self.processed, self.times, &fields);
        // Before the filters: what is no event is nothing that they leave out.
        let Some(mut found) = self.find_id(&fields) else {
            return Err(ExtractError::NoId { offset });
        };
        if let Some(reason) = self.filter.reason(&fields) {
            return Ok(Line::Filtered { reason, processed_ms, offset });
        }
        if mended && found.halves.is_none() && found.may_be_mended() && self.is_id_broken(line, &found.text) {
            // Different broken ids may look the same once mended, but an event that came twice is the same line.
            found.id = EventId::from_text(received);
        }
        Ok(Line::Event(Record {
            id: found.id,
            key: self.make_key(&fields, found.halves),
            processed_ms,
            event_type: match self.event_type {
                TypeSlot::Field(slot) => fields.non_empty(slot),
                TypeSlot::Constant(name) => Some(Text::Borrowed(name.as_bytes())),
            },
            topic_values: self.topic_values(&fields),
            occurred: self.occurred(&fields),
            time_ms: self.time.and_then(|(slot, format)| self.time_ms(slot, format, &fields)),
            id_text: found.text,
            header_values: self.header_values(&fields),
            offset,
        }))
    }

    /// The key alone, of a line that is an event.
    pub fn key<'a>(&self, line: &'a [u8]) -> Option<Text<'a>> {
        let (fields, _) = self.fields(line).ok()?;
        let halves = self.find_id(&fields)?.halves;
        self.make_key(&fields, halves)
    }

    /// For how many reasons events may be left out.
    pub fn filter_reasons(&self) -> usize {
        self.filter.reasons()
    }

    /// Takes back a key or the values of headers, which are not needed any more, for the next ones to be made in their place.
    pub fn give_back(&self, text: Option<Text<'_>>) {
        self.pool.give_back(text);
    }

    /// Whether lines are to carry a position.
    pub fn reads_offsets(&self) -> bool {
        self.offset.is_some()
    }

    /// The position in a line that is no event for all else.
    pub fn offset_in_no_object(&self, line: &[u8]) -> Option<String> {
        self.offset.and_then(|_| offset::of_line(line))
    }

    /// Milliseconds since the Unix epoch of an RFC 3339 text.
    pub fn milliseconds(&self, text: &[u8]) -> Option<i64> {
        self.dates.parse_timestamp(text).ok().map(|time| time.as_millisecond())
    }

    /// The line's values, and whether the line had to be mended for that.
    ///
    /// A value that is used has to be sound text; where one is not, the line is read again with U+FFFD in its place. A number that no
    /// float can hold counts as a fraction does: it is of no use.
    fn fields<'a>(&self, line: &'a [u8]) -> serde_json::Result<(Fields<'a>, bool)> {
        let error = match self.tree.take(line) {
            Ok(fields) => return Ok((fields, false)),
            Err(error) => error,
        };
        let Some(mended) = mend::mended(line) else { return Err(error) };
        let fields = self.tree.take(&mended).map_err(|_| error)?;
        Ok((fields.into_owned(), true))
    }

    fn is_position_only(&self, fields: &Fields<'_>) -> bool {
        match (&self.position_only_type, &self.event_type) {
            (Some(wanted), TypeSlot::Field(slot)) => fields.text(*slot).is_some_and(|text| *text == **wanted),
            _ => false,
        }
    }

    fn find_id<'a>(&self, fields: &Fields<'a>) -> Option<FoundId<'a>> {
        match &self.id {
            IdSlots::Field(slot) => {
                let text = fields.non_empty(*slot)?;
                Some(FoundId { id: EventId::from_text(&text), text, halves: None })
            }
            IdSlots::Pair(pair) => {
                let (high, low) = pair.id(fields)?;
                let mut text = Text::unsigned(high);
                text.push(b"-");
                text.push_unsigned(low);
                Some(FoundId { id: EventId::from_pair(high, low), text, halves: Some((high, low)) })
            }
        }
    }

    /// Whether the id's own text is broken, whatever else is: it changes with what stands for that.
    fn is_id_broken(&self, line: &[u8], text: &[u8]) -> bool {
        let Some(line) = mend::mended_by(line, Mark::Other) else { return false };
        let Ok(fields) = self.tree.take(&line) else { return false };
        self.find_id(&fields).is_some_and(|other| *other.text != *text)
    }

    fn make_key<'a>(&self, fields: &Fields<'a>, halves: Option<(u64, u64)>) -> Option<Text<'a>> {
        match &self.key {
            KeySlots::Fields(slots) => slots.iter().find_map(|slot| fields.non_empty(*slot)),
            KeySlots::Joined(slots, separator) => {
                let mut key = self.pool.text();
                let mut is_present = false;
                for (n, slot) in slots.iter().enumerate() {
                    if n > 0 {
                        key.push(separator.as_bytes());
                    }
                    if let Some(value) = fields.non_empty(*slot) {
                        key.push(&value);
                        is_present = true;
                    }
                }
                if !is_present {
                    self.pool.give_back(Some(key));
                    return None;
                }
                Some(key)
            }
            KeySlots::AdobeVisitor(visitor) => {
                visitor.key(fields).or_else(|| halves.map(|(high, low)| visitor::hit_key(high, low)))
            }
        }
    }

    fn header_values<'a>(&self, fields: &Fields<'a>) -> Option<Text<'a>> {
        if self.header_fields.is_empty() {
            return None;
        }
        let mut values = self.pool.text();
        for slot in &self.header_fields {
            packed::push(&mut values, fields.non_empty(*slot).as_deref());
        }
        Some(values)
    }

    fn topic_values<'a>(&self, fields: &Fields<'a>) -> TopicValues<'a> {
        let mut values = TopicValues::default();
        for (value, slot) in values.iter_mut().zip(&self.topic_fields) {
            *value = fields.text(*slot);
        }
        values
    }

    fn time_ms(&self, slot: usize, format: TimeFormat, fields: &Fields<'_>) -> Option<i64> {
        match format {
            TimeFormat::Rfc3339 => self.milliseconds(&fields.text(slot)?),
            TimeFormat::UnixSeconds => {
                fields.get(slot).and_then(from_seconds).map(|time| time.as_millisecond())
            }
            TimeFormat::UnixMilliseconds => fields.get(slot)?.whole().filter(|time| *time > 0),
        }
    }

    fn occurred<'a>(&self, fields: &Fields<'a>) -> Option<Text<'a>> {
        match self.times {
            TimeFormat::Rfc3339 => fields.text(self.occurred),
            TimeFormat::UnixSeconds | TimeFormat::UnixMilliseconds => {
                let time = fields.get(self.occurred).and_then(from_seconds)?;
                let mut text = Text::default();
                write!(text, "{time}").ok().map(|()| text)
            }
        }
    }
}

impl FoundId<'_> {
    /// Whether the text holds what stands for broken text, which may be its own.
    fn may_be_mended(&self) -> bool {
        std::str::from_utf8(&self.text).is_ok_and(|text| text.contains(char::REPLACEMENT_CHARACTER))
    }
}

impl Pair {
    fn new(high: &str, low: &str, paths: &mut Paths) -> Result<Self, ConfigError> {
        Ok(Self { high: paths.slot(high)?, low: paths.slot(low)? })
    }

    /// An id: both halves are there, and not both are zero.
    fn id(&self, fields: &Fields<'_>) -> Option<(u64, u64)> {
        let halves = (fields.unsigned(self.high)?, fields.unsigned(self.low)?);
        (halves != (0, 0)).then_some(halves)
    }

    /// A visitor: as an id, but that a half is zero which is not there. One that is there and cannot be read spoils the
    /// other: with zero for it, different visitors would be one.
    fn visitor(&self, fields: &Fields<'_>) -> Option<(u64, u64)> {
        let half = |slot| if fields.is_absent(slot) { Some(0) } else { fields.unsigned(slot) };
        let halves = (half(self.high)?, half(self.low)?);
        (halves != (0, 0)).then_some(halves)
    }
}

/// A time in seconds since the Unix epoch.
fn from_seconds(value: &Value<'_>) -> Option<jiff::Timestamp> {
    value.whole().and_then(numbers::time)
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
