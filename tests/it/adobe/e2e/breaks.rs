//! One connection of eight is cut, again and again, each time in another way, while hits flow.

use super::held;
use crate::harness::adobe::{Flow, REACHED, Service, Setup};
use crate::harness::airship::oracle::Repeats;
use crate::harness::airship::{count_log, stop};
use crate::harness::process::Process;
use std::ops::RangeInclusive;
use tributary_mock::adobe;
use tributary_mock::fault::Fault;

const CONNECTIONS: u32 = 8;

/// A pause before a replay in which a service on a busy machine, too, notices that all connections are closed: while it
/// counts one, it ignores the reset.
const UNTIL_NOTICED: &str = "1s";

/// Each way to end, and whether what was on its way may be lost with it.
const FAULTS: [(Fault, bool); 7] = [
    (Fault::Reset {}, true),
    (Fault::Eof {}, false),
    (Fault::CutMidGzip {}, true),
    (Fault::CutMidLine {}, true),
    (Fault::TornLine {}, true),
    (Fault::MissingTrailer {}, true),
    (Fault::TruncatedGzip {}, true),
];

fn open(process: &Process) -> f64 {
    process.metrics().sum("tributary_connections_open", &[])
}

#[test]
fn seven_connections_do_not_notice_that_one_is_cut() {
    let service = Service::start(held());
    let setup = Setup::new("adobe-cut-go-on", &service).connections(CONNECTIONS);
    let mut process = setup.start();
    service.wait_open(CONNECTIONS.into());
    let mut flow = Flow::new(&service);
    let mut cut_streams = Vec::new();
    for (turn, (fault, _)) in FAULTS.iter().enumerate() {
        flow.release(100);
        let before = service.connections();
        let cut = service.disconnect_one(turn, fault.clone()).expect("eight are open");
        cut_streams.push(cut);
        let streams = u64::from(CONNECTIONS) + turn as u64 + 1;
        flow.until(format_args!("{} and a new connection", fault.name()), || {
            let stats = service.stats();
            stats.faults.contains_key(fault.name()) && stats.streams == streams && open(&process) == 8.0
        });
        let after = service.connections();
        assert!(before.iter().all(|old| (old.number == cut) != after.contains(old)), "{before:?} {after:?}");
    }
    let all = flow.release(300);
    service.wait("everything to be sent", |_| service.positions().iter().all(|position| *position >= all));
    stop(&mut process);

    let found = setup.judge(&service, Repeats::Forbidden);
    eprintln!("{} cuts: {} of {all} hits are missing", FAULTS.len(), found.missing.len());
    found.check_in_flight(&service.sent(), |stream| cut_streams.contains(&stream));
    assert_eq!(service.resets(), Vec::<String>::new());
    let lossy = FAULTS.iter().filter(|(_, lossy)| *lossy).count();
    assert_eq!(count_log(&process, "possible gap"), lossy, "each loss is reported, and nothing else");
}

#[test]
fn replays_make_good_what_cut_connections_lost() {
    let service = Service::start(held());
    let mut setup = Setup::new("adobe-cut-replay", &service).connections(CONNECTIONS).replaying();
    setup.reconnect_pause = UNTIL_NOTICED;
    let mut process = setup.start();
    service.wait_open(CONNECTIONS.into());
    let mut flow = Flow::new(&service);
    let before = flow.release(500);
    setup.wait_delivered(before);
    let mut replays = 0;
    for (turn, (fault, lossy)) in FAULTS.iter().enumerate() {
        flow.release(100);
        let streams = service.stats().streams;
        service.disconnect_one(turn, fault.clone()).expect("eight are open");
        replays += u64::from(*lossy);
        let reached = || count_log(&process, REACHED) as u64;
        let opened = if *lossy { u64::from(CONNECTIONS) } else { 1 };
        flow.until(format_args!("{} and its replay", fault.name()), || {
            let stats = service.stats();
            stats.faults.contains_key(fault.name())
                && stats.streams == streams + opened
                && reached() == replays
                && open(&process) == 8.0
        });
    }
    let all = flow.release(300);
    setup.wait_delivered(all);
    stop(&mut process);
    setup.check_all(&service);
    let stats = service.stats();
    assert_eq!((stats.resets_honoured, stats.resets_ignored), (replays, 0));
}

/// Hits that the service holds back before a connection is reset: some, and so few that they cannot fill its buffer,
/// for then it is about to send them. A hit has 4 kB at most.
const HELD_BACK: RangeInclusive<u64> = 5..=15;

/// Hits at most that the service holds back in its buffers for two connections: 64 KiB of text each.
const WITHHELD: u64 = 150;

#[test]
fn what_a_reset_connection_took_with_it_is_lost() {
    let (service, setup, gaps) = reset_with_hits_in_flight("continue");
    let found = setup.judge(&service, Repeats::Forbidden);
    eprintln!("a reset took {} hits with it", found.missing.len());
    assert!(!found.missing.is_empty() && found.missing.len() as u64 <= WITHHELD);
    assert_eq!(gaps, 1);
}

#[test]
fn what_a_reset_connection_took_with_it_comes_back() {
    let (service, setup, gaps) = reset_with_hits_in_flight("replay");
    setup.check_all(&service);
    assert_eq!((service.stats().resets_honoured, gaps), (1, 1));
}

/// One of two connections is reset by a service that has taken hits for it which it has not sent. Gives how often a gap
/// was reported, too.
fn reset_with_hits_in_flight(mode: &'static str) -> (Service, Setup, usize) {
    // What the service sends again with a rebalance would make good for the loss.
    let flush = adobe::Flush::Withheld;
    let service = Service::start(adobe::Config { flush, rebalance_replay: 0, ..held() });
    let mut setup = Setup::new(&format!("adobe-lost-{mode}"), &service).connections(2);
    (setup.on_unclean, setup.reconnect_pause) = (mode, UNTIL_NOTICED);
    let mut process = setup.start();
    service.wait_open(2);
    let mut flow = Flow::new(&service);
    let before = flow.release(1_000);
    setup.wait_delivered(before - WITHHELD);
    flow.until("the first connection to hold some hits back", || {
        let readable = service.readable().end;
        service.positions().iter().all(|at| *at >= readable)
            && HELD_BACK.contains(&held_back(&service, readable))
    });
    service.disconnect_one(0, Fault::Reset {}).expect("all are open");
    let replays = if mode == "replay" { 1 } else { 0 };
    flow.until("a reset and what follows", || {
        service.fired("reset") == 1
            && service.stats().streams >= 3
            && service.open_streams() == 2
            && count_log(&process, REACHED) == replays
    });
    let all = flow.release(300);
    service.wait("everything to be taken", |_| service.positions().iter().all(|at| *at >= all));
    // An end in order brings what is held back.
    let streams = service.stats().streams;
    service.disconnect(Fault::Eof {});
    service.wait("new connections", |stats| stats.streams >= streams + 2 && stats.open_streams == 2);
    if mode == "replay" {
        setup.wait_delivered(all);
    }
    stop(&mut process);
    let gaps = count_log(&process, "possible gap");
    (service, setup, gaps)
}

/// Hits that the first of two connections has taken and not sent.
fn held_back(service: &Service, readable: u64) -> u64 {
    // Partitions are given to the connections in turn.
    let own = (0..readable).filter(|hit| service.log().partition(*hit).is_multiple_of(2)).count() as u64;
    let first = service.connections()[0].number;
    own - service.stats().by_stream[&first].hits
}
