//! Which positions of the log are there to be read: released by time, by hand, or all at once; and which expired.
//!
//! Invariant: both bounds only ever rise. Knows no events and no connections.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

/// Events of the command when it is not told how many: months of them.
pub(crate) const ENDLESS: u64 = 100_000_000;
/// Events a second of the command when it is not told how many events there are.
pub(crate) const LIVE_RATE: &str = "10";

/// The readable window of the log, and a signal for everything that waits on it.
#[derive(Debug)]
pub(crate) struct Feed {
    total: u64,
    backlog: u64,
    /// Positions a second, or 0 for all at once.
    rate: f64,
    /// Positions that stay readable, counted from the newest.
    retention: u64,
    started: Instant,
    /// Nothing at or above this is readable.
    held_at: AtomicU64,
    /// Nothing below this is readable, by command.
    expired_below: AtomicU64,
    changes: watch::Sender<u64>,
}

impl Feed {
    pub(crate) fn new(total: u64, backlog: u64, rate: f64, held_at: Option<u64>, retention: u64) -> Self {
        Self {
            total,
            backlog,
            rate,
            retention,
            started: Instant::now(),
            held_at: AtomicU64::new(held_at.unwrap_or(u64::MAX)),
            expired_below: AtomicU64::new(0),
            changes: watch::Sender::new(0),
        }
    }

    /// The end of the readable window, exclusive.
    pub(crate) fn available(&self, now: Instant) -> u64 {
        let by_time = if self.rate > 0.0 {
            let elapsed = now.saturating_duration_since(self.started).as_secs_f64();
            self.backlog.saturating_add((elapsed * self.rate) as u64)
        } else {
            u64::MAX
        };
        self.total.min(by_time).min(self.held_at.load(Ordering::Acquire))
    }

    /// The start of the readable window.
    pub(crate) fn oldest(&self, now: Instant) -> u64 {
        let by_retention = self.available(now).saturating_sub(self.retention);
        by_retention.max(self.expired_below.load(Ordering::Acquire))
    }

    /// The readable window.
    pub(crate) fn window(&self, now: Instant) -> Range<u64> {
        self.oldest(now)..self.available(now)
    }

    /// When `position` becomes readable by time alone.
    pub(crate) fn due(&self, position: u64) -> Option<Instant> {
        if self.rate <= 0.0 || position >= self.total.min(self.held_at.load(Ordering::Acquire)) {
            return None;
        }
        let seconds = (position + 1).saturating_sub(self.backlog) as f64 / self.rate;
        self.started.checked_add(Duration::try_from_secs_f64(seconds).ok()?)
    }

    /// Lets positions below `up_to` be read.
    pub(crate) fn release(&self, up_to: u64) {
        // A feed that holds nothing back has nothing to release.
        let held = self.held_at.load(Ordering::Acquire);
        if held != u64::MAX {
            self.held_at.fetch_max(up_to, Ordering::AcqRel);
        }
        self.changed();
    }

    /// Lets positions below `oldest` be read no more.
    pub(crate) fn expire(&self, oldest: u64) {
        self.expired_below.fetch_max(oldest, Ordering::AcqRel);
    }

    /// Wakes everything that waits; also for changes outside of this feed.
    pub(crate) fn changed(&self) {
        self.changes.send_modify(|version| *version += 1);
    }

    pub(crate) fn subscribe(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn time_releases_positions() {
        let feed = Feed::new(100, 10, 5.0, None, u64::MAX);
        assert_eq!(feed.available(Instant::now()), 10);
        let due = feed.due(12).unwrap();
        tokio::time::advance(Duration::from_millis(600)).await;
        assert_eq!(feed.available(Instant::now()), 13);
        assert_eq!(due, Instant::now());
        tokio::time::advance(Duration::from_secs(60)).await;
        assert_eq!(feed.available(Instant::now()), 100);
        assert_eq!(feed.due(100), None);
    }

    #[tokio::test(start_paused = true)]
    async fn hands_release_and_expire_positions() {
        let feed = Feed::new(100, 0, 0.0, Some(5), 20);
        let now = Instant::now();
        assert_eq!((feed.oldest(now), feed.available(now)), (0, 5));
        feed.release(50);
        feed.release(40);
        assert_eq!((feed.oldest(now), feed.available(now)), (30, 50));
        feed.expire(45);
        assert_eq!((feed.oldest(now), feed.available(now)), (45, 50));
    }
}
