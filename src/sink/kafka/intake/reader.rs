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

/// Limit of one request to the cluster.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// How long one wait for a record takes.
const POLL_TIME: Duration = Duration::from_millis(100);

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

/// Reads one partition.
pub(crate) struct Reader {
    consumer: Option<BaseConsumer<Context>>,
    name: String,
    next: i64,
    is_gone: bool,
}

impl Reader {
    /// Begins at `from`, or at the oldest record where that is no place in the partition any more; then the gap is told, too.
    pub(crate) fn open(
        clients: &Clients,
        topic: &str,
        partition: i32,
        from: Option<i64>,
    ) -> Result<(Self, Option<Gap>), SinkError> {
        let name = format!("partition {partition} of {topic}");
        let consumer = clients.intake_consumer()?;
        let failed = |error: KafkaError| {
            SinkError::Unusable(format!("cannot read {name}: {}", explain(&consumer, &error)))
        };
        let (first, end) = consumer.fetch_watermarks(topic, partition, REQUEST_TIMEOUT).map_err(failed)?;
        let (next, gap) = begin(from, first, end);
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

/// Where to begin in a partition that holds the offsets from `first` to before `end`.
fn begin(from: Option<i64>, first: i64, end: i64) -> (i64, Option<Gap>) {
    match from {
        Some(from) if (first..=end).contains(&from) => (from, None),
        // Nothing was ever deleted.
        None if first == 0 => (first, None),
        wanted => (first, Some(Gap { wanted, first, end })),
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
            (None, 0, 9, (0, None)),
            (None, 4, 9, (4, gap(None, 4, 9))),
            (Some(4), 4, 9, (4, None)),
            (Some(9), 4, 9, (9, None)),
            (Some(3), 4, 9, (4, gap(Some(3), 4, 9))),
            (Some(10), 4, 9, (4, gap(Some(10), 4, 9))),
            (Some(10), 0, 0, (0, gap(Some(10), 0, 0))),
        ] {
            assert_eq!(begin(from, first, end), expected, "{from:?} in {first}..{end}");
        }
    }
}
