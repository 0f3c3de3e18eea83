//! The whole path: mock service → `tributary run` → a real Kafka, each in a process of its own.
//!
//! ```text
//! cargo bench --bench whole_path                              # starts Kafka from target/kafka, both parts
//! cargo bench --bench whole_path -- --kafka HOST:PORT --floor PATH/TO/floor
//! ```
//!
//! Throughput: rounds over the same events, the connector and `--floor` in turn. What is measured, and how:
//! - CPU: user and system time of that process alone, start included, from `/proc/PID/stat`, by committed events;
//! - events a second: from the first commit seen to the last;
//! - start to first commit: from the spawn to the first commit in the metrics, asked for every 5 ms;
//! - commits: the connector's own histogram, from the closing of a batch to its known commit;
//! - peak memory: `VmHWM`.
//!
//! `--headers none,cloudevents` measures both ways in turn; without it there are none, as by default.
//!
//! `--adobe 1,2,8` adds rounds of Adobe hits, about 1.5 kB each, over so many connections.
//!
//! `--shards 1,2,4,8` adds rounds over so many shards of the Airship stream.
//!
//! `--takeovers 20` has two instances share one shard, and takes it from the one that has it so many times in each way: by SIGKILL
//! and by SIGTERM; and by SIGKILL again with a million ids to read back. The time is from the signal to the first commit of the other
//! one in its metrics, asked for every 5 ms, while events come at `--rate`.
//!
//! Trickle: `--trickle 100,1000,2000` events a second, each flushed by itself, `--trickle-time` each: CPU as a share of one core, and
//! context switches, which are most of it. `--floor` beside it. Where another program keeps the cores busy both figures are higher.
//!
//! Latency: `--rate` events a second; from the moment the mock lets an event go (its place in the row, since
//! `processed` is jittered) to its arrival at a `read_committed` consumer in this process. That is more than the commit
//! takes by the consumer's fetch.
//!
//! Allocations: the supervisor runs in this process, whose allocator counts. C allocations, librdkafka's, are not seen.
#![expect(clippy::expect_used, clippy::panic, reason = "what cannot be measured ends the benchmark")]
#![expect(clippy::print_stdout, reason = "a benchmark's figures are for the terminal")]

use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;

mod allocations;
#[path = "../processes/broker.rs"]
mod broker;
mod connector;
mod floor;
mod latency;
mod mock;
#[path = "../processes/proc.rs"]
mod proc;
#[path = "../processes/running.rs"]
mod running;
mod table;
mod takeover;
mod trickle;

use broker::Broker;
use connector::{Headers, Service};

/// Measures the whole path against a real Kafka.
#[derive(Debug, Parser)]
struct Arguments {
    /// A broker to use instead of starting one
    #[arg(long, env = "TRIBUTARY_TEST_KAFKA", value_name = "HOST:PORT")]
    kafka: Option<String>,
    /// Events of a round
    #[arg(long, default_value_t = 1_000_000)]
    events: u64,
    /// Rounds of each program
    #[arg(long, default_value_t = 3)]
    rounds: u32,
    /// Rounds of Adobe hits as well, over so many connections, separated by commas
    #[arg(long, value_delimiter = ',', value_name = "CONNECTIONS")]
    adobe: Vec<u32>,
    /// Rounds over so many shards as well, separated by commas
    #[arg(long, value_delimiter = ',', value_name = "SHARDS")]
    shards: Vec<u32>,
    /// Takeovers of each kind
    #[arg(long, default_value_t = 0)]
    takeovers: u32,
    /// A program to compare with: FLOOR SERVICE BROKER TOPIC
    #[arg(long, value_name = "PATH")]
    floor: Option<PathBuf>,
    /// Partitions of the event topics
    #[arg(long, default_value_t = 12)]
    partitions: i32,
    /// One topic for all events, or one for each type
    #[arg(long)]
    topic_per_type: bool,
    /// Events a second of the latency part; 0 leaves it out
    #[arg(long, default_value_t = 1000)]
    rate: u64,
    /// How long the latency part takes
    #[arg(long, value_parser = humantime::parse_duration, default_value = "20s")]
    latency_time: Duration,
    /// Rates of the trickle, events a second, separated by commas; 0 leaves it out
    #[arg(long, value_delimiter = ',', default_value = "100,1000,2000", value_name = "RATES")]
    trickle: Vec<u64>,
    /// How long each of them is measured
    #[arg(long, value_parser = humantime::parse_duration, default_value = "20s")]
    trickle_time: Duration,
    /// Leave out the counting of allocations
    #[arg(long)]
    no_allocations: bool,
    /// What the connector's rounds have for `headers`, separated by commas; each has a row of its own
    #[arg(long, value_enum, value_delimiter = ',', default_value = "none")]
    headers: Vec<Headers>,
    /// Override a key of the connector's configuration; may be repeated
    #[arg(long = "set", value_name = "KEY=VALUE")]
    overrides: Vec<String>,
    /// Given by cargo
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() {
    let arguments = Arguments::parse();
    let broker = Broker::find(arguments.kafka.as_deref());
    broker.print_scene();
    if arguments.rounds > 0 {
        throughput(&arguments, &broker);
    }
    if arguments.takeovers > 0 {
        takeover::measure(&arguments, &broker);
    }
    if !arguments.no_allocations {
        allocations::measure(&arguments, &broker);
    }
    if !arguments.trickle.contains(&0) {
        trickle::measure(&arguments, &broker);
    }
    if arguments.rate > 0 {
        latency::measure(&arguments, &broker);
    }
}

fn throughput(arguments: &Arguments, broker: &Broker) {
    let mock = mock::start(&["--prepare", "--events", &arguments.events.to_string()]);
    let mut ours: Vec<Vec<_>> = arguments.headers.iter().map(|_| Vec::new()).collect();
    let mut floors = Vec::new();
    table::head();
    for _ in 0..arguments.rounds {
        if let Some(path) = &arguments.floor {
            let row = floor::round(path, arguments, broker, &mock);
            row.print("floor");
            floors.push(row);
        }
        for (headers, rows) in arguments.headers.iter().zip(&mut ours) {
            let row = connector::round(arguments, broker, &mock, Service::Airship(1), *headers);
            row.print(&name(*headers));
            rows.push(row);
        }
    }
    for (headers, rows) in arguments.headers.iter().zip(&ours) {
        table::summary(&name(*headers), rows, &floors);
    }
    for shards in &arguments.shards {
        let round = |_| {
            let row = connector::round(arguments, broker, &mock, Service::Airship(*shards), Headers::None);
            row.print(&format!("{shards} shards"));
            row
        };
        let rows: Vec<_> = (0..arguments.rounds).map(round).collect();
        table::median_of(&format!("{shards} shards"), &rows);
    }
    drop(mock);
    if !arguments.adobe.is_empty() {
        adobe(arguments, broker);
    }
}

/// The same over Adobe hits, each number of connections in turn.
fn adobe(arguments: &Arguments, broker: &Broker) {
    let mut rows: Vec<Vec<_>> = arguments.adobe.iter().map(|_| Vec::new()).collect();
    for (connections, rows) in arguments.adobe.iter().zip(&mut rows) {
        // What is compressed ahead depends on how many share it.
        let prepare = if *connections == 1 { "one" } else { "many" };
        let events = arguments.events.to_string();
        let mock = mock::start(&[
            "--adobe-prepare",
            prepare,
            "--adobe-prepared-mib",
            "4096",
            "--adobe-events",
            &events,
            "--adobe-no-auth",
            "--adobe-journal",
            "false",
        ]);
        for _ in 0..arguments.rounds {
            let row = connector::round(arguments, broker, &mock, Service::Adobe(*connections), Headers::None);
            row.print(&format!("adobe x{connections}"));
            rows.push(row);
        }
    }
    for (connections, rows) in arguments.adobe.iter().zip(&rows) {
        table::median_of(&format!("adobe x{connections}"), rows);
    }
}

/// The name of the connector's rows.
fn name(headers: Headers) -> String {
    match headers {
        Headers::None => "tributary".to_owned(),
        Headers::Cloudevents => "with headers".to_owned(),
    }
}
