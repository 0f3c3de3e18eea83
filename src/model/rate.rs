//! How fast a counter grows, from looks at it in equal distances.

use std::collections::VecDeque;

use tokio::time::Instant;

/// Distances between looks over which the rate is measured.
const SPAN: usize = 4;

/// The mean growth a second over the latest looks.
#[derive(Debug, Default)]
pub(crate) struct Rate {
    samples: VecDeque<(Instant, u64)>,
}

impl Rate {
    /// The counter is `total` at `now`. Zero at the first look.
    pub(crate) fn measure(&mut self, total: u64, now: Instant) -> u64 {
        self.samples.push_back((now, total));
        if self.samples.len() > SPAN + 1 {
            self.samples.pop_front();
        }
        let (since, before) = self.samples.front().copied().unwrap_or((now, total));
        let seconds = now.duration_since(since).as_secs_f64();
        if seconds > 0.0 { (total.saturating_sub(before) as f64 / seconds) as u64 } else { 0 }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_rate_is_that_of_the_last_four_distances() {
        let (mut rate, start) = (Rate::default(), Instant::now());
        let look = Duration::from_millis(250);
        let rates: Vec<_> =
            (0..8).map(|tick| rate.measure(u64::from(tick) * 250, start + look * tick)).collect();
        assert_eq!(rates, [0, 1000, 1000, 1000, 1000, 1000, 1000, 1000]);
        let rates: Vec<_> = (8..13).map(|tick| rate.measure(1750, start + look * tick)).collect();
        assert_eq!(rates, [750, 500, 250, 0, 0]);
    }
}
