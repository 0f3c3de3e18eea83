//! `kill -9` at each place of the write path, against a service that loses what was on its way.

use super::held;
use crate::harness::adobe::{Flow, REACHED, Service, Setup};
use crate::harness::airship::oracle::Repeats;
use crate::harness::airship::{count_log, stop, wait_hit};
use std::thread;

/// All failpoints of the write path, in its order.
const POINTS: [&str; 6] =
    ["after_begin", "mid_batch", "before_checkpoint", "after_checkpoint", "before_commit", "after_commit"];

/// At which passes of its failpoint a process is killed. The first is mostly the claim when the shard is opened; of one that
/// replays, the next two say so.
const CONTINUING: [u64; 1] = [3];
const REPLAYING: [u64; 1] = [4];
const BEFORE_TOO: [u64; 2] = [2, 4];

/// Hits that become readable for each process, and lines of a batch: enough batches for every pass.
const HITS: u64 = 200;
const BATCH: usize = 40;

/// What the first process has to itself, which is not killed, and the last one.
const FIRST: u64 = 500;
const LAST: u64 = 300;

// Mostly it is waited for Kafka to open a shard, so two at a time.

#[test]
fn without_replays_only_what_was_in_flight_is_lost() {
    thread::scope(|scope| {
        for connections in [1, 8] {
            scope.spawn(move || continues(connections));
        }
    });
}

#[test]
fn replays_bring_back_what_was_in_flight() {
    let lines: [(u32, &[u64]); 2] = [(1, &REPLAYING), (3, &BEFORE_TOO)];
    thread::scope(|scope| {
        for (connections, passes) in lines {
            scope.spawn(move || replays(connections, passes));
        }
    });
}

/// Kills one process after the other, each at another point; gives how many were told of the kill before.
fn kill_at_all_points(setup: &Setup, service: &Service, flow: &mut Flow<'_>, passes: &[u64]) -> usize {
    let mut process = setup.start();
    let first = flow.release(FIRST);
    setup.wait_delivered(first);
    stop(&mut process);
    let mut reported = 0;
    for pass in passes {
        for point in POINTS {
            flow.release(HITS);
            let mut process = setup.start_with(&format!("{point}={pass}:pause"));
            let hit = wait_hit(&process);
            assert!(hit.contains(point), "{hit}");
            process.kill9();
            reported += count_log(&process, "possible gap");
            service.wait_open(0);
        }
    }
    reported
}

fn continues(connections: u32) {
    let service = Service::start(held());
    let mut setup = Setup::new(&format!("adobe-kill-go-on-{connections}"), &service).connections(connections);
    setup.max_events = BATCH;
    let mut flow = Flow::new(&service);
    let reported = kill_at_all_points(&setup, &service, &mut flow, &CONTINUING);
    let kills = CONTINUING.len() * POINTS.len();
    assert_eq!(reported, kills - 1, "each but the first says that something may be missing");
    let last_killed = service.stats().streams;

    let mut process = setup.start();
    let all = flow.release(LAST);
    service.wait_open(connections.into());
    service.wait("everything to be sent", |_| service.positions().iter().all(|position| *position >= all));
    let gaps = process.metrics().sum("tributary_possible_gaps_total", &[]);
    stop(&mut process);
    assert_eq!((gaps, count_log(&process, "possible gap")), (1.0, 1));

    let found = setup.judge(&service, Repeats::Forbidden);
    eprintln!("{kills} kills, {connections} connections: {} of {all} hits are missing", found.missing.len());
    assert!(!found.missing.is_empty(), "nothing was in flight at any kill");
    found.check_in_flight(&service.sent(), |stream| stream <= last_killed);
    assert_eq!(service.resets(), Vec::<String>::new());
}

fn replays(connections: u32, passes: &[u64]) {
    let service = Service::start(held());
    let setup = Setup::new(&format!("adobe-kill-replay-{connections}"), &service).connections(connections);
    let mut setup = setup.replaying();
    setup.max_events = BATCH;
    let mut flow = Flow::new(&service);
    kill_at_all_points(&setup, &service, &mut flow, passes);
    let mut process = setup.start();
    flow.until("the replay", || count_log(&process, REACHED) == 1);
    let all = flow.release(LAST);
    setup.wait_delivered(all);
    service.wait_open(connections.into());
    stop(&mut process);

    setup.check_all(&service);
    let stats = service.stats();
    let kills = (passes.len() * POINTS.len()) as u64;
    eprintln!("{kills} kills, {connections} connections: {} replays", stats.resets_honoured);
    assert_eq!(stats.resets_ignored, 0, "all connections were gone");
    assert!(stats.resets_honoured >= kills / 2 && stats.resets_honoured <= kills, "{stats:?}");
    assert_eq!(count_log(&process, REACHED), 1);
}
