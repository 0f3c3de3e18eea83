//! When a transaction closes: on count, bytes or age, whichever comes first. Knows nothing of transactions.

use std::time::Duration;

/// The limits of a batch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Config {
    /// Age at which a batch closes, counted from its first line.
    pub interval: Duration,
    /// Events at which a batch closes.
    pub max_events: usize,
    /// Bytes of lines at which a batch closes.
    pub max_bytes: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self { interval: Duration::from_millis(100), max_events: 50_000, max_bytes: 16 << 20 }
    }
}
