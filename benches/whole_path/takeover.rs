//! How long a shard stands still when the instance that has it goes.

use std::fmt;
use std::time::Duration;

use nix::sys::signal::Signal;
use tokio::time::Instant;

use crate::Arguments;
use crate::broker::Broker;
use crate::connector::{self, Headers, Job, Service};
use crate::mock::{self, Mock};
use crate::running::{Connector, get, sum};

/// The least that brokers take.
const SESSION: Duration = Duration::from_secs(6);

const POLL: Duration = Duration::from_millis(5);

/// Longer than anything that is measured here.
const LIMIT: Duration = Duration::from_secs(60);

/// Ids to read back, where there are any.
const IDS: u64 = 1_000_000;

/// How the owner goes.
#[derive(Clone, Copy)]
enum Way {
    Killed,
    Stopped,
}

/// Prints a line for each kind.
pub(crate) fn measure(arguments: &Arguments, broker: &Broker) {
    for (way, ids) in [(Way::Killed, 0), (Way::Stopped, 0), (Way::Killed, IDS)] {
        let scene = Scene::new(arguments, broker, ids);
        scene.run(way);
        broker.remove(&scene.topic);
    }
}

struct Scene<'a> {
    arguments: &'a Arguments,
    broker: &'a Broker,
    mock: Mock,
    topic: String,
    ids: u64,
}

impl<'a> Scene<'a> {
    /// A service that has sent `ids` events already, and goes on at the rate.
    fn new(arguments: &'a Arguments, broker: &'a Broker, ids: u64) -> Self {
        let rate = arguments.rate.max(1);
        let events = ids + rate * 3_600;
        let mock = mock::start(&[
            "--events",
            &events.to_string(),
            "--rate",
            &rate.to_string(),
            "--epoch",
            "now",
            "--backlog",
            &ids.to_string(),
        ]);
        Self { arguments, broker, mock, topic: broker.new_topic(1), ids }
    }

    fn start(&self, name: u32) -> Connector {
        let session = SESSION.as_secs();
        let more =
            format!("ownership = \"group\"\ninstance_id = \"i{name}\"\nsession_timeout = \"{session}s\"");
        let job = Job {
            mock: &self.mock,
            service: Service::Airship(1),
            topic: &self.topic,
            headers: Headers::None,
            more: &more,
        };
        connector::start(self.arguments, self.broker, job)
    }

    fn run(&self, way: Way) {
        let mut owner = self.start(0);
        owner.wait_for(POLL, |delivered| delivered > self.ids);
        let mut times = Vec::new();
        for turn in 1..=self.arguments.takeovers {
            let spare = self.start(turn);
            until("a spare that is ready", || spare.is_ready());
            // So that the death falls anywhere between two signs of life.
            std::thread::sleep(Duration::from_millis(rand::random_range(0..1_000)));
            let since = Instant::now();
            owner.process.signal(match way {
                Way::Killed => Signal::SIGKILL,
                Way::Stopped => Signal::SIGTERM,
            });
            until("the first commit", || delivered(&spare) > 0.0);
            times.push(since.elapsed());
            owner = spare;
        }
        times.sort();
        let at = |share: f64| times[((times.len() - 1) as f64 * share).round() as usize].as_secs_f64();
        println!(
            "takeover after {way}, session {} s, {} ids, {} times: p50 {:.2} s, p90 {:.2}, p99 {:.2}, max {:.2}",
            SESSION.as_secs(),
            self.ids,
            times.len(),
            at(0.5),
            at(0.9),
            at(0.99),
            at(1.0)
        );
    }
}

impl Connector {
    fn is_ready(&self) -> bool {
        get(self.admin(), "/ready")
            .is_ok_and(|page| page.contains(" 200 ") && page.contains("\"joined\":true"))
    }
}

fn delivered(connector: &Connector) -> f64 {
    let page = connector.metrics().unwrap_or_default();
    sum(&page, "tributary_events_delivered_total").unwrap_or_default()
}

fn until(what: &str, holds: impl Fn() -> bool) {
    let since = Instant::now();
    while !holds() {
        assert!(since.elapsed() < LIMIT, "waited in vain for {what}");
        std::thread::sleep(POLL);
    }
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Killed => "SIGKILL",
            Self::Stopped => "SIGTERM",
        })
    }
}
