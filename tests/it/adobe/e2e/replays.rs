//! Replays with a window that forgot most ids, and replays that are killed.

use super::held;
use crate::harness::adobe::{Flow, REACHED, Service, Setup, last_logged};
use crate::harness::airship::oracle::Repeats;
use crate::harness::airship::{LIMIT, count_log, stop, wait_hit};
use crate::harness::process::Process;
use crate::harness::wait::wait_until;

/// Delivered before anything goes wrong: 50 minutes of hits.
const HITS: u64 = 3_000;

/// Far below that.
const MAX_IDS: usize = 400;

/// Lost by a kill.
const LOST: u64 = 150;

/// Delivers [`HITS`], then makes [`LOST`] more readable and kills the process when it has them.
fn killed_with_hits_in_flight(setup: &Setup, flow: &mut Flow<'_>) {
    let mut process = setup.start();
    let delivered = flow.release(HITS);
    setup.wait_delivered(delivered);
    stop(&mut process);
    let mut process = setup.start_with("before_commit=2:pause");
    flow.release(LOST);
    wait_hit(&process);
    process.kill9();
}

/// What the log says of the last replay, and the metrics, which go on after it.
#[track_caller]
fn outcomes(process: &Process) -> [u64; 4] {
    let line = last_logged(process, REACHED);
    let fields = line.get("fields").unwrap_or(&line);
    let field = |name: &str| fields[name].as_u64().unwrap_or_else(|| panic!("no {name} in {line}"));
    let names = ["brought_back", "dropped_by_id", "dropped_by_time"];
    let counts = names.map(field);
    for (name, count) in names.iter().zip(counts) {
        let metric = format!("outcome=\"{name}\"");
        let metric = process.metrics().sum("tributary_replay_events_total", &[&metric]);
        assert!(metric >= count as f64, "{name}: {metric} is below {count}");
    }
    let [brought_back, dropped_by_id, dropped_by_time] = counts;
    [brought_back, dropped_by_id, dropped_by_time, field("may_be_missing")]
}

#[test]
fn a_window_that_forgot_most_ids_brings_back_what_is_newer() {
    let service = Service::start(held());
    let mut setup = Setup::new("adobe-small-window", &service).replaying();
    setup.max_ids = MAX_IDS;
    let mut flow = Flow::new(&service);
    killed_with_hits_in_flight(&setup, &mut flow);
    let mut process = setup.start();
    flow.until("the replay", || count_log(&process, REACHED) == 1);
    let all = flow.release(1);
    setup.wait_delivered(all);
    let dropped = || {
        let metrics = process.metrics();
        let of = |outcome: &str| metrics.sum("tributary_replay_events_total", &[outcome]);
        (of("outcome=\"dropped_by_id\"") + of("outcome=\"dropped_by_time\"")) as u64
    };
    wait_until(LIMIT, "the metrics to count what was delivered before", || dropped() == HITS);
    let [brought_back, dropped_by_id, dropped_by_time, may_be_missing] = outcomes(&process);
    eprintln!("{brought_back} brought back, {dropped_by_id} + {dropped_by_time} dropped");
    assert_eq!(may_be_missing, 0, "what was lost is newer than what was forgotten");
    assert!(dropped_by_id > 0 && dropped_by_id <= MAX_IDS as u64 + setup.max_events as u64);
    assert!(dropped_by_time >= HITS - dropped_by_id - 100 && dropped_by_time <= HITS - MAX_IDS as u64 / 2);
    assert!(dropped_by_id + dropped_by_time <= HITS);
    stop(&mut process);
    setup.check_all(&service);
}

#[test]
fn what_may_be_missing_is_said() {
    let service = Service::start(held());
    let mut setup = Setup::new("adobe-doubtful", &service).replaying();
    setup.max_ids = MAX_IDS;
    setup.replay_interval = "5m";
    let mut flow = Flow::new(&service);
    killed_with_hits_in_flight(&setup, &mut flow);
    // The first replay is due at once, the second one not.
    let mut process = setup.start();
    flow.until("the replay", || count_log(&process, REACHED) == 1);
    let delivered = flow.release(1);
    setup.wait_delivered(delivered);
    stop(&mut process);
    let mut process = setup.start_with("before_commit=2:pause");
    let lost = delivered..flow.release(LOST);
    wait_hit(&process);
    process.kill9();
    // Meanwhile the ids of that time are forgotten.
    let mut process = setup.start();
    flow.release(HITS);
    setup.wait_delivered(delivered + HITS);
    stop(&mut process);
    assert_eq!(service.stats().resets_honoured, 1);
    setup.replay_interval = "100ms";
    let mut process = setup.start();
    flow.until("the replay", || count_log(&process, REACHED) == 1);
    let all = flow.release(1);
    setup.wait_delivered(all - LOST);
    let [_, dropped_by_id, dropped_by_time, may_be_missing] = outcomes(&process);
    let gaps = process.metrics().sum("tributary_possible_gaps_total", &[]);
    stop(&mut process);

    let found = setup.judge(&service, Repeats::Forbidden);
    eprintln!("{dropped_by_id} + {dropped_by_time} dropped, {may_be_missing} may be missing");
    assert!(found.missing.iter().all(|hit| lost.contains(hit)), "{:?} of {lost:?}", found.missing);
    assert!(!found.missing.is_empty() && may_be_missing >= found.missing.len() as u64);
    assert!(gaps >= 1.0);
    assert_eq!(count_log(&process, "the replay could not bring back everything"), 1);
}

#[test]
fn what_the_service_no_longer_holds_is_said() {
    let service = Service::start(held());
    let setup = Setup::new("adobe-not-held", &service).replaying();
    let mut flow = Flow::new(&service);
    killed_with_hits_in_flight(&setup, &mut flow);
    let oldest = HITS + LOST + 60;
    flow.release(100);
    service.expire(oldest);
    let mut process = setup.start();
    // The first one looks as if the reset had been ignored.
    flow.until("two replays", || count_log(&process, REACHED) == 2);
    let all = flow.release(1_000);
    setup.wait_delivered(HITS + all - oldest);
    let line = last_logged(&process, REACHED);
    assert!(line["uncovered_s"].as_u64().is_some_and(|seconds| seconds >= LOST), "{line}");
    assert_eq!(line["replay_owed"], false, "{line}");
    let metrics = process.metrics();
    assert_eq!(metrics.sum("tributary_replays_total", &[]), 2.0);
    let gaps = metrics.sum("tributary_possible_gaps_total", &[]);
    assert_eq!(gaps, 2.0, "the kill, and what is not held");
    stop(&mut process);
    assert_eq!(service.resets().len(), 2);
    let found = setup.judge(&service, Repeats::Forbidden);
    assert!(found.missing.iter().copied().eq(HITS..oldest), "{}", found.missing.len());
}

#[test]
fn a_replay_that_is_killed_is_made_again_after_its_interval() {
    let service = Service::start(held());
    let mut setup = Setup::new("adobe-replay-killed", &service).connections(2).replaying();
    setup.replay_interval = "5m";
    let mut flow = Flow::new(&service);
    killed_with_hits_in_flight(&setup, &mut flow);
    // Far from the beginning and from the end of what is read again.
    let mut process = setup.start_with("mid_batch=8:pause");
    wait_hit(&process);
    assert_eq!(count_log(&process, REACHED), 0);
    process.kill9();
    assert_eq!(service.resets(), ["smallest"]);
    service.wait_open(0);

    let mut process = setup.start();
    service.wait_open(2);
    flow.release(HITS);
    // Of this process alone: the checkpoints have what the killed ones delivered, too.
    let delivered = || process.metrics().sum("tributary_events_delivered_total", &[]);
    wait_until(LIMIT, "hits to be delivered without a replay", || delivered() >= HITS as f64);
    stop(&mut process);
    assert_eq!(service.resets(), ["smallest"], "not before the interval is over");
    assert_eq!(count_log(&process, REACHED), 0);
    setup.judge(&service, Repeats::Forbidden);

    setup.replay_interval = "100ms";
    let mut process = setup.start();
    flow.until("the replay", || count_log(&process, REACHED) == 1);
    service.wait_open(2);
    let all = flow.release(1);
    setup.wait_delivered(all);
    stop(&mut process);
    setup.check_all(&service);
    assert_eq!(service.resets(), ["smallest", "smallest"]);
    assert_eq!(service.stats().resets_ignored, 0);
}
