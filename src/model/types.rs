//! Ids, positions and the record types that stages hand to one another.
//!
//! Invariant: an [`EventId`] made from a canonical UUID or from a pair of 64-bit numbers is that value itself,
//! so two different such ids never meet; anything else is a 128-bit cut of SHA-256.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::letters::{Letter, LetterBytes, Replayed, Spot};
use super::text::Text;
use super::trail::Trail;

/// The recent-ids key of an event, 128 bits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub struct EventId(pub u128);

impl EventId {
    /// The id of a text: a canonical lower-case UUID is its own value, anything else is hashed.
    ///
    /// Only the canonical form counts as a UUID, since `A…` and `a…` are two ids to the service.
    pub fn from_text(text: &[u8]) -> Self {
        parse_canonical_uuid(text).map_or_else(|| Self::hashed(text), Self)
    }

    /// The id of a pair of unsigned 64-bit numbers (Adobe `hitIdHigh`, `hitIdLow`).
    pub fn from_pair(high: u64, low: u64) -> Self {
        Self(u128::from(high) << 64 | u128::from(low))
    }

    fn hashed(text: &[u8]) -> Self {
        let digest = Sha256::digest(text);
        let mut half = [0; 16];
        half.copy_from_slice(&digest[..16]);
        Self(u128::from_be_bytes(half))
    }
}

/// When ids were committed, and the latest received time among all events up to then.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Dated {
    /// By our clock, milliseconds since the Unix epoch. Only finds the place in the journal, since clocks can step.
    pub committed_ms: i64,
    /// How long the shard had run by then in all its lives, milliseconds. Ids age by this.
    pub ran_ms: u64,
    /// By the service's clock, milliseconds since the Unix epoch, where the service keeps the position.
    pub received_ms: Option<i64>,
}

/// Ids of a shard that were committed together. All ids of a shard are numbered in the order of their commit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Run<'a> {
    /// When.
    pub dated: Dated,
    /// The number of the first one; the others follow in a row.
    pub first: u64,
    /// The ids.
    pub ids: &'a [EventId],
}

/// Parses `8-4-4-4-12` lower-case hexadecimal digits, the only form whose value is the id.
fn parse_canonical_uuid(text: &[u8]) -> Option<u128> {
    if text.len() != 36 || text.iter().any(u8::is_ascii_uppercase) {
        return None;
    }
    uuid::Uuid::try_parse_ascii(text).ok().map(|uuid| uuid.as_u128())
}

/// A shard: the unit that one process owns at a time.
///
/// Its text, `<stream>/<index>`, is the key of its checkpoint and of its journal records.
#[derive(Clone, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub struct ShardId {
    /// The configured stream's name.
    pub stream: Arc<str>,
    /// Zero-based, below the stream's number of shards.
    pub index: u32,
}

impl ShardId {
    /// The index of what is no part of the stream: its dead letters on their way back.
    const REPLAY: u32 = u32::MAX;

    /// What replays the dead letters of a stream.
    pub fn replay(stream: Arc<str>) -> Self {
        Self { stream, index: Self::REPLAY }
    }

    /// Whether it replays dead letters, and is no part of the stream.
    pub fn is_replay(&self) -> bool {
        self.index == Self::REPLAY
    }

    /// What it is called in its stream: its index, or `replay`.
    pub fn part(&self) -> impl fmt::Display {
        Part(self.index)
    }
}

/// The part of a stream that a shard is.
struct Part(u32);

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            ShardId::REPLAY => f.write_str("replay"),
            index => write!(f, "{index}"),
        }
    }
}

impl fmt::Display for ShardId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.stream, self.part())
    }
}

/// What the positions of a stream belong to. A position of one source means nothing to another.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SourceId {
    /// The stream's kind, as in the configuration.
    pub kind: String,
    /// The app key or, where the service knows none, the path of the stream's address.
    pub name: String,
    /// The host that the address names. One service may be reached by several. Empty for what is pushed to us.
    pub host: String,
}

impl SourceId {
    /// Whether a position of the one is one of the other: the host alone may differ.
    pub fn is_same(&self, other: &Self) -> bool {
        (&self.kind, &self.name) == (&other.kind, &other.name)
    }
}

impl fmt::Display for SourceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, name, host } = self;
        if host.is_empty() {
            return write!(f, "{kind} {name}");
        }
        let what = if name.starts_with('/') { "path" } else { "app key" };
        write!(f, "{kind} {what} {name} at {host}")
    }
}

/// Where a stream is to be resumed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Position {
    /// Airship: the `offset` of the last event handed over, opaque and exclusive. What is pushed to us: the offset in the partition
    /// of the intake topic after the last record.
    Offset {
        /// As received; of a service it is never parsed.
        offset: String,
        /// Of a partition, some of the records before it. None in what older releases wrote, nor before a position that was set by
        /// hand; these releases do not read it.
        #[serde(default, skip_serializing_if = "Trail::is_empty")]
        read: Trail,
    },
    /// Adobe: the service keeps the position. Ours says how far we have got, and what a replay has to drop.
    Watermark(Watermark),
    /// Dead letters: which of them were replayed.
    Letters(Replayed),
}

/// How far a stream has got whose position the service keeps. Times are milliseconds since the Unix epoch; those of
/// events are when the service received them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Watermark {
    /// The latest received time among the events delivered.
    pub received_ms: Option<i64>,
    /// The ids of events received later than this are all known. Of those up to it some are forgotten, so in a replay
    /// they count as delivered. `None` while none was forgotten.
    pub forgotten_ms: Option<i64>,
    /// When the last replay began, by our clock.
    pub replayed_ms: Option<i64>,
    /// Of checkpoints of version 1: when the oldest ids were committed that were still needed, by our clock. Later ones say
    /// it for all streams, in [`super::checkpoint::Ids`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ids_since_ms: Option<i64>,
    /// Set while a replay is owed: [`Self::received_ms`] when something may have been lost, 0 if nothing had been
    /// delivered.
    pub owed_from_ms: Option<i64>,
    /// Set while a replay may bring events again that were delivered: until one comes that was received later than this.
    pub replaying_until_ms: Option<i64>,
}

impl Position {
    /// A position that is an offset, before which nothing is known of any record.
    pub fn offset(offset: impl Into<String>) -> Self {
        Self::Offset { offset: offset.into(), read: Trail::default() }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Offset { offset, .. } => f.write_str(offset),
            Self::Watermark(mark) => match mark.received_ms {
                Some(ms) => write!(f, "received {ms} ms"),
                None => f.write_str("nothing received"),
            },
            Self::Letters(replayed) => write!(f, "dead letters in {} ranges", replayed.ranges_done()),
        }
    }
}

/// Fields that a topic may be chosen by.
pub const MAX_TOPIC_FIELDS: usize = 4;

/// The values of the fields that the topic is chosen by, in the order in which they were asked for.
pub type TopicValues<'a> = [Option<Text<'a>>; MAX_TOPIC_FIELDS];

/// What is known of one line after extraction. Borrowed from the line, or made from it without the heap.
#[derive(Clone, PartialEq, Debug)]
pub struct Record<'a> {
    /// The id as text, for `ce_id`.
    pub id_text: Text<'a>,
    /// The id for dedupe.
    pub id: EventId,
    /// The visitor or device key; `None` where no configured field is present.
    pub key: Option<Text<'a>>,
    /// The event type, for `ce_type`.
    pub event_type: Option<Text<'a>>,
    /// What the topic is chosen by.
    pub topic_values: TopicValues<'a>,
    /// When it happened, RFC 3339 text, for `ce_time`.
    pub occurred: Option<Text<'a>>,
    /// When the service processed it, milliseconds since the Unix epoch.
    pub processed_ms: Option<i64>,
    /// The time that a field of the user's choice holds, likewise.
    pub time_ms: Option<i64>,
    /// What fields say that are headers, packed as `model::packed` does; `None` if none are.
    pub header_values: Option<Text<'a>>,
    /// The position after this line, where the line carries one.
    pub offset: Option<Text<'a>>,
}

/// Why a line went to the dead-letter topic. Its text is the `tributary-reason` header and the metric label.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum DeadLetterReason {
    /// The line is not a JSON object.
    NotAnObject,
    /// It is an object without a usable id.
    NoId,
    /// The line exceeded the line cap; only its head was kept.
    LineTooLong,
    /// The event exceeds what its topic accepts.
    TooLargeForTopic,
    /// There is no topic for it.
    Unroutable,
    /// Its topic would be one more than the stream's template may make.
    TooManyTopics,
    /// Its topic refuses it for itself: it has no key and the topic is compacted, say, or Kafka does not take the name.
    RefusedByTopic,
}

impl DeadLetterReason {
    /// All reasons, for metrics that must exist from the start.
    pub const ALL: [Self; 7] = [
        Self::NotAnObject,
        Self::NoId,
        Self::LineTooLong,
        Self::TooLargeForTopic,
        Self::Unroutable,
        Self::TooManyTopics,
        Self::RefusedByTopic,
    ];

    /// The stable name used in headers and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::NotAnObject => "not_an_object",
            Self::NoId => "no_id",
            Self::LineTooLong => "line_too_long",
            Self::TooLargeForTopic => "too_large_for_topic",
            Self::Unroutable => "unroutable",
            Self::TooManyTopics => "too_many_topics",
            Self::RefusedByTopic => "refused_by_topic",
        }
    }
}

/// One record on its way to Kafka, all borrowed.
#[derive(Clone, Copy, Debug)]
pub struct OutRecord<'a> {
    /// Its line in the batch, by which a refusal names it.
    pub ordinal: usize,
    /// An existing, sanitised topic name.
    pub topic: &'a str,
    /// What that topic takes, bytes.
    pub limit: usize,
    /// The partitioning key, `None` for no key.
    pub key: Option<&'a [u8]>,
    /// The bytes as received.
    pub value: &'a [u8],
    /// Milliseconds since the Unix epoch.
    pub timestamp_ms: i64,
    /// What the headers say.
    pub headers: Headers<'a>,
}

/// What the headers of a record say: CloudEvents 1.0 Kafka binding in binary mode and fields for events, reasons for dead letters.
#[derive(Clone, Copy, Debug)]
pub enum Headers<'a> {
    /// A carried event.
    Event {
        /// `ce_id`
        id: &'a [u8],
        /// `ce_type`
        event_type: &'a [u8],
        /// `ce_time`, RFC 3339; left out when unknown.
        time: Option<&'a [u8]>,
        /// What fields say that are headers, packed as `model::packed` does.
        fields: &'a [u8],
        /// `traceparent` of the batch; left out where nothing is traced.
        trace: Option<&'a [u8]>,
    },
    /// A dead letter.
    DeadLetter {
        /// `tributary-reason`
        reason: DeadLetterReason,
        /// `tributary-detail`: the parser's words or the limit that was hit.
        detail: &'a str,
        /// `tributary-length`: bytes of the whole line, more than the value's where only the head was kept.
        length: u64,
        /// `tributary-bytes`: what the value is.
        bytes: LetterBytes,
        /// `tributary-redaction`: what tells the rules from others by which the value is redacted, if it is.
        rules: Option<&'a str>,
        /// `tributary-position`: where the line stood; left out when unknown.
        position: Spot<'a>,
        /// Of a letter that was replayed and failed again, the one before it: for `tributary-attempts`, and the shard that it came by.
        before: Option<&'a Letter>,
    },
}

/// What to do when events may be lost that a service sent which keeps the position itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum OnUnclean {
    /// Go on where the service's position is, and report a possible gap.
    #[default]
    Continue,
    /// Read again from the oldest hit held, and drop what was delivered.
    Replay,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_canonical_uuid_is_its_own_value() {
        let text = b"7c9f0a12-91b6-11f0-9b57-0242ac120002";
        assert_eq!(EventId::from_text(text).0, 0x7c9f0a1291b611f09b570242ac120002);
        let upper = EventId::from_text(b"7C9F0A12-91B6-11F0-9B57-0242AC120002");
        assert_ne!(upper, EventId::from_text(text));
        assert_ne!(EventId::from_text(b"7c9f0a1291b611f09b570242ac120002"), EventId::from_text(text));
        // Official examples hold ids with the letter R: they must be hashed, not refused.
        assert_ne!(EventId::from_text(b"7c9f0a12-91b6-11f0-9b57-0242ac12000R"), EventId::from_text(text));
    }

    #[test]
    fn a_pair_is_its_own_value() {
        assert_eq!(EventId::from_pair(1, 2).0, (1 << 64) + 2);
        assert_eq!(EventId::from_pair(u64::MAX, u64::MAX).0, u128::MAX);
    }
}
