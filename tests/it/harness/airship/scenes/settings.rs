//! The configuration of a scene: working defaults, with what a test wants otherwise on top.

use super::Scene;
use crate::harness::airship::stream_keys;
use crate::harness::broker::{Broker, unique_prefix};
use crate::harness::settings;
use toml::Table;
use tributary_mock::airship;

/// A scene before it starts.
pub(crate) struct Setup {
    pub(crate) prefix: String,
    pub(crate) airship: airship::Config,
    pub(crate) top: Table,
    pub(crate) stream: Table,
    pub(crate) env: Vec<(String, String)>,
    left_out: Vec<&'static str>,
}

impl Setup {
    /// A test's name and the mock's settings.
    pub(crate) fn new(test_name: &str, airship: airship::Config) -> Self {
        let (top, stream, env) = (Table::new(), Table::new(), Vec::new());
        Self { prefix: unique_prefix(test_name), airship, top, stream, env, left_out: Vec::new() }
    }

    /// Keys outside of the stream, in TOML.
    #[track_caller]
    pub(crate) fn top(mut self, toml: &str) -> Self {
        settings::merge(&mut self.top, settings::table(toml));
        self
    }

    /// Keys of the stream, in TOML.
    #[track_caller]
    pub(crate) fn stream(mut self, toml: &str) -> Self {
        self.stream.extend(settings::table(toml));
        self
    }

    /// The stream without this key, so with the connector's default.
    pub(crate) fn without(mut self, key: &'static str) -> Self {
        self.left_out.push(key);
        self
    }

    /// A variable of the connector's environment.
    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The prefix of all topics.
    pub(crate) fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Starts the mock and the connector.
    #[track_caller]
    pub(crate) fn start(self, broker: &Broker) -> Scene {
        Scene::start(self, broker)
    }

    /// The connector's configuration for a service at `url`.
    pub(crate) fn configuration(&self, broker: &Broker, url: &str) -> String {
        let prefix = &self.prefix;
        let mut head = settings::least(broker, prefix);
        settings::merge(&mut head, self.top.clone());
        let mut stream =
            settings::table(&stream_keys("s", &format!("{url}/api/events/"), &format!("{prefix}.events")));
        stream.extend(settings::table("headers = \"cloudevents\"\npartitions = 3"));
        stream.extend(self.stream.clone());
        stream.retain(|key, _| !self.left_out.contains(&key));
        settings::file(head, [stream])
    }
}
