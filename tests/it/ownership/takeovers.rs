//! Takeovers: whoever announced itself last has all of its streams, every time.

use super::{Scene, TAKEN_OVER};
use crate::harness::airship::progress::Progress;
use crate::harness::airship::{LIMIT, count_log, stop};
use crate::harness::broker::broker;
use crate::harness::process::Process;
use crate::harness::wait::wait_until;
use std::cell::Cell;
use std::fmt;
use tributary_mock::airship;

const STREAMS: usize = 3;
const TAKEOVERS: usize = 50;
const EVENTS: u64 = 20_000;

/// Events of each stream that come with each look at what is waited for, so that everything happens under load.
const STEP: u64 = 4;

/// Times that two processes start at the same moment.
const RACES: usize = 5;

/// Services that make events only while something is waited for.
struct Load {
    scene: Scene,
    made: Cell<u64>,
}

impl Load {
    #[track_caller]
    fn new(test: &str) -> Self {
        let service = airship::Config { hold_at: Some(0), ..crate::harness::airship::service(EVENTS) };
        Self { scene: Scene::new(test, STREAMS, service), made: Cell::new(0) }
    }

    fn start(&self) -> Process {
        self.scene.setup.start()
    }

    #[track_caller]
    fn wait_until(&self, what: impl fmt::Display, mut holds: impl FnMut() -> bool) {
        wait_until(LIMIT, what, || {
            let made = (self.made.get() + STEP).min(EVENTS - 1);
            self.made.set(made);
            self.scene.mocks.iter().for_each(|mock| mock.release(made));
            holds()
        });
    }

    #[track_caller]
    fn wait_opened(&self, process: &Process, what: &str) {
        self.wait_until(format_args!("{what} to have all streams"), || {
            (0..STREAMS)
                .all(|number| count_log(process, &format!("\"opened\",\"shard\":\"s{number}/0\"")) > 0)
        });
    }

    #[track_caller]
    fn wait_end(&self, process: &mut Process, what: &str) {
        self.wait_until(format_args!("{what} to give up"), || process.exited().is_some());
        let status = process.wait_exit(LIMIT);
        assert_eq!(status.code(), Some(TAKEN_OVER), "{what}: {}", process.log().join("\n"));
    }

    /// Makes everything that is left, which `process` delivers.
    #[track_caller]
    fn finish(&self, process: &mut Process) {
        self.scene.mocks.iter().for_each(|mock| mock.release(EVENTS));
        for stream in &self.scene.setup.streams {
            Progress::of(broker(), &self.scene.setup, &stream.name, 0).wait_received(EVENTS);
        }
        assert_eq!(process.exited(), None, "nobody took it over");
        stop(process);
        self.scene.assert_each_once();
    }
}

#[test]
fn each_takeover_is_a_whole_one() {
    let load = Load::new("takeovers");
    let mut running = load.start();
    load.wait_opened(&running, "the first");
    for takeover in 1..=TAKEOVERS {
        let next = load.start();
        load.wait_end(&mut running, &format!("process {}", takeover - 1));
        running = next;
        load.wait_opened(&running, &format!("process {takeover}"));
        assert_eq!(running.exited(), None, "process {takeover}");
    }
    load.finish(&mut running);
}

#[test]
fn of_two_that_start_at_once_one_has_everything() {
    let load = Load::new("race");
    for race in 0..RACES {
        let mut both = [load.start(), load.start()];
        load.wait_until(format_args!("one of both to give up, race {race}"), || {
            both.iter_mut().any(|process| process.exited().is_some())
        });
        let loser = both.iter_mut().position(|process| process.exited().is_some()).expect("waited for");
        load.wait_end(&mut both[loser], "the loser");
        let winner = &mut both[1 - loser];
        load.wait_opened(winner, "the winner");
        assert_eq!(winner.exited(), None, "race {race}");
        stop(winner);
    }
    let mut last = load.start();
    load.finish(&mut last);
}

/// Without transactions nobody is fenced, so the record is looked at now and then.
#[test]
fn an_instance_that_nobody_fences_gives_up_all_the_same() {
    let service = airship::Config { hold_at: Some(0), ..crate::harness::airship::service(EVENTS) };
    let mut scene = Scene::new("least-taken", STREAMS, service);
    scene.setup.delivery = "at_least_once";
    let load = Load { scene, made: Cell::new(0) };
    let mut first = load.start();
    load.wait_opened(&first, "the first");
    let mut second = load.start();
    load.wait_opened(&second, "the second");
    load.wait_end(&mut first, "the first");
    assert_eq!(second.exited(), None);
    load.scene.mocks.iter().for_each(|mock| mock.release(EVENTS));
    for stream in &load.scene.setup.streams {
        Progress::of(broker(), &load.scene.setup, &stream.name, 0).wait_received(EVENTS);
    }
    stop(&mut second);
}
