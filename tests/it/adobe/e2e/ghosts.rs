//! Connections that are gone and that the service still counts.

use super::held;
use crate::harness::adobe::{Flow, REACHED, Service, Setup, wait_connections_metric};
use crate::harness::airship::{count_log, stop};
use crate::harness::process::Process;
use std::time::Duration;
use tributary_mock::adobe;
use tributary_mock::fault::Fault;

const HITS: u64 = 800;

fn lingering(linger: Duration) -> adobe::Config {
    adobe::Config { ghost_linger: linger, ghosts_of_faults: true, ..held() }
}

/// Longer than any test: such ghosts go when they are told to.
const FOR_EVER: Duration = Duration::from_secs(3600);

/// Waits until connects were refused because of ghosts, then lets those go.
fn end_conflict(service: &Service) {
    service.wait("a conflict", |stats| stats.statuses.contains_key(&409));
    service.forget_ghosts();
}

fn conflicts(service: &Service) -> u64 {
    service.stats().statuses.get(&409).copied().unwrap_or(0)
}

/// A connector with every connection open, which has delivered what they brought.
fn begin(setup: &Setup, service: &Service, flow: &mut Flow) -> Process {
    let process = setup.start();
    service.wait_open(setup.connections.into());
    let delivered = flow.release(HITS);
    setup.wait_delivered(delivered);
    process
}

/// More hits, all delivered, and a stop in order.
fn end(process: &mut Process, setup: &Setup, flow: &mut Flow) {
    let all = flow.release(HITS);
    setup.wait_delivered(all);
    stop(process);
}

#[test]
fn ghosts_of_a_killed_process_are_waited_for() {
    let service = Service::start(lingering(FOR_EVER));
    let setup = Setup::new("adobe-ghosts-kill", &service).connections(8).replaying();
    let mut flow = Flow::new(&service);
    let mut process = begin(&setup, &service, &mut flow);
    process.kill9();
    service.wait("ghosts", |stats| stats.open_streams == 0 && stats.ghosts == 8);

    let mut process = setup.start();
    end_conflict(&service);
    flow.until("the replay", || count_log(&process, REACHED) > 0);
    service.wait_open(8);
    wait_connections_metric(&process, 8);
    end(&mut process, &setup, &mut flow);
    setup.check_all(&service);
    assert!(conflicts(&service) > 0);
    assert!(service.stats().resets_honoured >= 1);
}

#[test]
fn a_replay_waits_until_the_service_has_noticed_that_all_is_closed() {
    // Less than the pause.
    let service = Service::start(lingering(Duration::from_millis(300)));
    let mut setup = Setup::new("adobe-ghosts-replay", &service).connections(3).replaying();
    setup.reconnect_pause = "1s";
    let mut flow = Flow::new(&service);
    let mut process = begin(&setup, &service, &mut flow);
    service.disconnect_one(1, Fault::CutMidGzip {}).expect("all are open");
    flow.until("the replay", || count_log(&process, REACHED) > 0);
    service.wait_open(3);
    end(&mut process, &setup, &mut flow);
    setup.check_all(&service);
    let stats = service.stats();
    assert_eq!(stats.faults["cut_mid_gzip"], 1);
    assert!(stats.ghosts >= 3, "{}", stats.ghosts);
    assert_eq!((stats.resets_honoured, stats.resets_ignored), (1, 0));
    assert_eq!(conflicts(&service), 0);
}

#[test]
fn a_reset_that_had_no_effect_is_made_again_after_a_longer_pause() {
    // The ghosts of the two that are closed leave room for a third connection, so that the reset is not refused.
    let config = lingering(FOR_EVER);
    let service = Service::start(adobe::Config { ghosts_of_faults: false, ..config });
    let mut setup = Setup::new("adobe-ghosts-ignored", &service).connections(3).replaying();
    setup.reconnect_pause = "500ms";
    let mut flow = Flow::new(&service);
    let mut process = begin(&setup, &service, &mut flow);
    service.disconnect_one(1, Fault::CutMidLine {}).expect("all are open");
    flow.until("a reset without effect and the pause after it", || {
        count_log(&process, "waiting until the service has noticed") == 2
    });
    service.forget_ghosts();
    flow.until("a replay that goes back", || count_log(&process, REACHED) == 2);
    service.wait_open(3);
    end(&mut process, &setup, &mut flow);
    setup.check_all(&service);
    let stats = service.stats();
    assert_eq!((stats.resets_ignored, stats.resets_honoured), (1, 1));
    assert_eq!(count_log(&process, "the replay brought hardly anything that is known"), 1);
}

#[test]
fn fewer_connections_than_before_wait_for_the_ghosts_of_the_others() {
    let service = Service::start(lingering(FOR_EVER));
    let mut setup = Setup::new("adobe-ghosts-fewer", &service).connections(8).replaying();
    let mut flow = Flow::new(&service);
    let mut process = begin(&setup, &service, &mut flow);
    stop(&mut process);
    service.wait("ghosts", |stats| stats.open_streams == 0 && stats.ghosts == 8);

    setup.connections = 2;
    let mut process = setup.start();
    end_conflict(&service);
    service.wait_open(2);
    wait_connections_metric(&process, 2);
    end(&mut process, &setup, &mut flow);
    assert_eq!(count_log(&process, "possible gap"), 0);
    setup.check_all(&service);
    assert!(conflicts(&service) > 0);
    assert_eq!(service.resets(), Vec::<String>::new(), "the stop was in order");
}
