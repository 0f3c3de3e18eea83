//! How long to wait before the next attempt: pure, the random number is passed in.

use std::time::Duration;

/// An exponential backoff with full jitter: each pause is random between nothing and a ceiling that doubles.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Backoff {
    /// First ceiling.
    pub min: Duration,
    /// Last ceiling.
    pub max: Duration,
}

impl Backoff {
    /// The ceiling before attempt number `failures` (1 for the first retry).
    pub(crate) fn ceiling(self, failures: u32) -> Duration {
        let doubled = 2u32.saturating_pow(failures.saturating_sub(1));
        self.min.checked_mul(doubled).unwrap_or(self.max).min(self.max)
    }

    /// The pause after `failures` failures in a row; `random` is uniform in 0..1.
    pub(crate) fn pause(self, failures: u32, random: f64) -> Duration {
        self.ceiling(failures).mul_f64(random.clamp(0.0, 1.0))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_ceiling_doubles_to_the_maximum() {
        let backoff = Backoff { min: Duration::from_secs(1), max: Duration::from_secs(30) };
        let seconds: Vec<_> = (1..8).map(|failures| backoff.ceiling(failures).as_secs()).collect();
        assert_eq!(seconds, [1, 2, 4, 8, 16, 30, 30]);
        assert_eq!(backoff.pause(3, 0.5), Duration::from_secs(2));
    }

    proptest! {
        #[test]
        fn a_pause_stays_below_its_ceiling(min in 0u64..10_000, more in 0u64..100_000, failures: u32, random in 0.0..1.0) {
            let backoff = Backoff { min: Duration::from_millis(min), max: Duration::from_millis(min + more) };
            prop_assert!(backoff.pause(failures, random) <= backoff.ceiling(failures));
            prop_assert!(backoff.ceiling(failures) <= backoff.max);
        }
    }
}
