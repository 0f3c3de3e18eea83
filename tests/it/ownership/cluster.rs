//! Three brokers with three replicas of everything, of which two must be in sync: one of them is lost while a takeover runs, then
//! the one that coordinates the group.

use super::sharing::{LIMIT, Shared, group_partition, owned};
use crate::harness::airship::Setup;
use crate::harness::airship::oracle::{Found, Repeats};
use crate::harness::broker::{Broker, PrivateBroker, cluster};
use crate::harness::process::Process;

const SHARDS: u32 = 4;
const EVENTS: u64 = 60_000;

/// Events that come with each look at what is waited for.
const STEP: u64 = 2;

struct Scene {
    nodes: Vec<PrivateBroker>,
    stream: Shared,
}

impl Scene {
    #[track_caller]
    fn new() -> Self {
        let nodes = cluster(3);
        let stream = Shared::new(EVENTS, STEP, |mock| {
            let mut setup = Setup::at(&nodes[0], "cluster", mock);
            setup.streams[0].shards = SHARDS;
            setup.bootstrap =
                nodes.iter().map(|node| node.bootstrap().to_owned()).collect::<Vec<_>>().join(",");
            setup
        });
        Self { nodes, stream }
    }

    #[track_caller]
    fn start(&self, name: &str) -> Process {
        self.stream.member(name, "").start()
    }

    #[track_caller]
    fn wait(&self, what: &str, holds: impl FnMut() -> bool) {
        self.stream.wait(what, holds);
    }

    #[track_caller]
    fn wait_shared(&self, members: &[&Process]) {
        self.stream.wait_shared(members, SHARDS);
    }

    /// A topic of the connector's prefix.
    fn topic(&self, ending: &str) -> String {
        format!("{}.{ending}", self.stream.setup.prefix)
    }

    /// Events go on being committed.
    #[track_caller]
    fn wait_flow(&self, members: &[&Process]) {
        let delivered = || -> f64 {
            members.iter().map(|member| member.metrics().sum("tributary_events_delivered_total", &[])).sum()
        };
        let before = delivered();
        self.wait("events to flow", || delivered() > before + 200.0);
    }

    /// A node that is not this one.
    fn another(&self, lost: usize) -> &Broker {
        &self.nodes[(lost + 1) % self.nodes.len()]
    }

    /// Which node leads a partition.
    #[track_caller]
    fn leader(&self, topic: &str, partition: i32) -> usize {
        let mut found = None;
        self.wait("a leader", || {
            found = self.nodes[0].leader(topic, partition);
            found.is_some()
        });
        found.expect("waited for") as usize - 1
    }

    /// Which node coordinates the group: the one that leads its partition of the topic of groups.
    #[track_caller]
    fn coordinator(&self) -> usize {
        let group = self.topic("shards");
        self.leader("__consumer_offsets", group_partition(&group))
    }
}

#[test]
fn a_broker_that_is_lost_in_a_takeover_costs_no_event() {
    let mut scene = Scene::new();
    let (mut a, b) = (scene.start("a"), scene.start("b"));
    scene.wait("both to have half", || owned(&a) == 2.0 && owned(&b) == 2.0);
    scene.wait_shared(&[&a, &b]);
    scene.wait_flow(&[&a, &b]);

    for ending in ["checkpoints", "ids", "shards", "events"] {
        let topic = scene.topic(ending);
        assert_eq!(scene.nodes[0].replicas(&topic), 3, "{topic}");
    }

    // The instance dies, and with it the broker that has the checkpoints of a shard.
    let lost = scene.leader(&scene.topic("checkpoints"), 0);
    a.kill9();
    scene.nodes[lost].kill9();
    scene.wait_shared(&[&b]);
    scene.wait_flow(&[&b]);
    scene.nodes[lost].start();

    // The broker that coordinates the group dies, and then an instance: another broker has to notice that.
    let c = scene.start("c");
    scene.wait_shared(&[&b, &c]);
    scene.wait("both to have half", || owned(&b) == 2.0 && owned(&c) == 2.0);
    let lost = scene.coordinator();
    scene.nodes[lost].kill9();
    scene.wait_flow(&[&b, &c]);
    let mut b = b;
    b.kill9();
    scene.wait_shared(&[&c]);
    scene.wait_flow(&[&c]);

    scene.stream.wait_committed(scene.another(lost), SHARDS);
    let mut c = c;
    c.sigterm();
    assert_eq!(c.wait_exit(LIMIT).code(), Some(0), "{}", c.log().join("\n"));
    let lines = scene.stream.setup.expectation_of(&scene.stream.mock, scene.stream.made());
    let found = lines.check_at(scene.another(lost), Repeats::Forbidden);
    assert_eq!(found, Found { records: lines.len(), repeats: 0 });
}
