//! Times of answers, in memory that does not grow with their number.
//!
//! Invariant: a percentile is too large by 3 % at most, and never too small.

use std::time::Duration;

/// Bits of a time that count: 32 slots for each power of two.
const BITS: u32 = 5;

/// How often there was a time of each slot, in microseconds.
#[derive(Clone, Debug, Default)]
pub(super) struct Latencies {
    counts: Vec<u64>,
    total: u64,
}

impl Latencies {
    /// Counts one.
    pub(super) fn add(&mut self, time: Duration) {
        let slot = slot(u64::try_from(time.as_micros()).unwrap_or(u64::MAX));
        if self.counts.len() <= slot {
            self.counts.resize(slot + 1, 0);
        }
        self.counts[slot] += 1;
        self.total += 1;
    }

    /// The time, in milliseconds, within which a share of them were; none without any.
    pub(super) fn at(&self, share: f64) -> Option<f64> {
        let wanted = ((self.total as f64 * share).ceil() as u64).max(1);
        let mut passed = 0;
        let slot = self.counts.iter().position(|count| {
            passed += count;
            passed >= wanted
        })?;
        Some(upper(slot) as f64 / 1000.0)
    }
}

fn slot(us: u64) -> usize {
    let shift = (u64::BITS - us.leading_zeros()).saturating_sub(BITS + 1);
    ((shift as usize) << BITS) + (us >> shift) as usize
}

/// The longest time of a slot.
fn upper(slot: usize) -> u64 {
    let shift = (slot >> BITS).saturating_sub(1);
    let first = (slot - (shift << BITS)) as u128;
    u64::try_from(((first + 1) << shift) - 1).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_time_is_in_its_slot_and_slots_are_narrow() {
        let mut before = 0;
        for us in (0..5_000).chain([1 << 20, (1 << 40) + 1, u64::MAX / 2, u64::MAX]) {
            let (slot, longest) = (slot(us), upper(slot(us)));
            assert!(slot >= before && longest >= us, "{us}: {slot}, {longest}");
            assert!((longest - us) as f64 <= us as f64 / 32.0, "{us}: {longest}");
            before = slot;
        }
    }

    #[test]
    fn percentiles_are_of_what_was_counted() {
        let mut latencies = Latencies::default();
        assert_eq!(latencies.at(0.5), None);
        for ms in 1..=100 {
            latencies.add(Duration::from_millis(ms));
        }
        for (share, ms) in [(0.0, 1.0), (0.5, 50.0), (0.99, 99.0), (1.0, 100.0)] {
            let found = latencies.at(share).unwrap();
            assert!((ms..ms * 1.04).contains(&found), "{share}: {found}");
        }
    }
}
