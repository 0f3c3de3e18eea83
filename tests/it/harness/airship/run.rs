//! The connector on a service that sends given lines, and what lies in its topics.

use super::LIMIT;
use super::lines::serve;
use super::scenes::{Setup, all_at_once};
use crate::harness::broker::{Broker, broker};
use crate::harness::process::{self, Process};
use crate::harness::reader::{Isolation, Message, read_all};
use crate::harness::wait::wait_until;

/// A connector on a service with these lines.
pub(crate) struct Run<'a> {
    pub(crate) broker: &'a Broker,
    pub(crate) process: Process,
    pub(crate) prefix: String,
}

/// An event; members besides id, offset and type as JSON.
pub(crate) fn event(n: usize, event_type: &str, members: &str) -> String {
    let comma = if members.is_empty() { "" } else { "," };
    format!("{{\"id\":\"{n}\",\"offset\":\"{n}\",\"type\":\"{event_type}\"{comma}{members}}}")
}

/// An event with a key.
pub(crate) fn keyed(n: usize, event_type: &str) -> String {
    event(n, event_type, &format!("\"device\":{{\"channel\":\"c{n}\"}}"))
}

pub(crate) fn setup(test: &str) -> Setup {
    Setup::new(test, all_at_once(0))
}

impl<'a> Run<'a> {
    #[track_caller]
    pub(crate) fn start(setup: &Setup, lines: impl IntoIterator<Item = impl AsRef<str>>) -> Run<'static> {
        Run::start_at(broker(), setup, lines)
    }

    #[track_caller]
    pub(crate) fn start_at(
        broker: &'a Broker,
        setup: &Setup,
        lines: impl IntoIterator<Item = impl AsRef<str>>,
    ) -> Self {
        let config = setup.configuration(broker, &format!("http://{}", serve(lines)));
        let process = process::tributary(&config, &[]);
        Self { broker, process, prefix: setup.prefix().to_owned() }
    }

    pub(crate) fn metric(&self, name: &str) -> f64 {
        self.process.metrics().sum(name, &[])
    }

    pub(crate) fn refusals(&self, code: &str) -> f64 {
        let label = format!("code=\"{code}\"");
        self.process.metrics().sum("tributary_write_failure_codes_total", &[&label])
    }

    /// Waits until so many events and dead letters are committed, and looks that they are there.
    #[track_caller]
    pub(crate) fn wait(&self, events: usize, dead_letters: usize) {
        wait_until(LIMIT, format_args!("{events} events and {dead_letters} dead letters"), || {
            let lines = [events, dead_letters].map(|count| count as f64);
            let committed = ["tributary_events_delivered_total", "tributary_dead_letters_total"];
            committed.map(|name| self.metric(name)) == lines
        });
    }

    /// The committed records of a topic below the prefix.
    #[track_caller]
    pub(crate) fn read(&self, topic: &str) -> Vec<Message> {
        read_all(self.broker, &format!("{}.{topic}", self.prefix), Isolation::Committed)
    }

    /// The values in a topic, sorted.
    #[track_caller]
    pub(crate) fn values(&self, topic: &str) -> Vec<String> {
        let mut values: Vec<String> =
            self.read(topic).iter().map(|message| message.text().to_owned()).collect();
        values.sort();
        values
    }

    /// Values and reasons of the dead letters, sorted.
    #[track_caller]
    pub(crate) fn letters(&self) -> Vec<(String, String)> {
        let letter = |message: &Message| {
            let reason = message.header("tributary-reason").expect("a reason");
            (message.text().to_owned(), reason.to_owned())
        };
        let mut letters: Vec<_> = self.read("dead-letters").iter().map(letter).collect();
        letters.sort();
        letters
    }

    #[track_caller]
    pub(crate) fn stop(&mut self) {
        super::stop(&mut self.process);
    }
}

/// Sorted, as [`Run::values`] gives them.
pub(crate) fn sorted(mut lines: Vec<String>) -> Vec<String> {
    lines.sort();
    lines
}

pub(crate) fn with_reason(lines: impl IntoIterator<Item = String>, reason: &str) -> Vec<(String, String)> {
    let mut letters: Vec<_> = lines.into_iter().map(|line| (line, reason.to_owned())).collect();
    letters.sort();
    letters
}
