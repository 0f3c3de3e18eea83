//! Kills, cuts and stops at random moments, mixed, under load: in the end every hit is there once.
//! `proof/campaign --service adobe` runs it at length.

use super::held;
use crate::harness::adobe::{Flow, REACHED, Service, Setup};
use crate::harness::airship::{count_log, stop};
use crate::harness::asked::number;
use crate::harness::process::Process;
use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng as _};
use std::time::Duration;
use tokio::time::Instant;
use tributary_mock::adobe;
use tributary_mock::fault::Fault;

const CONNECTIONS: u32 = 8;

/// What happens, in this order, and again where more is asked for; each after a random number of hits.
const TROUBLE: [Trouble; 10] = [
    Trouble::Cut(Fault::CutMidGzip {}),
    Trouble::Kill,
    Trouble::Cut(Fault::Eof {}),
    Trouble::CutAll(Fault::Reset {}),
    Trouble::Kill,
    Trouble::Kill,
    Trouble::Stop,
    Trouble::Cut(Fault::CutMidLine {}),
    Trouble::CutAll(Fault::Eof {}),
    Trouble::Kill,
];

#[derive(Clone, Debug)]
enum Trouble {
    Kill,
    Stop,
    Cut(Fault),
    CutAll(Fault),
}

#[test]
fn whatever_happens_replays_bring_every_hit_once() {
    let seed: u64 = number("SEED", rand::random());
    let faults = number("FAULTS", TROUBLE.len());
    eprintln!("seed {seed}");
    let since = Instant::now();
    let mut random = SmallRng::seed_from_u64(seed);
    let linger = Duration::from_millis(300);
    let service = Service::start(adobe::Config { ghost_linger: linger, ghosts_of_faults: true, ..held() });
    let mut setup = Setup::new("adobe-chaos", &service).connections(CONNECTIONS).replaying();
    (setup.reconnect_pause, setup.max_events) = ("400ms", 100);
    let mut flow = Flow::new(&service);
    let mut process = setup.start();
    let first = flow.release(400);
    setup.wait_delivered(first);
    // A kill is last, since what is looked at in the end is its replay.
    for trouble in TROUBLE.iter().cycle().take(faults - 1).chain([&Trouble::Kill]) {
        let streams = service.stats().streams;
        let more = service.stats().hits + random.random_range(1..300);
        flow.until("more hits", || service.stats().hits >= more);
        match trouble {
            Trouble::Kill => {
                process.kill9();
                process = setup.start();
            }
            Trouble::Stop => {
                process.sigterm();
                flow.until("the end of the process", || process.exited().is_some());
                process = setup.start();
            }
            Trouble::Cut(fault) => {
                flow.until("connections", || service.open_streams() > 0);
                strike(&service, &mut flow, fault, || {
                    let open = service.connections().len();
                    let cut = service.disconnect_one(random.random_range(0..open.max(1)), fault.clone());
                    cut.into_iter().collect()
                });
            }
            Trouble::CutAll(fault) => {
                flow.until("connections", || service.open_streams() > 1);
                strike(&service, &mut flow, fault, || {
                    let open = open_ones(&service);
                    service.disconnect(fault.clone());
                    open
                });
            }
        }
        flow.until(format_args!("a new connection after {trouble:?}"), || service.stats().streams > streams);
    }
    flow.until("the last replay", || is_settled(&service, &process));
    let all = flow.release(400);
    setup.wait_delivered(all);
    stop(&mut process);
    setup.check_all(&service);
    let stats = service.stats();
    eprintln!(
        "{faults} faults in {:.0} s with seed {seed}: {all} hits, none lost, none twice, all in order; {} connections, {} replays",
        since.elapsed().as_secs_f64(),
        stats.streams,
        stats.resets_honoured
    );
    assert!(stats.resets_honoured >= faults as u64 / 2, "{}", stats.resets_honoured);
}

/// Numbers of the connections that are open.
fn open_ones(service: &Service) -> Vec<u64> {
    service.connections().iter().map(|connection| connection.number).collect()
}

/// Lets hits flow until `fault` has fired, which `arm` arms for some connections and says for which. They may be closed
/// for a replay before: then it is armed again.
fn strike(service: &Service, flow: &mut Flow<'_>, fault: &Fault, mut arm: impl FnMut() -> Vec<u64>) {
    let before = service.fired(fault.name());
    let mut armed = arm();
    flow.until(fault.name(), || {
        let open = open_ones(service);
        let has_fired = service.fired(fault.name()) > before;
        if !has_fired && !armed.iter().any(|number| open.contains(number)) {
            armed = arm();
        }
        has_fired
    });
}

/// Whether all connections are open and no replay is under way or owed.
fn is_settled(service: &Service, process: &Process) -> bool {
    let begun = process.metrics().sum("tributary_replays_total", &[]) as usize;
    let log = process.log();
    let reached = log.iter().rfind(|line| line.contains(REACHED));
    service.open_streams() == u64::from(CONNECTIONS)
        && begun > 0
        && begun == count_log(process, REACHED)
        && reached.is_some_and(|line| line.contains("\"replay_owed\":false"))
}
