//! A connection whose other end is gone without a word: we end it for silence, and what the service sent on it is lost.

use super::held;
use crate::harness::adobe::hole::Hole;
use crate::harness::adobe::{Flow, REACHED, Service, Setup};
use crate::harness::airship::oracle::Repeats;
use crate::harness::airship::{LIMIT, count_log, stop};
use crate::harness::process::Process;
use crate::harness::wait::wait_until;

const HITS: u64 = 200;
const LOST: u64 = 100;

fn gaps(process: &Process, reason: &str) -> f64 {
    process.metrics().sum("tributary_possible_gaps_total", &[&format!("reason=\"{reason}\"")])
}

/// Delivers some hits through a proxy that then swallows some more, until the connection is given up.
fn swallowed(mode: &'static str) -> (Service, Setup, Process) {
    let service = Service::start(held());
    let hole = Hole::before(service.address());
    let mut setup = Setup::new(&format!("adobe-silence-{mode}"), &service);
    setup.url = setup.url.replace(&service.address().to_string(), &hole.address().to_string());
    setup.on_unclean = mode;
    // Blank lines come twice a second, so that a stream that works is never silent for so long.
    setup.silence = "5s";
    let process = setup.start();
    service.wait_open(1);
    let mut flow = Flow::new(&service);
    let all = flow.release(HITS);
    setup.wait_delivered(all);
    hole.swallow();
    let all = flow.release(LOST);
    service.wait("the hits to be sent", |_| service.positions().iter().all(|position| *position >= all));
    wait_until(LIMIT, "the connection to be given up", || gaps(&process, "silence") >= 1.0);
    (service, setup, process)
}

#[test]
fn a_replay_brings_back_what_was_sent_into_the_void() {
    let (service, setup, mut process) = swallowed("replay");
    setup.wait_delivered(HITS + LOST);
    wait_until(LIMIT, "the end of the replay", || count_log(&process, REACHED) >= 1);
    assert_eq!((gaps(&process, "silence"), gaps(&process, "broke_off")), (1.0, 0.0));
    stop(&mut process);
    assert_eq!(count_log(&process, "possible gap"), 0, "no alarm");
    setup.check_all(&service);
}

#[test]
fn without_replays_it_is_counted() {
    let (service, setup, mut process) = swallowed("continue");
    let all = HITS + LOST + HITS;
    service.release(all);
    setup.wait_delivered(HITS + HITS);
    let (silence, alarms) =
        (gaps(&process, "silence"), gaps(&process, "broke_off") + gaps(&process, "unclean_stop"));
    assert_eq!((silence, alarms), (1.0, 0.0));
    stop(&mut process);
    let found = setup.judge(&service, Repeats::Forbidden);
    let readable_missing = found.missing.iter().filter(|hit| **hit < all).count();
    assert_eq!(readable_missing as u64, LOST);
    assert_eq!(service.resets(), Vec::<String>::new());
}
