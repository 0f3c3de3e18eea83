//! Configuration to plan: what `config` says, in the terms of `supervisor`, which know nothing of each other.

use crate::config::{Config, StreamConfig, StreamKind};
use crate::model::types::SourceId;
use crate::source::Service;
use crate::source::http::auth::Credential;
use crate::supervisor::{Plan, Stream};

/// What the supervisor needs of the configuration.
pub fn plan(config: &Config) -> Plan {
    let streams = config.streams.iter().map(|stream| Stream {
        shards: stream.shards,
        source: stream.source.clone(),
        source_id: source_id(stream),
        start_anew: stream.start_anew.clone(),
        record: stream.record.clone(),
        route: stream.route.clone(),
        topic_spec: stream.topic,
        headers: stream.headers.clone(),
        dead_letter_topic: stream.dead_letter_topic.clone(),
        retention: stream.source.service.retention(),
    });
    Plan {
        streams: streams.collect(),
        sink: config.kafka.clone(),
        batch: config.batch,
        dedupe: config.dedupe,
        shutdown_timeout: config.shutdown_timeout,
    }
}

/// What the positions of a stream belong to: for Airship the app key (of the public test server, which has none, the user),
/// for Adobe the path, which holds the stream's name.
fn source_id(stream: &StreamConfig) -> SourceId {
    let url = &stream.source.url;
    let name = match (&stream.source.service, &stream.source.auth) {
        (Service::Airship(airship), Credential::Basic { user, .. }) => {
            airship.app_key.clone().unwrap_or_else(|| user.clone())
        }
        (Service::Airship(airship), _) => airship.app_key.clone().unwrap_or_default(),
        (Service::Adobe(_), _) => url.path().to_owned(),
    };
    let kind = match stream.kind {
        StreamKind::Airship => "airship",
        StreamKind::AirshipCompliance => "airship_compliance",
        StreamKind::Adobe => "adobe",
    };
    let host = url.host_str().unwrap_or_default();
    let host = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
    SourceId { kind: kind.to_owned(), name, host }
}
