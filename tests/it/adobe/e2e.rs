//! End to end for Adobe: the mock service, the real binary and a real broker, with 1, 2 and 8 connections, judged by
//! [`crate::harness::adobe::oracle`]: nothing twice ever, nothing lost that the service sends again.

mod breaks;
mod chaos;
mod ghosts;
mod group;
mod kills;
mod plain;
mod replays;
mod resets;
mod silence;
mod stops;

use crate::harness::adobe::service;
use tributary_mock::adobe;

/// Enough for hits to flow for minutes, and less than a day, since a log is a day old and no hit may be of the future.
const LONGEST: u64 = 80_000;

/// A log of which nothing is readable yet.
fn held() -> adobe::Config {
    adobe::Config { hold_at: Some(0), ..service(LONGEST) }
}
