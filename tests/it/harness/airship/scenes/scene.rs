//! A running scene, and its end with all checks that every test wants.

use super::{Expected, Setup};
use crate::harness::airship::check_shards;
use crate::harness::broker::Broker;
use crate::harness::expected;
use crate::harness::process::{self, Process};
use crate::harness::reader::{self, Isolation, Message};
use crate::harness::wait;
use std::time::Duration;
use tokio::runtime::Runtime;
use tributary_mock::airship::{Armed, Fault, Log};
use tributary_mock::{Fired, Handle, Stats};

/// For a few thousand events to arrive through a few reconnects, with other tests on the same machine.
pub(crate) const ARRIVE: Duration = Duration::from_secs(120);

/// Mock and connector at work.
pub(crate) struct Scene {
    pub(crate) mock: Handle,
    pub(crate) process: Process,
    prefix: String,
    config: String,
    env: Vec<(String, String)>,
    /// Runs the mock. Dropped last.
    runtime: Runtime,
}

/// What lies in Kafka after the connector's orderly end.
pub(crate) struct Ended {
    /// Dead letters, to be compared by the test.
    pub(crate) dead_letters: Vec<Message>,
    /// What the mock did.
    pub(crate) stats: Stats,
    /// What the connector wrote.
    pub(crate) log: Vec<String>,
}

impl Scene {
    #[track_caller]
    pub(crate) fn start(setup: Setup, broker: &Broker) -> Self {
        let runtime = Runtime::new().expect("a runtime");
        let mock = runtime
            .block_on(tributary_mock::start(tributary_mock::Config::local(setup.airship.clone())))
            .expect("a mock");
        let config = setup.configuration(broker, &mock.url());
        let process = run(&config, &setup.env);
        Self { mock, process, prefix: setup.prefix, config, env: setup.env, runtime }
    }

    /// Starts the connector again, with the same configuration but for the address: that of a mock of these settings.
    #[track_caller]
    pub(crate) fn move_to(&mut self, airship: tributary_mock::airship::Config) {
        let next = self
            .runtime
            .block_on(tributary_mock::start(tributary_mock::Config::local(airship)))
            .expect("a mock");
        self.config = self.config.replace(&self.mock.url(), &next.url());
        self.mock = next;
        self.process = run(&self.config, &self.env);
    }

    /// The topic of all events.
    pub(crate) fn events(&self) -> String {
        format!("{}.events", self.prefix)
    }

    pub(crate) fn dead_letters(&self) -> String {
        format!("{}.dead-letters", self.prefix)
    }

    /// What the mock serves.
    pub(crate) fn mock_log(&self) -> Log {
        self.mock.log().clone()
    }

    /// A counter or gauge, summed over its labels.
    #[track_caller]
    pub(crate) fn metric(&self, name: &str) -> f64 {
        self.process.metrics().sum(name, &[])
    }

    /// Connections that ended with a failure of `class`.
    #[track_caller]
    pub(crate) fn reconnects(&self, class: &str) -> f64 {
        self.process.metrics().sum("tributary_reconnects_total", &[&format!("class=\"{class}\"")])
    }

    /// Waits until that many events are committed.
    #[track_caller]
    pub(crate) fn wait_delivered(&self, events: u64) {
        wait::wait_until(ARRIVE, format_args!("{events} events to be committed"), || {
            self.metric("tributary_events_delivered_total") >= events as f64
        });
    }

    /// Waits until the mock's statistics are so.
    #[track_caller]
    pub(crate) fn wait_mock(&self, what: &str, holds: impl Fn(&Stats) -> bool) {
        wait::wait_until(ARRIVE, what, || holds(&self.mock.stats()));
    }

    /// Has the next connects suffer `armed`, and ends the open stream.
    pub(crate) fn interrupt(&self, armed: impl IntoIterator<Item = Armed>) {
        armed.into_iter().for_each(|armed| self.mock.arm(armed));
        self.mock.disconnect(Fault::Eof {});
    }

    /// Waits for `expected`, stops the connector in order and compares what lies in Kafka then.
    #[track_caller]
    pub(crate) fn finish(mut self, broker: &Broker, expected: &Expected) -> Ended {
        self.wait_delivered(expected.len());
        let dead = self.metric("tributary_dead_letters_total");
        let delivered = self.metric("tributary_events_delivered_total");
        self.stop();
        let events = reader::read_all(broker, &self.events(), Isolation::Committed);
        expected.check(&events);
        let dead_letters = reader::read_all(broker, &self.dead_letters(), Isolation::Committed);
        assert_eq!(delivered, events.len() as f64, "the figure is what lies in Kafka");
        assert_eq!(dead, dead_letters.len() as f64, "the figure is what lies in Kafka");
        Ended { dead_letters, stats: self.mock.stats(), log: self.process.log() }
    }

    /// SIGTERM and an exit without complaint.
    #[track_caller]
    pub(crate) fn stop(&mut self) {
        self.process.sigterm();
        let status = self.process.wait_exit(wait::GENEROUS);
        assert_eq!(status.code(), Some(0), "{status}; log:\n{}", self.process.log().join("\n"));
        check_shards(&self.process.log());
    }
}

impl Ended {
    /// The faults of that name that fired.
    pub(crate) fn fired(&self, fault: &str) -> Vec<Fired> {
        self.stats.fired.iter().filter(|fired| fired.fault == fault).cloned().collect()
    }

    /// No line was refused: what is no event never got that far.
    #[track_caller]
    pub(crate) fn assert_no_dead_letters(&self) {
        expected::assert_no_dead_letters(&self.dead_letters);
    }

    /// Log lines that contain `part`.
    pub(crate) fn lines(&self, part: &str) -> Vec<&str> {
        self.log.iter().map(String::as_str).filter(|line| line.contains(part)).collect()
    }
}

#[track_caller]
fn run(config: &str, env: &[(String, String)]) -> Process {
    let env: Vec<(&str, &str)> = env.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    process::tributary(config, &env)
}
