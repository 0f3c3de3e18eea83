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

/// The last millisecond of the year 9999: dates have no more digits.
pub(crate) const LATEST_MS: u64 = 253_402_300_799_999;

/// `now`, or milliseconds since 1970.
pub(crate) fn parse_epoch(text: &str) -> Result<Epoch, String> {
    if text == "now" {
        return Ok(Epoch::Now);
    }
    let ms = text.parse().ok().filter(|ms| *ms <= LATEST_MS);
    ms.map(Epoch::At).ok_or_else(|| format!("expected `now`, or milliseconds since 1970 up to {LATEST_MS}"))
}

/// Milliseconds since 1970.
pub(crate) fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_millis() as u64
}
