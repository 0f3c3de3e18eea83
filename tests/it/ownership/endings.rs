//! Every way in which a shard can end unasked, and what becomes of it and of the others.

use super::{Scene, service};
use crate::harness::airship::progress::Progress;
use crate::harness::airship::{LIMIT, count_log, stop, wait_hit};
use crate::harness::broker::broker;
use tributary_mock::airship;

const EVENTS: u64 = 3_000;
const RATE: f64 = 1_000.0;

/// The fault hits one of two streams; both arrive in full, in the same process.
#[track_caller]
fn goes_on(test: &str, failpoint: &str, said: &str) {
    let scene = Scene::new(test, 2, service(EVENTS, RATE));
    let mut process = scene.setup.start_with(failpoint);
    wait_hit(&process);
    process.wait_for_log(said, LIMIT);
    for stream in &scene.setup.streams {
        Progress::of(broker(), &scene.setup, &stream.name, 0).wait_received(EVENTS);
    }
    assert_eq!(process.metrics().sum("tributary_shard_restarts_total", &[]), 1.0, "the other ran on");
    stop(&mut process);
    assert_eq!(count_log(&process, "failpoint hit"), 1);
    scene.assert_each_once();
}

#[test]
fn a_shard_that_panics_is_opened_again() {
    goes_on("panic", "mid_batch=5:panic", "it panicked");
}

#[test]
fn a_shard_whose_reader_ends_is_opened_again() {
    goes_on("reader-ends", "reader=1:abort", "its reader ended");
}

#[test]
fn a_shard_whose_reader_panics_is_opened_again() {
    goes_on("reader-panics", "reader=1:panic", "its reader ended");
}

/// Before its first claim every checkpoint bears another opening's name, so a name alone tells nothing of a takeover.
#[test]
fn a_transaction_that_times_out_while_opening_is_no_takeover() {
    let mut scene = Scene::new("slow-open", 1, service(EVENTS, RATE));
    let mut process = scene.setup.start();
    let mut progress = Progress::of(broker(), &scene.setup, "s0", 0);
    progress.wait_received(EVENTS / 3);
    process.kill9();

    scene.setup.transaction_timeout = "1s";
    let mut slow = scene.setup.start_with("before_commit=1:stall");
    wait_hit(&slow);
    slow.wait_for_log("cannot open the shard in Kafka; trying again", LIMIT);
    progress.wait_received(EVENTS);
    stop(&mut slow);
    scene.assert_each_once();
}

/// On a quiet stream the reader has nothing to hand over, and would not notice that nobody takes it.
#[test]
fn the_reader_of_a_shard_that_ended_leaves_the_service() {
    let quiet = airship::Config { hold_at: Some(EVENTS / 2), ..crate::harness::airship::service(EVENTS) };
    let scene = Scene::new("reader-left", 1, quiet);
    let mut process = scene.setup.start_with("mid_batch=1:panic");
    process.wait_for_log("it panicked", LIMIT);
    let mut progress = Progress::of(broker(), &scene.setup, "s0", 0);
    progress.wait_received(EVENTS / 2);
    assert_eq!(scene.mocks[0].open_streams(), 1, "the first connection is closed before there is a second");
    scene.mocks[0].release(EVENTS);
    progress.wait_received(EVENTS);
    stop(&mut process);
    scene.assert_each_once();
}
