//! The mock's sender at work beside a test, and whether what it was told to be stored is there.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use tokio::task::JoinHandle;
use tributary_mock::airship::webhook::{Config, Report, Secret, Sender};

use super::scene::{KEY, LIMIT, PATH, Scene};
use crate::harness::airship::RUNTIME;

/// More than are sent.
const EVENTS: u64 = 10_000_000;

/// The share of requests that are sent once more although they were acknowledged, to another instance.
const REPEATS: f64 = 0.2;

/// The sender.
pub(super) struct Sending {
    sender: Sender,
    running: JoinHandle<Report>,
}

impl Sending {
    /// Pushes to these addresses in turn, so many requests at once, each until it is stored.
    #[track_caller]
    pub(super) fn start(addresses: &[SocketAddr], parallel: u64) -> Self {
        let to = addresses.iter().map(|address| format!("http://{address}{PATH}").parse().unwrap());
        let config = Config {
            parallel,
            headers: vec![Secret::new(KEY.trim_end())],
            repeats: REPEATS,
            pause: Duration::from_millis(20),
            longest_pause: Duration::from_secs(1),
            timeout: LIMIT,
            give_up: LIMIT,
            ..Config::to(to.collect(), EVENTS)
        };
        let sender = Sender::new(&config).unwrap();
        let sending = sender.clone();
        let running = RUNTIME.spawn(async move { sending.run().await });
        Self { sender, running }
    }

    /// Requests that were answered with 200.
    pub(super) fn stored(&self) -> u64 {
        self.sender.report().acknowledged
    }

    /// Requests that were sent once more since they were not.
    pub(super) fn retries(&self) -> u64 {
        self.sender.report().retries
    }

    /// The first event that it sends.
    #[track_caller]
    pub(super) fn first(&self) -> Vec<u8> {
        self.sender.log().expected(0..1).next().expect("there are many").line
    }

    /// Ends when what has begun is stored, and compares the topic with it.
    #[track_caller]
    pub(super) fn check(self, scene: &Scene<'_>) {
        self.sender.stop();
        let report = RUNTIME.block_on(self.running).expect("no panic");
        assert!(report.is_complete(), "each request is stored in time: {report}");
        assert!(report.repeats > 0, "{report}");
        let line = |line: Vec<u8>| String::from_utf8(line).expect("the mock writes UTF-8");
        let expected: BTreeSet<String> =
            self.sender.log().expected(0..report.events).map(|event| line(event.line)).collect();
        scene.wait_for(expected.len());
        let counts: BTreeMap<String, usize> = scene.counted();
        let twice: Vec<_> = counts.iter().filter(|(_, count)| **count > 1).collect();
        assert!(twice.is_empty(), "{} came twice, such as {:?}", twice.len(), twice.first());
        let found: BTreeSet<String> = counts.into_keys().collect();
        assert!(found == expected, "{} were stored and {} are there", expected.len(), found.len());
    }
}
