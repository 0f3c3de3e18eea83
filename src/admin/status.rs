//! `/api/status`: what `/ready` says, and for each shard what the metrics count, in one JSON object for people and their tools.
//!
//! Its members stay as they are: new ones may come, so whoever reads it ignores those that it does not know.

use std::sync::Arc;

use serde::Serialize;
use tokio::time::Instant;

use super::readiness::{self, date};
use crate::clock::now_ms;
use crate::model::last_error::LastError;
use crate::model::rate::Rate;
use crate::supervisor::ShardFigures;

/// Everything at one moment.
#[derive(Debug, Serialize)]
pub(super) struct Snapshot {
    version: &'static str,
    /// When the process began, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    started: Option<String>,
    /// When this was, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    time: Option<String>,
    /// Whether every shard is ready.
    ready: bool,
    kafka: readiness::Kafka,
    #[serde(skip_serializing_if = "Option::is_none")]
    group: Option<readiness::Group>,
    #[serde(skip_serializing_if = "Option::is_none")]
    webhook: Option<readiness::Webhook>,
    shards: Vec<Shard>,
}

/// One shard. What counts, counts since the process began, and only what is committed.
#[derive(Debug, Serialize)]
struct Shard {
    #[serde(flatten)]
    readiness: readiness::Shard,
    stream: String,
    number: u32,
    /// Whose it is to run, as far as this instance knows.
    owner: &'static str,
    /// The other instance that the group gave it to when it last changed; absent where that is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    held_by: Option<Arc<str>>,
    /// Absent where no second look was taken, and at the first of several.
    #[serde(skip_serializing_if = "Option::is_none")]
    events_per_second: Option<u64>,
    received: u64,
    delivered: u64,
    duplicates: u64,
    dead_letters: u64,
    /// Connections that are open.
    connections: i64,
    /// Connections that ended or failed.
    reconnects: u64,
    restarts: u64,
    write_failures: u64,
    /// Now minus the processing time of the last committed event; absent before the first, and where another instance has the shard.
    #[serde(skip_serializing_if = "Option::is_none")]
    lag_seconds: Option<f64>,
    /// When the last checkpoint was committed, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_commit: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_error: Option<Error>,
}

/// The latest error.
#[derive(Debug, Serialize)]
struct Error {
    class: &'static str,
    reason: String,
    /// RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    time: Option<String>,
}

/// The rates of all shards, from one snapshot to the next.
#[derive(Debug, Default)]
pub(super) struct Rates {
    shards: Vec<Rate>,
}

impl Rates {
    /// The rate of each shard now, in events a second; nothing at the first look.
    pub(super) fn measure(&mut self, figures: &[ShardFigures]) -> Vec<Option<u64>> {
        let (now, is_first) = (Instant::now(), self.shards.is_empty());
        self.shards.resize_with(figures.len(), Rate::default);
        let measured = self.shards.iter_mut().zip(figures);
        let measured = measured.map(|(rate, figures)| rate.measure(figures.shard.delivered.get(), now));
        measured.map(|rate| (!is_first).then_some(rate)).collect()
    }
}

impl Snapshot {
    /// How everything is now. `rates` are those of the shards, in their order, as far as they are known.
    pub(super) fn of(
        page: readiness::Page,
        figures: &[ShardFigures],
        rates: &[Option<u64>],
        started_ms: i64,
    ) -> Self {
        let now_ms = now_ms();
        let readiness::Page { ready, kafka, group, webhook, shards } = page;
        let rates = rates.iter().copied().chain(std::iter::repeat(None));
        let shards = shards.into_iter().zip(figures).zip(rates);
        let shards = shards.map(|((ready, figures), rate)| Shard::of(ready, figures, rate, now_ms)).collect();
        let version = env!("CARGO_PKG_VERSION");
        Self { version, started: date(started_ms), time: date(now_ms), ready, kafka, group, webhook, shards }
    }
}

impl Shard {
    fn of(readiness: readiness::Shard, figures: &ShardFigures, rate: Option<u64>, now_ms: i64) -> Self {
        let ShardFigures { id, source, shard, .. } = figures;
        let health = shard.health.get();
        let is_owned = health.is_owned();
        let (processed_ms, commit_ms) = (shard.last_processed_ms(), shard.last_commit_ms());
        Self {
            readiness,
            stream: id.stream.to_string(),
            number: id.index,
            owner: if is_owned { "this instance" } else { "another instance, or none yet" },
            held_by: health.holder.filter(|_| !is_owned),
            events_per_second: rate,
            received: shard.received.get(),
            delivered: shard.delivered.get(),
            duplicates: shard.duplicates.get(),
            dead_letters: shard.total_dead_letters(),
            connections: source.connections.get(),
            reconnects: source.total_reconnects(),
            restarts: shard.restarts.get(),
            write_failures: shard.write_failures.get(),
            lag_seconds: (is_owned && processed_ms > 0)
                .then(|| (now_ms - processed_ms).max(0) as f64 / 1000.0),
            last_commit: (is_owned && commit_ms > 0).then(|| date(commit_ms)).flatten(),
            last_error: Error::latest(figures),
        }
    }
}

impl Error {
    fn latest(figures: &ShardFigures) -> Option<Self> {
        let both = [figures.source.errors.latest(), figures.shard.errors.latest()];
        let LastError { class, reason, at_ms } =
            both.into_iter().flatten().max_by_key(|error| error.at_ms)?;
        Some(Self { class, reason, time: date(at_ms) })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::{Value, json};

    use super::*;
    use crate::model::types::ShardId;
    use crate::sink::kafka::reach::Reach;
    use crate::source::failure::Class;

    fn figures() -> [ShardFigures; 1] {
        [ShardFigures {
            id: ShardId { stream: "mobile".into(), index: 3 },
            source: Default::default(),
            shard: Default::default(),
            kafka: Default::default(),
        }]
    }

    fn json(figures: &[ShardFigures], rates: &[Option<u64>]) -> Value {
        let page = readiness::Page::of(figures, &Reach::default(), None, None);
        serde_json::to_value(Snapshot::of(page, figures, rates, 0)).unwrap()
    }

    #[test]
    fn a_shard_has_what_is_counted_and_its_latest_error() {
        let figures = figures();
        figures[0].shard.delivered.inc_by(7);
        figures[0].shard.health.opened();
        figures[0].shard.cannot("unusable", "no broker".into());
        figures[0].source.failed(Class::Unauthorized, "401".into(), 1_000);
        let shard = json(&figures, &[Some(5)])["shards"][0].clone();
        let expected = json!({ "shard": "mobile/3", "stream": "mobile", "number": 3, "ready": false, "state": "idle",
            "owner": "this instance", "oldest_uncommitted_seconds": 0.0, "events_per_second": 5, "received": 0,
            "delivered": 7, "duplicates": 0, "dead_letters": 0, "connections": 0, "reconnects": 0, "restarts": 0,
            "write_failures": 0, "reason": "401", "since": "1970-01-01T00:00:01Z",
            "last_error": { "class": "unusable", "reason": "no broker", "time": shard["last_error"]["time"] } });
        assert_eq!(shard, expected);
    }

    #[test]
    fn what_another_instance_has_is_neither_late_nor_committed_here() {
        let figures = figures();
        figures[0].shard.health.standby();
        let page = json(&figures, &[]);
        let shard = &page["shards"][0];
        assert_eq!((&page["version"], &page["ready"]), (&json!(env!("CARGO_PKG_VERSION")), &json!(true)));
        assert_eq!(shard["owner"], "another instance, or none yet");
        assert!(
            ["held_by", "lag_seconds", "last_commit", "last_error", "events_per_second"]
                .iter()
                .all(|it| shard.get(it).is_none())
        );
    }

    #[tokio::test(start_paused = true)]
    async fn rates_come_with_the_second_look() {
        let (figures, mut rates) = (figures(), Rates::default());
        assert_eq!(rates.measure(&figures), [None]);
        figures[0].shard.delivered.inc_by(100);
        tokio::time::advance(Duration::from_secs(2)).await;
        assert_eq!(rates.measure(&figures), [Some(50)]);
    }
}
