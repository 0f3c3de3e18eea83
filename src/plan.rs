//! What is to run, as plain values: `config` fills them, `supervisor` takes them.

use std::sync::Arc;
use std::time::Duration;

use crate::event::{dedupe, extract, redact, route};
use crate::model::types::SourceId;
use crate::shard::batch;
use crate::sink::kafka;
use crate::sink::kafka::config::{EventHeaders, TopicSpec};
use crate::sink::kafka::group::Group;
use crate::source;

/// Everything that runs in this process.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The streams: at least one, with unique names.
    pub streams: Vec<Stream>,
    /// How Kafka is reached, the guarantee, the state topics.
    pub kafka: kafka::config::Config,
    /// When transactions close.
    pub batch: batch::Config,
    /// The id window of each shard.
    pub dedupe: dedupe::Config,
    /// Limit for committing what is queued when told to stop.
    pub shutdown_timeout: Duration,
    /// Which configuration this is: where two have another number of shards of a stream, the higher one decides.
    pub generation: u64,
    /// How the shards are shared with other instances; `None` where this process runs all of them.
    pub group: Option<Group>,
}

/// One stream.
#[derive(Clone, Debug)]
pub struct Stream {
    /// Number of shards, 1 or more.
    pub shards: u32,
    /// Where its lines come from; its name is in there.
    pub source: source::Config,
    /// What its positions belong to.
    pub source_id: SourceId,
    /// A word that has everything left behind which is known of the stream, once for each word.
    pub start_anew: Option<String>,
    /// Which fields are taken.
    pub extract: extract::Config,
    /// What is redacted in its events, if anything is.
    pub redact: Option<redact::Config>,
    /// How topics are chosen.
    pub route: route::Config,
    /// How missing event topics are created.
    pub topic_spec: TopicSpec,
    /// Which headers events get.
    pub headers: EventHeaders,
    /// Where events that cannot be carried go.
    pub dead_letter_topic: String,
}

impl Stream {
    /// Its name, which no other stream has.
    pub fn name(&self) -> &Arc<str> {
        &self.source.endpoint.stream
    }
}
