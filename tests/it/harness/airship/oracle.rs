//! The oracle: recomputes from the mock's log what must lie in which topic, and compares every bit of it.
//!
//! Invariant: no code of the connector is used, and none of the mock but its log; key, partition, headers and topic
//! are worked out here from the line's JSON.

use super::partitioner::partition_of;
use super::{Setup, Stream};
use crate::harness::broker::Broker;
use crate::harness::reader::{Isolation, Message, read_all};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fmt;
use tributary_mock::airship::{Endpoint, Log, Selection, Subscription};

/// Where a key may be, best first; the connector's default for Airship.
const KEY_PATHS: [&str; 13] = [
    "/device/channel",
    "/device/ios_channel",
    "/device/android_channel",
    "/device/amazon_channel",
    "/device/named_user_id",
    "/device/named_user",
    "/device/delivery_address",
    "/user/named_user_id",
    "/user/contact_id",
    "/body/identifiers/msisdn",
    "/body/identifiers/address",
    "/body/channel_id",
    "/body/contact_id",
];

/// Whether the same line may lie in a topic more than once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Repeats {
    Forbidden,
    Allowed,
}

/// The lines of one stream that must arrive.
pub(crate) struct Expectation {
    partitions: i32,
    /// By the line's bytes, which differ in `offset` even between copies of one event.
    lines: HashMap<Vec<u8>, Line>,
    topics: BTreeSet<String>,
}

/// What a record must be.
pub(crate) struct Line {
    /// Its place in the service's log.
    pub(crate) position: u64,
    pub(crate) topic: String,
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) headers: BTreeMap<String, Vec<u8>>,
    pub(crate) timestamp: i64,
}

/// A record that was found, and is as it must be.
pub(crate) struct Arrival<'a> {
    pub(crate) position: u64,
    pub(crate) partition: i32,
    pub(crate) line: &'a Line,
}

impl fmt::Debug for Arrival<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { position, partition, line } = self;
        let key = line.key.as_deref().map(String::from_utf8_lossy);
        write!(f, "line {position} in partition {partition} of {} with key {key:?}", line.topic)
    }
}

/// What a comparison found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) records: usize,
    /// Records beyond the first of their line.
    pub(crate) repeats: usize,
}

impl Expectation {
    /// Every event of `log` once, as it stands there first.
    pub(crate) fn distinct(setup: &Setup, stream: &Stream, log: &Log) -> Self {
        let first = (0..log.len()).filter(|position| !log.entry(*position).is_duplicate);
        Self::of(setup, stream, log, first)
    }

    /// The lines at `positions`.
    pub(crate) fn of(
        setup: &Setup,
        stream: &Stream,
        log: &Log,
        positions: impl IntoIterator<Item = u64>,
    ) -> Self {
        let shards: Vec<Selection> =
            (0..stream.shards).map(|shard| partition(stream.shards, shard)).collect();
        let shard_of = |position| {
            let mut owners = (0..stream.shards).filter(|n| shards[*n as usize].takes(log, position));
            let owner = owners.next().expect("every event belongs to a shard");
            assert_eq!(owners.next(), None, "and to one only");
            owner
        };
        let lines: HashMap<Vec<u8>, Line> = positions
            .into_iter()
            .map(|position| {
                let mut bytes = Vec::new();
                log.render(position, &mut bytes);
                let line = Line::new(stream, log, position, shard_of(position), &bytes);
                (bytes, line)
            })
            .collect();
        Self::new(setup.partitions, lines)
    }

    /// These lines, by their bytes.
    pub(crate) fn new(partitions: i32, lines: HashMap<Vec<u8>, Line>) -> Self {
        let topics = lines.values().map(|line| line.topic.clone()).collect();
        Self { partitions, lines, topics }
    }

    /// How many lines must arrive.
    pub(crate) fn len(&self) -> usize {
        self.lines.len()
    }

    /// How many of them a shard must bring.
    pub(crate) fn lines_of(&self, shard: u32) -> usize {
        let shard = shard.to_string();
        self.lines.values().filter(|line| line.shard() == shard.as_bytes()).count()
    }

    /// The topics that they must be in.
    pub(crate) fn topics(&self) -> &BTreeSet<String> {
        &self.topics
    }

    /// Reads the topics of the shared broker and panics at the first thing that is not as it must be.
    #[track_caller]
    pub(crate) fn check(&self) -> Found {
        self.check_at(crate::harness::broker::broker(), Repeats::Forbidden)
    }

    /// The same on any broker, and where repeats may be allowed.
    #[track_caller]
    pub(crate) fn check_at(&self, broker: &Broker, repeats: Repeats) -> Found {
        let arrivals = self.arrivals(broker, repeats);
        let mut copies: HashSet<u64> = HashSet::new();
        // Position of the last record by topic, partition and shard: order is kept within all three.
        let mut last: HashMap<(&str, i32, &[u8]), u64> = HashMap::new();
        for arrival in &arrivals {
            if copies.insert(arrival.position) && repeats == Repeats::Forbidden {
                let place = (arrival.line.topic.as_str(), arrival.partition, arrival.line.shard());
                let before = last.insert(place, arrival.position);
                assert!(before < Some(arrival.position), "out of order: {arrival:?}");
            }
        }
        let lost: BTreeSet<u64> =
            self.lines.values().map(|line| line.position).filter(|p| !copies.contains(p)).collect();
        assert!(lost.is_empty(), "{} of {} lost, first {:?}", lost.len(), self.len(), lost.first());
        Found { records: arrivals.len(), repeats: arrivals.len() - copies.len() }
    }

    /// What is in the topics, each partition in its order. Panics at a record that is not as it must be, but says
    /// nothing of order and of what is missing.
    #[track_caller]
    pub(crate) fn arrivals(&self, broker: &Broker, repeats: Repeats) -> Vec<Arrival<'_>> {
        let mut seen: HashSet<u64> = HashSet::new();
        let mut arrivals = Vec::new();
        for topic in &self.topics {
            assert_eq!(broker.partition_count(topic), Some(self.partitions), "partitions of {topic}");
            for message in read_all(broker, topic, Isolation::Committed) {
                let line = self.compare(topic, &message);
                let is_first = seen.insert(line.position);
                assert!(is_first || repeats == Repeats::Allowed, "twice in {topic}: {}", lossy(&message));
                arrivals.push(Arrival { position: line.position, partition: message.partition, line });
            }
        }
        arrivals
    }

    /// Finds what the message must be, and compares.
    #[track_caller]
    pub(crate) fn compare(&self, topic: &str, message: &Message) -> &Line {
        let text = lossy(message);
        let bytes = message.value.as_deref().expect("a value");
        let line = self.lines.get(bytes).unwrap_or_else(|| panic!("must not be in {topic}: {text}"));
        assert_eq!(line.topic, topic, "topic of {text}");
        assert_eq!(message.key, line.key, "key of {text}");
        if let Some(key) = &line.key {
            assert_eq!(message.partition, partition_of(key, self.partitions), "partition of {text}");
        }
        let headers: BTreeMap<String, Vec<u8>> = message.headers.iter().cloned().collect();
        assert_eq!(headers, line.headers, "headers of {text}");
        assert_eq!(headers.len(), message.headers.len(), "each header once: {text}");
        assert_eq!(message.timestamp, Some(line.timestamp), "timestamp of {text}");
        line
    }
}

impl Line {
    fn new(stream: &Stream, log: &Log, position: u64, shard: u32, bytes: &[u8]) -> Self {
        let json: Value = serde_json::from_slice(bytes).expect("the log holds JSON");
        let text =
            |name: &str| json[name].as_str().unwrap_or_else(|| panic!("no {name} in {json}")).to_owned();
        let headers = [
            ("ce_specversion", "1.0".to_owned()),
            ("ce_id", text("id")),
            ("ce_source", stream.url.clone()),
            ("ce_type", text("type")),
            ("ce_time", text("occurred")),
            ("content-type", "application/json".to_owned()),
            ("tributary-stream", stream.name.clone()),
            ("tributary-shard", shard.to_string()),
        ];
        Self {
            position,
            topic: stream.topic.replace("{type}", &text("type")),
            key: key_of(&json),
            headers: headers.map(|(name, value)| (name.to_owned(), value.into_bytes())).into(),
            timestamp: i64::try_from(log.processed_ms(position)).expect("a time"),
        }
    }

    pub(crate) fn shard(&self) -> &[u8] {
        &self.headers["tributary-shard"]
    }
}

/// For messages of failed tests.
pub(crate) fn lossy(message: &Message) -> String {
    String::from_utf8_lossy(message.value.as_deref().unwrap_or_default()).into_owned()
}

fn key_of(json: &Value) -> Option<Vec<u8>> {
    KEY_PATHS.iter().find_map(|path| match json.pointer(path)? {
        Value::String(text) if !text.is_empty() => Some(text.clone().into_bytes()),
        Value::Number(number) => Some(number.to_string().into_bytes()),
        _ => None,
    })
}

/// The service's own rule for which shard gets which events.
pub(crate) fn partition(count: u32, selection: u32) -> Selection {
    if count == 1 {
        return Selection::all();
    }
    let body = serde_json::json!({
        "start": "EARLIEST",
        "subset": { "type": "PARTITION", "count": count, "selection": selection },
    });
    Subscription::parse(Endpoint::Events, body.to_string().as_bytes()).expect("a request").selection
}
