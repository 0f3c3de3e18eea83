//! The wall clock, and where the clock of invented events starts.
//!
//! Invariant: nothing here waits. Knows no events.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// What the events' clock starts from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Epoch {
    /// Milliseconds since 1970.
    At(u64),
    /// When the mock starts.
    Now,
}

/// `now`, or milliseconds since 1970.
pub(crate) fn parse_epoch(text: &str) -> Result<Epoch, std::num::ParseIntError> {
    if text == "now" { Ok(Epoch::Now) } else { text.parse().map(Epoch::At) }
}

/// Milliseconds since 1970.
pub(crate) fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_millis() as u64
}
