//! Whether data can move through a shard, and if not, why and since when: a pure decision.

use std::time::Duration;

use tokio::time::Instant;

use super::health::{LIMIT, Phase, State};
use super::metrics::Metrics;
use crate::clock::now_ms;
use crate::sink::kafka::reach::{Reach, Trouble};
use crate::source;
use crate::source::metrics::{ConnectionState, Outage};

/// How long the service's side may not be open before a shard is not ready: longer than services need to restart or to
/// notice that a connection is gone, so that it does not flap with their routine.
const SERVICE_LIMIT: Duration = Duration::from_secs(5 * 60);

/// And so many of the longest pauses between attempts: one that fails by chance says nothing yet.
const SERVICE_PAUSES: u32 = 3;

/// Everything that is known of a shard at one moment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct View {
    /// The shard itself.
    pub shard: State,
    /// The way to Kafka.
    pub kafka: Option<Trouble>,
    /// The connection to the service.
    pub source: ConnectionState,
    /// Whether the stream was ever open.
    pub was_connected: bool,
    /// Why the stream is not open, and since when, milliseconds since the Unix epoch.
    pub source_trouble: Option<(String, i64)>,
    /// Since when the stream is not to be had.
    pub outage: Option<Outage>,
    /// The longest pause between attempts to open it.
    pub longest_pause: Duration,
    /// When this is.
    pub now: Instant,
    /// The same, milliseconds since the Unix epoch.
    pub now_ms: i64,
}

/// What is said of a shard.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Readiness {
    /// Whether data can move.
    pub ready: bool,
    /// In one or two words.
    pub state: &'static str,
    /// What is wrong, if anything is.
    pub reason: Option<String>,
    /// Since when, milliseconds since the Unix epoch.
    pub since_ms: Option<i64>,
    /// Age of the oldest line that is not committed; zero if there is none.
    pub uncommitted: Duration,
}

impl View {
    /// Looks at a shard.
    pub(crate) fn of(shard: &Metrics, source: &source::metrics::Metrics, reach: &Reach) -> Self {
        Self {
            shard: shard.health.get(),
            kafka: reach.trouble(),
            source: source.state(),
            was_connected: source.was_connected(),
            source_trouble: source.trouble(),
            outage: source.outage(),
            longest_pause: source.longest_pause(),
            now: Instant::now(),
            now_ms: now_ms(),
        }
    }

    /// Whether data can move.
    ///
    /// A pause before a reconnect is routine, and so is a failure of Kafka that is over within [`LIMIT`], or an outage of the
    /// service that is over within `SERVICE_LIMIT`.
    pub(crate) fn judge(&self) -> Readiness {
        let State { phase, trouble, holding, interval, .. } = &self.shard;
        let uncommitted = holding.map(|since| self.age(since)).unwrap_or_default();
        let verdict = |ready, state, trouble: Option<&Trouble>| Readiness {
            ready,
            state,
            reason: trouble.map(|trouble| trouble.reason.clone()),
            since_ms: trouble.map(|trouble| trouble.since_ms),
            uncommitted,
        };
        let lasting = |trouble: &Option<Trouble>| {
            trouble.as_ref().is_some_and(|trouble| self.age(trouble.since) >= LIMIT)
        };
        let is_away = lasting(&self.kafka);
        // Others hand their shards over as a matter of routine: a rollout must not find everybody not ready for that.
        let is_handed_over = self.shard.assigned.is_some_and(|at| self.age(at) < LIMIT);
        match phase {
            Phase::Ended => return verdict(false, "ended", trouble.as_ref()),
            Phase::Opening if is_away => return verdict(false, "kafka unreachable", self.kafka.as_ref()),
            Phase::Opening => {
                let ready = is_handed_over && trouble.is_none();
                return verdict(ready, "opening", trouble.as_ref().or(self.kafka.as_ref()));
            }
            Phase::Standby if is_away => return verdict(false, "kafka unreachable", self.kafka.as_ref()),
            Phase::Standby => {
                return verdict(true, "standby", trouble.as_ref().or(self.kafka.as_ref()));
            }
            // Whoever waits to be brought up to date is not to be missed meanwhile: a rollout takes one after the other.
            Phase::Superseded => return verdict(true, "superseded", trouble.as_ref()),
            Phase::Open => {}
        }
        if is_away {
            return verdict(false, "kafka unreachable", self.kafka.as_ref());
        }
        if lasting(trouble) {
            return verdict(false, "writing refused", trouble.as_ref());
        }
        if uncommitted >= LIMIT + *interval {
            let waits = format!("the oldest lines wait {} s for their commit", uncommitted.as_secs());
            let since_ms = self.now_ms - i64::try_from(uncommitted.as_millis()).unwrap_or(0);
            let reason = trouble.as_ref().map_or(waits, |trouble| trouble.reason.clone());
            return Readiness {
                reason: Some(reason),
                since_ms: Some(since_ms),
                ..verdict(false, "writing stalled", None)
            };
        }
        let service_limit = SERVICE_LIMIT.max(self.longest_pause.saturating_mul(SERVICE_PAUSES));
        let outage = self.outage.filter(|outage| self.age(outage.since) >= service_limit);
        if let Some(Outage { since_ms, .. }) = outage
            && self.source != ConnectionState::NeedsOperator
        {
            let unproven = || "what answers has not been the stream yet".to_owned();
            let reason = self.source_trouble.as_ref().map_or_else(unproven, |(reason, _)| reason.clone());
            return Readiness {
                reason: Some(reason),
                since_ms: Some(since_ms),
                ..verdict(false, "service away", None)
            };
        }
        let works = !matches!(self.source, ConnectionState::Idle | ConnectionState::NeedsOperator);
        let needs_nobody = self.source != ConnectionState::NeedsOperator;
        let ready = (works && self.was_connected) || (is_handed_over && needs_nobody);
        match &self.source_trouble {
            // What fails in Kafka for a moment is told as well, while all is well otherwise.
            None => verdict(ready, self.source.name(), trouble.as_ref().or(self.kafka.as_ref())),
            Some((reason, since_ms)) => Readiness {
                reason: Some(reason.clone()),
                since_ms: Some(*since_ms),
                ..verdict(ready, self.source.name(), None)
            },
        }
    }

    fn age(&self, since: Instant) -> Duration {
        self.now.saturating_duration_since(since)
    }
}

#[cfg(test)]
mod tests;
