//! A trickle, each event flushed by itself: what the connector costs, and the bare program beside it.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::broker::Broker;
use crate::connector::{Headers, Job, Service};
use crate::mock::Mock;
use crate::proc::Killed;
use crate::running::{Connector, sum};
use crate::{Arguments, connector, mock};

/// After the first events so much time passes before anything is counted.
const SETTLING: Duration = Duration::from_secs(5);

/// How often the metrics are asked for until the first events are there.
const POLL: Duration = Duration::from_millis(100);

/// Events that no part of this takes all of.
const ENOUGH: &str = "100000000";

/// Prints a line for each rate and program.
pub(crate) fn measure(arguments: &Arguments, broker: &Broker) {
    println!("trickle       events/s  % of a core  switches/s  commits/s  CPU s/M  peak MiB");
    for rate in &arguments.trickle {
        let start = || {
            mock::start(&[
                "--events",
                ENOUGH,
                "--rate",
                &rate.to_string(),
                "--backlog",
                "0",
                "--epoch",
                "now",
            ])
        };
        if let Some(path) = &arguments.floor {
            floor(path, *rate, arguments, broker, &start());
        }
        ours(arguments, broker, &start());
    }
}

fn ours(arguments: &Arguments, broker: &Broker, mock: &Mock) {
    let topic = broker.new_topic(arguments.partitions);
    let job = Job { mock, service: Service::Airship(1), topic: &topic, headers: Headers::None, more: "" };
    let connector = connector::start(arguments, broker, job);
    connector.wait_for(POLL, |delivered| delivered > 0);
    std::thread::sleep(SETTLING);
    let (counted, used) = (figures(&connector), Used::by(&connector.process));
    std::thread::sleep(arguments.trickle_time);
    let (used, seconds) = (Used::by(&connector.process).since(&used), arguments.trickle_time.as_secs_f64());
    let now = figures(&connector);
    let (events, commits) = (now.0 - counted.0, now.1 - counted.1);
    println!(
        "{:<12} {:>9.0}  {:>11.2}  {:>10.0}  {:>9.1}  {:>7.1}  {:>8.1}",
        "tributary",
        events / seconds,
        used.cpu_seconds / seconds * 100.0,
        used.switches / seconds,
        commits / seconds,
        used.cpu_seconds / events * 1e6,
        connector.process.peak_mib()
    );
    connector.process.terminate();
    broker.remove(&topic);
}

/// It tells of its commits only on standard error, which nobody reads here.
fn floor(path: &Path, rate: u64, arguments: &Arguments, broker: &Broker, mock: &Mock) {
    let topic = broker.new_topic(arguments.partitions);
    let process = Killed::spawn(
        Command::new(path)
            .args([&mock.address, &broker.address, &topic])
            .stdout(Stdio::null())
            .stderr(Stdio::null()),
    );
    std::thread::sleep(SETTLING);
    let used = Used::by(&process);
    std::thread::sleep(arguments.trickle_time);
    let (used, seconds) = (Used::by(&process).since(&used), arguments.trickle_time.as_secs_f64());
    println!(
        "{:<12} {rate:>9}  {:>11.2}  {:>10.0}  {:>9}  {:>7}  {:>8.1}",
        "floor",
        used.cpu_seconds / seconds * 100.0,
        used.switches / seconds,
        "-",
        "-",
        process.peak_mib()
    );
    drop(process);
    broker.remove(&topic);
}

/// What a process has used.
struct Used {
    cpu_seconds: f64,
    /// Of all threads that it has.
    switches: f64,
}

impl Used {
    fn by(process: &Killed) -> Self {
        let tasks = fs::read_dir(format!("/proc/{}/task", process.0.id())).expect("it runs").flatten();
        let statuses = tasks.filter_map(|task| fs::read_to_string(task.path().join("status")).ok());
        let of = |status: String| {
            let counts = status.lines().filter_map(|line| line.split_once("ctxt_switches:"));
            counts.map(|(_, count)| count.trim().parse::<f64>().expect("a number")).sum::<f64>()
        };
        Self { cpu_seconds: process.cpu_seconds(), switches: statuses.map(of).sum() }
    }

    fn since(&self, before: &Self) -> Self {
        Self { cpu_seconds: self.cpu_seconds - before.cpu_seconds, switches: self.switches - before.switches }
    }
}

/// Events delivered and commits so far.
fn figures(connector: &Connector) -> (f64, f64) {
    let page = connector.metrics().expect("metrics");
    let of = |name| sum(&page, name).expect("the metric");
    (of("tributary_events_delivered_total"), of("tributary_commits_total"))
}
