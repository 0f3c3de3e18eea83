//! `/ready`: 200 while data can move, else what is wrong and since when; `/live` is 200 throughout.
//!
//! What passes within the limit of 30 s changes nothing, so each outage here lasts until it is noticed.

use crate::harness::airship::scenes::{Expected, Scene, Setup, held};
use crate::harness::broker::{Broker, broker, killable_broker, private_broker};
use crate::harness::wait;
use serde_json::Value;
use std::time::Duration;
use tributary_mock::airship::{Config, Epoch};

/// For an outage to be noticed or to be over, on a busy machine.
const NOTICE: Duration = Duration::from_secs(180);

/// Milliseconds.
const SECOND: i64 = 1000;

/// `/ready`, when `/live` is 200.
#[track_caller]
fn page(scene: &Scene) -> (u16, Value) {
    assert_eq!(scene.process.get("/live").status, 200);
    let answer = scene.process.get("/ready");
    (answer.status, serde_json::from_str(&answer.body).expect("JSON"))
}

#[track_caller]
fn wait_ready(scene: &Scene) {
    wait::wait_until(NOTICE, "/ready to be 200", || page(scene).0 == 200);
    let (status, page) = page(scene);
    assert_eq!((status, &page["shards"][0]["ready"]), (200, &Value::Bool(true)));
    assert_eq!(scene.metric("tributary_ready"), 1.0);
}

/// Waits until it is not ready, in this state, and gives the reason.
#[track_caller]
fn wait_not_ready(scene: &Scene, state: &str) -> String {
    let shard = wait::wait_some(NOTICE, format_args!("/ready to be 503: {state}"), || {
        let (status, page) = page(scene);
        let shard = page["shards"][0].clone();
        (status == 503 && shard["state"] == state).then_some(shard)
    });
    println!("{shard}");
    assert_eq!(shard["shard"], "s/0");
    let since = shard["since"].as_str().expect("since when").parse::<jiff::Timestamp>().expect("RFC 3339");
    let ago = jiff::Timestamp::now().as_millisecond() - since.as_millisecond();
    assert!(ago >= 30 * SECOND, "only what lasts makes a shard not ready: since {since}");
    assert_eq!(scene.metric("tributary_ready"), 0.0);
    shard["reason"].as_str().expect("a reason").to_owned()
}

#[track_caller]
fn finish(scene: Scene, broker: &Broker) {
    let expected = Expected::all(&scene.mock_log());
    wait::wait_until(NOTICE, "everything to arrive", || {
        scene.metric("tributary_events_delivered_total") >= expected.len() as f64
    });
    wait_ready(&scene);
    scene.finish(broker, &expected).assert_no_dead_letters();
}

/// The stream is quiet, so the shard writes nothing: all the same it is noticed that Kafka stands still, and that it is gone.
#[test]
fn kafka_goes_away_while_the_stream_is_quiet() {
    let mut broker = killable_broker();
    let scene = Setup::new("quiet-outage", held(6_000, 3_000)).stream("silence = \"10m\"").start(&broker);
    scene.wait_delivered(2_000);
    wait_ready(&scene);
    broker.pause();
    let reason = wait_not_ready(&scene, "kafka unreachable");
    assert!(reason.contains("no answer within 5 s"), "{reason}");
    assert_eq!(scene.metric("tributary_kafka_answers"), 0.0);
    broker.resume();
    wait_ready(&scene);
    broker.kill9();
    let reason = wait_not_ready(&scene, "kafka unreachable");
    assert!(reason.contains("Connection refused"), "{reason}");
    scene.process.wait_for_log("\"level\":\"ERROR\",\"message\":\"Kafka cannot be reached", wait::GENEROUS);
    broker.start();
    wait_ready(&scene);
    scene.process.wait_for_log("Kafka can be reached again", wait::GENEROUS);
    scene.mock.release(6_000);
    finish(scene, &broker);
}

/// Kafka is well, but takes none of the records.
#[test]
fn every_write_is_refused() {
    let broker = private_broker();
    // The events are half an hour old, which the topic does not take for a while.
    let now = jiff::Timestamp::now().as_millisecond().unsigned_abs();
    let (epoch, step) = (Epoch::At(now - 30 * 60_000), Some(Duration::from_millis(1)));
    let airship = Config { epoch, step, ..held(6_000, 3_000) };
    let scene = Setup::new("refused-writes", airship).stream("silence = \"10m\"").start(&broker);
    scene.wait_delivered(2_000);
    wait_ready(&scene);
    let events = scene.events();
    broker.set_topic(&events, "message.timestamp.before.max.ms=60000");
    scene.mock.release(6_000);
    let reason = wait_not_ready(&scene, "writing refused");
    assert!(reason.contains(&events) && reason.contains("InvalidTimestamp"), "topic and code: {reason}");
    assert!(scene.metric("tributary_oldest_uncommitted_seconds") >= 30.0);
    assert_eq!(scene.metric("tributary_kafka_answers"), 1.0);
    let error = "\"level\":\"ERROR\",\"message\":\"write failed; the batch is kept and tried again\"";
    scene.process.wait_for_log(error, wait::GENEROUS);
    broker.set_topic(&events, &format!("message.timestamp.before.max.ms={}", i64::MAX));
    finish(scene, &broker);
}

/// A shard that was never open says why.
#[test]
fn an_opening_that_fails() {
    let setup = Setup::new("no-topics", held(10, 10)).top("kafka = { create_topics = false }");
    let missing = setup.start(broker());
    let shard = wait::wait_some(NOTICE, "a reason", || {
        let (status, page) = page(&missing);
        assert_eq!(status, 503);
        page["shards"][0]["reason"].is_string().then(|| page["shards"][0].clone())
    });
    assert_eq!(shard["state"], "opening");
    let reason = shard["reason"].as_str().expect("a reason");
    assert!(reason.contains("missing topics") && reason.contains(&missing.events()), "{reason}");
}
