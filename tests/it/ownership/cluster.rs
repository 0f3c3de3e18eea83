//! Three brokers with three replicas of everything, of which two must be in sync: one of them is lost while a takeover runs, then
//! the one that coordinates the group.

use crate::harness::airship::oracle::{Found, Repeats};
use crate::harness::airship::progress::Progress;
use crate::harness::airship::{LIMIT, Mock, STREAM, Setup, service};
use crate::harness::broker::{Broker, PrivateBroker, cluster};
use crate::harness::process::Process;
use crate::harness::wait::wait_until;
use std::cell::Cell;
use std::time::Duration;
use tributary_mock::airship;

const SHARDS: u32 = 4;
const EVENTS: u64 = 60_000;

/// Events that come with each look at what is waited for.
const STEP: u64 = 2;

/// What brokers take at least, unless they are configured otherwise.
const SESSION: Duration = Duration::from_secs(6);

/// Of the topic that holds the groups, in the tests' brokers.
const GROUP_PARTITIONS: i32 = 4;

struct Scene {
    nodes: Vec<PrivateBroker>,
    mock: Mock,
    setup: Setup,
    made: Cell<u64>,
}

impl Scene {
    #[track_caller]
    fn new() -> Self {
        let nodes = cluster(3);
        let mock = Mock::start(airship::Config { hold_at: Some(0), duplicate_every: 10, ..service(EVENTS) });
        let mut setup = Setup::at(&nodes[0], "cluster", &mock);
        setup.streams[0].shards = SHARDS;
        setup.transaction_timeout = "1m";
        setup.bootstrap = nodes.iter().map(|node| node.bootstrap().to_owned()).collect::<Vec<_>>().join(",");
        Self { nodes, mock, setup, made: Cell::new(0) }
    }

    #[track_caller]
    fn start(&self, name: &str) -> Process {
        let session = SESSION.as_secs();
        let more =
            format!("ownership = \"group\"\ninstance_id = \"{name}\"\nsession_timeout = \"{session}s\"");
        self.setup.clone().with(|settings| settings.more = more).start()
    }

    #[track_caller]
    fn wait(&self, what: &str, mut holds: impl FnMut() -> bool) {
        wait_until(LIMIT, what, || {
            let made = (self.made.get() + STEP).min(EVENTS);
            self.made.set(made);
            self.mock.release(made);
            holds()
        });
    }

    #[track_caller]
    fn wait_shared(&self, members: &[&Process]) {
        self.wait("all shards to be shared", || {
            let owned: f64 = members.iter().map(|member| owned(member)).sum();
            owned == f64::from(SHARDS) && members.iter().all(|member| member.get("/ready").status == 200)
        });
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
        let group = format!("{}.shards", self.setup.prefix);
        // As Java hashes text.
        let hash = group.bytes().fold(0i32, |hash, byte| hash.wrapping_mul(31).wrapping_add(byte.into()));
        self.leader("__consumer_offsets", (hash & i32::MAX) % GROUP_PARTITIONS)
    }
}

fn owned(process: &Process) -> f64 {
    process.metrics().sum("tributary_shard_owned", &[])
}

#[test]
fn a_broker_that_is_lost_in_a_takeover_costs_no_event() {
    let mut scene = Scene::new();
    let (mut a, b) = (scene.start("a"), scene.start("b"));
    scene.wait("both to have half", || owned(&a) == 2.0 && owned(&b) == 2.0);
    scene.wait_shared(&[&a, &b]);
    scene.wait_flow(&[&a, &b]);

    for ending in ["checkpoints", "ids", "shards", "events"] {
        let topic = format!("{}.{ending}", scene.setup.prefix);
        assert_eq!(scene.nodes[0].replicas(&topic), 3, "{topic}");
    }

    // The instance dies, and with it the broker that has the checkpoints of a shard.
    let lost = scene.leader(&format!("{}.checkpoints", scene.setup.prefix), 0);
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

    let lines = scene.setup.expectation_of(&scene.mock, scene.made.get());
    for shard in 0..SHARDS {
        let wanted = lines.lines_of(shard) as u64;
        Progress::of(scene.another(lost), &scene.setup, STREAM, shard)
            .wait_for(&format!("all events of shard {shard}"), |at| at.delivered >= wanted);
    }
    let mut c = c;
    c.sigterm();
    assert_eq!(c.wait_exit(LIMIT).code(), Some(0), "{}", c.log().join("\n"));
    let found = lines.check_at(scene.another(lost), Repeats::Forbidden);
    assert_eq!(found, Found { records: lines.len(), repeats: 0 });
}
