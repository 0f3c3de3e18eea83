//! The campaign's oracle: looks at what came into the topic since the last look, in a memory of a bit for each event.
//!
//! It panics at the first record that is not as it must be, and says in capitals what is wrong: `TWICE`, `OUT OF ORDER`, `LOST`.
//! Invariant: no code of the connector is used; what must arrive is computed from the mock's log alone.

use crate::harness::airship::oracle::{Expectation, lossy, partition};
use crate::harness::airship::{Mock, Setup, service};
use crate::harness::broker::{Broker, broker};
use crate::harness::reader::{Isolation, Message, read_on};
use crate::harness::wait::{GENEROUS, wait_until};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use std::collections::{BTreeMap, HashMap};
use tributary_mock::airship::{Log, Selection};

/// What was found so far.
pub(super) struct Judge {
    log: Log,
    setup: Setup,
    offsets: Offsets,
    /// The shards' selections, for each number of shards that there was.
    cuts: BTreeMap<u32, Vec<Selection>>,
    /// Bits, by the events' numbers.
    seen: Vec<u64>,
    /// Where repeats are whose events were not seen yet. An event without a key may be in another partition than its repeat, and what
    /// a look has of the two partitions need not be of the same moment.
    repeats: BTreeMap<u64, String>,
    records: u64,
    /// The last position by partition and by the shards that it belongs to. Events that were always of one shard keep their order.
    last: HashMap<(i32, Vec<usize>), u64>,
    ends: BTreeMap<i32, i64>,
    /// The same for a reader that sees everything.
    uncommitted_ends: BTreeMap<i32, i64>,
    uncommitted: u64,
}

/// How the service's offsets follow from positions.
#[derive(Clone, Copy)]
pub(super) struct Offsets {
    first: u64,
    stride: u64,
}

impl Offsets {
    pub(super) fn of(log: &Log) -> Self {
        let number = |position| log.offset(position).parse::<u64>().expect("a decimal");
        Self { first: number(0), stride: number(1) - number(0) }
    }

    /// The position of the last event that is not behind this offset; `None` where it is before the first.
    pub(super) fn position(self, offset: &str) -> Option<u64> {
        let number = offset.parse::<u64>().expect("a decimal");
        Some(number.checked_sub(self.first)? / self.stride)
    }
}

impl Judge {
    pub(super) fn new(setup: &Setup, log: &Log) -> Self {
        let mut judge = Self {
            offsets: Offsets::of(log),
            log: log.clone(),
            setup: setup.clone(),
            cuts: BTreeMap::new(),
            seen: Vec::new(),
            repeats: BTreeMap::new(),
            records: 0,
            last: HashMap::new(),
            ends: BTreeMap::new(),
            uncommitted_ends: BTreeMap::new(),
            uncommitted: 0,
        };
        judge.allow(setup.streams[0].shards);
        judge
    }

    /// From now on the stream may have so many shards.
    pub(super) fn allow(&mut self, shards: u32) {
        self.cuts.insert(shards, (0..shards).map(|shard| partition(shards, shard)).collect());
    }

    /// The last line of each shard among the first `lines`, where there are so many shards. Shards without a line are left out.
    pub(super) fn last_lines(&self, shards: u32, lines: u64) -> BTreeMap<u32, u64> {
        let mut last = BTreeMap::new();
        for line in (0..lines).rev() {
            last.entry(self.owner(shards, line) as u32).or_insert(line);
            if last.len() == shards as usize {
                break;
            }
        }
        last
    }

    /// Events in the topic so far, each once.
    pub(super) fn records(&self) -> u64 {
        self.records
    }

    /// Records that were written and do not count, at the end.
    pub(super) fn uncommitted(&self) -> u64 {
        self.uncommitted.saturating_sub(self.records)
    }

    /// The shard that gets the event at a position, where there are so many.
    fn owner(&self, shards: u32, position: u64) -> usize {
        let takes = |selection: &Selection| selection.takes(&self.log, position);
        self.cuts[&shards].iter().position(takes).expect("every event belongs to a shard")
    }

    /// Judges what came since the last look.
    #[track_caller]
    pub(super) fn look(&mut self, broker: &Broker) {
        let topic = self.setup.topic().to_owned();
        if broker.partition_count(&topic).is_none() {
            return;
        }
        let messages = read_on(broker, &topic, Isolation::Committed, &mut self.ends);
        // By the number of shards that there was when it was written.
        let mut by_cut: BTreeMap<u32, Vec<u64>> = BTreeMap::new();
        let mut places = Vec::new();
        for message in &messages {
            let position = self.position(message);
            let shards = self.shards(message, position);
            by_cut.entry(shards).or_default().push(position);
            places.push((position, shards));
        }
        let expectations: BTreeMap<u32, Expectation> = by_cut
            .into_iter()
            .map(|(shards, positions)| {
                let mut stream = self.setup.streams[0].clone();
                stream.shards = shards;
                (shards, Expectation::of(&self.setup, &stream, &self.log, positions))
            })
            .collect();
        for (message, (position, shards)) in messages.iter().zip(places) {
            expectations[&shards].compare(&topic, message);
            self.take(message, position);
        }
        self.look_at_uncommitted(broker, &topic);
    }

    /// Whether nothing was kept from the last look by a transaction that was still open: what lies behind the begin of one is not
    /// seen with `read_committed`, and a commit writes its markers one after the other.
    pub(super) fn has_seen_all(&self, broker: &Broker) -> bool {
        let ends = broker.high_watermarks(self.setup.topic());
        ends.iter().all(|(partition, end)| self.ends.get(partition) >= Some(end))
    }

    /// How far the last look came.
    pub(super) fn tell_behind(&self, broker: &Broker) -> String {
        let (topic, ends) = (self.setup.topic(), broker.high_watermarks(self.setup.topic()));
        format!("{topic} was read up to {:?} and ends at {ends:?}", self.ends)
    }

    /// With `read_uncommitted` there may be more, and nothing that was never sent.
    #[track_caller]
    fn look_at_uncommitted(&mut self, broker: &Broker, topic: &str) {
        let messages = read_on(broker, topic, Isolation::Uncommitted, &mut self.uncommitted_ends);
        self.uncommitted += messages.len() as u64;
        let mut line = Vec::new();
        for message in &messages {
            line.clear();
            self.log.render(self.position(message), &mut line);
            assert!(message.value.as_deref() == Some(&line), "CHANGED on the way: {}", lossy(message));
        }
    }

    #[track_caller]
    fn take(&mut self, message: &Message, position: u64) {
        let entry = self.log.entry(position);
        assert!(self.note(entry.index), "TWICE: event {} at {}", entry.index, place(message));
        if entry.is_duplicate {
            // Wrong in any case, and how is told by what comes of the event.
            self.repeats.insert(entry.index, place(message));
        }
        let shards = self.cuts.keys().map(|shards| self.owner(*shards, position)).collect();
        let last = self.last.insert((message.partition, shards), position);
        assert!(
            last < Some(position),
            "OUT OF ORDER: line {position} behind line {} at {}",
            last.unwrap_or_default(),
            place(message)
        );
        self.records += 1;
    }

    /// Whether the event is new.
    fn note(&mut self, index: u64) -> bool {
        let (word, bit) = ((index / 64) as usize, 1 << (index % 64));
        if self.seen.len() <= word {
            self.seen.resize(word + 1, 0);
        }
        let is_new = self.seen[word] & bit == 0;
        self.seen[word] |= bit;
        is_new
    }

    /// Everything of the first `lines` lines is there.
    #[track_caller]
    pub(super) fn check_complete(&self, lines: u64) {
        let events = self.log.distinct(lines);
        let has = |index: &u64| {
            self.seen.get((index / 64) as usize).is_some_and(|word| word & (1 << (index % 64)) != 0)
        };
        let lost: Vec<u64> = (0..events).filter(|index| !has(index)).collect();
        assert!(lost.is_empty(), "LOST: {} of {events} events, the first is {:?}", lost.len(), lost.first());
        if let Some((event, place)) = self.repeats.first_key_value() {
            panic!("LOST: of event {event} only the repeat came, at {place}");
        }
        assert_eq!(self.records, events, "events that were never sent");
    }

    /// The number of shards that there was when this was written: its shard must be the one that the service's rule says.
    fn shards(&self, message: &Message, position: u64) -> u32 {
        let said = message.header("tributary-shard").and_then(|shard| shard.parse().ok());
        let fits = |shards: &&u32| Some(self.owner(**shards, position)) == said;
        let fitting = self.cuts.keys().rev().find(fits);
        *fitting.unwrap_or_else(|| panic!("WRONG SHARD {said:?} of line {position}: {}", lossy(message)))
    }

    #[track_caller]
    fn position(&self, message: &Message) -> u64 {
        let event: serde_json::Value = serde_json::from_str(message.text()).expect("an event is JSON");
        let offset = event["offset"].as_str().expect("an event has its offset");
        let position = self.offsets.position(offset);
        position.unwrap_or_else(|| panic!("never sent: {}", lossy(message)))
    }
}

fn place(message: &Message) -> String {
    format!("{} partition {} offset {}", message.topic, message.partition, message.offset)
}

#[test]
fn what_an_open_transaction_hides_is_not_yet_judged() {
    let mock = Mock::start(service(10));
    let setup = Setup::new("judge", &mock);
    let (broker, topic) = (broker(), setup.topic());
    broker.create_topic(topic, 2, &[]);
    let mut judge = Judge::new(&setup, mock.log());
    judge.look(broker);
    assert!(judge.has_seen_all(broker), "there is nothing");

    let producer: BaseProducer = broker.client(&[("transactional.id", topic)]).create().unwrap();
    producer.init_transactions(GENEROUS).unwrap();
    producer.begin_transaction().unwrap();
    let mut line = Vec::new();
    mock.log().render(0, &mut line);
    producer.send(BaseRecord::<(), _>::to(topic).payload(&line)).map_err(|(error, _)| error).unwrap();
    producer.flush(GENEROUS).unwrap();
    judge.look(broker);
    assert!(!judge.has_seen_all(broker), "{}", judge.tell_behind(broker));

    producer.abort_transaction(GENEROUS).unwrap();
    wait_until(GENEROUS, "the markers", || {
        judge.look(broker);
        judge.has_seen_all(broker)
    });
    assert_eq!((judge.records(), judge.uncommitted()), (0, 1));
}
