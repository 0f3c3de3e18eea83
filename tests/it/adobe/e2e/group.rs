//! A stream whose position the service keeps, shared by a consumer group: one instance has it, with all of its connections.

use super::held;
use crate::harness::adobe::{Flow, REACHED, Service, Setup};
use crate::harness::airship::{count_log, stop};
use crate::harness::process::Process;
use std::time::Duration;
use tributary_mock::adobe;

const HITS: u64 = 800;

/// A member of this name.
fn start(setup: &Setup, name: &str) -> Process {
    let mut setup = setup.clone();
    setup.settings.more =
        format!("ownership = \"group\"\ninstance_id = \"{name}\"\nsession_timeout = \"6s\"");
    setup.start()
}

fn owns(process: &Process) -> bool {
    process.metrics().sum("tributary_shard_owned", &[]) == 1.0
}

fn is_ready(process: &Process) -> bool {
    process.get("/ready").status == 200
}

/// The one that takes over waits until the service has noticed that the connections of the other one are gone, and what they had
/// on their way comes back by a replay.
#[test]
fn a_stream_is_taken_over_with_its_connections() {
    let lingering = adobe::Config {
        ghost_linger: Duration::from_secs(3),
        ghosts_of_faults: true,
        rebalance_replay: 0,
        ..held()
    };
    let service = Service::start(lingering);
    let setup = Setup::new("adobe-group", &service).connections(3).replaying();
    let mut flow = Flow::new(&service);
    let mut members = vec![start(&setup, "a"), start(&setup, "b")];
    flow.until("one to have it", || members.iter().filter(|member| owns(member)).count() == 1);
    service.wait_open(3);
    flow.until("both to be ready", || members.iter().all(is_ready));
    let delivered = flow.release(HITS);
    setup.wait_delivered(delivered);

    let owner = members.iter().position(owns).expect("one has it");
    let mut dead = members.remove(owner);
    let mut next = members.remove(0);
    dead.kill9();
    flow.until("the replay", || count_log(&next, REACHED) > 0);
    service.wait_open(3);
    let delivered = flow.release(HITS);
    setup.wait_delivered(delivered);
    assert!(
        service.stats().statuses.contains_key(&409) || service.resets().len() == 1,
        "{:?}",
        service.stats()
    );

    // One that stops has taken all that was on its way, so the next one need not replay anything.
    let replays = service.resets().len();
    let last = start(&setup, "c");
    flow.until("the spare to be ready", || is_ready(&last) && !owns(&last));
    stop(&mut next);
    flow.until("the spare to have it", || owns(&last) && is_ready(&last));
    service.wait_open(3);
    let all = flow.release(HITS);
    setup.wait_delivered(all);
    let mut last = last;
    stop(&mut last);
    assert_eq!(service.resets().len(), replays, "the stop was one in order");
    setup.check_all(&service);
}
