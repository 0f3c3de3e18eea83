//! A mock service, the real connector on it, and what must lie in Kafka at the end.
//!
//! The oracle is the mock's log: the bytes of each event's first occurrence, under its id. It knows nothing of the
//! connector's own ideas of progress.

pub(crate) mod scene;
mod settings;

pub(crate) use crate::harness::expected::{Expected, bytes};
pub(crate) use scene::{Ended, Scene};
pub(crate) use settings::Setup;

use std::ops::Range;
use tributary_mock::airship::{self, Armed, Epoch, Fault, Log};

/// Each tenth line of the mock's log repeats an event, so that deduplication is always part of what is tested.
const DUPLICATE_EVERY: u64 = 10;

/// `events` lines that begin with a backlog and go on at a pace of which a test sees something.
pub(crate) fn lively(events: u64) -> airship::Config {
    airship::Config { rate: 3_000.0, backlog: events / 3, ..all_at_once(events) }
}

/// `events` lines, all readable from the start.
pub(crate) fn all_at_once(events: u64) -> airship::Config {
    airship::Config {
        events,
        duplicate_every: DUPLICATE_EVERY,
        // Kafka deletes what is older than a topic's retention, whenever it looks.
        epoch: Epoch::Now,
        keep_alive: std::time::Duration::from_millis(500),
        ..airship::Config::default()
    }
}

/// `events` lines of which those from `hold_at` on wait for `Handle::release`.
pub(crate) fn held(events: u64, hold_at: u64) -> airship::Config {
    airship::Config { hold_at: Some(hold_at), ..all_at_once(events) }
}

/// `fault` after every 400 events of a connection, three times.
pub(crate) fn three_times(fault: Fault) -> Vec<Armed> {
    vec![Armed::after(400, fault).times(3)]
}

impl Expected {
    /// What stands at `positions`, which are asked for in this order: of several copies the first one counts.
    pub(crate) fn of(log: &Log, positions: impl IntoIterator<Item = Range<u64>>) -> Self {
        let lines = positions.into_iter().flat_map(|range| log.expected(range));
        lines.map(|line| (line.id, line.line)).collect()
    }
}

impl From<&Log> for Expected {
    fn from(log: &Log) -> Self {
        Self::of(log, std::iter::once(0..log.len()))
    }
}
