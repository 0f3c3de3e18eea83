//! An instance that stands still while another takes its shard over, and then goes on.

use crate::harness::airship::oracle::Found;
use crate::harness::airship::{
    LIMIT, Mock, Setup, has_open_transaction, service, stop, wait_open_transaction,
};
use crate::harness::broker::broker;
use crate::harness::process::Process;
use crate::harness::wait::{GENEROUS, wait_until};
use tributary_mock::airship;

const EVENTS: u64 = 9_000;
const RATE: f64 = 1_500.0;

/// The documented exit code of a process whose shards were all taken over.
const FENCED: i32 = 4;

/// Stops `process` at a moment when its transaction is open.
#[track_caller]
pub(super) fn stop_in_transaction(process: &Process, topic: &str) {
    wait_until(LIMIT, "the process to stand still in a transaction", || {
        process.sigstop();
        let caught = has_open_transaction(topic);
        if !caught {
            process.sigcont();
        }
        caught
    });
    wait_open_transaction(topic);
}

#[track_caller]
fn assert_fenced(zombie: &mut Process) {
    zombie.wait_for_log("fenced: another instance has taken over this shard", LIMIT);
    assert_eq!(zombie.wait_exit(GENEROUS).code(), Some(FENCED), "{}", zombie.log().join("\n"));
}

#[test]
fn a_zombie_is_fenced_under_load() {
    let mock = Mock::start(airship::Config { rate: RATE, ..service(EVENTS) });
    let setup = Setup::new("zombie-load", &mock);
    let mut zombie = setup.start();
    let mut progress = setup.progress();
    let first = progress.wait_received(1_000);
    stop_in_transaction(&zombie, setup.topic());
    let mut successor = setup.start();
    let taken = progress.wait_for("a takeover", |checkpoint| checkpoint.owner != first.owner);
    progress.wait_received(taken.received + 500);
    zombie.sigcont();
    assert_fenced(&mut zombie);
    progress.wait_received(EVENTS);
    stop(&mut successor);

    assert_eq!(setup.expectation(&mock).check(), Found { records: EVENTS as usize, repeats: 0 });
    let all = setup.progress().all(|checkpoint| checkpoint.is_drained());
    let after: Vec<_> = all.iter().filter(|checkpoint| checkpoint.sequence >= taken.sequence).collect();
    assert!(after.iter().all(|checkpoint| checkpoint.owner == taken.owner), "{after:#?}");
}

#[test]
fn a_zombie_writes_nothing_long_after_its_transaction_timed_out() {
    let mock = Mock::start(airship::Config { rate: RATE, ..service(EVENTS) });
    let mut setup = Setup::new("zombie-long", &mock);
    setup.transaction_timeout = "2s";
    let mut zombie = setup.start();
    let mut progress = setup.progress();
    progress.wait_received(1_000);
    stop_in_transaction(&zombie, setup.topic());
    wait_until(LIMIT, "the broker to end the transaction", || !has_open_transaction(setup.topic()));
    let mut successor = setup.start();
    progress.wait_received(EVENTS);
    stop(&mut successor);
    let ends = broker().high_watermarks(setup.topic());
    let state = broker().high_watermarks(&setup.checkpoints());
    zombie.sigcont();
    assert_fenced(&mut zombie);
    assert_eq!(broker().high_watermarks(setup.topic()), ends, "not even markers");
    assert_eq!(broker().high_watermarks(&setup.checkpoints()), state);
    assert_eq!(setup.expectation(&mock).check(), Found { records: EVENTS as usize, repeats: 0 });
}
