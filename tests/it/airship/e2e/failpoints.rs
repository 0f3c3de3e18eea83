//! Each place where a write can fail, in a process that lives on: as an abort, and as an unknown outcome.

use super::kills::{LONG, POINTS};
use crate::harness::airship::oracle::Found;
use crate::harness::airship::{
    LIMIT, Mock, Setup, count_log, service, stop, wait_hit, wait_open_transaction,
};
use crate::harness::broker::broker;
use crate::harness::reader::{Isolation, read_all};
use crate::harness::wait::wait_until;
use std::thread;
use tributary_mock::airship;

/// Three batches, which close by their number alone.
const EVENTS: u64 = 3_000;
const BATCH: usize = 1_000;
const COMMIT_INTERVAL: &str = "5m";

/// So many events are there at first; so they are at most as many blocks, which are passes of `mid_batch`.
const FIRST: u64 = 20;

/// Each with a service, topics and a process of its own, in a row.
const LINES: usize = 2;

#[test]
fn after_an_abort_the_same_batch_is_written_again() {
    at_all_points("abort");
}

#[test]
fn after_an_unknown_outcome_the_checkpoint_tells_what_counts() {
    at_all_points("error");
}

#[test]
fn a_shard_that_cannot_be_opened_is_opened_again() {
    const FAILPOINTS: [&str; 5] = [
        "after_begin=1:abort",
        "before_checkpoint=1:error",
        "after_checkpoint=1:abort",
        "before_commit=1:error",
        "after_commit=1:error",
    ];
    let mock = Mock::start(service(EVENTS));
    let mut setup = Setup::new("fail-open", &mock);
    setup.transaction_timeout = LONG;
    // Each attempt gets as far as the next of them.
    let mut process = setup.start_with(&FAILPOINTS.join(";"));
    let mut progress = setup.progress();
    progress.wait_received(EVENTS);
    stop(&mut process);
    assert_eq!(count_log(&process, "failpoint hit"), FAILPOINTS.len());
    assert_eq!(count_log(&process, "cannot open the shard in Kafka; trying again"), FAILPOINTS.len());
    assert_eq!(setup.expectation(&mock).check(), Found { records: EVENTS as usize, repeats: 0 });
    let claims = setup.progress().all(|checkpoint| checkpoint.is_drained());
    let first = claims.iter().take_while(|checkpoint| checkpoint.received == 0).count();
    assert_eq!(first, 2, "the claim that was committed before its error, and the one after it");
}

fn at_all_points(action: &str) {
    thread::scope(|scope| {
        for points in POINTS.chunks(POINTS.len() / LINES) {
            scope.spawn(move || points.iter().for_each(|point| recovers(point, action)));
        }
    });
}

fn recovers(point: &str, action: &str) {
    let mock = Mock::start(airship::Config { hold_at: Some(FIRST), ..service(EVENTS) });
    let mut setup = Setup::new(&format!("fail-{point}-{action}"), &mock);
    (setup.commit_interval, setup.max_events) = (COMMIT_INTERVAL, BATCH);
    setup.transaction_timeout = LONG;
    // The first pass is the claim when the shard is opened, but for `mid_batch`: that one passes with each block.
    let pass = if point == "mid_batch" { FIRST + 1 } else { 2 };
    let mut process = setup.start_with(&format!("{point}={pass}:{action}"));
    let mut progress = setup.progress();
    if point != "after_begin" {
        wait_open_transaction(setup.topic());
    }
    if point == "mid_batch" {
        // Event by event, so that there are blocks enough.
        let mut next = FIRST..EVENTS / 2;
        wait_until(LIMIT, "blocks enough", || {
            next.by_ref().take(1).for_each(|position| mock.release(position + 1));
            count_log(&process, "failpoint hit") > 0
        });
    }
    mock.release(EVENTS);
    let hit = wait_hit(&process);
    assert!(hit.contains(point) && hit.contains(action), "{hit}");
    progress.wait_received(EVENTS);
    stop(&mut process);

    assert_eq!(setup.expectation(&mock).check(), Found { records: EVENTS as usize, repeats: 0 });
    assert_eq!(count_log(&process, "failpoint hit"), 1);
    // librdkafka may purge records that have their sequence numbers already; the next transaction then fails once more.
    let recovered = if point == "after_commit" { "Landed" } else { "Rebuilt" };
    let safe = count_log(&process, "the batch is safe");
    assert!(safe >= 1 && safe == count_log(&process, recovered), "{point}: {safe} times");
    let committed = read_all(broker(), setup.topic(), Isolation::Committed).len();
    let written = read_all(broker(), setup.topic(), Isolation::Uncommitted).len();
    eprintln!("{point} {action}: {committed} committed, {} aborted records in the log", written - committed);
    match point {
        "after_begin" | "after_commit" => {
            assert_eq!(written, committed, "{point}: there was nothing to abort")
        }
        _ => assert!(written > committed, "{point}: what was aborted had been sent"),
    }
}
