//! What the configurations of all tests have in common: everything outside of `[[stream]]`.

use crate::harness::broker::{Broker, free_port, unique_prefix};
use toml::{Table, Value};

/// The file without its streams. Fields may be changed before the start.
#[derive(Clone)]
pub(crate) struct Settings {
    /// Of all topics and ids.
    pub(crate) prefix: String,
    pub(crate) bootstrap: String,
    pub(crate) delivery: &'static str,
    pub(crate) transaction_timeout: &'static str,
    pub(crate) shutdown_timeout: &'static str,
    pub(crate) commit_interval: &'static str,
    pub(crate) max_events: usize,
    pub(crate) window: &'static str,
    pub(crate) max_ids: usize,
    /// More lines, outside of all tables.
    pub(crate) more: String,
}

impl Settings {
    /// A prefix of the test's own, on this broker, in small batches.
    pub(crate) fn new(broker: &Broker, test: &str) -> Self {
        Self {
            prefix: unique_prefix(test),
            bootstrap: broker.bootstrap().to_owned(),
            delivery: "exactly_once",
            transaction_timeout: "30s",
            shutdown_timeout: "30s",
            commit_interval: "50ms",
            max_events: 200,
            window: "30m",
            max_ids: 1_000_000,
            more: String::new(),
        }
    }

    pub(crate) fn checkpoints(&self) -> String {
        format!("{}.checkpoints", self.prefix)
    }

    pub(crate) fn dead_letters(&self) -> String {
        format!("{}.dead-letters", self.prefix)
    }

    /// The head of the file, with a port of its own for the metrics. Ends with an empty line.
    pub(crate) fn toml(&self) -> String {
        let Self { prefix, bootstrap, delivery, transaction_timeout, shutdown_timeout, .. } = self;
        let Self { commit_interval, max_events, window, max_ids, more, .. } = self;
        let port = free_port();
        format!(
            r#"delivery = "{delivery}"
shutdown = {{ timeout = "{shutdown_timeout}" }}
kafka = {{ bootstrap_servers = "{bootstrap}", transaction_timeout = "{transaction_timeout}" }}
state = {{ prefix = "{prefix}" }}
commit = {{ interval = "{commit_interval}", max_events = {max_events} }}
dedupe = {{ window = "{window}", max_ids = {max_ids} }}
admin = {{ listen = "127.0.0.1:{port}" }}
{more}

"#
        )
    }
}

/// The least that a file has outside of its streams, so that the connector's own defaults hold for the rest.
#[track_caller]
pub(crate) fn least(broker: &Broker, prefix: &str) -> Table {
    let (port, bootstrap) = (free_port(), broker.bootstrap());
    table(&format!(
        r#"
        kafka = {{ bootstrap_servers = "{bootstrap}" }}
        state = {{ prefix = "{prefix}" }}
        admin = {{ listen = "127.0.0.1:{port}" }}
        "#
    ))
}

/// The whole file: `head` and its streams.
pub(crate) fn file(mut head: Table, streams: impl IntoIterator<Item = Table>) -> String {
    head.insert("stream".into(), Value::Array(streams.into_iter().map(Value::Table).collect()));
    toml::to_string(&head).expect("a configuration")
}

/// Keys in TOML.
#[track_caller]
pub(crate) fn table(toml: &str) -> Table {
    toml.parse().expect("TOML")
}

/// Puts `over` on `base`, table by table.
pub(crate) fn merge(base: &mut Table, over: Table) {
    for (key, value) in over {
        match (base.get_mut(&key), value) {
            (Some(Value::Table(base)), Value::Table(over)) => merge(base, over),
            (_, value) => drop(base.insert(key, value)),
        }
    }
}
