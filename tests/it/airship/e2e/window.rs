//! The id window's age is time in which the shard ran: after a stop, a standstill or an outage of Kafka that lasts longer
//! than the window, the ids of before still count, in the first batch and in those after it.

use crate::airship::e2e::duplicates::{delivered, repeating};
use crate::harness::airship::oracle::{Expectation, Found, Repeats};
use crate::harness::airship::progress::{Checkpoint, Progress};
use crate::harness::airship::{LIMIT, Mock, STREAM, Setup, stop};
use crate::harness::broker::{Broker, broker, private_broker};
use crate::harness::wait::wait_until;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tributary_mock::airship;

const EVENTS: u64 = 3_000;
const HELD_AT: u64 = 1_000;

/// Longer than the lines around the stop take, on a busy machine.
const WINDOW: Duration = Duration::from_secs(10);

fn mock() -> Mock {
    let held = airship::Config { hold_at: Some(HELD_AT), duplicate_reach: 900, ..repeating(EVENTS) };
    Mock::start(held)
}

fn setup(broker: &Broker, test: &str, mock: &Mock) -> Setup {
    Setup::at(broker, test, mock).with(|settings| settings.window = "10s")
}

/// Waits until the last commit is longer ago than the window, by the clock.
#[track_caller]
fn outlast_window(committed_ms: i64) {
    wait_until(LIMIT, "the window to be over by the clock", || {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_millis();
        now as i64 > committed_ms + WINDOW.as_millis() as i64 + 500
    });
}

/// Nothing came twice, although the first two batches after the stop brought repeats of events before it.
#[track_caller]
fn check(broker: &Broker, setup: &Setup, mock: &Mock, before: &Checkpoint) {
    let is_last = |checkpoint: &Checkpoint| checkpoint.is_drained() && checkpoint.received >= EVENTS;
    let commits = Progress::of(broker, setup, STREAM, 0).all(is_last);
    let after: Vec<&Checkpoint> = commits.iter().filter(|commit| commit.received > before.received).collect();
    let mut duplicates = before.duplicates;
    for (number, commit) in after.iter().take(2).enumerate() {
        assert!(commit.duplicates > duplicates, "batch {number} after the stop brings repeats: {commit:?}");
        duplicates = commit.duplicates;
    }
    let stood_ms = after[0].committed_ms - before.committed_ms;
    assert!(stood_ms > WINDOW.as_millis() as i64, "it stood still for {stood_ms} ms only");
    let log = mock.log();
    let positions = delivered(log, &commits, WINDOW.as_millis() as i64, usize::MAX);
    assert_eq!(positions.len() as u64, log.distinct(EVENTS), "nothing is expected twice");
    let found = Expectation::distinct(setup, &setup.streams[0], log).check_at(broker, Repeats::Forbidden);
    assert_eq!(found, Found { records: positions.len(), repeats: 0 });
}

#[test]
fn a_stop_ages_no_id() {
    let mock = mock();
    let setup = setup(broker(), "window-stop", &mock);
    let mut process = setup.start();
    let mut progress = setup.progress();
    progress.wait_received(HELD_AT);
    stop(&mut process);
    let before = progress.wait_for("the last checkpoint", |checkpoint| checkpoint.is_drained());
    outlast_window(before.committed_ms);
    mock.release(EVENTS);
    let mut process = setup.start();
    progress.wait_received(EVENTS);
    stop(&mut process);
    check(broker(), &setup, &mock, &before);
}

#[test]
fn a_standstill_ages_no_id() {
    let mock = mock();
    let setup = setup(broker(), "window-standstill", &mock);
    let mut process = setup.start();
    let mut progress = setup.progress();
    let before = progress.wait_received(HELD_AT);
    process.sigstop();
    outlast_window(before.committed_ms);
    mock.release(EVENTS);
    process.sigcont();
    progress.wait_received(EVENTS);
    stop(&mut process);
    check(broker(), &setup, &mock, &before);
}

#[test]
fn an_outage_of_kafka_ages_no_id() {
    let mut broker = private_broker();
    let mock = mock();
    let setup = setup(&broker, "window-outage", &mock);
    let mut process = setup.start();
    let before = Progress::of(&broker, &setup, STREAM, 0).wait_received(HELD_AT);
    broker.pause();
    mock.release(EVENTS);
    process.wait_for_log("write failed", LIMIT);
    outlast_window(before.committed_ms);
    broker.resume();
    wait_until(LIMIT, "everything to arrive", || {
        process.metrics().sum("tributary_events_received_total", &[]) >= EVENTS as f64
    });
    stop(&mut process);
    check(&broker, &setup, &mock, &before);
}
