//! Configuration to plan: what `config` says, in the terms of `supervisor`, which know nothing of each other.

use crate::config::Config;
use crate::supervisor::{Plan, Stream};

/// What the supervisor needs of the configuration.
pub fn plan(config: &Config) -> Plan {
    let streams = config.streams.iter().map(|stream| Stream {
        shards: stream.shards,
        source: stream.source.clone(),
        record: stream.record.clone(),
        route: stream.route.clone(),
        topic_spec: stream.topic,
        headers: stream.headers,
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
