//! Events that the service repeats: within a run, across restarts, and when the window is full or over.
//!
//! What comes again is computed exactly: the checkpoints say which lines made which commit, and after how much running time.

use crate::harness::airship::oracle::{Expectation, Found, Repeats};
use crate::harness::airship::progress::Checkpoint;
use crate::harness::airship::{LIMIT, Mock, Setup, service, stop, wait_hit};
use crate::harness::broker::broker;
use crate::harness::wait::wait_until;
use std::collections::{HashMap, HashSet, VecDeque};
use std::time::Duration;
use tributary_mock::airship::{self, Log};

const EVENTS: u64 = 6_000;

pub(super) fn repeating(events: u64) -> airship::Config {
    airship::Config { duplicate_every: 3, duplicate_reach: 2_000, ..service(events) }
}

/// Positions of the lines that must be delivered, given the commits that were made.
pub(super) fn delivered(log: &Log, commits: &[Checkpoint], window_ms: i64, max_ids: usize) -> Vec<u64> {
    let positions: HashMap<String, u64> = (0..log.len()).map(|p| (log.offset(p), p)).collect();
    let mut seen = HashSet::new();
    let mut known: VecDeque<(u64, i64)> = VecDeque::new();
    let (mut next, mut delivered) = (0, Vec::new());
    for commit in commits {
        let Some(last) = commit.offset.as_ref().and_then(|offset| positions.get(offset)) else { continue };
        for position in next..=*last {
            let index = log.entry(position).index;
            if seen.insert(index) {
                known.push_back((index, commit.ran_ms));
                delivered.push(position);
            }
        }
        next = next.max(last + 1);
        assert_eq!((commit.received, commit.delivered), (next, delivered.len() as u64), "{commit:?}");
        let expired = |at_ms: i64| at_ms < commit.ran_ms - window_ms;
        while known.front().is_some_and(|(_, at_ms)| expired(*at_ms) || known.len() > max_ids) {
            let (index, _) = known.pop_front().expect("looked at");
            seen.remove(&index);
        }
    }
    assert_eq!(next, log.len(), "the commits cover the log");
    delivered
}

#[test]
fn duplicates_are_dropped_within_a_run_and_across_restarts() {
    const HELD_AT: u64 = 4_000;
    let mock = Mock::start(airship::Config { hold_at: Some(HELD_AT), ..repeating(EVENTS) });
    let setup = Setup::new("duplicates", &mock);
    let mut killed = setup.start_with("before_commit=9:pause");
    wait_hit(&killed);
    killed.kill9();
    let mut progress = setup.progress();
    let first = progress.wait_for("a checkpoint", |_| true);
    let mut stopped = setup.start();
    progress.wait_received(HELD_AT);
    stop(&mut stopped);
    mock.release(EVENTS);
    let mut last = setup.start();
    let end = progress.wait_received(EVENTS);
    stop(&mut last);

    let log = mock.log();
    let distinct = log.distinct(EVENTS);
    assert_eq!(setup.expectation(&mock).check(), Found { records: distinct as usize, repeats: 0 });
    assert_eq!((end.received, end.delivered, end.duplicates), (EVENTS, distinct, EVENTS - distinct));
    let all = setup.progress().all(|checkpoint| checkpoint.received >= EVENTS);
    let by_killed = all.iter().take_while(|checkpoint| checkpoint.owner == first.owner).last();
    for restart in [by_killed.expect("it wrote").received, HELD_AT] {
        let entries = (restart..EVENTS).map(|position| log.entry(position));
        let across =
            entries.filter(|entry| entry.is_duplicate && log.first_position(entry.index) < restart).count();
        eprintln!("restart at {restart}: {across} duplicates reach across it");
        assert!(across > 0, "restart at {restart}");
    }
}

#[test]
fn a_full_window_forgets_the_oldest_ids() {
    const MAX_IDS: usize = 700;
    let mock = Mock::start(repeating(EVENTS));
    let mut setup = Setup::new("window-full", &mock);
    setup.max_ids = MAX_IDS;
    // The window is as full after a restart as before it.
    let mut killed = setup.start_with("after_checkpoint=15:pause");
    wait_hit(&killed);
    killed.kill9();
    let mut process = setup.start();
    setup.progress().wait_received(EVENTS);
    stop(&mut process);

    let commits = setup.progress().all(|checkpoint| checkpoint.is_drained());
    let positions = delivered(mock.log(), &commits, i64::MAX / 2, MAX_IDS);
    judge(&setup, &mock, positions);
}

#[test]
fn ids_expire_with_the_window() {
    const HELD_AT: u64 = 3_000;
    const WINDOW: Duration = Duration::from_secs(2);
    let held = airship::Config { hold_at: Some(HELD_AT), keep_alive: Duration::ZERO, ..repeating(EVENTS) };
    let mock = Mock::start(held);
    let mut setup = Setup::new("window-over", &mock);
    setup.window = "2s";
    let mut process = setup.start();
    let mut progress = setup.progress();
    progress.wait_received(HELD_AT);
    wait_until(LIMIT, "the window to be over", || {
        process.metrics().sum("tributary_checkpoint_age_seconds", &[]) > WINDOW.as_secs_f64()
    });
    mock.release(EVENTS);
    progress.wait_received(EVENTS);
    stop(&mut process);

    let commits = setup.progress().all(|checkpoint| checkpoint.is_drained());
    let positions = delivered(mock.log(), &commits, WINDOW.as_millis() as i64, usize::MAX);
    judge(&setup, &mock, positions);
}

/// Exactly the lines at `positions` must be there, some of them duplicates, but not all duplicates.
#[track_caller]
fn judge(setup: &Setup, mock: &Mock, positions: Vec<u64>) {
    let duplicates = |positions: &mut dyn Iterator<Item = u64>| {
        positions.filter(|position| mock.log().entry(*position).is_duplicate).count()
    };
    let again = duplicates(&mut positions.iter().copied());
    let in_all = duplicates(&mut (0..EVENTS));
    eprintln!("{again} of {in_all} duplicates were beyond the window");
    assert!(0 < again && again < in_all, "{again} of {in_all}");
    let found = Expectation::of(setup, &setup.streams[0], mock.log(), positions.iter().copied())
        .check_at(broker(), Repeats::Forbidden);
    assert_eq!(found, Found { records: positions.len(), repeats: 0 });
}
