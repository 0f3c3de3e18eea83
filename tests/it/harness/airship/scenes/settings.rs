//! The configuration of a scene: working defaults, with what a test wants otherwise on top.

use super::Scene;
use crate::harness::broker::{Broker, free_port, unique_prefix};
use toml::{Table, Value};
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
        merge(&mut self.top, toml.parse().expect("TOML"));
        self
    }

    /// Keys of the stream, in TOML.
    #[track_caller]
    pub(crate) fn stream(mut self, toml: &str) -> Self {
        self.stream.extend(toml.parse::<Table>().expect("TOML"));
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
        let (prefix, port, bootstrap) = (&self.prefix, free_port(), broker.bootstrap());
        let mut config: Table = format!(
            r#"
            [kafka]
            bootstrap_servers = "{bootstrap}"
            [state]
            prefix = "{prefix}"
            [admin]
            listen = "127.0.0.1:{port}"
            "#
        )
        .parse()
        .expect("TOML");
        merge(&mut config, self.top.clone());
        let mut stream: Table = format!(
            r#"
            name = "s"
            kind = "airship"
            url = "{url}/api/events/"
            app_key = "app"
            auth = {{ bearer = {{ value = "token" }} }}
            start = "earliest"
            topic = "{prefix}.events"
            headers = "cloudevents"
            partitions = 3
            backoff = {{ min = "10ms", max = "200ms" }}
            "#
        )
        .parse()
        .expect("TOML");
        stream.extend(self.stream.clone());
        stream.retain(|key, _| !self.left_out.contains(&key));
        config.insert("stream".into(), Value::Array(vec![Value::Table(stream)]));
        toml::to_string(&config).expect("a configuration")
    }
}

fn merge(base: &mut Table, over: Table) {
    for (key, value) in over {
        match (base.get_mut(&key), value) {
            (Some(Value::Table(base)), Value::Table(over)) => merge(base, over),
            (_, value) => drop(base.insert(key, value)),
        }
    }
}
