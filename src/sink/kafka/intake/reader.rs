//! Reads one partition of an intake topic from where its shard is.

use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Headers, Message};
use rdkafka::{Offset, TopicPartitionList};

use super::LENGTH_HEADER;
use crate::model::block::{Records, RecordsBuilder};
use crate::sink::SinkError;
use crate::sink::kafka::client::{Clients, Context, close_beside, explain, passes};
use crate::sink::kafka::delivery::{Meaning, meaning};
use crate::sink::kafka::readback::first_since;

/// Limit of one request to the cluster.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// How long one wait for a record takes.
const POLL_TIME: Duration = Duration::from_millis(100);

/// Bytes of one block: the shard's thread is woken once for each.
const BLOCK_BYTES: usize = 256 << 10;

/// Records of one block.
const BLOCK_RECORDS: usize = 4_096;

/// What clocks of instances and brokers may differ by, generously, milliseconds. Records that are read again for it are
/// known by their ids.
const CLOCKS_MS: i64 = 3_600_000;

/// What was read was stored before the commit that says so. Where something before that place is this much younger, milliseconds, it is
/// not what was read: the topic was deleted and made again. No less than clocks may differ by.
const YOUNGER_MS: i64 = CLOCKS_MS;

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
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Reached {
    /// At this offset; `None` for a first start.
    pub offset: Option<i64>,
    /// When that was committed, or read if that was later, milliseconds since the Unix epoch.
    pub committed_ms: Option<i64>,
}

/// Where to begin in a partition.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Begin {
    At(i64),
    /// With what was written since shortly before this time.
    Since(i64),
}

/// Reads one partition.
pub(crate) struct Reader {
    consumer: Option<BaseConsumer<Context>>,
    name: String,
    next: i64,
    is_gone: bool,
}

impl Reader {
    /// Begins at `from`. Where that is no place in the partition any more the gap is told, too: before the oldest record it
    /// begins with that; behind the end, as when the topic was made again or has lost its end, and in a partition of which the
    /// times say that it is another one, with what was written since shortly before the commit, which is all that may be new.
    pub(crate) fn open(
        clients: &Clients,
        topic: &str,
        partition: i32,
        from: Reached,
    ) -> Result<(Self, Option<Gap>), SinkError> {
        let name = format!("partition {partition} of {topic}");
        let consumer = clients.intake_consumer()?;
        let failed = |error: KafkaError| {
            SinkError::Unusable(format!("cannot read {name}: {}", explain(&consumer, &error)))
        };
        let (first, end) = consumer.fetch_watermarks(topic, partition, REQUEST_TIMEOUT).map_err(failed)?;
        let is_other = is_other(&consumer, topic, partition, from)?;
        let (begin, gap) = begin(from, first, end, is_other);
        let next = match begin {
            Begin::At(offset) => offset,
            Begin::Since(committed_ms) => {
                first_since(&consumer, topic, partition, committed_ms - CLOCKS_MS)?.unwrap_or(end).max(first)
            }
        };
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(topic, partition, Offset::Offset(next)).map_err(failed)?;
        consumer.assign(&list).map_err(failed)?;
        Ok((Self { consumer: Some(consumer), name, next, is_gone: false }, gap))
    }

    /// The offset after what was read.
    pub(crate) fn next(&self) -> i64 {
        self.next
    }

    /// Whether there was no such topic: one of that name that comes later is another one.
    pub(crate) fn is_gone(&self) -> bool {
        self.is_gone
    }

    /// What has come, waiting for it a little; `None` for nothing. After an error the partition has to be opened anew.
    pub(crate) fn read(&mut self) -> Result<Option<Records>, SinkError> {
        let Some(consumer) = &self.consumer else { return Ok(None) };
        let mut builder = RecordsBuilder::default();
        let (mut count, mut wait) = (0, POLL_TIME);
        while builder.len() < BLOCK_BYTES && count < BLOCK_RECORDS {
            match consumer.poll(wait) {
                None => break,
                Some(Ok(message)) => {
                    let bytes = message.payload().unwrap_or_default();
                    let next = message.offset().saturating_add(1);
                    builder.push(bytes, length(&message, bytes), next);
                    self.next = next;
                    (count, wait) = (count + 1, Duration::ZERO);
                }
                // What was read before it is handed over first; the error comes again.
                Some(Err(error)) if error.rdkafka_error_code().is_some_and(passes) => break,
                Some(Err(error)) => {
                    self.is_gone =
                        error.rdkafka_error_code().is_some_and(|code| meaning(code) == Meaning::NoTopic);
                    let reason = explain(consumer, &error);
                    return Err(SinkError::Unusable(format!("cannot read {}: {reason}", self.name)));
                }
            }
        }
        let context = consumer.client().context();
        if count > 0 {
            // Of several brokers one may refuse the client, and not the one that has the partition.
            context.note_accepted();
        } else if let Some(reason) = context.why_useless() {
            return Err(SinkError::Unusable(format!("cannot read {}: {reason}", self.name)));
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

/// Whether the partition is not the one of before, as far as the times of its records tell: rdkafka does not give a topic's id.
fn is_other(
    consumer: &BaseConsumer<Context>,
    topic: &str,
    partition: i32,
    from: Reached,
) -> Result<bool, SinkError> {
    let (Some(offset), Some(committed_ms)) = (from.offset, from.committed_ms) else { return Ok(false) };
    let younger = first_since(consumer, topic, partition, committed_ms.saturating_add(YOUNGER_MS))?;
    Ok(younger.is_some_and(|first| first < offset))
}

/// Where to begin in a partition that holds the offsets from `first` to before `end`, and may be another one than that of before.
fn begin(from: Reached, first: i64, end: i64, is_other: bool) -> (Begin, Option<Gap>) {
    match from.offset {
        Some(offset) if (first..=end).contains(&offset) && !is_other => (Begin::At(offset), None),
        // Nothing was ever deleted.
        None if first == 0 => (Begin::At(first), None),
        wanted => {
            let is_behind = wanted.is_some_and(|wanted| wanted > end);
            let since = from.committed_ms.filter(|_| is_behind || is_other);
            (since.map_or(Begin::At(first), Begin::Since), Some(Gap { wanted, first, end }))
        }
    }
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
        let gap = |wanted, first, end| Some(Gap { wanted, first, end });
        for (from, first, end, expected) in [
            (None, 0, 9, (Begin::At(0), None)),
            (None, 4, 9, (Begin::At(4), gap(None, 4, 9))),
            (Some(4), 4, 9, (Begin::At(4), None)),
            (Some(9), 4, 9, (Begin::At(9), None)),
            (Some(3), 4, 9, (Begin::At(4), gap(Some(3), 4, 9))),
            (Some(10), 4, 9, (Begin::Since(77), gap(Some(10), 4, 9))),
            (Some(10), 0, 0, (Begin::Since(77), gap(Some(10), 0, 0))),
        ] {
            let place = Reached { offset: from, committed_ms: from.map(|_| 77) };
            assert_eq!(begin(place, first, end, false), expected, "{from:?} in {first}..{end}");
        }
        let place = Reached { offset: Some(9), committed_ms: Some(77) };
        assert_eq!(begin(place, 4, 12, true), (Begin::Since(77), gap(Some(9), 4, 12)), "another topic");
        let undated = Reached { offset: Some(10), committed_ms: None };
        assert_eq!(begin(undated, 4, 9, false), (Begin::At(4), gap(Some(10), 4, 9)));
    }
}
