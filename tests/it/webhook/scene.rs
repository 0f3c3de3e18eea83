//! One stream that is pushed to us, the instances that receive it, and what must be in its topic.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use super::sender;
use crate::harness::broker::{Broker, free_port};
use crate::harness::process::{self, Process};
use crate::harness::reader::{self, Isolation, Message, read_all};
use crate::harness::settings::Settings;
use crate::harness::wait::{GENEROUS, wait_until};

/// Longer than anything takes here on a busy machine.
pub(super) const LIMIT: Duration = Duration::from_secs(240);

pub(super) const PATH: &str = "/push";

/// What lets a request in.
pub(super) const KEY: &str = "x-key: open sesame\r\n";

/// The stream.
pub(super) struct Scene<'b> {
    pub(super) broker: &'b Broker,
    pub(super) settings: Settings,
    pub(super) shards: u32,
    /// Lines of `[webhook]`.
    pub(super) webhook: String,
    /// Lines of the stream.
    pub(super) stream: String,
}

/// An instance, and where it receives.
pub(super) struct Instance {
    pub(super) process: Process,
    pub(super) address: SocketAddr,
}

impl<'b> Scene<'b> {
    #[track_caller]
    pub(super) fn new(test: &str, broker: &'b Broker) -> Self {
        let mut settings = Settings::new(broker, test);
        // What an instance leaves open must end by the fence of the next one.
        settings.transaction_timeout = "10m";
        Self { broker, settings, shards: 2, webhook: String::new(), stream: String::new() }
    }

    pub(super) fn topic(&self) -> String {
        format!("{}.events", self.settings.prefix)
    }

    pub(super) fn intake(&self) -> String {
        format!("{}.hooks.intake", self.settings.prefix)
    }

    /// The configuration of an instance with more lines at its head.
    pub(super) fn toml(&self, address: SocketAddr, more: &str) -> String {
        let mut settings = self.settings.clone();
        settings.more = format!("{}\n{more}", settings.more);
        let Self { webhook, stream, shards, .. } = self;
        format!(
            r#"{}
[webhook]
listen = "{address}"
{webhook}

[[stream]]
name = "hooks"
kind = "airship_webhook"
path = "{PATH}"
auth = {{ header = {{ name = "X-Key", values = [{{ value = "old" }}, {{ value = "open sesame" }}] }} }}
topic = "{}"
partitions = 3
shards = {shards}
{stream}
"#,
            settings.toml(),
            self.topic(),
        )
    }

    /// Starts an instance, and waits until it stores what it receives.
    #[track_caller]
    pub(super) fn start(&self) -> Instance {
        self.start_with("")
    }

    /// The same with more lines at the head of its configuration.
    #[track_caller]
    pub(super) fn start_with(&self, more: &str) -> Instance {
        let instance = self.begin(more);
        instance.process.wait_for_log("ready to store what is received", GENEROUS);
        instance
    }

    /// The same with a configuration that is changed otherwise.
    #[track_caller]
    pub(super) fn start_as(&self, change: impl FnOnce(String) -> String) -> Instance {
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let process = process::tributary(&change(self.toml(address, "")), &[]);
        process.wait_for_log("ready to store what is received", GENEROUS);
        Instance { process, address }
    }

    /// Starts an instance.
    #[track_caller]
    pub(super) fn begin(&self, more: &str) -> Instance {
        self.begin_in(&[], more)
    }

    /// Starts an instance with these variables in its environment.
    #[track_caller]
    pub(super) fn begin_in(&self, env: &[(&str, &str)], more: &str) -> Instance {
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
        Instance { process: process::tributary(&self.toml(address, more), env), address }
    }

    /// Waits until so many records are in the topic.
    #[track_caller]
    pub(super) fn wait_for(&self, count: usize) {
        let what = format!("{count} records");
        reader::wait_for(self.broker, &self.topic(), Isolation::Committed, LIMIT, &what, |found| {
            found.len() >= count
        });
    }

    /// Waits until so many dead letters are there; they come in the order of their partition.
    #[track_caller]
    pub(super) fn dead_letters(&self, count: usize) -> Vec<Message> {
        let topic = self.settings.dead_letters();
        reader::wait_for(self.broker, &topic, Isolation::Committed, LIMIT, "dead letters", |found| {
            found.len() >= count
        });
        read_all(self.broker, &topic, Isolation::Committed)
    }

    /// What is in the topic.
    #[track_caller]
    pub(super) fn found(&self) -> Vec<Message> {
        read_all(self.broker, &self.topic(), Isolation::Committed)
    }

    /// Each text that is in the topic, and how often.
    #[track_caller]
    pub(super) fn counted(&self) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for message in self.found() {
            *counts.entry(message.text().to_owned()).or_default() += 1;
        }
        counts
    }
}

impl Instance {
    /// Pushes a body with the right key.
    #[track_caller]
    pub(super) fn push(&self, body: &str) -> sender::Answer {
        sender::post(self.address, PATH, KEY, body.as_bytes()).expect("an answer")
    }

    /// Pushes a body until it is stored.
    #[track_caller]
    pub(super) fn push_until_stored(&self, body: &str) {
        wait_until(LIMIT, "the body to be stored", || {
            sender::post(self.address, PATH, KEY, body.as_bytes()).is_ok_and(|answer| answer.status == 200)
        });
    }

    /// Stops it in order.
    #[track_caller]
    pub(super) fn stop(&mut self) {
        self.process.sigterm();
        let status = self.process.wait_exit(LIMIT);
        assert_eq!(status.code(), Some(0), "{}", self.process.log().join("\n"));
    }
}

/// An event of this number.
pub(super) fn event(n: usize) -> String {
    format!(
        r#"{{"id":"{:08x}-0000-4000-8000-000000000000","type":"OPEN","offset":"{n}","processed":"2026-01-01T00:00:00.000Z","device":{{"channel":"c{}"}},"body":{{"n":{n}}}}}"#,
        n * 7,
        n % 10
    )
}

/// Events of these numbers as one body.
pub(super) fn array(numbers: impl IntoIterator<Item = usize>) -> String {
    let events: Vec<String> = numbers.into_iter().map(event).collect();
    format!("[{}]", events.join(","))
}
