//! A broker that stops, dies, stands still or is slow in the middle of a run: nothing lost, nothing twice, and memory that
//! stays within what the queue allows.
//!
//! Each test has a broker of its own.

use crate::harness::airship::scenes::{Expected, Scene, Setup, all_at_once, held, lively};
use crate::harness::broker::{Broker, broker, killable_broker, private_broker};
use crate::harness::wait;
use std::time::Duration;
use tokio::time::Instant;
use tributary_mock::airship::Config;

/// For a broker to come back and a dead transaction to be over, on a busy machine.
const RECOVER: Duration = Duration::from_secs(180);

const EVENTS: u64 = 24_000;

/// So many come before the fault strikes at most, however slow the start is; the others are released then.
const BEFORE: u64 = EVENTS / 2;

/// Some 8 s of events, in transactions that time out soon.
fn steady(name: &str) -> Setup {
    let setup =
        Setup::new(name, Config { rate: 3_000.0, backlog: 0, hold_at: Some(BEFORE), ..lively(EVENTS) });
    setup.top("kafka = { transaction_timeout = \"5s\" }").stream("silence = \"60s\"")
}

#[track_caller]
fn finish(scene: Scene, broker: &Broker) {
    let expected = Expected::all(&scene.mock_log());
    wait::wait_until(RECOVER, "everything to arrive", || delivered(&scene) >= expected.len() as f64);
    check(scene, broker, &expected);
}

#[track_caller]
fn check(scene: Scene, broker: &Broker, expected: &Expected) {
    let ended = scene.finish(broker, expected);
    ended.assert_no_dead_letters();
    // An abort that nobody polls for takes the whole transaction.timeout and fails.
    assert_eq!(ended.lines("must be polled"), Vec::<&str>::new());
}

fn delivered(scene: &Scene) -> f64 {
    scene.metric("tributary_events_delivered_total")
}

#[test]
fn stopped_and_started() {
    let mut broker = private_broker();
    let scene = steady("broker-stop").start(&broker);
    scene.wait_delivered(3_000);
    broker.stop();
    scene.mock.release(EVENTS);
    // It notices, and waits.
    wait::wait_until(RECOVER, "the queue to fill", || scene.metric("tributary_queue_bytes") > 0.0);
    assert_eq!(scene.process.get("/live").status, 200);
    broker.start();
    finish(scene, &broker);
}

#[test]
fn killed_and_started() {
    let mut broker = killable_broker();
    let scene = steady("broker-kill").start(&broker);
    scene.wait_delivered(3_000);
    broker.kill9();
    scene.mock.release(EVENTS);
    wait::wait_until(RECOVER, "the queue to fill", || scene.metric("tributary_queue_bytes") > 0.0);
    broker.start();
    finish(scene, &broker);
}

#[test]
fn paused_in_mid_commit() {
    let mut broker = private_broker();
    let scene = steady("broker-pause").env("TRIBUTARY_FAILPOINTS", "before_commit=20:delay").start(&broker);
    scene.mock.release(EVENTS);
    // From here the shard's thread is on its way into a commit, which the broker will not answer.
    scene.process.wait_for_log("failpoint hit", wait::GENEROUS);
    broker.pause();
    let line = scene.process.wait_for_log("the outcome of the commit is unknown", RECOVER);
    assert!(line.contains("\"level\":\"WARN\"") && line.contains("the batch is kept"), "{line}");
    broker.resume();
    let line = scene.process.wait_for_log("the batch is safe", RECOVER);
    assert!(line.contains("Landed") || line.contains("Rebuilt"), "{line}");
    assert!(scene.metric("tributary_write_failures_total") >= 1.0);
    finish(scene, &broker);
}

#[test]
fn paused_longer_than_the_transaction_may_take() {
    let mut broker = private_broker();
    let scene = steady("broker-timeout").start(&broker);
    scene.wait_delivered(3_000);
    broker.pause();
    scene.mock.release(EVENTS);
    scene.process.wait_for_log("write failed; the batch is kept and tried again", RECOVER);
    broker.resume();
    finish(scene, &broker);
}

/// Where every broker stood still for too long, the first to answer again names none, and librdkafka may forget the last: by the
/// timing of its threads, so the program is told here that it did. No timeout would mend that before the test gives up.
#[test]
fn a_producer_that_knows_no_broker_any_more() {
    let mut broker = private_broker();
    let setup = Setup::new("broker-forgotten", Config { rate: 3_000.0, backlog: 0, ..lively(EVENTS) });
    let scene = setup
        .stream("silence = \"10m\"")
        .top("kafka = { transaction_timeout = \"10m\" }")
        .env("TRIBUTARY_FAILPOINTS", "before_commit=20:delay;lost_brokers=1:error")
        .start(&broker);
    scene.process.wait_for_log("before_commit", RECOVER);
    broker.pause();
    scene.process.wait_for_log("lost_brokers", RECOVER);
    scene.process.wait_for_log("told of a cluster without brokers", RECOVER);
    broker.resume();
    scene.process.wait_for_log("the batch is safe", RECOVER);
    finish(scene, &broker);
}

/// The same of the client that has the member's seat in the group.
#[test]
fn a_member_that_knows_no_broker_any_more() {
    let broker = broker();
    let setup = Setup::new("member-forgotten", held(EVENTS, EVENTS / 2)).stream("silence = \"10m\"");
    let scene = setup
        .top("ownership = \"group\"\ninstance_id = \"a\"")
        .env("TRIBUTARY_FAILPOINTS", "member_lost_brokers=1:error")
        .start(broker);
    let line = scene.process.wait_for_log("joining anew", RECOVER);
    assert!(line.contains("told of a cluster without brokers"), "{line}");
    scene.mock.release(EVENTS);
    finish(scene, broker);
}

/// So much is enough for the queue to be full all the time.
const MANY: u64 = 400_000;

/// How long the broker stands still.
const PAUSE: Duration = Duration::from_secs(30);

/// A read of the network; the queue may exceed its limit by one block.
const BLOCK: u64 = 128 << 10;

const MIB: u64 = 1 << 20;

/// What the process may take besides its window of ids.
const BASE: u64 = 64 * MIB;

/// What an id may take: 16 bytes, its place in the order of arrival and its share of the index.
const PER_ID: u64 = 48;

#[test]
fn slow_kafka() {
    let mut broker = private_broker();
    let queue = 4 * MIB;
    // A batch lies in librdkafka's queue, with what it is packed into; how large it grows is a matter of how fast the machine is.
    let limits = "queue = { max_bytes = \"4MiB\" }\ncommit = { max_bytes = \"4MiB\" }";
    let setup = Setup::new("slow", all_at_once(MANY)).top(limits);
    let scene = setup.start(&broker);
    scene.wait_delivered(20_000);
    broker.pause();
    let paused = Instant::now();
    let mut full_since = None;
    wait::wait_until(RECOVER, "the queue to be full for 30 s", || {
        let bytes = scene.metric("tributary_queue_bytes") as u64;
        assert!(bytes <= queue + BLOCK, "{bytes} bytes wait");
        if bytes + 2 * BLOCK < queue {
            full_since = None;
            return false;
        }
        full_since.get_or_insert_with(Instant::now).elapsed() >= PAUSE
    });
    let before = delivered(&scene);
    assert!(before < MANY as f64 / 2.0, "the fault hits in mid-stream: {before}");
    let seen = scene.mock.stats();
    assert_eq!(seen.open_streams, 1, "reading has stopped, the stream has not");
    let paused = paused.elapsed();
    let at_resume = scene.process.rss_bytes();
    broker.resume();
    let expected = Expected::all(&scene.mock_log());
    wait::wait_until(RECOVER, "everything to arrive", || delivered(&scene) >= expected.len() as f64);
    let (peak, ids) = (scene.process.peak_rss_bytes(), expected.len());
    let paused = paused.as_secs();
    println!("{ids} ids, {paused} s paused, RSS {} KiB, at most {} KiB", at_resume >> 10, peak >> 10);
    assert!(peak < BASE + PER_ID * ids, "peak RSS {} KiB", peak >> 10);
    check(scene, &broker, &expected);
}
