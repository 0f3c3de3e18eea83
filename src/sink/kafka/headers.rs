//! The headers of records: CloudEvents in binary mode for events, the reason for dead letters.

use rdkafka::message::{Header, OwnedHeaders, ToBytes};

use super::Settings;
use crate::model::types::{Headers, ShardId};

/// Bytes of all header names and of the constant values that are not counted one by one.
const NAMES: usize = 128;

/// Makes the headers of one shard's records.
pub(super) struct RecordHeaders {
    /// Names and values of the headers that all events of the shard share.
    event: [(&'static str, String); 5],
    stream: String,
    shard: String,
    source: String,
}

impl RecordHeaders {
    pub(super) fn new(settings: &Settings) -> Self {
        let ShardId { stream, index } = &settings.shard;
        let shard = index.to_string();
        let event = [
            ("ce_specversion", "1.0".to_owned()),
            ("ce_source", settings.source.clone()),
            ("content-type", "application/json".to_owned()),
            ("tributary-stream", stream.to_string()),
            ("tributary-shard", shard.clone()),
        ];
        Self { event, stream: stream.to_string(), shard, source: settings.source.clone() }
    }

    /// The headers of one record.
    pub(super) fn of(&self, headers: Headers<'_>) -> OwnedHeaders {
        match headers {
            Headers::Event { id, event_type, time } => {
                // Room for all at once; a copy of ready-made constant ones would have to grow.
                let room = OwnedHeaders::new_with_capacity(self.event.len() + 3);
                let constant = self.event.iter();
                let all = constant
                    .fold(room, |all, (name, value)| all.insert(header(name, value)))
                    .insert(header("ce_id", id))
                    .insert(header("ce_type", event_type));
                match time {
                    Some(time) => all.insert(header("ce_time", time)),
                    None => all,
                }
            }
            Headers::DeadLetter { reason, detail, length } => OwnedHeaders::new_with_capacity(6)
                .insert(header("tributary-stream", &self.stream))
                .insert(header("tributary-shard", &self.shard))
                .insert(header("tributary-source", &self.source))
                .insert(header("tributary-reason", reason.name()))
                .insert(header("tributary-detail", detail))
                .insert(header("tributary-length", &length.to_string())),
        }
    }

    /// Their bytes, near enough to judge a record's size.
    pub(super) fn bytes(&self, headers: &Headers<'_>) -> usize {
        let constant = NAMES + self.source.len() + self.stream.len();
        match headers {
            Headers::Event { id, event_type, time } => {
                constant + id.len() + event_type.len() + time.map_or(0, <[u8]>::len)
            }
            Headers::DeadLetter { detail, .. } => constant + detail.len(),
        }
    }
}

/// Librdkafka copies a header's name and value; this only names the types.
fn header<'a, V: ToBytes + ?Sized>(key: &'a str, value: &'a V) -> Header<'a, &'a V> {
    Header { key, value: Some(value) }
}
