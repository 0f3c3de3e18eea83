//! What is to run, as plain values: `config` fills them, `supervisor` takes them.

use std::sync::Arc;
use std::time::Duration;

use crate::event::{dedupe, extract, redact, route};
use crate::model::types::{OnUnclean, SourceId};
use crate::shard::batch;
use crate::sink::kafka;
use crate::sink::kafka::config::{EventHeaders, TopicSpec};
use crate::sink::kafka::group::Group;
use crate::sink::kafka::intake::Intake;
use crate::{source, trace, webhook};

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
    /// What receives the streams that are pushed to us; `None` where there are none.
    pub webhook: Option<webhook::Config>,
    /// Where spans are sent, as far as the configuration says it.
    pub traces: trace::Config,
}

/// One stream.
#[derive(Clone, Debug)]
pub struct Stream {
    /// Number of shards, 1 or more.
    pub shards: u32,
    /// Its name, which no other stream has.
    pub name: Arc<str>,
    /// Where its events come from.
    pub input: Input,
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

/// Where the events of a stream come from.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "there is one for each stream")]
pub enum Input {
    /// A service that is connected to.
    Service(source::Config),
    /// Senders that push them to us, by way of an intake topic.
    Intake {
        /// The topic.
        intake: Intake,
        /// The path to which they are pushed.
        path: String,
        /// Who may push; `None` for everyone.
        access: Option<webhook::Access>,
        /// Bytes of events that may wait for the shard's thread.
        queue_bytes: usize,
        /// The longest event, bytes.
        max_line: usize,
    },
}

impl Stream {
    /// Its name, which no other stream has.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// The service that is connected to, if there is one.
    pub fn service(&self) -> Option<&source::Config> {
        match &self.input {
            Input::Service(source) => Some(source),
            Input::Intake { .. } => None,
        }
    }

    /// The same, to be changed.
    pub fn service_mut(&mut self) -> Option<&mut source::Config> {
        match &mut self.input {
            Input::Service(source) => Some(source),
            Input::Intake { .. } => None,
        }
    }

    /// Its intake topic, if it has one.
    pub fn intake(&self) -> Option<&Intake> {
        match &self.input {
            Input::Service(_) => None,
            Input::Intake { intake, .. } => Some(intake),
        }
    }

    /// How long events, or the position, are kept where they come from.
    pub fn retention(&self) -> Duration {
        match &self.input {
            Input::Service(source) => source.service.retention(),
            Input::Intake { intake, .. } => intake.retention,
        }
    }

    /// Where a service keeps the position: what to do when events may be lost that it sent.
    pub fn on_unclean(&self) -> Option<OnUnclean> {
        self.service()?.service.on_unclean()
    }

    /// Whether it begins, without a position, with the oldest event that is held.
    pub fn begins_at_oldest(&self) -> bool {
        self.service().is_none_or(|source| source.service.begins_at_oldest())
    }

    /// What says where its events come from, without what may be secret.
    pub fn origin(&self) -> String {
        match &self.input {
            Input::Service(source) => {
                let mut url = source.endpoint.url.clone();
                url.set_query(None);
                url.to_string()
            }
            Input::Intake { path, .. } => path.clone(),
        }
    }

    /// Bytes of events that may wait for the shard's thread.
    pub fn queue_bytes(&self) -> usize {
        match &self.input {
            Input::Service(source) => source.queue_bytes,
            Input::Intake { queue_bytes, .. } => *queue_bytes,
        }
    }
}
