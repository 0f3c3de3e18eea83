//! One connection of eight is cut, again and again, each time in another way, while hits flow.

use super::held;
use crate::adobe_support::{Flow, Service, Setup};
use crate::pipeline::oracle::Repeats;
use crate::pipeline::{count_log, stop};
use crate::process::Process;
use tributary::mock::fault::Fault;

const CONNECTIONS: u32 = 8;

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
        let cut = service.disconnect_one(turn, fault).expect("eight are open");
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
    let setup = Setup::new("adobe-cut-replay", &service).connections(CONNECTIONS).replaying();
    let mut process = setup.start();
    service.wait_open(CONNECTIONS.into());
    let mut flow = Flow::new(&service);
    let mut replays = 0;
    for (turn, (fault, lossy)) in FAULTS.iter().enumerate() {
        flow.release(100);
        let streams = service.stats().streams;
        service.disconnect_one(turn, fault).expect("eight are open");
        replays += u64::from(*lossy);
        let reached = || count_log(&process, "replay: what was delivered before is reached") as u64;
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

/// Hits that are sent while nobody reads: more than the reader's side of two connections takes, less than the mock and
/// the sender's side of them.
const UNREAD: u64 = 1_500;

#[test]
fn what_a_reset_connection_took_with_it_comes_back() {
    let service = Service::start(held());
    let setup = Setup::new("adobe-lost", &service).connections(2).replaying();
    let mut process = setup.start();
    service.wait_open(2);
    let mut flow = Flow::new(&service);
    let before = flow.release(2_000);
    setup.wait_delivered(before);
    process.sigstop();
    let sent = flow.release(UNREAD);
    service.wait("hits to be sent", |_| service.positions().iter().all(|position| *position >= sent));
    service.disconnect_one(0, &Fault::Reset {});
    service.wait("a reset", |stats| stats.faults.contains_key("reset"));
    process.sigcont();
    flow.until("the replay", || count_log(&process, "replay: what was delivered before is reached") == 1);
    service.wait_open(2);
    let all = flow.release(100);
    setup.wait_delivered(all);
    let brought_back = process.metrics().sum("tributary_replay_events_total", &["outcome=\"brought_back\""]);
    stop(&mut process);
    setup.check_all(&service);
    eprintln!("a reset took {brought_back} of {UNREAD} hits with it");
    assert!(brought_back > 0.0, "without the replay nothing would be missing");
}
