//! The reconnect loop of a shard that says where to resume (Airship): one connection, from an offset, blocks into the
//! queue, until told to stop. Knows neither Kafka nor dedupe.
//!
//! Invariant: a reconnect resumes after the last block that was queued, never from the last commit: what was queued
//! is not asked for again.

use std::sync::Arc;
use std::time::Duration;

use opentelemetry::trace::SpanContext;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::line::{self, MARKS, Place, last_place};
use super::protocol::{self, Begin, OnExpired, Start};
use super::retry::Retry;
use crate::clock::now_ms;
use crate::model::block::Block;
use crate::model::errors::chain;
use crate::model::types::{Position, ShardId};
use crate::source::backoff::Backoff;
use crate::source::connecting::Attempt;
use crate::source::endings;
use crate::source::failure::{Class, Failure};
use crate::source::http::connect::{Asked, Connector, Endpoint, Opened};
use crate::source::lines::Lines;
use crate::source::metrics::{ConnectionState, Metrics};
use crate::source::queue::{Closed, Input, Item, Note};
use crate::source::reader::{ReaderContext, Resume};

/// Keeps one shard's stream open.
pub(crate) struct Session {
    /// The stream's name.
    stream: Arc<str>,
    airship: protocol::Config,
    silence: Duration,
    max_line: usize,
    connector: Connector,
    /// The span of the connection that is open, where that is traced.
    connection: Option<SpanContext>,
    shard: u32,
    /// After the last line that was queued.
    place: Option<Place>,
    /// A position that is to be given up, until a stream opens without it.
    abandoned: Option<Place>,
    /// Where to begin without an offset.
    start: Start,
    retry: Retry,
    input: Input,
    metrics: Metrics,
    stop: CancellationToken,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session")
            .field("shard", &self.shard)
            .field("place", &self.place)
            .finish_non_exhaustive()
    }
}

/// Why a connection is over.
enum End {
    /// `was_open` tells whether it counted as a stream, for all that is known.
    Failed {
        failure: Failure,
        was_open: bool,
    },
    Stopped,
}

impl Session {
    /// Prepares a session that begins where `resume` says, or at the configured start.
    pub(crate) fn new(
        endpoint: Endpoint,
        airship: protocol::Config,
        shard: u32,
        resume: Resume,
        context: ReaderContext,
    ) -> Self {
        let place = match resume.position {
            Some(Position::Offset { offset, .. }) => Some(Place { offset, dated_ms: resume.dated_ms }),
            _ => None,
        };
        let (stream, silence) = (Arc::clone(&endpoint.stream), endpoint.silence);
        let (min, max) = airship.backoff;
        let connector = Connector::new(endpoint, protocol::DIALECT, max);
        let retry = Retry::new(Backoff { min, max }, airship.on_expired, protocol::RETENTION);
        let start = airship.start;
        let ReaderContext { input, metrics, max_line, stop } = context;
        metrics.set_longest_pause(max);
        Self {
            stream,
            airship,
            silence,
            max_line,
            connector,
            connection: None,
            shard,
            place,
            abandoned: None,
            start,
            retry,
            input,
            metrics,
            stop,
        }
    }

    /// Runs until it is told to stop or the shard takes no more lines.
    pub(crate) async fn run(mut self) {
        loop {
            let end = self.connection().await;
            let (mut failure, was_open) = match end {
                End::Stopped => break,
                End::Failed { failure, was_open } => (failure, was_open),
            };
            self.take_back(&failure);
            let plan = self.retry.plan(&failure, self.age(), Instant::now(), rand::random());
            if let Some(advice) = plan.advice {
                failure.message = format!("{}; {advice}", failure.message);
            }
            self.metrics.count_reconnect(failure.class);
            self.metrics.failed(failure.class, chain(&failure), now_ms());
            if endings::is_away(failure.class, was_open) {
                self.metrics.went_away(now_ms());
            }
            endings::report(&self.id(), 0, &failure, plan.pause, plan.needs_operator);
            if plan.abandon_position {
                self.abandon_position();
            }
            let waiting = if plan.needs_operator {
                ConnectionState::NeedsOperator
            } else {
                ConnectionState::BackingOff
            };
            self.metrics.set_state(waiting);
            tokio::select! {
                () = self.stop.cancelled() => break,
                () = tokio::time::sleep(plan.pause) => {}
            }
        }
        self.metrics.set_state(ConnectionState::Idle);
        debug!(stream = %self.stream, shard = %self.id(), "session stopped");
    }

    /// One connection, from connect to its end.
    async fn connection(&mut self) -> End {
        self.metrics.set_state(ConnectionState::Connecting);
        let offset = self.place.as_ref().map(|place| place.offset.as_str());
        let begin = offset.map_or(Begin::At(self.start), Begin::After);
        let request = protocol::request(&self.airship, self.shard, begin);
        let (asked, attempt) = (Asked::default(), Attempt::begin());
        let opened = tokio::select! {
            () = self.stop.cancelled() => return End::Stopped,
            opened = self.connector.open(&request, &asked) => opened,
        };
        let failure = opened.as_ref().err();
        self.connection = attempt.end(&self.id(), 0, self.connector.url(), failure);
        match opened {
            Ok(opened) => {
                info!(
                    stream = %self.stream, shard = %self.id(),
                    resume = offset, "connected"
                );
                let open = self.metrics.opened();
                let opened_at = Instant::now();
                let end = self.read(opened).await;
                drop(open);
                if let End::Failed { failure, .. } = &end
                    && endings::was_open_for_long(failure.class, opened_at.elapsed(), self.airship.backoff.1)
                {
                    self.retry.received_data();
                }
                end
            }
            Err(failure) => End::Failed { failure, was_open: false },
        }
    }

    async fn read(&mut self, opened: Opened) -> End {
        let mut lines = Lines::new(opened.response, MARKS, self.silence, self.max_line, self.metrics.clone());
        let mut resumed = self.place.is_some();
        loop {
            let ended = tokio::select! {
                // What was received before a stop is taken; whether more would come is not waited for.
                biased;
                () = self.stop.cancelled() => return End::Stopped,
                ended = lines.read() => ended,
            };
            if lines.is_open() && self.began_anew().await.is_err() {
                return End::Stopped;
            }
            while let Some(block) = lines.next_block() {
                if self.hand_over(block, &mut resumed).await.is_err() {
                    return End::Stopped;
                }
            }
            if let Some(failure) = ended {
                return End::Failed { failure, was_open: lines.is_open() };
            }
        }
    }

    /// Queues a block, and moves the position to its end.
    async fn hand_over(&mut self, block: Block, resumed: &mut bool) -> Result<(), Closed> {
        let place = match &block {
            Block::Lines(bytes) => last_place(bytes),
            Block::Oversize { .. } | Block::Records(_) => None,
        };
        // Only events end the streak of failures. Otherwise a server that sends a position and then fails would be asked without a pause.
        if !self.retry.is_fresh() && has_events(&block) {
            self.retry.received_data();
        }
        self.input
            .send(Item::Block {
                block,
                resumed: std::mem::take(resumed),
                connection: self.connection.clone(),
            })
            .await?;
        if let Some(Place { offset, dated_ms }) = place {
            self.place = Some(Place { offset, dated_ms: dated_ms.or_else(|| Some(now_ms())) });
        }
        Ok(())
    }

    fn id(&self) -> ShardId {
        ShardId { stream: Arc::clone(&self.stream), index: self.shard }
    }

    /// How old the position is: how long ago the service processed what stands there.
    fn age(&self) -> Option<Duration> {
        let dated_ms = self.place.as_ref()?.dated_ms?;
        Some(Duration::from_millis(u64::try_from(now_ms() - dated_ms).unwrap_or(0)))
    }

    /// The next attempt begins as if there were no position. It is given up only when a stream opens without it.
    fn abandon_position(&mut self) {
        self.start = match self.airship.on_expired {
            OnExpired::Latest => Start::Latest,
            OnExpired::Earliest | OnExpired::Stop => Start::Earliest,
        };
        let follows = match self.start {
            Start::Earliest => {
                "beginning at the oldest event that it holds: what it holds no longer is missing, the rest comes again, and of \
                 that what is known by its id is dropped"
            }
            Start::Latest => "beginning at the end: the events in between are missing",
        };
        warn!(
            stream = %self.stream, shard = %self.id(), begin = ?self.start,
            offset = self.place.as_ref().map(|place| place.offset.as_str()), age_s = self.age().map(|age| age.as_secs()),
            "possible gap: the service no longer accepts the position; {follows}"
        );
        self.abandoned = self.place.take();
    }

    /// What is open is the stream: a position that it did without is given up for good. A page with status 200 is none.
    async fn began_anew(&mut self) -> Result<(), Closed> {
        if self.abandoned.take().is_none() {
            return Ok(());
        }
        self.metrics.positions_abandoned.inc();
        self.input.send(Item::Note(Note::PositionGivenUp)).await
    }

    /// What is refused without the position too was never refused for it.
    fn take_back(&mut self, failure: &Failure) {
        if failure.class != Class::Rejected {
            return;
        }
        if let Some(place) = self.abandoned.take() {
            warn!(
                stream = %self.stream, shard = %self.id(), offset = place.offset,
                "the service refuses the request without the position as well; the position is kept, nothing was given up"
            );
            self.place = Some(place);
            self.retry.acquit_position();
        }
    }
}

fn has_events(block: &Block) -> bool {
    match block {
        Block::Lines(bytes) => line::has_events(bytes),
        Block::Oversize { .. } | Block::Records(_) => true,
    }
}
