//! What a topic holds, read by a plain consumer that shares no code with the connector.
//!
//! [`read_all`] gives everything up to the end of the topic at the moment of the call; [`wait_for`] and [`Reader`]
//! follow a topic that is still being written. Each reader has a group id of its own and commits no offsets.

use crate::harness::broker::{Broker, unique_prefix, watermarks};
use crate::harness::wait;
use rdkafka::Offset;
use rdkafka::TopicPartitionList;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Headers as _, Message as _};
use std::collections::BTreeMap;
use std::thread;
use std::time::Duration;
use tokio::time::Instant;

/// A read that brings nothing new for this long has failed.
const STALL: Duration = Duration::from_secs(60);

/// A commit's markers follow within milliseconds; the transaction of a killed producer ends by `transaction.timeout.ms`
/// (30 s by default in Tributary, 60 s in librdkafka).
const SETTLE: Duration = Duration::from_secs(120);

/// How long one poll may block; short, since conditions are looked at in between.
const POLL: Duration = Duration::from_millis(20);

/// Which records a read gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Isolation {
    /// Those of committed transactions (and of none), up to the first open transaction.
    Committed,
    /// All that is in the log, aborted and open transactions included.
    Uncommitted,
}

/// A record as it lies in the topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) topic: String,
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) value: Option<Vec<u8>>,
    pub(crate) headers: Vec<(String, Vec<u8>)>,
    /// Milliseconds since 1970.
    pub(crate) timestamp: Option<i64>,
}

impl Message {
    /// The value as text; panics where there is none or it is no UTF-8.
    #[track_caller]
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(self.value.as_deref().expect("a value")).expect("a value in UTF-8")
    }

    /// The first header of that name, as text.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let (_, value) = self.headers.iter().find(|(key, _)| key == name)?;
        std::str::from_utf8(value).ok()
    }

    fn of(message: &BorrowedMessage<'_>) -> Self {
        let headers = message.headers().map_or_else(Vec::new, |headers| {
            headers.iter().map(|h| (h.key.to_owned(), h.value.unwrap_or_default().to_vec())).collect()
        });
        Self {
            topic: message.topic().to_owned(),
            partition: message.partition(),
            offset: message.offset(),
            key: message.key().map(<[u8]>::to_vec),
            value: message.payload().map(<[u8]>::to_vec),
            headers,
            timestamp: message.timestamp().to_millis(),
        }
    }
}

/// Everything in `topic` up to its end at the moment of the call, partition by partition in offset order.
///
/// `Committed` waits until no transaction is open below that end: `commit_transaction` returns before the broker has
/// written the markers, so a read right after it could otherwise miss what was committed. A topic that is not there is
/// waited for, since the connector creates topics when it needs them.
#[track_caller]
pub(crate) fn read_all(broker: &Broker, topic: &str, isolation: Isolation) -> Vec<Message> {
    Reader::prepare(broker, topic, isolation).read_to_end()
}

/// What came into `topic` behind the offsets `from`, up to where it is stable now; moves `from` there. What lies behind an open
/// transaction is not waited for: it is for the next time.
#[track_caller]
pub(crate) fn read_on(
    broker: &Broker,
    topic: &str,
    isolation: Isolation,
    from: &mut BTreeMap<i32, i64>,
) -> Vec<Message> {
    let reader = Reader::prepare(broker, topic, isolation);
    let ends = reader.end_offsets();
    let mut begins = BTreeMap::new();
    for (partition, end) in &ends {
        let (low, _) = watermarks(reader.consumer(), topic, *partition);
        let begin = from.get(partition).map_or(low, |at| low.max(*at));
        if begin < *end {
            begins.insert(*partition, begin);
        }
    }
    reader.assign(&begins);
    let open = ends.iter().filter(|(partition, _)| begins.contains_key(partition));
    let mut messages = reader.read_until(open.map(|(partition, end)| (*partition, *end)).collect());
    // What came since the ends were asked for.
    messages.retain(|message| message.offset < ends[&message.partition]);
    *from = ends;
    messages
}

/// Reads `topic` from its start until `condition` holds for all that was read; panics naming `what` after `limit`.
/// It gives what was read, in the order of arrival (so in offset order only within a partition).
#[track_caller]
pub(crate) fn wait_for(
    broker: &Broker,
    topic: &str,
    isolation: Isolation,
    limit: Duration,
    what: &str,
    condition: impl FnMut(&[Message]) -> bool,
) -> Vec<Message> {
    let mut reader = Reader::open(broker, topic, isolation);
    reader.wait_for(limit, what, condition);
    std::mem::take(&mut reader.messages)
}

/// Reads a topic from its start and follows it.
pub(crate) struct Reader<'a> {
    broker: &'a Broker,
    topic: String,
    isolation: Isolation,
    /// Taken only on drop.
    consumer: Option<BaseConsumer>,
    messages: Vec<Message>,
}

impl<'a> Reader<'a> {
    /// Opens `topic`, waiting for it to exist.
    #[track_caller]
    pub(crate) fn open(broker: &'a Broker, topic: &str, isolation: Isolation) -> Self {
        let reader = Self::prepare(broker, topic, isolation);
        reader.begin();
        reader
    }

    /// Waits for `topic` to exist, and reads nothing yet.
    #[track_caller]
    fn prepare(broker: &'a Broker, topic: &str, isolation: Isolation) -> Self {
        broker.wait_partition_count(topic);
        let level = match isolation {
            Isolation::Committed => "read_committed",
            Isolation::Uncommitted => "read_uncommitted",
        };
        let consumer: BaseConsumer = broker
            .client(&[
                ("group.id", &unique_prefix("reader")),
                ("enable.auto.commit", "false"),
                ("isolation.level", level),
                ("enable.partition.eof", "true"),
                ("auto.offset.reset", "error"),
                // Answers at once at the end of the topic, and no pause of a second when the local queue is full.
                ("fetch.wait.max.ms", "20"),
                ("fetch.queue.backoff.ms", "10"),
            ])
            .create()
            .expect("a consumer");
        Self { broker, topic: topic.to_owned(), isolation, consumer: Some(consumer), messages: Vec::new() }
    }

    /// Begins to read all partitions from their start.
    #[track_caller]
    fn begin(&self) {
        let partitions = self.broker.wait_partition_count(&self.topic);
        // Not `Offset::Beginning`, which librdkafka asks a leader for that it does not know yet, and again 500 ms on.
        let low = |partition| (partition, watermarks(self.consumer(), &self.topic, partition).0);
        self.assign(&(0..partitions).map(low).collect());
    }

    /// Begins to read these partitions at these offsets.
    #[track_caller]
    fn assign(&self, begins: &BTreeMap<i32, i64>) {
        let mut assignment = TopicPartitionList::new();
        for (partition, offset) in begins {
            let offset = Offset::Offset(*offset);
            assignment.add_partition_offset(&self.topic, *partition, offset).expect("an offset");
        }
        self.consumer().assign(&assignment).expect("assigned");
    }

    /// What was read so far, in the order of arrival.
    pub(crate) fn messages(&self) -> &[Message] {
        &self.messages
    }

    /// Reads on until `condition` holds for all that was read so far; panics naming `what` after `limit`. The condition
    /// is looked at whenever nothing more is waiting, so a slow one costs little.
    #[track_caller]
    pub(crate) fn wait_for(
        &mut self,
        limit: Duration,
        what: &str,
        mut condition: impl FnMut(&[Message]) -> bool,
    ) {
        let start = Instant::now();
        while !condition(&self.messages) {
            assert!(
                start.elapsed() < limit,
                "waited {limit:?} in vain for {what}; read {} records of {} ({:?})",
                self.messages.len(),
                self.topic,
                self.isolation,
            );
            let mut pause = POLL;
            while !matches!(self.step(pause), Step::Nothing) && start.elapsed() < limit {
                pause = Duration::ZERO;
            }
        }
    }

    /// The offsets behind the last records: the high watermark, or with `Committed` the last stable offset.
    pub(crate) fn end_offsets(&self) -> BTreeMap<i32, i64> {
        let partitions = self.broker.wait_partition_count(&self.topic);
        let end = |partition| watermarks(self.consumer(), &self.topic, partition).1;
        (0..partitions).map(|partition| (partition, end(partition))).collect()
    }

    /// See [`read_all`].
    #[track_caller]
    fn read_to_end(self) -> Vec<Message> {
        let ends = self.broker.high_watermarks(&self.topic);
        if self.isolation == Isolation::Committed {
            wait::wait_until(SETTLE, format_args!("open transactions in {} to end", self.topic), || {
                let stable = self.end_offsets();
                ends.iter().all(|(partition, end)| stable[partition] >= *end)
            });
        }
        // Not before: an end that is reported while a transaction is open is that transaction's beginning.
        self.begin();
        self.read_until(ends.into_iter().filter(|(_, end)| *end > 0).collect())
    }

    /// Reads up to these ends of the partitions that are assigned. A partition is read when its end is reported, or when a record at
    /// or behind that shows up: under a steady producer the end may never be reached. The last offset itself may be a control
    /// record, which is never seen.
    #[track_caller]
    fn read_until(mut self, mut open: BTreeMap<i32, i64>) -> Vec<Message> {
        let mut last_news = Instant::now();
        while !open.is_empty() {
            match self.step(POLL) {
                Step::Record => {
                    let last = self.messages.last().expect("just pushed");
                    if open.get(&last.partition).is_some_and(|end| last.offset + 1 >= *end) {
                        open.remove(&last.partition);
                    }
                }
                Step::End(partition) => {
                    open.remove(&partition);
                }
                Step::Nothing => {
                    assert!(last_news.elapsed() < STALL, "no end of {} in {STALL:?}: {open:?}", self.topic);
                    continue;
                }
            }
            last_news = Instant::now();
        }
        let mut messages = std::mem::take(&mut self.messages);
        messages.sort_unstable_by_key(|m| (m.partition, m.offset));
        messages
    }

    fn step(&mut self, pause: Duration) -> Step {
        let consumer = self.consumer.as_ref().expect("open until dropped");
        match consumer.poll(pause) {
            None => Step::Nothing,
            Some(Ok(message)) => {
                self.messages.push(Message::of(&message));
                Step::Record
            }
            Some(Err(KafkaError::PartitionEOF(partition))) => Step::End(partition),
            // A broker that is stopped or paused by the test; librdkafka goes on by itself.
            Some(Err(error)) if is_passing(&error) => Step::Nothing,
            Some(Err(error)) => panic!("reading {}: {error}", self.topic),
        }
    }

    fn consumer(&self) -> &BaseConsumer {
        self.consumer.as_ref().expect("open until dropped")
    }
}

impl Drop for Reader<'_> {
    fn drop(&mut self) {
        // Closing takes 100 ms, which no test needs to wait for.
        let consumer = self.consumer.take();
        thread::spawn(move || drop(consumer));
    }
}

enum Step {
    Record,
    End(i32),
    Nothing,
}

fn is_passing(error: &KafkaError) -> bool {
    use rdkafka::types::RDKafkaErrorCode as Code;
    matches!(
        error.rdkafka_error_code(),
        Some(Code::AllBrokersDown | Code::BrokerTransportFailure | Code::OperationTimedOut | Code::Resolve)
    )
}
