//! Reads one partition of an intake topic from where its shard is.

use std::ops::Range;
use std::thread;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Headers, Message};
use rdkafka::{Offset, TopicPartitionList};

use super::LENGTH_HEADER;
use crate::failpoint;
use crate::model::block::{Records, RecordsBuilder};
use crate::model::trail::{RecordMark, Seen, Trail};
use crate::sink::SinkError;
use crate::sink::kafka::client::{Clients, Context, close_beside, explain, passes};
use crate::sink::kafka::readback;

/// How long it sleeps where nothing has come. A poll that waits would use up the core in its last millisecond, and wake for each
/// record; what comes in this time waits for the end of its batch anyway.
const PAUSE: Duration = Duration::from_millis(20);

/// Bytes of one block: the shard's thread is woken once for each.
const BLOCK_BYTES: usize = 256 << 10;

/// Records of one block.
const BLOCK_RECORDS: usize = 4_096;

/// Records that are in the partition no more, or a partition that is not the one of before.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Gap {
    /// The offset where the shard was to go on; `None` for a first start.
    pub wanted: Option<i64>,
    /// The first offset that is there.
    pub first: i64,
    /// The offset after the last record.
    pub end: i64,
}

/// How far a shard has come.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Reached {
    /// At this offset; `None` for a first start.
    pub offset: Option<i64>,
    /// Some of the records before it, by which the partition is known again.
    pub read: Trail,
}

impl Reached {
    /// A record was read.
    pub(crate) fn pass(&mut self, mark: RecordMark) {
        self.offset = Some(mark.next());
        self.read.pass(mark);
    }

    /// It goes on somewhere else: what it knows from there on is not in the partition any more.
    pub(crate) fn move_to(&mut self, offset: i64) {
        self.offset = Some(offset);
        self.read.cut(offset);
    }
}

/// Reads one partition.
pub(crate) struct Reader {
    consumer: Option<BaseConsumer<Context>>,
    name: String,
    first: i64,
}

impl Reader {
    /// Begins at `from`. Where that is no place in the partition any more the gap is told, too: then it begins with the oldest record
    /// that may not have been read. In a partition that has lost its end that is the one after the latest that is known again; in
    /// another one, as when the topic was made again, and where the retention went further than the shard, the first that is there.
    pub(crate) fn open(
        clients: &Clients,
        topic: &str,
        partition: i32,
        from: &Reached,
    ) -> Result<(Self, Option<Gap>), SinkError> {
        let name = format!("partition {partition} of {topic}");
        let consumer = clients.intake_consumer()?;
        let cannot = |reason: String| SinkError::Unusable(format!("cannot read {name}: {reason}"));
        let failed = |error: KafkaError| cannot(explain(&consumer, &error));
        let (first, end) = readback::first_watermarks(&consumer, topic, partition).map_err(cannot)?;
        let (next, gap) = begin(from.offset, seen(clients, topic, partition, from, first..end)?, first..end);
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(topic, partition, Offset::Offset(next)).map_err(failed)?;
        consumer.assign(&list).map_err(failed)?;
        Ok((Self { consumer: Some(consumer), name, first: next }, gap))
    }

    /// The offset of the first record that it reads.
    pub(crate) fn first(&self) -> i64 {
        self.first
    }

    /// What has come, waiting for it a little; `None` for nothing. After an error the partition has to be opened anew.
    pub(crate) fn read(&self) -> Result<Option<Records>, SinkError> {
        let Some(consumer) = &self.consumer else { return Ok(None) };
        let mut builder = RecordsBuilder::default();
        let mut count = 0;
        while builder.len() < BLOCK_BYTES && count < BLOCK_RECORDS {
            match consumer.poll(Duration::ZERO) {
                None => break,
                Some(Ok(message)) => {
                    let bytes = message.payload().unwrap_or_default();
                    let mark = RecordMark { offset: message.offset(), timestamp_ms: timestamp_ms(&message) };
                    builder.push(bytes, length(&message, bytes), mark);
                    count += 1;
                }
                // What was read before it is handed over first; the error comes again.
                Some(Err(error)) if error.rdkafka_error_code().is_some_and(passes) => break,
                Some(Err(error)) => {
                    let reason = explain(consumer, &error);
                    return Err(SinkError::Unusable(format!("cannot read {}: {reason}", self.name)));
                }
            }
        }
        let context = consumer.client().context();
        if count > 0 {
            // Of several brokers one may refuse the client, and not the one that has the partition.
            context.note_accepted();
            if failpoint::pass("intake_lost_brokers").is_some() {
                context.note_lost_brokers();
            }
        } else if let Some(reason) = context.why_useless() {
            return Err(SinkError::Unusable(format!("cannot read {}: {reason}", self.name)));
        } else {
            thread::sleep(PAUSE);
        }
        Ok((count > 0).then(|| builder.build()))
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        if let Some(consumer) = self.consumer.take() {
            close_beside(consumer);
        }
    }
}

/// What the partition, which holds the offsets `there`, shows of the records that were read. rdkafka does not give a topic's id, which
/// would tell for sure.
fn seen(
    clients: &Clients,
    topic: &str,
    partition: i32,
    from: &Reached,
    there: Range<i64>,
) -> Result<Seen, SinkError> {
    let Some(next) = from.offset else { return Ok(Seen::Nothing) };
    let mut reader = None;
    from.read.seen(next, there, |offset| {
        let reader = match &mut reader {
            Some(reader) => reader,
            // It waits for no transaction: receivers write without.
            None => reader.insert(readback::Reader::new(clients, Duration::ZERO)?),
        };
        reader.at(topic, partition, offset, timestamp_ms)
    })
}

/// Where to begin in a partition that holds the offsets `there`, and shows this of what was read before `wanted`.
fn begin(wanted: Option<i64>, seen: Seen, there: Range<i64>) -> (i64, Option<Gap>) {
    let gap = Some(Gap { wanted, first: there.start, end: there.end });
    match (wanted, seen) {
        (Some(wanted), Seen::Before(next)) if next == wanted => (next, None),
        (_, Seen::Before(next)) => (next, gap),
        (Some(wanted), Seen::Nothing) if wanted == there.end || there.contains(&wanted) => (wanted, None),
        // Nothing was ever deleted.
        (None, Seen::Nothing) if there.start == 0 => (0, None),
        _ => (there.start, gap),
    }
}

/// -1 where it has none, as in Kafka.
fn timestamp_ms(message: &BorrowedMessage<'_>) -> i64 {
    message.timestamp().to_millis().unwrap_or(-1)
}

fn length(message: &BorrowedMessage<'_>, bytes: &[u8]) -> u64 {
    let said = message.headers().and_then(|headers| {
        let header = headers.iter().find(|header| header.key == LENGTH_HEADER)?;
        std::str::from_utf8(header.value?).ok()?.parse().ok()
    });
    said.unwrap_or(bytes.len() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_goes_on_where_it_was_or_says_what_is_missing() {
        use Seen::{Before, Nothing, Others};
        for (wanted, seen, there, next) in [
            (None, Nothing, 0..9, 0),
            (Some(4), Nothing, 4..9, 4),
            (Some(9), Nothing, 4..9, 9),
            (Some(9), Before(9), 4..9, 9),
            (Some(9), Before(9), 4..12, 9),
        ] {
            assert_eq!(begin(wanted, seen, there.clone()), (next, None), "{wanted:?} {seen:?} in {there:?}");
        }
        for (wanted, seen, there, next) in [
            (None, Nothing, 4..9, 4),
            (Some(3), Nothing, 4..9, 4),
            (Some(10), Nothing, 4..9, 4),
            (Some(10), Nothing, 0..0, 0),
            (Some(10), Before(7), 4..9, 7),
            (Some(10), Before(7), 4..12, 7),
            (Some(10), Others, 4..9, 4),
            (Some(10), Others, 0..12, 0),
        ] {
            let gap = Gap { wanted, first: there.start, end: there.end };
            assert_eq!(begin(wanted, seen, there), (next, Some(gap)), "{seen:?}");
        }
    }

    #[test]
    fn a_place_that_was_given_up_is_not_looked_for_again() {
        let mut reached = Reached::default();
        (0..20).for_each(|offset| reached.pass(RecordMark { offset, timestamp_ms: 1_000 + offset }));
        reached.move_to(13);
        let look = |offset| Ok::<_, ()>((offset < 13).then_some(1_000 + offset));
        assert_eq!((reached.offset, reached.read.seen(13, 0..13, look)), (Some(13), Ok(Seen::Before(13))));
        reached.move_to(0);
        assert_eq!(reached, Reached { offset: Some(0), read: Trail::default() });
    }
}
