//! Stops in order: while nothing flows, and under load.

use super::held;
use crate::harness::adobe::{Flow, Service, Setup};
use crate::harness::airship::oracle::Repeats;
use crate::harness::airship::{LIMIT, count_log, stop};
use std::thread;

const HITS: u64 = 500;

const STOPS: usize = 2;

/// Whether a stop meets hits on their way is left to chance: there are more stops until one does.
const MOST_STOPS: usize = 20;

#[test]
fn an_idle_stop_is_in_order_and_needs_no_replay() {
    let modes = [("continue", 1), ("replay", 8)];
    thread::scope(|scope| {
        for (mode, connections) in modes {
            scope.spawn(move || idle_stops(mode, connections));
        }
    });
}

fn idle_stops(mode: &'static str, connections: u32) {
    let service = Service::start(held());
    let mut setup = Setup::new(&format!("adobe-idle-{mode}"), &service).connections(connections);
    setup.on_unclean = mode;
    let mut flow = Flow::new(&service);
    for _ in 0..3 {
        let mut process = setup.start();
        let all = flow.release(HITS);
        service.wait_open(connections.into());
        setup.wait_delivered(all);
        stop(&mut process);
        let last = setup.progress().wait_for("a clean end", |at| at.is_drained() && at.delivered == all);
        assert_eq!(last.position["owed_from_ms"], serde_json::Value::Null);
        assert_eq!(count_log(&process, "possible gap"), 0);
        assert_eq!(count_log(&process, "replay:"), 0);
    }
    assert_eq!(service.resets(), Vec::<String>::new());
    setup.check_all(&service);
}

#[test]
fn stops_under_load_lose_nothing_with_replays() {
    let (service, setup) = stopped_under_load("replay");
    setup.check_all(&service);
    let stats = service.stats();
    assert!(stats.resets_honoured >= 1, "a stop was not in order, and no replay followed");
    assert_eq!(stats.resets_ignored, 0);
}

#[test]
fn stops_under_load_repeat_nothing_without_replays() {
    let (service, setup) = stopped_under_load("continue");
    let found = setup.judge(&service, Repeats::Forbidden);
    eprintln!("{} hits are missing", found.missing.len());
    let connections = u64::from(setup.connections);
    let streams = service.stats().streams;
    found.check_in_flight(&service.sent(), |stream| stream <= streams - connections);
    assert_eq!(service.resets(), Vec::<String>::new());
}

/// Stops while hits flow, so that at least one is not in order, and then a run that takes all that is left.
fn stopped_under_load(mode: &'static str) -> (Service, Setup) {
    let service = Service::start(held());
    let mut setup = Setup::new(&format!("adobe-load-{mode}"), &service).connections(2);
    setup.on_unclean = mode;
    let mut flow = Flow::new(&service);
    // Whether the last stop was not in order, which the next process says, and how many were not.
    let (mut unclean, mut troubled) = (0, 0);
    for stopped in 0..MOST_STOPS {
        if stopped >= STOPS && troubled > 0 {
            break;
        }
        let mut process = setup.start();
        let delivered = || process.metrics().sum("tributary_events_delivered_total", &[]);
        flow.until("hits to be delivered", || service.open_streams() == 2 && delivered() >= 300.0);
        process.sigterm();
        flow.until("the end of the process", || process.exited().is_some());
        // Its last lines, too, are read then.
        assert_eq!(process.wait_exit(LIMIT).code(), Some(0), "{}", process.log().join("\n"));
        assert_eq!(count_log(&process, "possible gap"), unclean, "after {stopped} stops");
        let in_order = count_log(&process, "\"drained\":true");
        unclean = 1 - in_order;
        troubled += unclean;
    }
    assert!(troubled > 0, "no stop met hits on their way");
    let mut process = setup.start();
    service.wait_open(2);
    let all = flow.release(HITS);
    service.wait("everything to be sent", |_| service.positions().iter().all(|position| *position >= all));
    if mode == "replay" {
        setup.wait_delivered(all);
    }
    stop(&mut process);
    assert_eq!(count_log(&process, "possible gap"), unclean, "after the last stop");
    (service, setup)
}
