//! TCP keep-alive to Kafka, as Linux shows it of each connection.

use crate::harness::airship::scenes::{Setup, all_at_once};
use crate::harness::broker::broker;
use crate::harness::process::Process;
use crate::harness::wait;
use std::collections::BTreeSet;
use std::fs;

/// `/proc/net/tcp`: a connection that is open.
const ESTABLISHED: &str = "01";

/// `/proc/net/tcp`: the timer of a connection with nothing to be sent is that of keep-alive.
const KEEP_ALIVE: &str = "02";

/// Whether each connection of a process to `port` has a keep-alive timer. A connection on which something is under way has
/// another timer, so one look tells little.
fn timers(process: &Process, port: u16) -> Vec<bool> {
    let pid = process.pid();
    let links = fs::read_dir(format!("/proc/{pid}/fd")).expect("the process lives");
    let sockets: BTreeSet<String> = links
        .filter_map(|link| fs::read_link(link.ok()?.path()).ok())
        .filter_map(|link| Some(link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned()))
        .collect();
    let table = fs::read_to_string(format!("/proc/{pid}/net/tcp")).expect("the process lives");
    let to = format!(":{port:04X}");
    table
        .lines()
        .skip(1)
        .map(|line| line.split_whitespace().collect::<Vec<_>>())
        // Its own number, local, remote, state, queues, timer, retransmits, user, timeout, inode.
        .filter(|fields| fields[2].ends_with(&to) && fields[3] == ESTABLISHED && sockets.contains(fields[9]))
        .map(|fields| fields[5].starts_with(&format!("{KEEP_ALIVE}:")))
        .collect()
}

#[track_caller]
fn check(name: &str, properties: &str, expected: bool) {
    let broker = broker();
    let port = broker.bootstrap().rsplit_once(':').expect("host:port").1.parse().expect("a port");
    let scene = Setup::new(name, all_at_once(100)).top(properties).start(broker);
    scene.wait_delivered(80);
    wait::wait_until(wait::GENEROUS, format_args!("keep-alive of every connection: {expected}"), || {
        let timers = timers(&scene.process, port);
        !timers.is_empty() && timers.iter().all(|has| *has == expected)
    });
}

#[test]
fn it_is_on_by_default() {
    check("keep-alive", "", true);
}

#[test]
fn it_can_be_turned_off() {
    check("no-keep-alive", "[kafka.properties]\n\"socket.keepalive.enable\" = false", false);
}
