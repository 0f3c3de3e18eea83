//! The shared broker in a container, where a Docker daemon answers.

use super::run::run;
use super::{Broker, START_LIMIT, free_port, java, version};
use crate::harness::watchdog::Watchdog;
use std::process::Command;
use std::time::Duration;

const QUICK: Duration = Duration::from_secs(15);
const PULL: Duration = Duration::from_secs(300);

/// Starts the broker, pulling the image if need be. The reason, where that does not work, is for the final message.
pub(super) fn start() -> Result<Broker, String> {
    docker(&["version", "--format", "{{.Server.Version}}"], QUICK)?;
    let image = format!("apache/kafka:{}", version());
    if docker(&["image", "inspect", &image], QUICK).is_err() {
        docker(&["pull", "--quiet", &image], PULL)?;
    }
    let port = free_port();
    let name = super::unique_prefix("tributary-test-kafka");
    let publish = format!("127.0.0.1:{port}:{port}");
    let heap = format!("KAFKA_HEAP_OPTS={}", java::HEAP);
    let cluster = format!("CLUSTER_ID={}", java::CLUSTER_ID);
    // The container's controller port is not published, so it needs no free one.
    let environment: Vec<String> = java::properties("0.0.0.0", port, port + 1, "/tmp/kraft-combined-logs")
        .into_iter()
        .chain(java::PATIENT.map(|(key, value)| (key, value.to_owned())))
        .map(|(key, value)| format!("KAFKA_{}={value}", key.to_uppercase().replace('.', "_")))
        .collect();
    let mut arguments = vec!["run", "--detach", "--rm", "--name", &name, "--publish", &publish];
    for variable in [&heap, &cluster].into_iter().chain(&environment) {
        arguments.extend(["--env", variable]);
    }
    arguments.push(&image);
    docker(&arguments, QUICK)?;
    let watchdog = Watchdog::run(&["docker", "kill", &name]).map_err(|error| format!("sh: {error}"))?;
    let mut alive = || docker(&["inspect", &name], QUICK).map(drop);
    let broker = Broker::reach(&format!("127.0.0.1:{port}"), "Docker", START_LIMIT, &mut alive);
    if broker.is_ok() {
        // Not to be dropped, which would call it off: it acts when this process ends.
        std::mem::forget(watchdog);
    } else {
        watchdog.act();
    }
    broker
}

fn docker(arguments: &[&str], limit: Duration) -> Result<String, String> {
    run(Command::new("docker").args(arguments), limit)
}
