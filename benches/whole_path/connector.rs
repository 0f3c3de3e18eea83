//! One round of the connector: the real binary, from its start to the commit of the last event.

use std::fmt;
use std::time::Duration;

use tokio::time::Instant;

use crate::Arguments;
use crate::broker::Broker;
use crate::mock::Mock;
use crate::running::{self, Connector};
use crate::table::{Commits, Row};

/// How often the metrics are asked for, before the first commit and after it: each answer costs the connector CPU time.
const POLLS: (Duration, Duration) = (Duration::from_millis(5), Duration::from_millis(100));

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
    // The service keeps the position, and each round reads everything.
    let reset = matches!(job.service, Service::Adobe(_)).then_some(["--reset", "smallest"]);
    let sets = arguments.overrides.iter().flat_map(|pair| ["--set", pair]);
    let partitions = arguments.partitions;
    running::start(
        |admin| format!("{}partitions = {partitions}\n", configuration(broker, job, admin)),
        &reset.into_iter().flatten().chain(sets).collect::<Vec<_>>(),
    )
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
    let started = Instant::now();
    let connector = start(arguments, broker, Job { mock, service, topic: &topic, headers, more: "" });
    let (first, first_events) = connector.wait_for(POLLS.0, |delivered| delivered > 0);
    let (last, events) = connector.wait_for(POLLS.1, |delivered| delivered >= arguments.events);
    let row = Row {
        events,
        seconds: (last - first).as_secs_f64(),
        events_in_seconds: events - first_events,
        cpu_seconds: connector.process.cpu_seconds(),
        peak_mib: connector.process.peak_mib(),
        first_commit: Some(first - started),
        commits: Commits::parse(&connector.metrics().expect("metrics")),
        threads: connector.process.threads(),
    };
    connector.process.terminate();
    broker.remove(&prefix);
    row
}
