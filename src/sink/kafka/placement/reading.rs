//! What the record says.

use super::record::{DecodeError, Record};
use super::{KEY, PARTITION, Place};
use crate::model::types::ShardId;
use crate::sink::SinkError;
use crate::sink::kafka::StateTopics;
use crate::sink::kafka::readback::{OpenTransactions, Reader};

/// The instance that announced itself last for a shard's stream, and where the state of the shard is; `None` where the
/// record does not know the stream.
pub(in crate::sink::kafka) fn standing(
    reader: &Reader,
    state: &StateTopics,
    shard: &ShardId,
) -> Result<Option<(String, Option<i32>)>, SinkError> {
    let found = read(reader, state)?;
    Ok(found.and_then(|(record, _)| {
        record.instance(&shard.stream).map(|instance| (instance.to_owned(), record.partition(shard)))
    }))
}

/// Where a shard has its state, whatever number of shards is configured.
pub(in crate::sink::kafka) fn recorded(
    reader: &Reader,
    state: &StateTopics,
    shard: &ShardId,
) -> Result<Option<Place>, SinkError> {
    Ok(read(reader, state)?.and_then(|(record, _)| record.recorded(shard)))
}

/// The record, and when the broker took it, by its clock.
pub(super) fn read(reader: &Reader, state: &StateTopics) -> Result<Option<(Record, Option<i64>)>, SinkError> {
    read_past(reader, state, OpenTransactions::WaitFor)
}

/// The same, with a choice of what an announcement that is under way means.
pub(super) fn read_past(
    reader: &Reader,
    state: &StateTopics,
    open: OpenTransactions,
) -> Result<Option<(Record, Option<i64>)>, SinkError> {
    let Some(value) = reader.last_value(&state.shards, PARTITION, KEY, open)? else {
        return Ok(None);
    };
    let record = Record::decode(&value.bytes).map_err(|error| {
        let message = format!("the placement record in {} cannot be read: {error}", state.shards);
        match error {
            DecodeError::Newer(_) => SinkError::Misconfigured(message),
            DecodeError::Malformed(_) | DecodeError::BeyondReach { .. } => SinkError::Unusable(message),
        }
    })?;
    Ok(Some((record, value.appended_ms)))
}
