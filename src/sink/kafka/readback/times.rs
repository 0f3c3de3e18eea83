//! Where in a partition a time is.

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::{Offset, TopicPartitionList};

use super::REQUEST_TIMEOUT;
use crate::sink::SinkError;
use crate::sink::kafka::client::{Context, explain};

/// The offset of the first record that was written at this time or later, milliseconds since the Unix epoch, if there is one.
pub(super) fn first_since(
    consumer: &BaseConsumer<Context>,
    topic: &str,
    partition: i32,
    since_ms: i64,
) -> Result<Option<i64>, SinkError> {
    let failed = |error: KafkaError| {
        let reason = explain(consumer, &error);
        SinkError::Unusable(format!("cannot look up a time in {topic} partition {partition}: {reason}"))
    };
    let mut asked = TopicPartitionList::new();
    asked.add_partition_offset(topic, partition, Offset::Offset(since_ms.max(0))).map_err(failed)?;
    let found = consumer.offsets_for_times(asked, REQUEST_TIMEOUT).map_err(failed)?;
    Ok(found.find_partition(topic, partition).and_then(|found| match found.offset() {
        Offset::Offset(offset) => Some(offset),
        _ => None,
    }))
}
