//! What happens after a failure: pure but for the log line, the random number is passed in.

use std::time::Duration;

use tracing::{error, info, warn};

use super::airship::OnExpired;
use super::backoff::Backoff;
use super::failure::{Class, Failure, Pace};
use super::refusal::MAX_RETRY_AFTER;
use crate::model::errors::chain;

/// Rejections in a row after which a position counts as expired. One 400 may be a fault of the moment, and
/// beginning anew at the oldest event is costly.
pub const POSITION_REJECTIONS: u32 = 3;

/// What is remembered between attempts.
#[derive(Debug)]
pub struct Retry {
    backoff: Backoff,
    on_expired: OnExpired,
    streak: Streak,
    rejections: u32,
}

/// Failures of one class in a row. Each class has its own count, so that one 503 after many 402s is retried soon.
#[derive(Debug, Default)]
pub struct Streak {
    class: Option<Class>,
    length: u32,
}

impl Streak {
    /// Counts a failure; gives how many of its class there were in a row, this one included.
    pub fn count(&mut self, class: Class) -> u32 {
        self.length = if self.class == Some(class) { self.length.saturating_add(1) } else { 1 };
        self.class = Some(class);
        self.length
    }

    /// Data was received: the next failure is the first again. A connect alone does not count, since a server
    /// that accepts and closes would be hammered.
    pub fn end(&mut self) {
        *self = Self::default();
    }
}

/// A pause, or the server's wish if that is longer, within reason.
pub fn heed(pause: Duration, failure: &Failure) -> Duration {
    failure.retry_after.map_or(pause, |wish| pause.max(wish.min(MAX_RETRY_AFTER)))
}

/// Says in the log why a connection is not open and when the next attempt follows. `connection` is its number within the
/// shard.
pub fn report(
    stream: &str,
    shard: u32,
    connection: u32,
    failure: &Failure,
    pause: Duration,
    needs_operator: bool,
) {
    let (class, reason, retry_in_ms) = (failure.class.name(), chain(failure), pause.as_millis() as u64);
    if needs_operator {
        error!(stream, shard, connection, class, reason, retry_in_ms, "cannot connect until this is mended");
    } else if failure.class == Class::Ended {
        info!(stream, shard, connection, class, reason, retry_in_ms, "disconnected");
    } else {
        warn!(stream, shard, connection, class, reason, retry_in_ms, "disconnected");
    }
}

/// What to do next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Plan {
    /// Wait so long.
    pub pause: Duration,
    /// Give the position up and begin as [`OnExpired`] says.
    pub abandon_position: bool,
    /// A person has to act before this can end.
    pub needs_operator: bool,
}

impl Retry {
    /// No failures so far.
    pub fn new(backoff: Backoff, on_expired: OnExpired) -> Self {
        Self { backoff, on_expired, streak: Streak::default(), rejections: 0 }
    }

    /// Data was received: the next failure is the first again.
    pub fn received_data(&mut self) {
        self.streak.end();
        self.rejections = 0;
    }

    /// Decides what follows `failure`; `random` is uniform in 0..1.
    pub fn plan(&mut self, failure: &Failure, random: f64) -> Plan {
        let failures = self.streak.count(failure.class);
        self.rejections =
            if failure.class == Class::PositionRejected { self.rejections + 1 } else { self.rejections };
        let expired = failure.class == Class::PositionRejected && self.rejections >= POSITION_REJECTIONS;
        let stuck = expired && self.on_expired == OnExpired::Stop;
        let pause = match failure.class.pace() {
            // A secret may have been rotated a moment ago: one quick try with what the file holds now.
            Pace::Permanent if failure.class == Class::Unauthorized && failures == 1 => {
                self.backoff.pause(1, random)
            }
            Pace::Permanent => self.backoff.max.mul_f64(1.0 + random),
            _ if stuck => self.backoff.max.mul_f64(1.0 + random),
            Pace::Slow => Backoff { max: self.backoff.max * 2, ..self.backoff }.pause(failures, random),
            Pace::Quick => self.backoff.pause(failures, random),
        };
        Plan {
            pause: heed(pause, failure),
            abandon_position: expired && !stuck,
            needs_operator: stuck || failure.class.needs_operator(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn retry(on_expired: OnExpired) -> Retry {
        Retry::new(Backoff { min: Duration::from_secs(1), max: Duration::from_secs(30) }, on_expired)
    }

    fn pauses(class: Class, count: usize) -> Vec<u64> {
        let mut retry = retry(OnExpired::Earliest);
        (0..count)
            .map(|_| retry.plan(&Failure::new(class, ""), 0.9999).pause.as_secs_f64().round() as u64)
            .collect()
    }

    #[test]
    fn each_class_has_its_pace() {
        assert_eq!(pauses(Class::ServerError, 7), [1, 2, 4, 8, 16, 30, 30]);
        assert_eq!(pauses(Class::TooManyConnections, 8), [1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(pauses(Class::Rejected, 2), [60, 60]);
        assert_eq!(pauses(Class::Unauthorized, 3), [1, 60, 60], "once with a fresh secret, then slowly");
    }

    #[test]
    fn data_resets_a_connect_does_not() {
        let mut retry = retry(OnExpired::Earliest);
        let ended = Failure::new(Class::Ended, "");
        for _ in 0..5 {
            retry.plan(&ended, 0.5);
        }
        assert_eq!(retry.plan(&ended, 0.5).pause, Duration::from_secs(15));
        retry.received_data();
        assert_eq!(retry.plan(&ended, 0.5).pause, Duration::from_millis(500));
    }

    #[test]
    fn a_position_is_given_up_after_several_rejections_only() {
        let rejected = Failure::new(Class::PositionRejected, "");
        let mut earliest = retry(OnExpired::Earliest);
        let given_up: Vec<_> = (0..3).map(|_| earliest.plan(&rejected, 0.5).abandon_position).collect();
        assert_eq!(given_up, [false, false, true]);
        let mut stop = retry(OnExpired::Stop);
        let asked: Vec<_> = (0..4).map(|_| stop.plan(&rejected, 0.5)).collect();
        assert!(asked.iter().all(|plan| !plan.abandon_position));
        assert_eq!(
            asked.iter().map(|plan| plan.needs_operator).collect::<Vec<_>>(),
            [false, false, true, true]
        );
        assert!(stop.plan(&rejected, 0.0).pause >= Duration::from_secs(30), "slowly from then on");
    }

    #[test]
    fn the_servers_wish_is_kept_within_reason() {
        let mut retry = retry(OnExpired::Earliest);
        let wish = |seconds| Failure {
            retry_after: Some(Duration::from_secs(seconds)),
            ..Failure::new(Class::RateLimited, "")
        };
        assert_eq!(retry.plan(&wish(7), 0.0).pause, Duration::from_secs(7));
        assert_eq!(retry.plan(&wish(1 << 40), 0.0).pause, MAX_RETRY_AFTER);
    }
}
