//! The beginning and the end of a process: signals under load, with Kafka paused, with Kafka absent.

use crate::harness::airship::oracle::{Expectation, Found, Repeats};
use crate::harness::airship::progress::Progress;
use crate::harness::airship::{LIMIT, Mock, STREAM, Setup, service, stop};
use crate::harness::broker::{broker, private_broker};
use crate::harness::wait::{GENEROUS, wait_until};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tributary_mock::airship;

const EVENTS: u64 = 10_000;
const RATE: f64 = 3_000.0;

/// The documented exit codes.
const SHUTDOWN_TIMEOUT: i32 = 5;
const INTERRUPTED: i32 = 130;

#[test]
fn sigterm_under_load_commits_what_is_queued() {
    // A broker that has just been started takes seconds for the first announcement, in which events come already.
    let events = 4 * EVENTS;
    let mock = Mock::start(airship::Config { rate: RATE, ..service(events) });
    let setup = Setup::new("sigterm", &mock);
    let mut process = setup.start();
    let mut progress = setup.progress();
    progress.wait_received(1_000);
    stop(&mut process);
    let last = progress.wait_for("a drained checkpoint", |checkpoint| checkpoint.is_drained());
    assert!(last.received < events, "it was stopped under load");
    assert_eq!(last.offset, Some(mock.log().offset(last.received - 1)), "without a gap");
    let found = Expectation::of(&setup, &setup.streams[0], mock.log(), 0..last.received).check();
    assert_eq!(found, Found { records: last.received as usize, repeats: 0 });

    let mut process = setup.start();
    progress.wait_received(events);
    stop(&mut process);
    assert_eq!(setup.expectation(&mock).check(), Found { records: events as usize, repeats: 0 });
    assert!(broker().topics(&setup.prefix).contains(&setup.dead_letters()));
}

#[test]
fn a_paused_kafka_holds_up_no_exit_that_is_insisted_on() {
    let mock = Mock::start(airship::Config { hold_at: Some(0), ..service(EVENTS) });
    let mut broker = private_broker();
    let mut setup = Setup::at(&broker, "paused", &mock);
    let mut released = 0;
    for (second, code) in
        [(Some(Signal::SIGINT), INTERRUPTED), (Some(Signal::SIGTERM), INTERRUPTED), (None, SHUTDOWN_TIMEOUT)]
    {
        setup.shutdown_timeout = if second.is_some() { "60s" } else { "1s" };
        let mut process = setup.start();
        process.wait_for_log("connected", LIMIT);
        let mut progress = Progress::of(&broker, &setup, STREAM, 0);
        released += 500;
        mock.release(released);
        progress.wait_received(released);
        drop(progress);
        broker.pause();
        // Whatever is read from now on cannot be committed.
        let sent = mock.stats().events;
        released += 1_000;
        mock.release(released);
        wait_until(LIMIT, "more events to be sent", || mock.stats().events > sent);
        process.sigterm();
        process.wait_for_log("stopping in order", LIMIT);
        if let Some(signal) = second {
            assert_eq!(process.exited(), None, "the first signal waits for Kafka");
            let pid = i32::try_from(process.pid()).expect("a pid");
            kill(Pid::from_raw(pid), signal).expect("the process is running");
        }
        assert_eq!(process.wait_exit(GENEROUS).code(), Some(code), "{second:?}");
        broker.resume();
    }
    setup.shutdown_timeout = "30s";
    mock.release(EVENTS);
    let mut process = setup.start();
    Progress::of(&broker, &setup, STREAM, 0).wait_received(EVENTS);
    stop(&mut process);
    let found = setup.expectation(&mock).check_at(&broker, Repeats::Forbidden);
    assert_eq!(found, Found { records: EVENTS as usize, repeats: 0 });
}

#[test]
fn kafka_may_appear_later() {
    let mock = Mock::start(service(EVENTS));
    let mut broker = private_broker();
    let setup = Setup::at(&broker, "absent", &mock);
    broker.stop();
    let mut process = setup.start();
    process.wait_for_log("trying again", LIMIT);
    stop(&mut process);
    assert_eq!(mock.stats().connections, 0, "nothing is asked for before it can be kept");

    let mut process = setup.start();
    process.wait_for_log("trying again", LIMIT);
    assert_eq!(process.exited(), None);
    broker.start();
    Progress::of(&broker, &setup, STREAM, 0).wait_received(EVENTS);
    stop(&mut process);
    let found = setup.expectation(&mock).check_at(&broker, Repeats::Forbidden);
    assert_eq!(found, Found { records: EVENTS as usize, repeats: 0 });
}
