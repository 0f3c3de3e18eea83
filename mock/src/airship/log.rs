//! The stream as a pure function: position to line, duplicates included.
//!
//! Invariant: everything about position *p* follows from (`LogOptions`, *p*). Whatever must arrive at a client can
//! be recomputed here, in another process too (`GET /_mock/config` gives the options). Knows no clock and no HTTP.

use std::ops::Range;

use super::event::{Event, Events, Stamp};
use super::offset::{OffsetNumber, OffsetStyle};
use crate::engine::clock::LATEST_MS;
use crate::engine::random::{Draw, Lane};

/// What a log consists of.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct LogOptions {
    /// Different seeds give different ids.
    pub seed: u64,
    /// Lines in the log, duplicates included.
    pub events: u64,
    /// Each n-th line repeats an earlier event with a new offset and `processed`; 0 for none, else at least 2.
    pub duplicate_every: u64,
    /// How many events a duplicate reaches back at most.
    pub duplicate_reach: u64,
    /// How offsets are spelt.
    pub offsets: OffsetStyle,
    /// `processed` of position 0, in milliseconds since 1970.
    pub epoch_ms: u64,
    /// Time between positions, in microseconds.
    pub step_us: u64,
    /// Whether all events are as the official schema says, and none as its examples and old streams deviate.
    #[serde(default)]
    pub by_schema: bool,
}

/// The log of some options.
#[derive(Clone, Debug)]
pub struct Log {
    options: LogOptions,
    events: Events,
}

/// What stands at a position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The place in the log, from 0.
    pub position: u64,
    /// The event's number: equal for all copies of one event, without gaps in order of first occurrence.
    pub index: u64,
    /// Whether the event stood in the log before.
    pub is_duplicate: bool,
}

/// A line that must arrive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected {
    /// Where it stands.
    pub entry: Entry,
    /// The event's `id`.
    pub id: String,
    /// The line's bytes, without line end.
    pub line: Vec<u8>,
}

/// A day when no test runs; the documents' examples are of that day as well.
pub const DEFAULT_EPOCH_MS: u64 = 1_772_437_200_000;

/// `processed` may be this much before its place in the row, so that it is not ordered.
const PROCESSED_JITTER_MS: u64 = 250;

const MINUTE_MS: u64 = 60_000;
const DAY_MS: u64 = 86_400_000;

impl Log {
    /// The log of `options`; a `duplicate_every` of 1, which leaves no originals, counts as 2.
    pub fn new(mut options: LogOptions) -> Self {
        if options.duplicate_every == 1 {
            options.duplicate_every = 2;
        }
        Self { events: Events::new(options.seed, options.by_schema), options }
    }

    /// The options, as used.
    pub fn options(&self) -> &LogOptions {
        &self.options
    }

    /// Lines in the log.
    pub fn len(&self) -> u64 {
        self.options.events
    }

    /// Whether the log has no lines.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Distinct events among the first `positions` lines.
    pub fn distinct(&self, positions: u64) -> u64 {
        positions - positions.checked_div(self.options.duplicate_every).unwrap_or(0)
    }

    /// What stands at `position`.
    pub fn entry(&self, position: u64) -> Entry {
        let every = self.options.duplicate_every;
        let before = self.distinct(position);
        let is_duplicate = every != 0 && (position + 1).is_multiple_of(every);
        let index = if is_duplicate {
            let reach = before.min(self.options.duplicate_reach.max(1));
            before - 1 - Draw::new(self.options.seed, Lane::Duplicate, position).below(reach)
        } else {
            before
        };
        Entry { position, index, is_duplicate }
    }

    /// The event at `position`.
    pub fn event(&self, position: u64) -> Event {
        self.events.event(self.entry(position).index)
    }

    /// Where event `index` stands first.
    pub fn first_position(&self, index: u64) -> u64 {
        match self.options.duplicate_every {
            0 => index,
            every => index + index / (every - 1),
        }
    }

    /// The `offset` of `position`.
    pub fn offset(&self, position: u64) -> String {
        OffsetNumber::at(position).text(self.options.offsets)
    }

    /// `processed` of `position`, in milliseconds since 1970.
    pub fn processed_ms(&self, position: u64) -> u64 {
        let jitter = Draw::new(self.options.seed, Lane::Clock, position).below(PROCESSED_JITTER_MS);
        self.place_ms(position).saturating_sub(jitter)
    }

    /// `occurred` of event `index`, in milliseconds since 1970; the same for all its copies.
    pub fn occurred_ms(&self, index: u64) -> u64 {
        let position = self.first_position(index);
        let mut draw = Draw::new(self.options.seed, Lane::Clock, position);
        let processed = self.place_ms(position).saturating_sub(draw.below(PROCESSED_JITTER_MS));
        match draw.below(100) {
            0..=79 => processed.saturating_sub(20 + draw.below(2_500)),
            80..=89 => processed.saturating_sub(draw.below(60 * MINUTE_MS)),
            90..=95 => processed.saturating_sub(draw.below(80 * DAY_MS)),
            // A device clock ahead of ours, by less than the five minutes that are put right.
            _ => processed + draw.below(4 * MINUTE_MS),
        }
    }

    /// Appends the line at `position`, without line end.
    pub fn render(&self, position: u64, out: &mut Vec<u8>) {
        let index = self.entry(position).index;
        let stamp = Stamp {
            offset: &self.options.offsets.json(&self.offset(position)),
            occurred_ms: self.occurred_ms(index),
            processed_ms: self.processed_ms(position),
        };
        self.events.event(index).render(stamp, out);
    }

    /// The lines at `positions`, in order.
    pub fn expected(&self, positions: Range<u64>) -> impl Iterator<Item = Expected> + '_ {
        positions.map(|position| {
            let mut line = Vec::with_capacity(1024);
            self.render(position, &mut line);
            Expected { entry: self.entry(position), id: self.event(position).id(), line }
        })
    }

    /// The time that belongs to `position`, in milliseconds since 1970.
    pub(super) fn place_ms(&self, position: u64) -> u64 {
        let after_ms = position.saturating_mul(self.options.step_us) / 1000;
        self.options.epoch_ms.saturating_add(after_ms).min(LATEST_MS - DAY_MS)
    }
}

impl Default for LogOptions {
    fn default() -> Self {
        Self {
            seed: 1,
            events: 1_000_000,
            duplicate_every: 0,
            duplicate_reach: 1_000,
            offsets: OffsetStyle::Decimal,
            epoch_ms: DEFAULT_EPOCH_MS,
            step_us: 1_000,
            by_schema: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;
    use std::collections::HashSet;

    fn log(duplicate_every: u64) -> Log {
        Log::new(LogOptions { duplicate_every, duplicate_reach: 50, ..LogOptions::default() })
    }

    fn json(log: &Log, position: u64) -> Value {
        let mut line = Vec::new();
        log.render(position, &mut line);
        serde_json::from_slice(&line).unwrap()
    }

    #[test]
    fn originals_come_once_and_in_order() {
        for every in [0, 2, 3, 10] {
            let log = log(every);
            let originals: Vec<u64> = (0..1_000)
                .map(|position| log.entry(position))
                .filter(|entry| !entry.is_duplicate)
                .map(|entry| entry.index)
                .collect();
            assert_eq!(originals, (0..log.distinct(1_000)).collect::<Vec<_>>(), "every {every}");
            for index in 0..log.distinct(1_000) {
                let entry = log.entry(log.first_position(index));
                assert_eq!((entry.index, entry.is_duplicate), (index, false), "every {every}");
            }
        }
    }

    #[test]
    fn duplicates_differ_in_offset_and_processed_alone() {
        let log = log(10);
        let duplicates: Vec<Entry> =
            (0..500).map(|position| log.entry(position)).filter(|entry| entry.is_duplicate).collect();
        assert_eq!(duplicates.len(), 50);
        for entry in duplicates {
            let mut copy = json(&log, entry.position);
            let mut first = json(&log, log.first_position(entry.index));
            assert!(log.first_position(entry.index) < entry.position);
            assert_ne!(copy["offset"], first["offset"]);
            for value in [&mut copy, &mut first] {
                let members = value.as_object_mut().unwrap();
                members.remove("offset");
                members.remove("processed");
            }
            assert_eq!(copy, first);
        }
    }

    #[test]
    fn times_are_out_of_order() {
        let log = log(0);
        let unordered =
            |time: &dyn Fn(u64) -> u64| (1..500).any(|position| time(position) < time(position - 1));
        assert!(unordered(&|position| log.processed_ms(position)));
        assert!(unordered(&|position| log.occurred_ms(position)));
        assert!((0..500).any(|index| log.occurred_ms(index) > log.processed_ms(index)));
        assert!((0..500).any(|index| log.occurred_ms(index) + 10 * DAY_MS < log.processed_ms(index)));
    }

    #[test]
    fn the_largest_numbers_are_lines_too() {
        let (events, step_us) = (u64::MAX, u64::MAX);
        let log = Log::new(LogOptions {
            events,
            step_us,
            epoch_ms: u64::MAX,
            duplicate_reach: u64::MAX,
            ..LogOptions::default()
        });
        for position in [0, 1, crate::engine::limits::MOST] {
            assert!(
                json(&log, position)["processed"].as_str().unwrap().starts_with("9999-12-30T"),
                "{position}"
            );
        }
    }

    #[test]
    fn expected_yields_ids_and_lines() {
        let log = log(4);
        let lines: Vec<Expected> = log.expected(100..200).collect();
        let ids: HashSet<&str> = lines.iter().map(|line| line.id.as_str()).collect();
        assert_eq!(lines.len(), 100);
        assert!(ids.len() < 100);
        for line in &lines {
            assert_eq!(serde_json::from_slice::<Value>(&line.line).unwrap()["id"], line.id);
        }
    }
}
