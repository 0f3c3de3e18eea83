//! What happens around the instances: at the service, at Kafka, and to the configuration.

use super::super::sharing::{INTERNAL_PARTITIONS, group_partition};
use super::{Campaign, LIMIT};
use crate::harness::airship::{count_log, early_endings};
use rand::RngExt as _;
use std::time::Duration;
use tokio::time::Instant;
use tributary_mock::airship::{Armed, ErrorBody, Fault};

/// A broker stands still for so long at most; longer, and its controller would take it for gone.
const BROKER_STILL: Duration = Duration::from_secs(6);

/// Of three, one stands still or is cut off for so long at most: long enough that the others take its place.
const NODE_STILL: Duration = Duration::from_secs(20);

/// Numbers of shards that follow one another.
const SHARDS: [u32; 4] = [8, 5, 6, 3];
const WINDOWS: [&str; 3] = ["30m", "1h", "10m"];
const INTERVALS: [&str; 3] = ["50ms", "200ms", "20ms"];
const MAX_EVENTS: [usize; 3] = [200, 50, 1_000];

/// What the service does wrong in a stream or at a connect.
fn service_faults() -> Vec<Fault> {
    let status = |code| Fault::Status { code, body: ErrorBody::Html, message: None, retry_after: None };
    let others = [
        Fault::Stall { ms: Some(2_000) },
        Fault::GarbageLine {},
        Fault::ArrayLine {},
        Fault::HugeLine { bytes: 2 << 20, valid: false },
        Fault::SplitUtf8 {},
        Fault::SlowDrip { bytes: 3, pause_ms: 2, events: 3 },
        Fault::Repeat { events: 50 },
        status(500),
        status(502),
        status(503),
        status(429),
        Fault::Drop {},
    ];
    early_endings().into_iter().chain(others).collect()
}

/// How a broker is lost.
#[derive(Clone, Copy, Debug)]
pub(super) enum Loss {
    Killed,
    Stopped,
    StoodStill,
    /// It reaches nobody, and nobody reaches it.
    CutOff,
}

impl Campaign {
    /// Something goes wrong at the service, now or when so many events were sent on a connection.
    pub(super) fn upset_service(&mut self) {
        let faults = service_faults();
        for _ in 0..self.random.random_range(1..=3) {
            let fault = faults[self.random.random_range(0..faults.len())].clone();
            let after = self.random.random_range(0..300);
            // A burst of those at connect.
            let times = self.random.random_range(1..=4);
            self.stream.mock.arm(Armed::after(after, fault).times(times));
        }
    }

    /// The only broker answers nothing for a while.
    #[track_caller]
    pub(super) fn freeze_broker(&mut self) {
        let time = self.random.random_range(Duration::from_millis(100)..=BROKER_STILL);
        self.place.own().pause();
        let since = Instant::now();
        // Not by asking the instances: they are busy with it.
        crate::harness::wait::wait_until(LIMIT, "the broker to have stood still", || since.elapsed() >= time);
        self.place.own().resume();
    }

    /// One of three brokers is lost: the leader of a partition of events, a coordinator of transactions or that of the group. The
    /// others go on without it, unless it stands still or is cut off; and all of them when it is back.
    #[track_caller]
    pub(super) fn lose_broker(&mut self, losses: &[Loss]) {
        let group = format!("{}.shards", self.stream.setup.prefix);
        let partition = self.random.random_range(0..self.stream.setup.partitions);
        let (role, topic, partition) = match self.random.random_range(0..3) {
            0 => ("leader", self.stream.setup.topic().to_owned(), partition),
            1 => {
                let partition = self.random.random_range(0..INTERNAL_PARTITIONS);
                ("coordinator of transactions", "__transaction_state".to_owned(), partition)
            }
            _ => ("coordinator of the group", "__consumer_offsets".to_owned(), group_partition(&group)),
        };
        let node = self.leader(&topic, partition);
        let loss = losses[self.random.random_range(0..losses.len())];
        println!("           broker {}, {role}: {loss:?}", node + 1);
        match loss {
            Loss::Killed => self.place.node(node).kill9(),
            Loss::Stopped => self.place.node(node).stop(),
            Loss::StoodStill => self.place.node(node).pause(),
            Loss::CutOff => self.place.network().machine(node).cut(),
        }
        match loss {
            Loss::Killed | Loss::Stopped => {
                self.wait_flow();
                self.place.node(node).start();
            }
            // Its connections stay, and librdkafka waits up to a minute for each answer: events may not flow meanwhile.
            Loss::StoodStill | Loss::CutOff => {
                let time = self.random.random_range(Duration::ZERO..=NODE_STILL);
                self.pass(time);
                match loss {
                    Loss::CutOff => self.place.network().machine(node).mend(),
                    _ => self.place.node(node).resume(),
                }
            }
        }
        self.wait_flow();
    }

    #[track_caller]
    fn leader(&self, topic: &str, partition: i32) -> usize {
        let mut found = None;
        self.wait("a leader", || {
            found = self.place.broker().leader(topic, partition);
            found.is_some()
        });
        found.expect("waited for") as usize - 1
    }

    /// Events go on being committed, by all instances together.
    #[track_caller]
    fn wait_flow(&self) {
        let delivered =
            |member: &super::Member| member.metrics().sum("tributary_events_delivered_total", &[]);
        let all = || -> f64 { self.members.iter().map(delivered).sum() };
        let before = all();
        self.wait("events to flow", || all() > before + 200.0);
    }

    /// All instances get another configuration, one after the other.
    #[track_caller]
    pub(super) fn reconfigure(&mut self) {
        self.generation += 1;
        let turn = self.generation as usize;
        self.options.shards = SHARDS[turn % SHARDS.len()];
        let settings = &mut self.stream.setup;
        settings.streams[0].shards = self.options.shards;
        settings.window = WINDOWS[turn % WINDOWS.len()];
        settings.commit_interval = INTERVALS[turn % INTERVALS.len()];
        settings.max_events = MAX_EVENTS[turn % MAX_EVENTS.len()];
        println!(
            "           generation {}: {} shards, dedupe.window {}, commit.interval {}, commit.max_events {}",
            self.generation,
            self.options.shards,
            settings.window,
            settings.commit_interval,
            settings.max_events
        );
        self.judge.allow(self.options.shards);
        for number in 0..self.members.len() {
            self.members[number].sigterm();
            self.wait_end(number);
            self.replace(number, Duration::ZERO, "");
        }
        self.wait_shared(None);
        // A member has a shard before it has opened it.
        self.wait("the new shards", || {
            self.members
                .iter()
                .any(|member| count_log(member, "the number of shards was changed: it begins") > 0)
        });
    }
}
