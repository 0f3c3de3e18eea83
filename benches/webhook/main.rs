//! Webhooks: `tributary mock webhook` → `tributary run` → a real Kafka, each in a process of its own.
//!
//! ```text
//! cargo bench --bench webhook                                 # starts Kafka from target/kafka, both parts
//! cargo bench --bench webhook -- --kafka HOST:PORT --rounds 5
//! ```
//!
//! Throughput: for each size of a request, rounds without and with redaction of three fields in turn; `--parallel` requests are
//! under way at once, each worker sends the next one once it is answered. What is measured, and how:
//! - requests and events a second: from the sender's start to the last answer;
//! - answer: from the sending of a request to the head of its answer, as the sender sees it;
//! - CPU: user and system time of the connector alone, from the moment that it is ready to the commit of the last event, from
//!   `/proc/PID/stat`, by events. Receiving, storing, reading again, and delivering are in it;
//! - peak memory: `VmHWM`.
//!
//! Latency: `--requests-a-second` of each size; the same, and from the moment that a request was due to the arrival of each of its
//! events at a `read_committed` consumer in this process. Where the sender or the machine falls behind, that shows here.
#![expect(clippy::expect_used, clippy::panic, reason = "what cannot be measured ends the benchmark")]
#![expect(clippy::print_stdout, reason = "a benchmark's figures are for the terminal")]

use std::time::Duration;

use clap::Parser;

mod arrival;
#[path = "../processes/broker.rs"]
mod broker;
#[path = "../processes/proc.rs"]
mod proc;
mod receiver;
#[path = "../processes/running.rs"]
mod running;
mod sender;
mod table;

use arrival::Arrivals;
use broker::Broker;
use receiver::Receiver;
use sender::Job;
use table::Row;

/// How often the metrics are asked for: each answer costs the connector CPU time.
const POLL: Duration = Duration::from_millis(50);

/// Measures webhooks against a real Kafka.
#[derive(Debug, Parser)]
struct Arguments {
    /// A broker to use instead of starting one
    #[arg(long, env = "TRIBUTARY_TEST_KAFKA", value_name = "HOST:PORT")]
    kafka: Option<String>,
    /// Events of a request, separated by commas
    #[arg(long, value_delimiter = ',', default_value = "1,10,100")]
    batches: Vec<u64>,
    /// Requests of a round, of whatever size
    #[arg(long, default_value_t = 20_000)]
    requests: u64,
    /// Rounds of each kind; 0 leaves the throughput out
    #[arg(long, default_value_t = 3)]
    rounds: u32,
    /// Requests that are under way at once
    #[arg(long, default_value_t = 32)]
    parallel: u64,
    /// Requests a second of the latency part; 0 leaves it out
    #[arg(long, default_value_t = 500)]
    requests_a_second: u64,
    /// Events a second of the latency part at most: for larger requests there are fewer of them
    #[arg(long, default_value_t = 10_000)]
    events_a_second: u64,
    /// How long each latency takes
    #[arg(long, value_parser = humantime::parse_duration, default_value = "20s")]
    latency_time: Duration,
    /// Partitions of the event topic
    #[arg(long, default_value_t = 12)]
    partitions: i32,
    /// Partitions of the intake topic, each with a shard
    #[arg(long, default_value_t = 1)]
    shards: u32,
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
    if arguments.requests_a_second > 0 {
        latency(&arguments, &broker);
    }
}

fn throughput(arguments: &Arguments, broker: &Broker) {
    println!("throughput, {} requests under way at once", arguments.parallel);
    table::head();
    for batch in &arguments.batches {
        let mut rows = [Vec::new(), Vec::new()];
        for _ in 0..arguments.rounds {
            for (redacts, rows) in [false, true].into_iter().zip(&mut rows) {
                let job = Job {
                    batch: *batch,
                    requests: arguments.requests,
                    parallel: arguments.parallel,
                    rate: 0,
                };
                let row = round(arguments, broker, job, redacts, None);
                row.print();
                rows.push(row);
            }
        }
        table::redaction(*batch, &rows);
    }
}

fn latency(arguments: &Arguments, broker: &Broker) {
    println!("latency at a rate; arrival is at a read_committed consumer");
    table::head();
    for batch in &arguments.batches {
        let rate = arguments.requests_a_second.min(arguments.events_a_second / batch).max(1);
        let requests = rate * arguments.latency_time.as_secs().max(1);
        // As many as wait where Kafka stands still for a moment.
        let job = Job { batch: *batch, requests, parallel: rate.min(256), rate };
        for redacts in [false, true] {
            let topic = broker.new_topic(arguments.partitions);
            let arrivals = Arrivals::of(broker, &topic, arguments.partitions);
            round(arguments, broker, job, redacts, Some((topic, arrivals))).print();
        }
    }
}

/// One round, whose events may be awaited in their topic.
fn round(
    arguments: &Arguments,
    broker: &Broker,
    job: Job,
    redacts: bool,
    awaited: Option<(String, Arrivals)>,
) -> Row {
    let (topic, arrivals) = match awaited {
        Some((topic, arrivals)) => (topic, Some(arrivals)),
        None => (broker.new_topic(arguments.partitions), None),
    };
    let receiver = Receiver::start(arguments, broker, &topic, redacts);
    let cpu_before = receiver.connector.process.cpu_seconds();
    let sending = sender::start(&receiver.url, job);
    let events = job.batch * job.requests;
    let arrived = arrivals.map(|arrivals| arrivals.collect(events));
    let summary = sending.end();
    receiver.connector.wait_for(POLL, |delivered| delivered >= events);
    let row = Row {
        job,
        redacts,
        cpu_seconds: receiver.connector.process.cpu_seconds() - cpu_before,
        peak_mib: receiver.connector.process.peak_mib(),
        threads: receiver.connector.process.threads(),
        arrival: arrived.map(|arrived| arrived.latencies(&summary, job)),
        summary,
    };
    receiver.connector.process.terminate();
    broker.remove(&topic);
    row
}
