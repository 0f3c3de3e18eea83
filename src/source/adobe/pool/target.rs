//! What the other connections wait for, and when a replay has caught up: pure, the time is passed in.

use std::time::Duration;

use tokio::time::Instant;

/// What the others wait for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::source) enum Target {
    /// The stream is open: something came that is no refusal.
    Opened,
    /// The replay has caught up.
    CaughtUp(CatchUp),
}

/// A replay on its way to what was delivered before it.
///
/// Where hits tell no time it cannot be seen to arrive. It counts as having done so after a while: ids tell repeats then, and
/// waiting on would leave the other connections closed for ever.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::source) struct CatchUp {
    /// The latest received time that was delivered, milliseconds since the Unix epoch.
    until_ms: Option<i64>,
    /// How long hits may come without a time.
    patience: Duration,
    /// Since when they do.
    undated_since: Option<Instant>,
}

/// Where a replay is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::source) enum Reached {
    /// Before what was delivered.
    Behind,
    /// There.
    There,
    /// Nobody knows: nothing tells a time.
    Undated,
}

impl CatchUp {
    /// A replay begins.
    pub(in crate::source) fn new(until_ms: Option<i64>, patience: Duration) -> Self {
        Self { until_ms, patience, undated_since: None }
    }

    /// A block of hits came; `received_ms` is the received time of its last hit that has one.
    pub(in crate::source) fn took(&mut self, received_ms: Option<i64>, now: Instant) -> Reached {
        match received_ms {
            // Where nothing was delivered before there is nothing to catch up with.
            Some(received_ms) if self.until_ms.is_none_or(|until| received_ms >= until) => Reached::There,
            Some(_) => {
                self.undated_since = None;
                Reached::Behind
            }
            None => {
                let since = *self.undated_since.get_or_insert(now);
                if now.saturating_duration_since(since) < self.patience {
                    Reached::Behind
                } else {
                    Reached::Undated
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(60);

    #[test]
    fn a_replay_has_caught_up_with_the_latest_received_time() {
        let now = Instant::now();
        let mut replay = CatchUp::new(Some(5_000), PATIENCE);
        assert_eq!(replay.took(Some(4_999), now), Reached::Behind);
        assert_eq!(replay.took(Some(5_000), now), Reached::There);
        assert_eq!(CatchUp::new(None, PATIENCE).took(Some(1), now), Reached::There);
    }

    #[test]
    fn hits_without_times_are_not_waited_for_endlessly() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        for until_ms in [None, Some(5_000)] {
            let mut replay = CatchUp::new(until_ms, PATIENCE);
            assert_eq!(replay.took(None, at(100)), Reached::Behind);
            assert_eq!(replay.took(None, at(159)), Reached::Behind);
            assert_eq!(replay.took(None, at(160)), Reached::Undated);
        }
        let mut replay = CatchUp::new(Some(5_000), PATIENCE);
        assert_eq!(replay.took(None, at(0)), Reached::Behind);
        assert_eq!(replay.took(Some(1), at(59)), Reached::Behind, "a time among them");
        assert_eq!(replay.took(None, at(60)), Reached::Behind);
        assert_eq!(replay.took(None, at(119)), Reached::Behind);
        assert_eq!(replay.took(None, at(120)), Reached::Undated);
    }
}
