//! What the tests of groups have in common: one stream of several shards under input, and the members that share it.

use crate::harness::airship::progress::Progress;
use crate::harness::airship::{Mock, STREAM, Setup, count_log, service};
use crate::harness::broker::Broker;
use crate::harness::process::Process;
use crate::harness::wait::wait_until;
use std::cell::Cell;
use std::time::Duration;
use tributary_mock::airship;

pub(super) use crate::harness::airship::LIMIT;

/// What brokers take at least.
pub(super) const SESSION: Duration = Duration::from_secs(6);

/// Time between the first and the last event at most, microseconds. The first one is an hour old.
const LONGEST_LOG_US: u64 = 3_000_000_000;

/// Partitions of the topics that hold groups and transactions, in the tests' brokers.
pub(super) const INTERNAL_PARTITIONS: i32 = 4;

/// A stream whose events come only while something is waited for, so that they never end before the faults do.
pub(super) struct Shared {
    pub mock: Mock,
    pub setup: Setup,
    /// Events that there are in all.
    pub events: u64,
    /// Events that come with each look at what is waited for.
    step: u64,
    made: Cell<u64>,
}

impl Shared {
    /// A stream of so many events; where it lands is said by `setup`.
    #[track_caller]
    pub(super) fn new(events: u64, step: u64, setup: impl FnOnce(&Mock) -> Setup) -> Self {
        let usual = service(events);
        // However many there are, none is of the future.
        let apart = Duration::from_micros((LONGEST_LOG_US / events.max(1)).min(1_000));
        let config = airship::Config { hold_at: Some(0), duplicate_every: 10, step: Some(apart), ..usual };
        let mock = Mock::start(config);
        let mut setup = setup(&mock);
        // What an instance leaves open must end by the fence of the next one.
        setup.transaction_timeout = "10m";
        Self { mock, setup, events, step, made: Cell::new(0) }
    }

    /// Events that came so far.
    pub(super) fn made(&self) -> u64 {
        self.made.get()
    }

    /// A member of this name, with more lines of its own.
    pub(super) fn member(&self, name: &str, more: &str) -> Setup {
        let session = SESSION.as_secs();
        let more = format!(
            "ownership = \"group\"\ninstance_id = \"{name}\"\nsession_timeout = \"{session}s\"\n{more}"
        );
        self.setup.clone().with(|settings| settings.more = more)
    }

    /// Waits, and lets events come meanwhile.
    #[track_caller]
    pub(super) fn wait(&self, what: &str, mut holds: impl FnMut() -> bool) {
        wait_until(LIMIT, what, || {
            let made = (self.made.get() + self.step).min(self.events);
            self.made.set(made);
            self.mock.release(made);
            holds()
        });
    }

    /// Waits until the members have so many shards among them, each once, and are ready.
    #[track_caller]
    pub(super) fn wait_shared(&self, members: &[&Process], shards: u32) {
        self.wait(&format!("all {shards} shards to be shared"), || {
            owned_by(members) == f64::from(shards) && members.iter().all(|member| is_ready(member))
        });
    }

    /// Waits until all that came before now is committed, by whichever instance.
    #[track_caller]
    pub(super) fn wait_committed(&self, broker: &Broker, shards: u32) {
        let expectation = self.setup.expectation_of(&self.mock, self.made());
        for shard in 0..shards {
            let lines = expectation.lines_of(shard) as u64;
            Progress::of(broker, &self.setup, STREAM, shard)
                .wait_for(&format!("all events of shard {shard}"), |at| at.delivered >= lines);
        }
    }

    /// Lets all events come that are left.
    pub(super) fn release_all(&self) {
        self.made.set(self.events);
        self.mock.release(self.events);
    }
}

/// Shards that a process says are its own.
pub(super) fn owned(process: &Process) -> f64 {
    process.metrics().sum("tributary_shard_owned", &[])
}

/// Shards that these have among them.
pub(super) fn owned_by(members: &[&Process]) -> f64 {
    members.iter().map(|member| owned(member)).sum()
}

pub(super) fn is_ready(process: &Process) -> bool {
    process.get("/ready").status == 200
}

/// Shards that a process has opened since it started.
pub(super) fn opened(process: &Process) -> usize {
    count_log(process, "\"opened\"")
}

/// Of the topic that holds the groups: as Java hashes text.
pub(super) fn group_partition(group: &str) -> i32 {
    let hash = group.bytes().fold(0i32, |hash, byte| hash.wrapping_mul(31).wrapping_add(byte.into()));
    (hash & i32::MAX) % INTERNAL_PARTITIONS
}
