//! What the record says.

use serde::Deserialize;

use super::record::{Record, VERSION};
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
    let unreadable = |error| {
        SinkError::Unusable(format!("the placement record in {} cannot be read: {error}", state.shards))
    };
    // In a later version everything else may be different, so the version alone is read first.
    let Versioned { version } = serde_json::from_slice(&value.bytes).map_err(unreadable)?;
    if version > VERSION {
        return Err(SinkError::Misconfigured(format!(
            "the placement record in {} is of version {version}, written by a later release; this one reads up to {VERSION}",
            state.shards
        )));
    }
    let record: Record = serde_json::from_slice(&value.bytes).map_err(unreadable)?;
    Ok(Some((record, value.appended_ms)))
}

/// What every version of the record has.
#[derive(Deserialize)]
struct Versioned {
    version: u32,
}
