//! `delivery = "at_least_once"`: never less than everything, and more only after a crash.

use crate::harness::airship::oracle::{Found, Repeats};
use crate::harness::airship::{LIMIT, Mock, Setup, count_log, service, stop, wait_hit};
use crate::harness::broker::broker;
use crate::harness::reader::{Isolation, read_all};
use crate::harness::wait::wait_until;

const EVENTS: u64 = 5_000;

fn setup(test: &str, mock: &Mock) -> Setup {
    Setup::new(test, mock).with(|settings| settings.delivery = "at_least_once")
}

#[test]
fn without_a_crash_everything_arrives_once() {
    let mock = Mock::start(service(EVENTS));
    let setup = setup("least-plain", &mock);
    let mut process = setup.start();
    setup.progress().wait_received(EVENTS);
    stop(&mut process);
    assert_eq!(setup.expectation(&mock).check(), Found { records: EVENTS as usize, repeats: 0 });
    // No transactions: not one control record.
    let ends: i64 = broker().high_watermarks(setup.topic()).values().sum();
    assert_eq!(ends, EVENTS as i64);
    assert_eq!(read_all(broker(), setup.topic(), Isolation::Uncommitted).len(), EVENTS as usize);
}

#[test]
fn a_crash_loses_nothing_and_repeats_a_batch_at_most() {
    let mock = Mock::start(service(EVENTS));
    let setup = setup("least-kill", &mock);
    let kills =
        ["mid_batch=5", "before_checkpoint=4", "after_checkpoint=4", "before_commit=4", "mid_batch=3"];
    for failpoint in kills {
        let mut process = setup.start_with(&format!("{failpoint}:pause"));
        wait_hit(&process);
        // Events that no checkpoint speaks of: those come again.
        let delivered = setup.progress().wait_for("a checkpoint", |_| true).delivered;
        wait_until(LIMIT, "the events in flight to be written", || {
            broker().high_watermarks(setup.topic()).values().sum::<i64>() > delivered as i64
        });
        process.kill9();
    }
    let mut process = setup.start();
    setup.progress().wait_received(EVENTS);
    stop(&mut process);
    let found = setup.expectation(&mock).check_at(broker(), Repeats::Allowed);
    eprintln!("{} kills: {found:?}", kills.len());
    assert!(found.repeats > 0, "a kill in mid-batch repeats what was sent of it");
    assert!(found.repeats <= kills.len() * setup.max_events, "{found:?}");
}

#[test]
fn a_failed_write_loses_nothing() {
    const FAILPOINTS: [&str; 6] = [
        "mid_batch=4:abort",
        "after_begin=4:error",
        "before_checkpoint=7:abort",
        "after_checkpoint=10:error",
        "before_commit=13:error",
        "after_commit=16:error",
    ];
    let mock = Mock::start(service(EVENTS));
    let setup = setup("least-fail", &mock);
    let mut process = setup.start_with(&FAILPOINTS.join(";"));
    let last = setup.progress().wait_received(EVENTS);
    stop(&mut process);
    assert_eq!(count_log(&process, "failpoint hit"), FAILPOINTS.len());
    assert_eq!((last.received, last.delivered, last.duplicates), (EVENTS, EVENTS, 0));
    let found = setup.expectation(&mock).check_at(broker(), Repeats::Allowed);
    eprintln!("{} failures: {found:?}", FAILPOINTS.len());
    assert!(found.repeats <= FAILPOINTS.len() * setup.max_events, "{found:?}");
}
