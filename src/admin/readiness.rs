//! The page `/ready`: whether data can move through each shard, and if not, why and since when.

use serde::Serialize;

use crate::shard::health::LIMIT;
use crate::shard::readiness::{Readiness, View};
use crate::sink::kafka::group::{Seat, Sitting};
use crate::sink::kafka::reach::{Reach, Trouble};
use crate::supervisor::ShardFigures;
use crate::webhook::{self, Health};

/// What is said of Kafka before its first answer.
const UNHEARD: &str = "it has not answered yet; this process has just begun to ask";

/// The page.
#[derive(Debug, Serialize)]
pub(super) struct Page {
    /// Whether every shard is ready, those of other instances included, which this one could take over.
    pub(super) ready: bool,
    pub(super) kafka: Kafka,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) group: Option<Group>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) webhook: Option<Webhook>,
    pub(super) shards: Vec<Shard>,
}

/// Whether what is pushed to this instance can be stored.
#[derive(Debug, Serialize)]
pub(super) struct Webhook {
    ready: bool,
    #[serde(flatten)]
    why: Why,
}

/// How this instance stands in the consumer group that shares the shards.
#[derive(Debug, Serialize)]
pub(super) struct Group {
    instance_id: String,
    /// Whether the group has told it which shards it has, be it none.
    joined: bool,
    /// Partitions that it was given and whose shards its configuration does not have: they stand still.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    unknown_partitions: Vec<i32>,
    #[serde(flatten)]
    why: Why,
    #[serde(skip)]
    ready: bool,
}

/// Whether Kafka answered when it was last asked.
#[derive(Debug, Serialize)]
pub(super) struct Kafka {
    answers: bool,
    #[serde(flatten)]
    why: Why,
}

#[derive(Debug, Serialize)]
pub(super) struct Shard {
    shard: String,
    ready: bool,
    state: &'static str,
    #[serde(flatten)]
    why: Why,
    /// Age of the oldest line that is not committed; zero if there is none.
    oldest_uncommitted_seconds: f64,
}

/// What is wrong, if anything is.
#[derive(Debug, Default, Serialize)]
struct Why {
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<String>,
}

impl Page {
    /// How everything is now.
    pub(super) fn of(
        figures: &[ShardFigures],
        reach: &Reach,
        seat: Option<&Seat>,
        webhook: Option<&webhook::Metrics>,
    ) -> Self {
        let shards: Vec<Shard> = figures.iter().map(|figures| Shard::of(figures, reach)).collect();
        let group = seat.map(Group::of);
        let webhook = webhook.map(|webhook| Webhook::of(&webhook.health()));
        let ready = shards.iter().all(|shard| shard.ready)
            && group.as_ref().is_none_or(|group| group.ready)
            && webhook.as_ref().is_none_or(|webhook| webhook.ready);
        Self { ready, kafka: Kafka::of(reach), group, webhook, shards }
    }
}

impl Webhook {
    fn of(health: &Health) -> Self {
        let reason = match health {
            Health::Ready => None,
            Health::Draining => Some("told to stop".to_owned()),
            Health::Away(why) => Some(why.clone()),
        };
        Self { ready: reason.is_none(), why: Why { reason, since: None } }
    }
}

impl Kafka {
    fn of(reach: &Reach) -> Self {
        let answers = reach.answers();
        let why = match reach.trouble() {
            Some(trouble) => Why::of(trouble),
            None if answers => Why::default(),
            None => Why { reason: Some(UNHEARD.to_owned()), since: None },
        };
        Self { answers, why }
    }
}

impl Why {
    fn of(trouble: Trouble) -> Self {
        Self { reason: Some(trouble.reason), since: date(trouble.since_ms) }
    }
}

impl Group {
    fn of(seat: &Seat) -> Self {
        let Sitting { joined, was_joined, trouble, unknown, .. } = seat.get();
        // A member that has to join once more does so within seconds.
        let passes = trouble.as_ref().is_none_or(|trouble| trouble.since.elapsed() < LIMIT);
        Self {
            instance_id: seat.instance_id().to_owned(),
            joined,
            unknown_partitions: unknown,
            why: trouble.map(Why::of).unwrap_or_default(),
            ready: joined || (was_joined && passes),
        }
    }
}

impl Shard {
    fn of(figures: &ShardFigures, reach: &Reach) -> Self {
        let judged = View::of(&figures.shard, &figures.source, reach).judge();
        let Readiness { ready, state, reason, since_ms, uncommitted } = judged;
        Self {
            shard: figures.id.to_string(),
            ready,
            state,
            why: Why { reason, since: since_ms.and_then(date) },
            oldest_uncommitted_seconds: (uncommitted.as_secs_f64() * 1000.0).round() / 1000.0,
        }
    }
}

/// Milliseconds since the Unix epoch as RFC 3339.
pub(super) fn date(ms: i64) -> Option<String> {
    jiff::Timestamp::from_millisecond(ms).ok().map(|time| time.to_string())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::model::types::ShardId;
    use crate::source::failure::Class;

    #[test]
    fn the_page_says_what_is_wrong_and_since_when() {
        let figures = |index| ShardFigures {
            id: ShardId { stream: "mobile".into(), index },
            source: Default::default(),
            shard: Default::default(),
            kafka: Default::default(),
        };
        let both = [figures(0), figures(1)];
        for figures in &both {
            figures.shard.health.opened();
            figures.source.set_state(crate::source::metrics::ConnectionState::Connecting);
        }
        both[1].source.failed(Class::Unauthorized, "401: wrong token".into(), 1_764_073_921_500);
        let reach = Reach::default();
        let page = |reach: &Reach| serde_json::to_value(Page::of(&both, reach, None, None)).unwrap();
        let first = json!({ "shard": "mobile/0", "ready": false, "state": "connecting",
                            "oldest_uncommitted_seconds": 0.0 });
        let second = json!({ "shard": "mobile/1", "ready": false, "state": "connecting", "reason": "401: wrong token",
                             "since": "2025-11-25T12:32:01.5Z", "oldest_uncommitted_seconds": 0.0 });
        let unheard = json!({ "answers": false, "reason": UNHEARD });
        assert_eq!(page(&reach)["kafka"], unheard);
        reach.works();
        let expected = json!({ "ready": false, "kafka": { "answers": true }, "shards": [first, second] });
        assert_eq!(page(&reach), expected);
        reach.fails("connection refused".into());
        let kafka = page(&reach)["kafka"].clone();
        assert_eq!((&kafka["answers"], &kafka["reason"]), (&json!(false), &json!("connection refused")));
        assert!(kafka["since"].as_str().unwrap().ends_with('Z'), "{kafka}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_spare_is_ready_once_it_has_joined_and_while_it_comes_back_soon() {
        let figures = [ShardFigures {
            id: ShardId { stream: "mobile".into(), index: 0 },
            source: Default::default(),
            shard: Default::default(),
            kafka: Default::default(),
        }];
        figures[0].shard.health.standby();
        let (reach, seat) = (Reach::default(), Seat::new("pod-1"));
        reach.works();
        let page = || serde_json::to_value(Page::of(&figures, &reach, Some(&seat), None)).unwrap();
        assert_eq!((&page()["ready"], &page()["group"]["joined"]), (&json!(false), &json!(false)));
        seat.joins();
        let spare = json!({ "ready": true, "kafka": { "answers": true }, "group": { "instance_id": "pod-1", "joined": true },
            "shards": [{ "shard": "mobile/0", "ready": true, "state": "standby", "oldest_uncommitted_seconds": 0.0 }] });
        assert_eq!(page(), spare);
        seat.loses("expired");
        assert_eq!((&page()["ready"], &page()["group"]["reason"]), (&json!(true), &json!("expired")));
        tokio::time::advance(LIMIT).await;
        assert_eq!(page()["ready"], json!(false));
    }
}
