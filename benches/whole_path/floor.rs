//! One round of a program to compare with. It says each commit on a line of its standard error that begins with the
//! number of events, and runs until it is stopped.
//!
//! Beware: a bare program that waits with `flush(1 ms)` spins for want of whole milliseconds (see `pause` in
//! `sink/kafka/blocking.rs`), so the slower Kafka is, the more CPU time it takes. Compare with a copy that sleeps instead.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use tokio::time::Instant;

use crate::Arguments;
use crate::broker::Broker;
use crate::mock::Mock;
use crate::proc::Killed;
use crate::table::{Commits, Row};

/// Events of its transactions at most, as its README has it; time closes them before that.
const MAX_EVENTS: &str = "20000";

/// One round over all events of the mock.
pub(crate) fn round(path: &Path, arguments: &Arguments, broker: &Broker, mock: &Mock) -> Row {
    let topic = broker.new_topic(arguments.partitions);
    let started = Instant::now();
    let mut process = Killed::spawn(
        Command::new(path)
            .args([&mock.address, &broker.address, &topic])
            .env("MAXN", MAX_EVENTS)
            .stdout(Stdio::null())
            .stderr(Stdio::piped()),
    );
    let mut lines = BufReader::new(process.0.stderr.take().expect("a pipe")).lines();
    let (mut first, mut events, mut first_events) = (None, 0, 0);
    while events < arguments.events {
        let line = lines.next().expect("it commits all events").expect("text");
        let Some(count) = line.split_once(" events").and_then(|(count, _)| count.parse::<u64>().ok()) else {
            continue;
        };
        events += count;
        if first.is_none() {
            (first, first_events) = (Some(Instant::now()), events);
        }
    }
    let first = first.expect("a commit");
    let row = Row {
        events,
        seconds: first.elapsed().as_secs_f64(),
        events_in_seconds: events - first_events,
        cpu_seconds: process.cpu_seconds(),
        peak_mib: process.peak_mib(),
        first_commit: Some(first - started),
        commits: Commits::default(),
        threads: process.threads(),
    };
    drop(process);
    broker.remove(&topic);
    row
}
