//! Dead letters: what they hold, where they stood, and which of a stream's were replayed.
//!
//! Invariant: a letter counts as replayed with the commit of what became of it, and never before. Offsets between two letters of the
//! stream may be in the set as well: they are those of other streams, of markers, and of what was aborted.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::ranges::Ranges;

/// Ranges of letters that were replayed, and as many of those whose events were delivered, which one stream may have. With more of
/// them the record would not fit into what a topic takes by default. None is forgotten: a letter could be replayed twice then, or an
/// event that has several letters be delivered twice.
pub const MAX_RANGES: usize = 15_000;

/// What the value of a dead letter is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LetterBytes {
    /// The line as it was received.
    Whole,
    /// The whole line, with what is redacted in it.
    Redacted,
    /// The beginning of one of these.
    Head,
    /// Nothing, since redaction cannot tell what of the line may be shown.
    Withheld,
}

impl LetterBytes {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Whole, Self::Redacted, Self::Head, Self::Withheld];

    /// The name used in the header.
    pub fn name(self) -> &'static str {
        match self {
            Self::Whole => "whole",
            Self::Redacted => "redacted",
            Self::Head => "head",
            Self::Withheld => "withheld",
        }
    }
}

/// Where a line stood where it came from.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Spot<'a> {
    /// Nobody knows.
    #[default]
    Unknown,
    /// At this offset of the service.
    Offset(&'a str),
    /// Among what the service received at this time, milliseconds since the Unix epoch.
    Received(i64),
    /// At this offset of its partition of the intake topic.
    Intake(i64),
    /// As the header of the letter before it said.
    Said(&'a str),
}

/// Longest offset that is shown, bytes: a service's own text may be anything.
const LONGEST_SPOT: usize = 256;

impl Spot<'_> {
    /// Whether it is none.
    pub fn is_unknown(self) -> bool {
        matches!(self, Self::Unknown | Self::Said(""))
    }
}

impl fmt::Display for Spot<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => Ok(()),
            Self::Offset(offset) => {
                write!(f, "offset {}", &offset[..offset.floor_char_boundary(LONGEST_SPOT)])
            }
            Self::Received(ms) => match jiff::Timestamp::from_millisecond(*ms) {
                Ok(time) => write!(f, "received {time}"),
                Err(_) => write!(f, "received {ms} ms"),
            },
            Self::Intake(offset) => write!(f, "intake offset {offset}"),
            Self::Said(text) => f.write_str(text),
        }
    }
}

/// A dead letter that is replayed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Letter {
    /// Its partition.
    pub partition: i32,
    /// The first offset after the letter of the same stream before it: what lies between is no letter of the stream.
    pub from: i64,
    /// By what it is known again.
    pub stamp: Stamp,
    /// How often the event has failed.
    pub attempts: u32,
    /// Bytes of the line as it was received.
    pub length: u64,
    /// What its bytes are.
    pub bytes: LetterBytes,
    /// What tells the rules from others by which they are redacted, if they are.
    pub rules: Option<String>,
    /// The shard that the event came by, as its header says.
    pub shard: String,
    /// Where the event stood, in the words of its header; empty where that is not known.
    pub position: String,
}

/// Which dead letters of a stream were replayed. One record of this is committed with what became of them.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Replayed {
    /// By partition. There is one more of them for each topic that the stream's dead letters went to.
    pub partitions: Vec<Partition>,
}

/// Which letters of one partition were replayed.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Partition {
    /// The topic.
    pub topic: String,
    /// The partition's number.
    pub partition: i32,
    /// All of them.
    pub done: Ranges,
    /// Those whose event was delivered by it: it is not delivered again for another letter.
    #[serde(default)]
    pub delivered: Ranges,
    /// The latest of them, by which the topic is known again.
    pub latest: Option<Stamp>,
}

/// A letter that is known again.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Stamp {
    /// Its offset.
    pub offset: i64,
    /// When it was written, milliseconds since the Unix epoch.
    pub timestamp_ms: i64,
    /// A digest of its bytes.
    pub digest: u64,
}

impl Stamp {
    /// Of a letter with these bytes.
    pub fn of(offset: i64, timestamp_ms: i64, bytes: &[u8]) -> Self {
        let mut digest = [0; 8];
        digest.copy_from_slice(&Sha256::digest(bytes)[..8]);
        Self { offset, timestamp_ms, digest: u64::from_be_bytes(digest) }
    }
}

impl Replayed {
    /// What is known of a partition.
    pub fn of(&self, topic: &str, partition: i32) -> Option<&Partition> {
        self.partitions.iter().find(|known| known.topic == topic && known.partition == partition)
    }

    /// A letter was replayed.
    pub fn add(&mut self, topic: &str, letter: &Letter, is_delivered: bool) {
        let Letter { partition, from, stamp, .. } = *letter;
        let offset = stamp.offset;
        let is_it = |known: &Partition| known.topic == topic && known.partition == partition;
        let at = self.partitions.iter().position(is_it).unwrap_or_else(|| {
            self.partitions.push(Partition { topic: topic.to_owned(), partition, ..Partition::default() });
            self.partitions.len() - 1
        });
        let Some(known) = self.partitions.get_mut(at) else { return };
        known.done.insert(from..offset + 1);
        if is_delivered {
            known.delivered.insert(from..offset + 1);
        }
        let is_later = known.latest.is_none_or(|latest| latest.offset < offset);
        if is_later {
            known.latest = Some(stamp);
        }
    }

    /// Whether a letter's event would be delivered without one more range: it touches one of those that were.
    pub fn is_beside_delivered(&self, topic: &str, letter: &Letter) -> bool {
        let known = self.of(topic, letter.partition);
        known.is_some_and(|known| known.delivered.touches(&(letter.from..letter.stamp.offset + 1)))
    }

    /// How many ranges of letters were replayed.
    pub fn ranges_done(&self) -> usize {
        self.partitions.iter().map(|known| known.done.len()).sum()
    }

    /// How many ranges of letters had their events delivered.
    pub fn ranges_delivered(&self) -> usize {
        self.partitions.iter().map(|known| known.delivered.len()).sum()
    }

    /// The topic's retention has deleted what stood before `least`, so nobody has to know of it any more.
    pub fn forget_before(&mut self, topic: &str, partition: i32, least: i64) {
        for known in &mut self.partitions {
            if known.topic == topic && known.partition == partition {
                // As done, for a leader that does not know of the deletion yet would show them once more.
                known.done.insert(0..least);
                known.delivered.forget_before(least);
            }
        }
    }

    /// The topic was made again: nothing in it was replayed.
    pub fn forget(&mut self, topic: &str) {
        self.partitions.retain(|known| known.topic != topic);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn letter(from: i64, offset: i64) -> Letter {
        Letter {
            partition: 2,
            from,
            stamp: Stamp::of(offset, offset * 10, b"{}"),
            attempts: 1,
            length: 7,
            bytes: LetterBytes::Whole,
            rules: None,
            shard: "0".into(),
            position: String::new(),
        }
    }

    #[test]
    fn letters_with_nothing_between_them_are_one_range() {
        let mut replayed = Replayed::default();
        replayed.add("t", &letter(0, 4), true);
        replayed.add("t", &letter(5, 9), false);
        // The one at 12 was left out.
        replayed.add("t", &letter(13, 20), true);
        let known = replayed.of("t", 2).unwrap();
        assert_eq!(known.done, Ranges::from(vec![(0, 10), (13, 21)]));
        assert_eq!(known.delivered, Ranges::from(vec![(0, 5), (13, 21)]));
        assert_eq!(known.latest, Some(Stamp::of(20, 200, b"{}")));
        assert_ne!(known.latest, Some(Stamp::of(20, 200, b"[]")));
        assert_eq!((replayed.ranges_done(), replayed.ranges_delivered()), (2, 2));
        assert_eq!((replayed.of("t", 1), replayed.of("u", 2)), (None, None));
        replayed.add("t", &letter(10, 12), false);
        assert_eq!(replayed.of("t", 2).unwrap().done.len(), 1, "they have merged");
        assert_eq!(replayed.of("t", 2).unwrap().latest.unwrap().offset, 20);
        replayed.forget_before("t", 2, 15);
        assert_eq!(replayed.of("t", 2).unwrap().done, Ranges::from(vec![(0, 21)]));
        assert_eq!(replayed.of("t", 2).unwrap().delivered, Ranges::from(vec![(15, 21)]));
        replayed.forget("t");
        assert_eq!(replayed, Replayed::default());
    }

    #[test]
    fn the_record_is_small_enough_for_its_topic() {
        // Offsets of a topic that has seen a billion records.
        let pairs = (0..MAX_RANGES as i64).map(|n| (1_000_000_000 + 2 * n, 1_000_000_001 + 2 * n));
        let done = Ranges::from(pairs.collect::<Vec<_>>());
        let delivered = done.clone();
        let partition = Partition { topic: "t".into(), done, delivered, ..Partition::default() };
        let bytes = serde_json::to_vec(&Replayed { partitions: vec![partition] }).unwrap().len();
        assert!(bytes < 900_000, "{bytes} bytes");
    }
}
