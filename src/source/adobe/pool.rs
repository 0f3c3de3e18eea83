//! The connections of a stream whose position the service keeps (Adobe): 1 to 8 that share the stream, and the replays
//! that bring back what may have been lost. Knows neither Kafka nor dedupe.
//!
//! A *round* goes from all connections closed to all closed again. A replay can only begin between two rounds: `reset`
//! has an effect only while nothing is open. Within a round each connection lives its own life; none waits for another,
//! but at the beginning of a round that resets.
//!
//! Invariant: `reset` is sent by the first connect of such a round, until it is answered with a stream, and never else.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, debug, error, info, warn};

use super::protocol::{self, Reset};
use crate::clock::now_ms;
use crate::model::types::{OnUnclean, Position};
use crate::source::http::connect::Endpoint;
use crate::source::metrics::ConnectionState;
use crate::source::queue::{Item, Loss, Note};
use crate::source::reader::{ReaderContext, Resume};

mod connection;
mod loss;
mod schedule;
mod target;

use connection::{Connection, Event, Shared};
use schedule::Schedule;
use target::{CatchUp, Target};

/// Keeps the connections of one stream.
pub(crate) struct Pool {
    shared: Arc<Shared>,
    schedule: Schedule,
    stop: CancellationToken,
    /// When the last run committed its last checkpoint: it was connected until then, and a deliberate reset waits from there.
    last_seen_ms: Option<i64>,
}

/// How a round begins.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Begin {
    /// All connections at once, where the service's position is.
    Plain,
    /// One connection with a reset; the others when it is open.
    Reset(Reset),
    /// One connection that reads from the oldest event held; the others when it has caught up with this received time.
    Replay(Option<i64>),
}

/// How a round ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Ended {
    /// Told to stop, or nobody takes lines any more, or by a defect; `torn` tells whether something may be lost with that.
    Stopped { torn: bool },
    /// A replay is due.
    ReplayDue,
}

impl Pool {
    /// Prepares the connections.
    pub(crate) fn new(
        endpoint: Endpoint,
        adobe: protocol::Config,
        resume: Resume,
        context: ReaderContext,
    ) -> Self {
        let (replayed_ms, owed) = match &resume.position {
            Some(Position::Watermark(mark)) => (mark.replayed_ms, mark.owed_from_ms.is_some()),
            _ => (None, false),
        };
        let replays = adobe.on_unclean == OnUnclean::Replay;
        let schedule =
            Schedule::new(replays, adobe.replay_interval, replayed_ms, owed || resume.may_have_lost());
        context.metrics.set_longest_pause(adobe.reconnect_pause);
        let stop = context.stop.clone();
        let shared = Arc::new(Shared::new(endpoint, adobe, context));
        Self { shared, schedule, stop, last_seen_ms: resume.committed_ms }
    }

    /// Runs until told to stop or until the shard takes no more lines.
    pub(crate) async fn run(mut self) {
        let shared = Arc::clone(&self.shared);
        tokio::select! {
            () = self.rounds() => {}
            // Never ends; a fetched token is renewed beside the streams, which do not notice.
            () = shared.connector.keep_token_fresh(&shared.metrics.token_failures) => {}
        }
        shared.metrics.set_state(ConnectionState::Idle);
        debug!(stream = %shared.endpoint.stream, "connections closed");
    }

    async fn rounds(&mut self) {
        let mut begin = match self.shared.adobe.reset {
            Some(Reset::Largest) => {
                self.schedule.give_up();
                self.note(Note::GivenUp).await;
                self.wait_out_last_connection().await.then_some(Begin::Reset(Reset::Largest))
            }
            Some(Reset::Smallest) => {
                // A replay that is announced has to come.
                match self.wait_out_last_connection().await {
                    true => self.announce_replay().await.map(Begin::Replay),
                    false => None,
                }
            }
            None if self.schedule.is_due(now_ms()) => self.prepare_replay().await,
            None => Some(Begin::Plain),
        };
        let mut drained = true;
        while let Some(next) = begin {
            begin = match self.round(next).await {
                Ended::Stopped { torn } => {
                    drained = !torn;
                    None
                }
                Ended::ReplayDue => self.prepare_replay().await,
            };
        }
        if drained {
            self.note(Note::Drained).await;
        }
    }

    /// Keeps connections open until a stop or until a replay is due, then closes all of them.
    async fn round(&mut self, begin: Begin) -> Ended {
        let (events, mut happened) = mpsc::unbounded_channel();
        let closing = self.stop.child_token();
        let mut connections = JoinSet::new();
        let shared = Arc::clone(&self.shared);
        let connect = |number, reset, target| {
            let (shared, events, closing) = (Arc::clone(&shared), events.clone(), closing.clone());
            let connection = Connection::new(shared, number, reset, target, events, closing);
            connection.run().instrument(tracing::debug_span!("connection", number))
        };
        let all = self.shared.adobe.max_connections;
        let (first, reset, target) = match begin {
            Begin::Plain => (all, None, None),
            Begin::Reset(reset) => (1, Some(reset), Some(Target::Opened)),
            Begin::Replay(watermark_ms) => {
                let replay = CatchUp::new(watermark_ms, self.shared.adobe.reconnect_pause);
                (1, Some(Reset::Smallest), Some(Target::CaughtUp(replay)))
            }
        };
        for number in 0..first {
            drop(connections.spawn(connect(number, reset, target)));
        }
        let mut torn = false;
        let replay_due = loop {
            tokio::select! {
                biased;
                () = self.stop.cancelled() => break false,
                event = happened.recv() => match event {
                    Some(Event::Lost(how)) => self.lost(how).await,
                    Some(Event::Reached) => {
                        if matches!(begin, Begin::Replay(_)) {
                            self.caught_up().await;
                        }
                        for number in 1..all {
                            drop(connections.spawn(connect(number, None, None)));
                        }
                    }
                    None => break false,
                },
                // A connection ends by itself only when nobody takes its lines, or by a defect.
                joined = connections.join_next() => {
                    torn = joined.is_none_or(|joined| self.was_torn(joined));
                    break false;
                }
                () = sleep_until(self.schedule.due_at()) => break true,
            }
        };
        closing.cancel();
        while let Some(joined) = connections.join_next().await {
            torn |= self.was_torn(joined);
        }
        while let Ok(event) = happened.try_recv() {
            if let Event::Lost(how) = event {
                self.lost(how).await;
            }
        }
        if replay_due { Ended::ReplayDue } else { Ended::Stopped { torn } }
    }

    /// Whether something may be lost with the end of a connection's task.
    fn was_torn(&self, joined: Result<bool, JoinError>) -> bool {
        joined.unwrap_or_else(|defect| {
            error!(stream = %self.shared.endpoint.stream, %defect, "a connection's task failed");
            true
        })
    }

    async fn lost(&mut self, how: Loss) {
        match how {
            Loss::Silence => self.schedule.owe_for_silence(),
            Loss::BrokeOff | Loss::Unanswered => self.schedule.owe(),
        }
        self.note(Note::Lost { how, replay_owed: self.schedule.is_owed() }).await;
    }

    async fn caught_up(&mut self) {
        let (outcome, answer) = oneshot::channel();
        self.note(Note::CaughtUp { outcome }).await;
        // A shard that does not answer has ended; a replay that is owed stays owed in its checkpoint.
        let Ok(outcome) = answer.await else { return };
        self.schedule.finished(outcome);
        if !outcome.went_back {
            warn!(
                stream = %self.shared.endpoint.stream, tried_again = self.schedule.is_owed(),
                "the replay brought hardly anything that is known: the service holds nothing older, or counted a \
                 connection as open and did not reset"
            );
        }
        self.note(Note::ReplayDone { replay_owed: self.schedule.is_owed() }).await;
    }

    /// Between rounds: notes the replay, and waits until the service has noticed that all connections are closed.
    async fn prepare_replay(&mut self) -> Option<Begin> {
        let watermark_ms = self.announce_replay().await?;
        let usual = self.shared.adobe.reconnect_pause * self.schedule.pauses();
        let pause = usual.mul_f64(1.0 + 0.2 * rand::random::<f64>());
        info!(
            stream = %self.shared.endpoint.stream, pause_ms = pause.as_millis() as u64,
            "replay: all connections are closed; waiting until the service has noticed"
        );
        self.wait(pause).await.then_some(Begin::Replay(watermark_ms))
    }

    /// Has the shard commit that a replay begins; gives what it has got to.
    async fn announce_replay(&mut self) -> Option<Option<i64>> {
        let at_ms = now_ms();
        self.schedule.began(at_ms);
        let (committed, answer) = oneshot::channel();
        self.note(Note::ReplayBegins { at_ms, committed }).await;
        answer.await.ok()
    }

    /// A deliberate reset has no effect while the service still counts the connections of the last run.
    /// Waits until it has dropped them; `false` if told to stop before that.
    async fn wait_out_last_connection(&self) -> bool {
        let Some(last_seen_ms) = self.last_seen_ms else { return true };
        let since = Duration::from_millis(u64::try_from(now_ms() - last_seen_ms).unwrap_or(0));
        let left = self.shared.adobe.reconnect_pause.saturating_sub(since);
        if left.is_zero() {
            return true;
        }
        info!(stream = %self.shared.endpoint.stream, left_s = left.as_secs(), "waiting before the reset");
        self.wait(left).await
    }

    /// Whether the time passed without a stop.
    async fn wait(&self, pause: Duration) -> bool {
        self.shared.metrics.set_state(ConnectionState::BackingOff);
        tokio::select! {
            () = self.stop.cancelled() => false,
            () = tokio::time::sleep(pause) => true,
        }
    }

    async fn note(&self, note: Note) {
        if self.shared.input.send(Item::Note(note)).await.is_err() {
            // The shard says in the log why it takes nothing more.
            debug!(stream = %self.shared.endpoint.stream, "the shard takes nothing more");
        }
    }
}

impl std::fmt::Debug for Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pool").field("schedule", &self.schedule).finish_non_exhaustive()
    }
}

async fn sleep_until(at_ms: Option<i64>) {
    match at_ms {
        Some(at_ms) => {
            let left = u64::try_from(at_ms - now_ms()).unwrap_or(0);
            tokio::time::sleep(Duration::from_millis(left)).await;
        }
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests;
