//! `kill -9` at each place of the write path and at random moments, many times in a row.

use crate::harness::airship::oracle::Found;
use crate::harness::airship::{Mock, Setup, service, stop, wait_hit, wait_open_transaction};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use tokio::time::Instant;

/// All failpoints of the write path, in its order.
pub(super) const POINTS: [&str; 6] =
    ["after_begin", "mid_batch", "before_checkpoint", "after_checkpoint", "before_commit", "after_commit"];

/// At which pass of its failpoint a process is killed: 1 is mostly the claim when the shard is opened.
const PASSES: [u64; 3] = [1, 2, 3];

/// Shards of the work, each with a service, topics and processes of its own.
const LINES: usize = 3;

/// Longer than any test: an open transaction that is left behind must end by fencing, not by its timeout.
pub(super) const LONG: &str = "10m";

const EVENTS: u64 = 8_000;
const RANDOM_KILLS: usize = 3;
const LEAST_KILLS: usize = 50;

#[test]
fn nothing_is_lost_or_repeated_by_many_kills() {
    let (at_points, at_random) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let start = Instant::now();
    thread::scope(|scope| {
        for line in 0..LINES {
            let (at_points, at_random) = (&at_points, &at_random);
            scope.spawn(move || kill_again_and_again(line, at_points, at_random));
        }
    });
    let (at_points, at_random) = (at_points.into_inner(), at_random.into_inner());
    eprintln!(
        "{at_points} kills at failpoints and {at_random} at random moments under {LINES} x {EVENTS} events in {:?}",
        start.elapsed()
    );
    assert!(at_points >= LEAST_KILLS, "only {at_points} kills");
    assert_eq!(at_random, LINES * RANDOM_KILLS);
}

fn kill_again_and_again(line: usize, at_points: &AtomicUsize, at_random: &AtomicUsize) {
    let mock = Mock::start(service(EVENTS));
    let mut setup = Setup::new(&format!("kills-{line}"), &mock);
    (setup.max_events, setup.transaction_timeout) = (100, LONG);
    for pass in PASSES {
        for point in POINTS {
            let mut process = setup.start_with(&format!("{point}={pass}:pause"));
            let hit = wait_hit(&process);
            assert!(hit.contains(point), "{hit}");
            let of_a_batch = pass > 1 || point == "mid_batch";
            if of_a_batch && !matches!(point, "after_begin" | "after_commit") {
                // So there is something that must not be seen.
                wait_open_transaction(setup.topic());
            }
            process.kill9();
            at_points.fetch_add(1, Ordering::Relaxed);
        }
    }
    let mut progress = setup.progress();
    let mut received = progress.wait_for("a checkpoint", |_| true).received;
    for _ in 0..RANDOM_KILLS {
        let mut process = setup.start();
        received += rand::random_range(100..700);
        received = progress.wait_received(received).received;
        process.kill9();
        at_random.fetch_add(1, Ordering::Relaxed);
    }
    assert!(received < EVENTS, "killed under load");
    let mut process = setup.start();
    let last = progress.wait_received(EVENTS);
    assert_eq!((last.received, last.delivered, last.duplicates), (EVENTS, EVENTS, 0), "totals count no kill");
    stop(&mut process);
    assert_eq!(setup.expectation(&mock).check(), Found { records: EVENTS as usize, repeats: 0 });
}
