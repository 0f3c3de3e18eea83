//! One round of the connector: the real binary, from its start to the commit of the last event.

use std::fmt;
use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;
use tokio::time::Instant;

use crate::Arguments;
use crate::broker::{Broker, free_port};
use crate::mock::{Mock, TRIBUTARY};
use crate::proc::Killed;
use crate::table::{Commits, Row, sum};

/// How often the metrics are asked for, before the first commit and after it: each answer costs the connector CPU time.
const POLLS: (Duration, Duration) = (Duration::from_millis(5), Duration::from_millis(100));

/// Without a new commit for so long the round has failed.
const STALLED: Duration = Duration::from_secs(60);

/// A running connector and its configuration.
pub(crate) struct Connector {
    pub(crate) process: Killed,
    pub(crate) started: Instant,
    admin: String,
    dir: TempDir,
}

/// What the mock plays, and how it is read.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Service {
    /// Airship, so many shards.
    Airship(u32),
    /// Adobe, so many connections.
    Adobe(u32),
}

/// What the connector's `headers` says.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub(crate) enum Headers {
    /// The default
    None,
    /// Eight an event
    Cloudevents,
}

impl fmt::Display for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "none",
            Self::Cloudevents => "cloudevents",
        })
    }
}

/// What a connector is to do.
#[derive(Clone, Copy)]
pub(crate) struct Job<'a> {
    pub(crate) mock: &'a Mock,
    pub(crate) service: Service,
    pub(crate) topic: &'a str,
    pub(crate) headers: Headers,
    /// Lines outside of all tables.
    pub(crate) more: &'a str,
}

/// The configuration file of a connector.
pub(crate) fn configuration(broker: &Broker, job: Job<'_>, admin: &str) -> String {
    let Job { mock, service, topic, headers, more } = job;
    let (kafka, prefix) = (&broker.address, topic.trim_end_matches(".{type}"));
    let host = &mock.address;
    let stream = match service {
        Service::Airship(shards) => format!(
            "kind = \"airship\"\nurl = \"http://{host}/api/events/\"\napp_key = \"app\"\n\
             auth = {{ bearer = {{ value = \"token\" }} }}\nstart = \"earliest\"\nshards = {shards}\n"
        ),
        Service::Adobe(connections) => format!(
            "kind = \"adobe\"\nurl = \"http://{host}/api/1/stream/adobe-livestream-test\"\n\
             auth = {{ bearer = {{ value = \"token\" }} }}\nmax_connections = {connections}\n"
        ),
    };
    format!(
        "{more}\n[kafka]\nbootstrap_servers = \"{kafka}\"\n[state]\nprefix = \"{prefix}\"\n[admin]\nlisten = \"{admin}\"\n\
         [[stream]]\nname = \"bench\"\n{stream}topic = \"{topic}\"\nheaders = \"{headers}\"\n"
    )
}

/// Starts the real binary.
pub(crate) fn start(arguments: &Arguments, broker: &Broker, job: Job<'_>) -> Connector {
    let admin = format!("127.0.0.1:{}", free_port());
    let dir = tempfile::tempdir().expect("a directory");
    let file: PathBuf = dir.path().join("tributary.toml");
    let mut text = configuration(broker, job, &admin);
    text.push_str(&format!("partitions = {}\n", arguments.partitions));
    std::fs::write(&file, text).expect("a file");
    let started = Instant::now();
    let process = Killed::spawn(
        Command::new(TRIBUTARY)
            .arg("run")
            .arg("--config")
            .arg(&file)
            // The service keeps the position, and each round reads everything.
            .args(
                matches!(job.service, Service::Adobe(_))
                    .then_some(["--reset", "smallest"])
                    .into_iter()
                    .flatten(),
            )
            .args(arguments.overrides.iter().flat_map(|pair| ["--set", pair]))
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(dir.path().join("log")).expect("a file")),
    );
    Connector { process, started, admin, dir }
}

/// One round over all events of the mock.
pub(crate) fn round(
    arguments: &Arguments,
    broker: &Broker,
    mock: &Mock,
    service: Service,
    headers: Headers,
) -> Row {
    let prefix = broker.new_topic(arguments.partitions);
    let by_type = arguments.topic_per_type && matches!(service, Service::Airship(_));
    let topic = if by_type { format!("{prefix}.{{type}}") } else { prefix.clone() };
    let connector = start(arguments, broker, Job { mock, service, topic: &topic, headers, more: "" });
    let (first, first_events) = connector.wait_for(POLLS.0, |delivered| delivered > 0);
    let (last, events) = connector.wait_for(POLLS.1, |delivered| delivered >= arguments.events);
    let row = Row {
        events,
        seconds: (last - first).as_secs_f64(),
        events_in_seconds: events - first_events,
        cpu_seconds: connector.process.cpu_seconds(),
        peak_mib: connector.process.peak_mib(),
        first_commit: Some(first - connector.started),
        commits: Commits::parse(&connector.metrics().expect("metrics")),
        threads: connector.process.threads(),
    };
    connector.process.terminate();
    broker.remove(&prefix);
    row
}

impl Connector {
    /// Where its metrics are.
    pub(crate) fn admin(&self) -> &str {
        &self.admin
    }

    /// Asks every `pause` until `delivered` is as `holds` wants it.
    pub(crate) fn wait_for(&self, pause: Duration, holds: impl Fn(u64) -> bool) -> (Instant, u64) {
        let (mut last, mut since) = (0, Instant::now());
        loop {
            let now = Instant::now();
            let delivered =
                self.metrics().ok().and_then(|page| sum(&page, "tributary_events_delivered_total"));
            let delivered = delivered.unwrap_or_default() as u64;
            if holds(delivered) {
                return (now, delivered);
            }
            if delivered > last {
                (last, since) = (delivered, now);
            }
            if since.elapsed() > STALLED {
                panic!("stalled at {delivered} events; its log:\n{}", log(self.dir.path()));
            }
            std::thread::sleep(pause);
        }
    }

    pub(crate) fn metrics(&self) -> io::Result<String> {
        get(&self.admin, "/metrics")
    }
}

/// Gets a page by HTTP/1.0, so that the body ends with the connection.
pub(crate) fn get(address: &str, path: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.write_all(format!("GET {path} HTTP/1.0\r\nhost: {address}\r\n\r\n").as_bytes())?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    Ok(text)
}

fn log(dir: &Path) -> String {
    std::fs::read_to_string(dir.join("log")).unwrap_or_default()
}
