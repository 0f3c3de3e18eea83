//! What the tests of Adobe streams share: the mock service, the configuration of one run, the process.
//!
//! [`Service`] is the mock's Adobe half, [`Setup`] the configuration, [`oracle`] compares what lies in Kafka with the
//! mock's log. As in [`crate::harness::airship`], nothing here is the connector's own code.

pub(crate) mod hole;
pub(crate) mod oracle;
pub(crate) mod scenes;

use crate::harness::airship::progress::{Checkpoint, Progress};
use crate::harness::airship::{LIMIT, RUNTIME};
use crate::harness::broker::broker;
use crate::harness::process::{self, Process};
use crate::harness::settings::Settings;
use crate::harness::wait::wait_until;
use std::fmt::Display;
use std::ops::{Deref, DerefMut};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tributary_mock::adobe::{self, Handle, Stats};
use tributary_mock::airship::Epoch;

/// The name of the stream in a [`Setup`].
pub(crate) const STREAM: &str = "web";

/// What the log says when a replay has read again all that was delivered before it.
pub(crate) const REACHED: &str = "replay: what was delivered before is reached";

/// A hit a second, by their received times: so a few thousand spread over an hour.
const STEP: Duration = Duration::from_secs(1);

/// How long ago the first hit was received: within any retention, and longer than any test's log, so that no hit is of
/// the future.
const LOG_AGE_MS: u64 = 24 * 3_600_000;

/// The Adobe half of a mock service, which stops when this is dropped.
pub(crate) struct Service {
    /// Stops with this.
    mock: tributary_mock::Handle,
    adobe: Handle,
}

/// A log of `hits` lines with ids of its own that is read from its beginning. Received times end not long ago; what is on
/// its way when a connection breaks is lost; all else as in the mock's defaults.
#[track_caller]
pub(crate) fn service(hits: u64) -> adobe::Config {
    assert!(hits * STEP.as_secs() * 1_000 < LOG_AGE_MS, "{hits} hits would reach into the future");
    let now_ms = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_millis() as u64;
    adobe::Config {
        events: hits,
        seed: rand::random::<u32>().into(),
        epoch: Epoch::At(now_ms - LOG_AGE_MS),
        step: Some(STEP),
        // Few enough that each has several hits, whose order can be compared.
        visitors: 300,
        lose_in_flight: true,
        blank_every: Duration::from_millis(500),
        ..adobe::Config::default()
    }
}

impl Service {
    #[track_caller]
    pub(crate) fn start(config: adobe::Config) -> Self {
        let mock = RUNTIME
            .block_on(tributary_mock::start(tributary_mock::Config::local_adobe(config)))
            .expect("the mock listens");
        let adobe = mock.adobe();
        Self { mock, adobe }
    }

    /// The address of the first stream.
    pub(crate) fn stream_url(&self) -> String {
        format!("{}{}", self.mock.url(), self.adobe.path())
    }

    pub(crate) fn address(&self) -> std::net::SocketAddr {
        self.mock.addr()
    }

    pub(crate) fn token_url(&self) -> String {
        format!("{}/ims/token/v3", self.mock.url())
    }

    /// Waits until the statistics are as `holds` wants them.
    #[track_caller]
    pub(crate) fn wait(&self, what: impl Display, holds: impl Fn(&Stats) -> bool) {
        wait_until(LIMIT, what, || holds(&self.stats()));
    }

    /// Waits until so many connections are open.
    #[track_caller]
    pub(crate) fn wait_open(&self, connections: u64) {
        self.wait(format_args!("{connections} connections"), |stats| stats.open_streams == connections);
    }

    /// How often a fault fired.
    pub(crate) fn fired(&self, fault: &str) -> u64 {
        self.stats().faults.get(fault).copied().unwrap_or(0)
    }

    /// Values of `reset` in requests for streams, in order, whatever they were answered with.
    pub(crate) fn resets(&self) -> Vec<String> {
        let of = |seen: adobe::Seen| seen.query.into_iter().find(|(name, _)| name == "reset");
        self.stats().requests.into_iter().filter_map(of).map(|(_, value)| value).collect()
    }
}

impl Deref for Service {
    type Target = Handle;

    fn deref(&self) -> &Handle {
        &self.adobe
    }
}

/// A configuration with one Adobe stream into one topic of the shared broker, in small batches. Fields, also those of its
/// [`Settings`], may be changed before [`Setup::start`].
#[derive(Clone)]
pub(crate) struct Setup {
    pub(crate) settings: Settings,
    pub(crate) url: String,
    pub(crate) token_url: String,
    pub(crate) connections: u32,
    pub(crate) on_unclean: &'static str,
    pub(crate) replay_interval: &'static str,
    pub(crate) reconnect_pause: &'static str,
    pub(crate) silence: &'static str,
    pub(crate) topic: String,
    pub(crate) partitions: i32,
    /// More lines for the `[[stream]]`.
    pub(crate) more: String,
}

impl Deref for Setup {
    type Target = Settings;

    fn deref(&self) -> &Settings {
        &self.settings
    }
}

impl DerefMut for Setup {
    fn deref_mut(&mut self) -> &mut Settings {
        &mut self.settings
    }
}

impl Setup {
    /// One connection to `service`, in mode `continue`.
    #[track_caller]
    pub(crate) fn new(test: &str, service: &Service) -> Self {
        // An open transaction that is left behind must end by fencing, not by its timeout.
        let settings = Settings { transaction_timeout: "10m", ..Settings::new(broker(), test) };
        Self {
            url: service.stream_url(),
            token_url: service.token_url(),
            connections: 1,
            on_unclean: "continue",
            replay_interval: "100ms",
            reconnect_pause: "200ms",
            silence: "60s",
            topic: format!("{}.hits", settings.prefix),
            partitions: 3,
            more: String::new(),
            settings,
        }
    }

    /// The same with so many connections.
    pub(crate) fn connections(self, connections: u32) -> Self {
        Self { connections, ..self }
    }

    /// The same in mode `replay`.
    pub(crate) fn replaying(self) -> Self {
        Self { on_unclean: "replay", ..self }
    }

    /// The text of the configuration file, with a port of its own for the metrics.
    pub(crate) fn toml(&self) -> String {
        let Self { url, token_url, connections, on_unclean, replay_interval, .. } = self;
        let Self { reconnect_pause, silence, topic, partitions, more, .. } = self;
        let head = self.settings.toml();
        format!(
            r#"{head}[[stream]]
name = "{STREAM}"
kind = "adobe"
url = "{url}"
auth = {{ ims = {{ client_id = "id", client_secret = {{ value = "secret" }}, scopes = ["x"], token_url = "{token_url}" }} }}
max_connections = {connections}
on_unclean = "{on_unclean}"
replay_interval = "{replay_interval}"
reconnect_pause = "{reconnect_pause}"
silence = "{silence}"
topic = "{topic}"
headers = "cloudevents"
partitions = {partitions}
{more}
"#
        )
    }

    /// Starts the connector.
    #[track_caller]
    pub(crate) fn start(&self) -> Process {
        self.run(&[], "")
    }

    /// Starts it with failpoints armed, e.g. `before_commit=3:pause`.
    #[track_caller]
    pub(crate) fn start_with(&self, failpoints: &str) -> Process {
        self.run(&[], failpoints)
    }

    /// Starts it with `--reset`.
    #[track_caller]
    pub(crate) fn start_reset(&self, reset: &str) -> Process {
        self.run(&["--reset", reset], "")
    }

    /// Starts it with more arguments of `run` and with failpoints.
    #[track_caller]
    pub(crate) fn run(&self, arguments: &[&str], failpoints: &str) -> Process {
        process::tributary_with(&self.toml(), arguments, &[("TRIBUTARY_FAILPOINTS", failpoints)])
    }

    /// What the shard committed, from the beginning.
    #[track_caller]
    pub(crate) fn progress(&self) -> Progress<'static> {
        Progress::at(broker(), &self.checkpoints(), STREAM, 0)
    }

    /// Waits until so many hits are committed as delivered, by all runs together.
    #[track_caller]
    pub(crate) fn wait_delivered(&self, hits: u64) -> Checkpoint {
        self.progress().wait_for(&format!("{hits} delivered hits"), |at| at.delivered >= hits)
    }
}

/// Waits until `process` shows that so many connections are open.
#[track_caller]
pub(crate) fn wait_connections_metric(process: &Process, connections: u32) {
    wait_until(LIMIT, format_args!("tributary_connections_open to be {connections}"), || {
        process.metrics().sum("tributary_connections_open", &[]) == f64::from(connections)
    });
}

/// Hits that become readable little by little while something is waited for, so that a stream is never idle.
pub(crate) struct Flow<'a> {
    service: &'a Service,
    released: u64,
}

/// Hits that become readable at each look of a [`Flow`], which are some 10 ms apart.
const FLOW_STEP: u64 = 5;

impl<'a> Flow<'a> {
    /// The service must have `hold_at`.
    pub(crate) fn new(service: &'a Service) -> Self {
        Self { service, released: service.readable().end }
    }

    /// Makes so many more hits readable at once; gives how many are by now.
    pub(crate) fn release(&mut self, hits: u64) -> u64 {
        self.released += hits;
        assert!(self.released <= self.service.log().len(), "the log is too short for this machine");
        self.service.release(self.released);
        self.released
    }

    /// Lets hits flow until `condition` holds.
    #[track_caller]
    pub(crate) fn until(&mut self, what: impl Display, mut condition: impl FnMut() -> bool) {
        wait_until(LIMIT, what, || {
            let holds = condition();
            if !holds {
                self.release(FLOW_STEP);
            }
            holds
        });
    }
}

/// The last line of the log that contains `part`, as JSON.
#[track_caller]
pub(crate) fn last_logged(process: &Process, part: &str) -> serde_json::Value {
    let lines = process.log();
    let line = lines.iter().rev().find(|line| line.contains(part));
    let line = line.unwrap_or_else(|| panic!("no {part:?} in the log:\n{}", lines.join("\n")));
    serde_json::from_str(line).expect("the log is JSON")
}
