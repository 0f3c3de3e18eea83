//! How a shard is: written by the shard and its opening, read by `/ready`, the metrics and the status line.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::sink::kafka::reach::Trouble;

/// How long Kafka may fail before a shard is not ready: longer than the move of a leader or the restart of a broker of a
/// cluster, so that these do not make it flap.
pub(crate) const LIMIT: Duration = Duration::from_secs(30);

/// Between two errors in the log that say the same.
const REPEAT: Duration = Duration::from_secs(60);

/// What a shard is doing.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Phase {
    /// It is being opened in Kafka, or about to be.
    #[default]
    Opening,
    /// It takes lines.
    Open,
    /// It takes none any more.
    Ended,
    /// Another instance runs it, or none yet: the group has not given it to this one.
    Standby,
    /// There is no such shard any more: a later configuration has cut the stream into another number.
    Superseded,
}

/// How a shard is.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct State {
    /// What it is doing.
    pub phase: Phase,
    /// What fails, from the first failure until a batch is committed: that the next attempt has begun mends nothing.
    pub trouble: Option<Trouble>,
    /// Since when there are lines that are not committed.
    pub holding: Option<Instant>,
    /// How long lines may wait for a commit by configuration.
    pub interval: Duration,
    /// When the consumer group gave the shard to this instance.
    pub assigned: Option<Instant>,
    /// The instance that the consumer group gave the shard to, where that is another one and known.
    pub holder: Option<Arc<str>>,
    /// When the log last said as an error what fails.
    pub(super) said: Option<Instant>,
}

impl State {
    /// Whether the shard is this instance's to run.
    pub fn is_owned(&self) -> bool {
        !matches!(self.phase, Phase::Standby | Phase::Superseded)
    }
}

/// A shard's state. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Health(Arc<Mutex<State>>);

impl Health {
    /// The state now.
    pub fn get(&self) -> State {
        self.lock().clone()
    }

    /// The shard is about to be opened; it commits at this interval.
    pub fn opening(&self, interval: Duration) {
        let mut state = self.lock();
        *state =
            State { interval, trouble: state.trouble.take(), assigned: state.assigned, ..State::default() };
    }

    /// The shard is open.
    pub fn opened(&self) {
        let mut state = self.lock();
        (state.phase, state.trouble, state.said) = (Phase::Open, None, None);
    }

    /// An opening or a write failed. Tells whether the log is to say it as an error: it lasts, and that was not said for a
    /// while.
    pub fn failed(&self, reason: impl Into<String>) -> bool {
        let mut state = self.lock();
        Trouble::note(&mut state.trouble, reason);
        let lasts = state.trouble.as_ref().is_some_and(|trouble| trouble.since.elapsed() >= LIMIT);
        let due = lasts && state.said.is_none_or(|said| said.elapsed() >= REPEAT);
        if due {
            state.said = Some(Instant::now());
        }
        due
    }

    /// There are lines that are not committed.
    pub fn holds(&self) {
        self.lock().holding.get_or_insert_with(Instant::now);
    }

    /// There are none left, and nothing had to be written for that.
    pub fn holds_nothing(&self) {
        self.lock().holding = None;
    }

    /// Writing works again, whatever is still to be written.
    pub fn works(&self) {
        let mut state = self.lock();
        (state.trouble, state.said) = (None, None);
    }

    /// Everything is committed.
    pub fn committed(&self) {
        self.works();
        self.holds_nothing();
    }

    /// The shard has ended.
    pub fn ended(&self, why: impl Into<String>) {
        let mut state = self.lock();
        (state.phase, state.trouble) = (Phase::Ended, Some(Trouble::new(why)));
    }

    /// The group has given the shard to this instance, which is about to open it.
    pub fn assigned(&self) {
        self.lock().assigned = Some(Instant::now());
    }

    /// The shard is not this instance's to run.
    pub fn standby(&self) {
        let mut state = self.lock();
        *state = State { phase: Phase::Standby, holder: state.holder.take(), ..State::default() };
    }

    /// The other instance that the group gave it to, as far as that is known.
    pub fn held_by(&self, holder: Option<Arc<str>>) {
        self.lock().holder = holder;
    }

    /// There is no such shard any more, and why.
    pub fn superseded(&self, why: impl Into<String>) {
        let mut state = self.lock();
        let trouble = state.trouble.take().filter(|_| state.phase == Phase::Superseded);
        *state = State { phase: Phase::Superseded, trouble, ..State::default() };
        Trouble::note(&mut state.trouble, why);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_lasts_is_an_error_once_a_minute() {
        let health = Health::default();
        let mut said = Vec::new();
        for second in 0..200 {
            if health.failed("refused") {
                said.push(second);
            }
            tokio::time::advance(Duration::from_secs(1)).await;
        }
        assert_eq!(said, [30, 90, 150]);
        health.committed();
        assert!(!health.failed("refused"), "a failure of its own, which may pass");
    }
}
