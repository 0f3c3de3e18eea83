//! `run --reset`: honoured once after a stop in order, refused while another instance may hold the stream.

use super::held;
use crate::harness::adobe::{Flow, REACHED, Service, Setup};
use crate::harness::airship::oracle::Repeats;
use crate::harness::airship::{LIMIT, stop};
use crate::harness::process::Process;
use tributary_mock::adobe;
use tributary_mock::fault::Fault;

const HITS: u64 = 600;

/// Delivers some hits and stops in order.
fn delivered_and_stopped(setup: &Setup, flow: &mut Flow<'_>) {
    let mut process = setup.start();
    let delivered = flow.release(HITS);
    setup.wait_delivered(delivered);
    stop(&mut process);
}

#[test]
fn smallest_reads_all_again_and_drops_what_was_delivered() {
    let service = Service::start(held());
    let setup = Setup::new("adobe-smallest", &service).connections(2);
    let mut flow = Flow::new(&service);
    delivered_and_stopped(&setup, &mut flow);
    let mut process = setup.start_reset("smallest");
    flow.until("the replay", || process.log().iter().any(|line| line.contains(REACHED)));
    service.wait_open(2);
    service.disconnect_one(0, Fault::Eof {}).expect("all are open");
    flow.until("a new connection", || service.fired("eof") == 1 && service.open_streams() == 2);
    let all = flow.release(HITS);
    let last = setup.wait_delivered(all);
    stop(&mut process);
    setup.check_all(&service);
    assert!(last.duplicates >= HITS, "{last:?}");
    assert_eq!((service.resets(), service.stats().resets_honoured), (vec!["smallest".to_owned()], 1));
}

#[test]
fn largest_skips_what_was_not_read() {
    // A rebalance would bring some of the skipped hits back.
    let service = Service::start(adobe::Config { rebalance_replay: 0, ..held() });
    let setup = Setup::new("adobe-largest", &service).connections(2);
    let mut flow = Flow::new(&service);
    delivered_and_stopped(&setup, &mut flow);
    let skipped = flow.release(HITS);
    let mut process = setup.start_reset("largest");
    service.wait_open(2);
    let all = flow.release(HITS);
    setup.wait_delivered(2 * HITS);
    stop(&mut process);
    let found = setup.judge(&service, Repeats::Forbidden);
    assert!(found.missing.iter().copied().eq(HITS..skipped), "{} of {all} are missing", found.missing.len());
    assert_eq!((service.resets(), service.stats().resets_honoured), (vec!["largest".to_owned()], 1));
}

#[track_caller]
fn assert_refused(mut process: Process) {
    let line = process.wait_for_log("the reset was refused", LIMIT);
    assert!(line.contains("another instance may hold shard web/0"), "{line}");
    assert_eq!(process.wait_exit(LIMIT).code(), Some(1), "{}", process.log().join("\n"));
}

#[test]
fn a_reset_is_refused_while_another_instance_may_hold_the_stream() {
    let service = Service::start(held());
    let setup = Setup::new("adobe-refused", &service);
    let mut flow = Flow::new(&service);
    let mut running = setup.start();
    let delivered = flow.release(HITS);
    let before = setup.wait_delivered(delivered);
    assert_refused(setup.start_reset("smallest"));
    assert_refused(setup.start_reset("largest"));
    let more = flow.release(HITS);
    let after = setup.wait_delivered(more);
    assert_eq!(after.owner, before.owner, "it was not so much as fenced");
    assert_eq!(running.exited(), None);
    running.kill9();
    assert_refused(setup.start_reset("smallest"));

    // As the message says: start it without, stop it, and try again.
    delivered_and_stopped(&setup, &mut flow);
    let mut process = setup.start_reset("smallest");
    flow.until("the replay", || process.log().iter().any(|line| line.contains(REACHED)));
    let all = flow.release(1);
    setup.wait_delivered(all);
    stop(&mut process);
    setup.check_all(&service);
    assert_eq!(service.resets(), ["smallest"]);
}

#[test]
fn a_shard_that_starts_again_does_not_reset_again() {
    let service = Service::start(adobe::Config { rebalance_replay: 0, ..held() });
    let setup = Setup::new("adobe-once", &service);
    let mut flow = Flow::new(&service);
    delivered_and_stopped(&setup, &mut flow);
    let mut process = setup.run(&["--reset", "largest"], "mid_batch=3:panic");
    flow.until("the panic", || process.log().iter().any(|line| line.contains("failpoint hit")));
    process.wait_for_log("it panicked", LIMIT);
    // The old reader is gone before the new one comes, so nobody shares the stream with it.
    flow.until("the shard once more", || {
        process.log().iter().filter(|line| line.contains("\"opened\"")).count() == 2
    });
    service.wait_open(1);
    let before = setup.progress().wait_for("a checkpoint", |_| true).delivered;
    flow.until("events after it", || {
        process.metrics().sum("tributary_events_delivered_total", &[]) > before as f64
    });
    assert_eq!(service.resets(), ["largest"]);
    assert_eq!(service.open_streams(), 1);
    stop(&mut process);
}
