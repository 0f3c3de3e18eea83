//! How long a shard has run: the clock that ids age by.
//!
//! It stands still while the shard is not running, while its stream is not connected, and while Kafka does not take what is
//! written: events of that time arrive later, and so do their repeats. A step of the wall clock does not change it.

use std::time::Duration;

use tokio::time::Instant;

/// What one step counts at most. Steps follow one another within a second, unless Kafka or the machine holds the shard up.
const LONGEST_STEP: Duration = Duration::from_secs(2);

/// The clock of one shard.
#[derive(Clone, Copy, Debug)]
pub(super) struct Running {
    ran: Duration,
    last: Instant,
}

impl Running {
    /// Goes on from where the shard's last life ended.
    pub(super) fn new(ran_ms: u64, now: Instant) -> Self {
        Self { ran: Duration::from_millis(ran_ms), last: now }
    }

    /// Counts the time since the last call, if the stream is connected.
    pub(super) fn tick(&mut self, now: Instant, is_connected: bool) {
        let step = now.saturating_duration_since(self.last).min(LONGEST_STEP);
        self.last = now;
        if is_connected {
            self.ran = self.ran.saturating_add(step);
        }
    }

    /// How long the shard has run in all its lives, milliseconds.
    pub(super) fn ran_ms(&self) -> u64 {
        u64::try_from(self.ran.as_millis()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_counts_what_the_shard_ran_and_no_outage() {
        let start = Instant::now();
        let at = |ms: u64| start + Duration::from_millis(ms);
        let mut running = Running::new(5_000, at(0));
        running.tick(at(300), true);
        running.tick(at(1_300), true);
        assert_eq!(running.ran_ms(), 6_300, "it goes on from where it was");
        running.tick(at(2_300), false);
        running.tick(at(3_300), true);
        assert_eq!(running.ran_ms(), 7_300, "what was not connected does not count");
        running.tick(at(3_603_300), true);
        assert_eq!(running.ran_ms(), 9_300, "an outage of Kafka counts as the longest step");
        running.tick(at(0), true);
        assert_eq!(running.ran_ms(), 9_300);
    }
}
