//! A real Kafka broker for the tests: one that they share, and private ones to stop, pause and kill.
//!
//! The shared one is the broker at `TRIBUTARY_TEST_KAFKA` (`host:port`), else one started in Docker, else one started
//! from Maven's jars with Java; else the tests fail and say what to install. A started broker dies with this process,
//! however it ends, and keeps nothing. Logs and jars are under `target/kafka/`.

mod admin;
mod distant;
mod docker;
mod java;
mod listeners;
mod network;
mod nodes;
mod ports;
mod private;
mod run;
mod tls;
mod ways;

pub(crate) use admin::watermarks;
pub(crate) use distant::distant_broker;
pub(crate) use listeners::guarded_broker;
pub(crate) use network::Network;
pub(crate) use ports::free_port;
pub(crate) use private::{
    PrivateBroker, Right, acl_broker, cluster, cluster_in_network, killable_broker, oauth_broker,
    private_broker, scram_broker, unsigned_token,
};
pub(crate) use tls::{Tls, days_until};
pub(crate) use ways::{Way, broker_with_ways};

use rdkafka::admin::AdminClient;
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use std::path::PathBuf;
use std::sync::LazyLock;
use std::time::Duration;
use tokio::time::Instant;

/// The version that is started, unless `TRIBUTARY_TEST_KAFKA_VERSION` names another; the broker at `TRIBUTARY_TEST_KAFKA` may be any.
const VERSION: &str = "4.1.1";

/// Names the version to start.
const VERSION_ENV: &str = "TRIBUTARY_TEST_KAFKA_VERSION";

/// Names a broker to use instead of starting one.
const ENV: &str = "TRIBUTARY_TEST_KAFKA";

/// From the start of a broker to its first answer: 2-4 s on an idle machine.
const START_LIMIT: Duration = Duration::from_secs(120);

/// To the first answer of a broker that should be there already.
const REACH_LIMIT: Duration = Duration::from_secs(20);

/// The version of Kafka that is started.
pub(crate) fn version() -> &'static str {
    static WANTED: LazyLock<String> =
        LazyLock::new(|| std::env::var(VERSION_ENV).unwrap_or_else(|_| VERSION.to_owned()));
    &WANTED
}

/// A broker that answers. Topics of other tests are on it too: see [`unique_prefix`].
pub(crate) struct Broker {
    bootstrap: String,
    origin: &'static str,
    took: Duration,
    admin: AdminClient<DefaultClientContext>,
    /// Asks for metadata and watermarks; has no group and reads nothing.
    probe: BaseConsumer,
}

/// The broker that all tests share, started by the first one to ask. What must be stopped or paused is a
/// [`private_broker`].
#[track_caller]
pub(crate) fn broker() -> &'static Broker {
    static BROKER: LazyLock<Result<Broker, String>> = LazyLock::new(find);
    BROKER.as_ref().unwrap_or_else(|why| panic!("{why}"))
}

/// A prefix for the topics, groups and transactional ids of one test: letters, digits and `-`, different on each call
/// and each run, since the broker at `TRIBUTARY_TEST_KAFKA` outlives a run.
pub(crate) fn unique_prefix(test_name: &str) -> String {
    let legal: String = test_name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    format!("{legal}-{:08x}", rand::random::<u32>())
}

fn find() -> Result<Broker, String> {
    if let Ok(address) = std::env::var(ENV) {
        return Broker::reach(&address, ENV, REACH_LIMIT, &mut || Ok(()))
            .map_err(|why| format!("{ENV} is {address}, but: {why}"));
    }
    let docker = match docker::start() {
        Ok(broker) => return Ok(broker),
        Err(why) => why,
    };
    java::start_shared().map_err(|java| {
        format!(
            "these tests need a Kafka broker and could not start one. Set {ENV} to the host:port of one, or install \
             Java 17 or newer and Maven (and let Maven reach its repository once), or run a Docker daemon.\n\
             Docker: {docker}\nJava: {java}"
        )
    })
}

impl Broker {
    /// What goes into `kafka.bootstrap_servers`.
    pub(crate) fn bootstrap(&self) -> &str {
        &self.bootstrap
    }

    /// How it came about, for messages.
    pub(crate) fn origin(&self) -> &'static str {
        self.origin
    }

    /// From its start (or ours, where it ran already) to its first answer.
    pub(crate) fn took(&self) -> Duration {
        self.took
    }

    /// The configuration of a client of this broker, with `properties` on top.
    pub(crate) fn client(&self, properties: &[(&str, &str)]) -> ClientConfig {
        client(&self.bootstrap, properties)
    }

    /// Waits until the broker at `bootstrap` answers a metadata request with itself in it. `alive` says why it never
    /// will.
    fn reach(
        bootstrap: &str,
        origin: &'static str,
        limit: Duration,
        alive: &mut dyn FnMut() -> Result<(), String>,
    ) -> Result<Self, String> {
        // Without the isolation level, which is `read_committed` by default, watermarks are last stable offsets.
        let quick = [
            ("reconnect.backoff.ms", "20"),
            ("reconnect.backoff.max.ms", "200"),
            ("isolation.level", "read_uncommitted"),
        ];
        let start = Instant::now();
        let fail = |error| format!("no Kafka client for {bootstrap}: {error}");
        let probe: BaseConsumer = client(bootstrap, &quick).create().map_err(fail)?;
        loop {
            alive()?;
            let last = match probe.fetch_metadata(None, Duration::from_secs(1)) {
                Ok(metadata) if !metadata.brokers().is_empty() => break,
                Ok(_) => String::from("metadata without a broker"),
                Err(error) => error.to_string(),
            };
            if start.elapsed() > limit {
                return Err(format!("no answer from {bootstrap} in {limit:?}; last: {last}"));
            }
        }
        let admin = client(bootstrap, &quick).create().map_err(fail)?;
        Ok(Self { bootstrap: bootstrap.to_owned(), origin, took: start.elapsed(), admin, probe })
    }
}

/// `target/kafka`: jars, logs and data directories.
fn dir() -> PathBuf {
    let target = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    target.parent().expect("target/tmp has a parent").join("kafka")
}

#[expect(
    clippy::disallowed_methods,
    reason = "tests read Kafka with no help of the connector's own client code"
)]
fn client(bootstrap: &str, properties: &[(&str, &str)]) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", bootstrap);
    for (key, value) in properties {
        config.set(*key, *value);
    }
    config
}
