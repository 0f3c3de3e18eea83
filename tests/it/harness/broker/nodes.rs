//! Brokers that are one cluster, each a controller too, so that any one of them may be lost.

use super::java::{Java, Prepared, RunDir, prepared, properties, tried};
use super::network::{Machine, Network};
use super::{Broker, free_port};
use std::{fs, io};

/// Where a broker of a cluster listens.
struct Address {
    host: String,
    port: u16,
    controller: u16,
    netns: Option<String>,
}

impl Address {
    /// On this machine, or on one of a network.
    fn on(machine: Option<&Machine>) -> Self {
        let host = machine.map_or("127.0.0.1", Machine::host).to_owned();
        let netns = machine.map(|machine| machine.netns().to_owned());
        Self { host, port: free_port(), controller: free_port(), netns }
    }
}

/// Starts so many brokers, each on a machine of its own if there is a network.
pub(super) fn start(
    origin: &'static str,
    count: usize,
    network: Option<&Network>,
) -> Result<Vec<(Java, Broker)>, String> {
    let prepared = prepared()?;
    tried(|| {
        let machine = |number| network.map(|network| network.machine(number));
        let addresses: Vec<Address> = (0..count).map(|number| Address::on(machine(number))).collect();
        start_at(prepared, origin, addresses)
    })
}

fn start_at(
    prepared: &'static Prepared,
    origin: &'static str,
    addresses: Vec<Address>,
) -> Result<Vec<(Java, Broker)>, String> {
    let voter = |(node, at): (u32, &Address)| format!("{node}@{}:{}", at.host, at.controller);
    let voters = (1..).zip(&addresses).map(voter).collect::<Vec<_>>().join(",");
    let mut nodes = Vec::new();
    for (node, address) in (1..).zip(addresses) {
        let mut java = node_at(prepared, node, address, &voters).map_err(|error| error.to_string())?;
        java.spawn().map_err(|error| format!("java: {error}"))?;
        nodes.push(java);
    }
    // Before that none of them answers: they need a majority.
    let reached = nodes.into_iter().map(|mut java| java.reach(origin).map(|broker| (java, broker)));
    reached.collect()
}

/// One of several, not started yet.
fn node_at(prepared: &'static Prepared, node: u32, at: Address, voters: &str) -> io::Result<Java> {
    let run_dir = RunDir::new(prepared)?;
    let data = run_dir.path.join("data");
    let meta = data.join("meta.properties");
    // Each directory has an id of its own; any 22 letters that are base64 will do.
    let text = fs::read_to_string(&meta)?.replace("node.id=1", &format!("node.id={node}"));
    let (before, id) = text.split_once("directory.id=").expect("a directory has an id");
    fs::write(&meta, format!("{before}directory.id={node}{}", &id[1..]))?;
    let Address { host, port, controller, netns } = at;
    let several = [
        ("node.id", node.to_string()),
        ("controller.quorum.voters", voters.to_owned()),
        ("advertised.listeners", format!("PLAINTEXT://{host}:{port}")),
        ("listeners", format!("PLAINTEXT://{host}:{port},CONTROLLER://{host}:{controller}")),
        ("default.replication.factor", "3".to_owned()),
        ("min.insync.replicas", "2".to_owned()),
        ("offsets.topic.replication.factor", "3".to_owned()),
        ("transaction.state.log.replication.factor", "3".to_owned()),
        ("transaction.state.log.min.isr", "2".to_owned()),
        ("broker.session.timeout.ms", "3000".to_owned()),
        ("broker.heartbeat.interval.ms", "500".to_owned()),
    ];
    let mut all = properties(&host, port, controller, &data.to_string_lossy());
    all.retain(|(key, _)| several.iter().all(|(other, _)| key != other));
    all.extend(several);
    Java::with_properties(run_dir, host, port, netns, all)
}
