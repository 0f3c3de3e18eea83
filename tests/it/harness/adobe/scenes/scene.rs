//! A running scene, and its end with all checks that every test wants.

use super::{Expected, Mocks, Setup};
use crate::harness::airship::check_shards;
use crate::harness::broker::broker;
use crate::harness::expected;
use crate::harness::process::{self, Process};
use crate::harness::reader::{self, Isolation, Message};
use crate::harness::wait::{self, GENEROUS};
use std::time::Duration;
use tokio::runtime::Runtime;
use tributary_mock::adobe::{Handle, Log, Stats};

/// For a few thousand hits to arrive through a few reconnects, with other tests on the same machine.
const ARRIVE: Duration = Duration::from_secs(120);

/// Mocks and connector at work.
pub(crate) struct Scene {
    pub(crate) mocks: Mocks,
    pub(crate) process: Process,
    pub(crate) config: String,
    prefix: String,
    names: Vec<String>,
    /// Runs the mocks. Dropped last.
    _runtime: Runtime,
}

impl Scene {
    #[track_caller]
    pub(crate) fn start(setup: Setup, prepare: impl FnOnce(&Mocks)) -> Self {
        let runtime = Runtime::new().expect("a runtime");
        let start = |adobe| {
            runtime
                .block_on(tributary_mock::start(tributary_mock::Config::local_adobe(adobe)))
                .expect("a mock")
        };
        let mocks = setup.streams.iter().map(|stream| (stream.name.clone(), start(stream.adobe.clone())));
        let mocks = Mocks(mocks.collect());
        prepare(&mocks);
        let config = setup.configuration(&mocks);
        let env: Vec<(&str, &str)> =
            setup.env.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let process = process::tributary(&config, &env);
        let names = setup.streams.iter().map(|stream| stream.name.clone()).collect();
        Self { mocks, process, config, prefix: setup.prefix, names, _runtime: runtime }
    }

    /// The service of a stream.
    #[track_caller]
    pub(crate) fn mock(&self, name: &str) -> Handle {
        self.mocks.of(name)
    }

    #[track_caller]
    pub(crate) fn stats(&self, name: &str) -> Stats {
        self.mock(name).stats()
    }

    #[track_caller]
    pub(crate) fn log_of(&self, name: &str) -> Log {
        self.mock(name).log()
    }

    pub(crate) fn prefix(&self) -> &str {
        &self.prefix
    }

    /// A counter or gauge of a stream, summed over its other labels.
    #[track_caller]
    pub(crate) fn metric(&self, metric: &str, name: &str) -> f64 {
        self.process.metrics().sum(metric, &[&format!("stream=\"{name}\"")])
    }

    /// Connections of a stream that ended with a failure of `class`.
    #[track_caller]
    pub(crate) fn reconnects(&self, name: &str, class: &str) -> f64 {
        let labels = [&*format!("stream=\"{name}\""), &*format!("class=\"{class}\"")];
        self.process.metrics().sum("tributary_reconnects_total", &labels)
    }

    /// Waits until that many hits of a stream are committed.
    #[track_caller]
    pub(crate) fn wait_delivered(&self, name: &str, hits: u64) {
        wait::wait_until(ARRIVE, format_args!("{hits} hits of {name} to be committed"), || {
            self.metric("tributary_events_delivered_total", name) >= hits as f64
        });
    }

    /// Waits until a mock's statistics are so.
    #[track_caller]
    pub(crate) fn wait_mock(&self, name: &str, what: &str, holds: impl Fn(&Stats) -> bool) {
        wait::wait_until(ARRIVE, format_args!("{what} ({name})"), || holds(&self.stats(name)));
    }

    /// Waits for a blank line: its token, and whatever was done before, is older than the usual pause then.
    #[track_caller]
    pub(crate) fn wait_quiet(&self, name: &str) {
        let before = self.stats(name).blank_lines;
        self.wait_mock(name, "blank lines", |stats| stats.blank_lines >= before + stats.open_streams.max(1));
    }

    #[track_caller]
    pub(crate) fn wait_ready(&self, status: u16) {
        wait::wait_until(GENEROUS, format_args!("/ready to answer {status}"), || {
            self.process.get("/ready").status == status
        });
    }

    /// What `/ready` says of a stream.
    #[track_caller]
    pub(crate) fn readiness(&self, name: &str) -> (bool, String) {
        let body: serde_json::Value =
            serde_json::from_str(&self.process.get("/ready").body).expect("JSON of /ready");
        let shards = body["shards"].as_array().expect("shards");
        let shard = format!("{name}/0");
        let shard = shards.iter().find(|entry| entry["shard"] == *shard).expect("the stream's shard");
        (shard["ready"].as_bool().expect("ready"), shard["state"].as_str().expect("state").to_owned())
    }

    /// Log lines about a stream that contain `part`.
    pub(crate) fn lines(&self, name: &str, part: &str) -> Vec<String> {
        let stream = format!("\"stream\":\"{name}\"");
        let mut lines = self.process.log();
        lines.retain(|line| line.contains(&stream) && line.contains(part));
        lines
    }

    /// `retry_in_ms` of the log lines about failures of `class`.
    #[track_caller]
    pub(crate) fn pauses(&self, name: &str, class: &str) -> Vec<u64> {
        let lines = self.lines(name, &format!("\"class\":\"{class}\""));
        let parsed = lines.iter().map(|line| serde_json::from_str(line).expect("JSON"));
        parsed.map(|line: serde_json::Value| line["retry_in_ms"].as_u64().expect("a pause")).collect()
    }

    /// Waits for everything in the logs of all streams, stops the connector in order and compares what lies in Kafka
    /// then. There are no dead letters.
    #[track_caller]
    pub(crate) fn finish_all(&mut self) {
        let expected: Vec<_> =
            self.names.iter().map(|name| (name.clone(), Expected::all(&self.log_of(name)))).collect();
        for (name, expected) in &expected {
            self.wait_delivered(name, expected.len());
        }
        self.stop();
        for (name, expected) in &expected {
            self.check(name, expected);
            expected::assert_no_dead_letters(&self.dead_letters(name));
        }
    }

    /// Compares what lies in Kafka of a stream.
    #[track_caller]
    pub(crate) fn check(&self, name: &str, expected: &Expected) {
        expected.check(&self.events(name));
    }

    /// What is committed to a stream's topic.
    #[track_caller]
    pub(crate) fn events(&self, name: &str) -> Vec<Message> {
        reader::read_all(broker(), &format!("{}.{name}", self.prefix), Isolation::Committed)
    }

    #[track_caller]
    pub(crate) fn dead_letters(&self, name: &str) -> Vec<Message> {
        reader::read_all(broker(), &format!("{}.{name}.dead", self.prefix), Isolation::Committed)
    }

    /// SIGTERM and an exit without complaint.
    #[track_caller]
    pub(crate) fn stop(&mut self) {
        self.process.sigterm();
        let status = self.process.wait_exit(GENEROUS);
        assert_eq!(status.code(), Some(0), "{status}; log:\n{}", self.process.log().join("\n"));
        check_shards(&self.process.log());
    }
}
