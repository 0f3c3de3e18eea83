//! The announcement of this instance before it fences anybody, and the look for those of others.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::{debug, error};

use super::run::Event;
use super::{Ended, Names, ShardFigures};
use crate::clock::now_ms;
use crate::event::route;
use crate::plan::{Plan, Stream};
use crate::sink::SinkError;
use crate::sink::kafka::StateTopics;
use crate::sink::kafka::config::TopicSpec;
use crate::sink::kafka::placement::record::{Instance, Wanted, Who};
use crate::sink::kafka::placement::{Announcement, Placement, Watcher};
use crate::sink::kafka::topics::Wanted as WantedTopic;

/// First and longest pause before a cluster that cannot be used is tried again.
const PLACEMENT_PAUSES: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(30));

/// How often an instance looks whether another one announced itself.
const WATCH_INTERVAL: Duration = Duration::from_secs(5);

const CANNOT_ANNOUNCE: &str = "cannot prepare the topics and announce this instance in Kafka; trying again";

/// The topics of a stream that are known before any event.
fn known_topics(stream: &Stream, plan: &Plan) -> Vec<WantedTopic> {
    let router = route::Router::new(stream.route.clone());
    let events = router.known_topics().map(|name| WantedTopic::event(name, stream.topic_spec));
    let dead_letters = WantedTopic::event(&stream.dead_letter_topic, TopicSpec::default());
    events.chain([dead_letters]).chain(stream.intake().map(|intake| intake.wanted(&plan.kafka))).collect()
}

/// All topics of a plan that are known before any event, those of its state included, as they must be in a cluster that knows no
/// other streams. Each is named once.
pub(crate) fn all_topics(plan: &Plan) -> Vec<WantedTopic> {
    let state = StateTopics::new(&plan.kafka.prefix);
    let shards: u32 = plan.streams.iter().map(|stream| stream.shards).sum();
    let shards = i32::try_from(shards).unwrap_or(i32::MAX);
    let shared = if plan.group.is_some() { shards } else { 1 };
    let mut topics: Vec<WantedTopic> = state.wanted(&plan.kafka, shards).into();
    topics.push(state.wanted_shards(&plan.kafka, shared));
    for topic in plan.streams.iter().flat_map(|stream| known_topics(stream, plan)) {
        if topics.iter().all(|known| known.name != topic.name) {
            topics.push(topic);
        }
    }
    topics
}

/// What a stream wants in the record.
pub(super) fn wanted(stream: &Stream, generation: u64) -> Wanted {
    Wanted {
        generation,
        stream: stream.name().to_string(),
        shards: stream.shards,
        source: stream.source_id.clone(),
        start_anew: stream.start_anew.clone(),
        is_fixed: stream.intake().is_some(),
    }
}

/// What all streams of this configuration want in the record.
fn all_wanted(plan: &Plan) -> Arc<[Wanted]> {
    plan.streams.iter().map(|stream| wanted(stream, plan.generation)).collect()
}

/// Has the streams of this configuration placed that the record does not know, so that they have checkpoints before they run.
/// Whoever runs the others is not disturbed. Whoever runs them by the same `names` knows that they are new. Nothing is placed any more
/// once `stop` is cancelled. Blocks.
pub(crate) fn place_unknown(
    plan: &Plan,
    names: &Names,
    stop: &CancellationToken,
    runtime: &Handle,
) -> Result<(), SinkError> {
    let topics: Vec<WantedTopic> =
        plan.streams.iter().flat_map(|stream| known_topics(stream, plan)).collect();
    let announcement = Announcement {
        streams: &all_wanted(plan),
        only_unknown: true,
        only_if_free: &[],
        topics: &topics,
        who: Who { instance: &names.instance, process: &names.process, now_ms: now_ms() },
        stop,
    };
    Placement::announce(&plan.kafka, announcement, runtime.clone()).map(drop)
}

/// Announces this instance in the placement record, waiting for Kafka where it cannot be used.
pub(super) async fn announce(
    plan: &Arc<Plan>,
    figures: &[ShardFigures],
    names: &Names,
    stop: &CancellationToken,
) -> Result<Placement, Ended> {
    let streams: Arc<[Wanted]> = all_wanted(plan);
    let resets =
        plan.streams.iter().filter(|stream| stream.service().is_some_and(|source| source.service.resets()));
    let only_if_free: Arc<[String]> = resets.map(|stream| stream.name().to_string()).collect();
    let topics: Arc<[WantedTopic]> =
        plan.streams.iter().flat_map(|stream| known_topics(stream, plan)).collect();
    let stream_names = streams.iter().map(|wanted| wanted.stream.as_str()).collect::<Vec<_>>().join(", ");
    let mut pause = PLACEMENT_PAUSES.0;
    loop {
        let stopped = stop.clone();
        let (plan, runtime) = (Arc::clone(plan), Handle::current());
        let (process, instance) = (Arc::clone(&names.process), names.instance.clone());
        let (streams, only_if_free, topics) =
            (Arc::clone(&streams), Arc::clone(&only_if_free), Arc::clone(&topics));
        let announced = tokio::task::spawn_blocking(move || {
            let announcement = Announcement {
                streams: &streams,
                only_unknown: false,
                only_if_free: &only_if_free,
                topics: &topics,
                who: Who { instance: &instance, process: &process, now_ms: now_ms() },
                stop: &stopped,
            };
            Placement::announce(&plan.kafka, announcement, runtime)
        });
        let announced = tokio::select! {
            () = stop.cancelled() => return Err(Ended::Stopped),
            announced = announced => announced,
        };
        match announced {
            Ok(Ok(placement)) => return Ok(placement),
            Ok(Err(SinkError::Held(reason))) => {
                error!(reason, "the reset was refused");
                return Err(Ended::Held);
            }
            Ok(Err(SinkError::Misconfigured(reason))) => {
                error!(reason, "the configuration does not fit Kafka; no stream was taken over");
                return Err(Ended::Misconfigured);
            }
            Ok(Err(error)) => {
                error!(reason = %error, streams = stream_names, "{CANNOT_ANNOUNCE}");
                for figures in figures {
                    figures.shard.cannot(error.class(), error.to_string());
                }
            }
            Err(error) => error!(%error, streams = stream_names, "{CANNOT_ANNOUNCE}"),
        }
        tokio::select! {
            () = stop.cancelled() => return Err(Ended::Stopped),
            () = tokio::time::sleep(pause) => {}
        }
        pause = (pause * 2).min(PLACEMENT_PAUSES.1);
    }
}

/// Looks now and then whether another instance announced itself, or a stream was placed anew. A fence shows only to those that
/// write with transactions, and only when they write: an instance of quiet streams would hold its connections for ever.
pub(super) async fn watch(
    plan: &Arc<Plan>,
    instance: &Instance,
    drain: CancellationToken,
    events: mpsc::UnboundedSender<Event>,
) -> Ended {
    let streams = all_wanted(plan);
    let new_watcher = || Watcher::new(&plan.kafka, Handle::current());
    let mut watcher = new_watcher();
    while !drain.is_cancelled() {
        tokio::time::sleep(WATCH_INTERVAL).await;
        let looked = tokio::task::spawn_blocking(move || (watcher.look(), watcher)).await;
        let found = match looked {
            Ok((found, back)) => {
                watcher = back;
                found.map_err(|error| error.to_string())
            }
            Err(error) => {
                watcher = new_watcher();
                Err(error.to_string())
            }
        };
        match found {
            Ok(Some(placement)) => {
                if let Some(other) = placement.other_instance(&streams, instance) {
                    drop(events.send(Event::TakenOver(other.to_owned())));
                    break;
                }
                if plan.group.is_some() {
                    drop(events.send(Event::Recorded(placement)));
                }
            }
            Ok(None) => {}
            Err(reason) => debug!(reason, "cannot look whether another instance announced itself"),
        }
    }
    std::future::pending().await
}
