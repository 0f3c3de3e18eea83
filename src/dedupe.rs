//! The bounded window of recent event ids. Does not know who stored the seed.

use std::time::Duration;

/// The bounds of the window.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Config {
    /// How long an id is remembered.
    pub window: Duration,
    /// How many ids are remembered at most; the oldest go first.
    pub max_ids: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self { window: Duration::from_secs(30 * 60), max_ids: 1_000_000 }
    }
}
