//! One connection of a pool: connect, read, hand over, wait, again, until its round closes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use opentelemetry::trace::SpanContext;
use tokio::sync::mpsc::UnboundedSender;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

use super::loss::{CLOSING_LIMIT, QUIET, answer_limit, loss, unopened};
use super::target::{Reached, Target};
use crate::clock::now_ms;
use crate::model::block::Block;
use crate::model::errors::chain;
use crate::model::numbers;
use crate::model::types::ShardId;
use crate::source::adobe::protocol::{self, MARKS, Reset};
use crate::source::connecting::Attempt;
use crate::source::endings::{self, Streak};
use crate::source::failure::{Class, Failure};
use crate::source::http::connect::{Asked, Connector, Endpoint, Opened};
use crate::source::lines::Lines;
use crate::source::metrics::{ConnectionState, Metrics};
use crate::source::queue::{Closed, Input, Item, Loss};
use crate::source::reader::ReaderContext;

/// A replay has caught up when no line came for so long, even if nothing as late as what was delivered came.
const CATCH_UP_IDLE: Duration = Duration::from_secs(10);

/// A stream whose position the service keeps is one shard, whatever its connections.
const SHARD: u32 = 0;

/// Conflicts in a row after which a person is asked: about two minutes.
const LASTING_CONFLICT: u32 = 3;

/// What the connections of a stream share.
pub(super) struct Shared {
    pub(super) endpoint: Endpoint,
    pub(super) adobe: protocol::Config,
    pub(super) connector: Connector,
    pub(super) input: Input,
    max_line: usize,
    pub(super) metrics: Metrics,
    /// Whether the service was asked to enable the stream since it was last open.
    enabling: AtomicBool,
}

/// What a connection tells its pool.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Event {
    /// It ended in a way that may have lost what was on its way.
    Lost(Loss),
    /// What the other connections wait for has happened.
    Reached,
}

/// One connection.
pub(super) struct Connection {
    shared: Arc<Shared>,
    number: u32,
    reset: Option<Reset>,
    target: Option<Target>,
    events: UnboundedSender<Event>,
    closing: CancellationToken,
    streak: Streak,
    /// When it last tried again at once after a refused token. Doing so more than once in a usual pause would hammer the service.
    last_free: Option<Instant>,
    last_event: Instant,
    resumed: bool,
    /// The span of the attempt that opened the stream, where that is traced.
    span: Option<SpanContext>,
}

/// Why a stream is over.
enum End {
    /// It failed or was ended; `loss` tells how something may be lost, `proven` whether a line of a stream had come, and
    /// `was_open` whether it counted as a stream, for all that is known.
    Failed { failure: Failure, loss: Option<Loss>, proven: bool, was_open: bool },
    /// Its round closes; `torn` tells whether something may be lost.
    Closed { torn: bool },
}

impl Shared {
    pub(super) fn new(endpoint: Endpoint, adobe: protocol::Config, context: ReaderContext) -> Self {
        let connector = Connector::new(endpoint.clone(), protocol::DIALECT, adobe.reconnect_pause);
        let ReaderContext { input, metrics, max_line, .. } = context;
        Self { endpoint, adobe, connector, input, max_line, metrics, enabling: AtomicBool::new(false) }
    }
}

impl Connection {
    pub(super) fn new(
        shared: Arc<Shared>,
        number: u32,
        reset: Option<Reset>,
        target: Option<Target>,
        events: UnboundedSender<Event>,
        closing: CancellationToken,
    ) -> Self {
        Self {
            shared,
            number,
            reset,
            target,
            events,
            closing,
            streak: Streak::default(),
            last_free: None,
            last_event: Instant::now(),
            // One connection is enough to look for a gap.
            resumed: number == 0,
            span: None,
        }
    }

    /// Runs until its round closes; tells whether something may be lost with that.
    pub(super) async fn run(mut self) -> bool {
        loop {
            let (failure, loss, was_open) = match self.stream().await {
                End::Closed { torn } => return torn,
                End::Failed { failure, loss, was_open, .. } => (failure, loss, was_open),
            };
            if let Some(loss) = loss {
                self.tell(Event::Lost(loss));
            }
            self.shared.metrics.count_reconnect(failure.class);
            self.shared.metrics.failed(failure.class, chain(&failure), now_ms());
            // A quiet stream may not even be answered before its first event.
            if failure.class != Class::Silence && endings::is_away(failure.class, was_open) {
                self.shared.metrics.went_away(now_ms());
            }
            let pause = self.pause(&failure);
            let rest = async {
                if failure.class == Class::NotEnabled {
                    self.enable().await;
                }
                tokio::time::sleep(pause).await;
            };
            tokio::select! {
                () = self.closing.cancelled() => return false,
                () = rest => {}
            }
        }
    }

    /// One stream, from connect to its end.
    async fn stream(&mut self) -> End {
        if self.closing.is_cancelled() {
            return End::Closed { torn: false };
        }
        let shared = Arc::clone(&self.shared);
        shared.metrics.set_state(ConnectionState::Connecting);
        let request = protocol::request(&shared.adobe, self.reset);
        let (asked, attempt) = (Asked::default(), Attempt::begin());
        let mut opening = std::pin::pin!(shared.connector.open(&request, &asked));
        let opened = tokio::select! {
            opened = &mut opening => opened,
            // The service may send from the moment it answers, so an answer that is on its way is waited for.
            () = self.closing.cancelled() => {
                let Some(at) = asked.at() else { return End::Closed { torn: false } };
                let (limit, torn) = answer_limit(at.elapsed(), shared.endpoint.connect_timeout);
                match tokio::time::timeout(limit, opening).await {
                    Ok(opened) => opened,
                    // A redirect was followed meanwhile: its request is a new one, so something may be lost.
                    Err(_) => return End::Closed { torn: torn || asked.at() != Some(at) },
                }
            }
        };
        let (url, failure) = (&shared.endpoint.url, opened.as_ref().err());
        self.span = attempt.end(&self.shard(), self.number, url, failure);
        let opened = match opened {
            Ok(opened) => opened,
            Err(failure) => {
                let loss = unopened(&failure);
                return End::Failed { failure, loss, proven: false, was_open: false };
            }
        };
        info!(stream = %shared.endpoint.stream, connection = self.number, reset = self.reset.map(Reset::name), "connected");
        let reset = self.reset.take();
        let opened_at = Instant::now();
        self.last_event = opened_at;
        shared.enabling.store(false, Ordering::Relaxed);
        let open = shared.metrics.opened();
        let end = self.read(opened).await;
        drop(open);
        if let End::Failed { failure, proven, .. } = &end {
            if endings::was_open_for_long(failure.class, opened_at.elapsed(), shared.adobe.reconnect_pause) {
                self.streak.end();
            }
            let refused = matches!(failure.class, Class::Unauthorized | Class::BadBody);
            if refused && !proven && self.target.is_some() {
                // The response was no stream after all, so the reset is still to be made.
                self.reset = reset;
            }
        }
        end
    }

    async fn read(&mut self, opened: Opened) -> End {
        let Opened { response, authorization } = opened;
        let mut lines = Lines::new(
            response,
            MARKS,
            self.shared.endpoint.silence,
            self.shared.max_line,
            self.shared.metrics.clone(),
        );
        let closing = self.closing.clone();
        let mut closing_since = None;
        loop {
            let ended = match closing_since {
                None => tokio::select! {
                    // Bytes that have arrived are read before the clock is asked: a full queue may have kept us waiting.
                    biased;
                    () = closing.cancelled() => {
                        closing_since = Some(Instant::now());
                        continue;
                    }
                    ended = lines.read() => ended,
                    // While the response may still be a page, its silence does not mean that the replay is over.
                    () = self.idle(), if lines.is_open() => {
                        self.reached();
                        continue;
                    }
                },
                Some(since) => {
                    let limit = since + CLOSING_LIMIT;
                    // A quiet stream sends blank lines for ever, so they do not prolong the wait.
                    let quiet = since.max(self.last_event) + QUIET;
                    let end = if lines.has_rest() { limit } else { quiet.min(limit) };
                    match tokio::time::timeout_at(end, lines.read()).await {
                        Ok(ended) => ended,
                        Err(_) if end < limit => return End::Closed { torn: false },
                        Err(_) => None,
                    }
                    .or_else(|| {
                        (Instant::now() >= limit)
                            .then(|| Failure::new(Class::Ended, "closed while events were still arriving"))
                    })
                }
            };
            while let Some(block) = lines.next_block() {
                if self.hand_over(block).await.is_err() {
                    return End::Closed { torn: true };
                }
            }
            if self.target == Some(Target::Opened) && lines.is_open() {
                self.reached();
            }
            if let Some(failure) = ended {
                if failure.class == Class::Unauthorized {
                    self.shared.connector.refused(&authorization);
                }
                let loss = loss(failure.class, lines.has_rest(), lines.is_compressed());
                return match closing_since {
                    Some(since) => {
                        let late = since.elapsed() >= CLOSING_LIMIT;
                        // We are closing the connection, and wait until nothing comes any more: silence is no loss here.
                        End::Closed { torn: late || loss.is_some_and(|loss| loss != Loss::Silence) }
                    }
                    None => {
                        let (proven, was_open) = (lines.is_proven(), lines.is_open());
                        End::Failed { failure, loss, proven, was_open }
                    }
                };
            }
        }
    }

    async fn hand_over(&mut self, block: Block) -> Result<(), Closed> {
        // Blank lines are no events: a server that sends one and then fails would be hammered.
        let is_blank = matches!(&block, Block::Lines(bytes) if bytes.trim_ascii().is_empty());
        if !is_blank {
            self.streak.end();
            self.last_event = Instant::now();
        }
        let received_ms = match (&self.target, &block) {
            (Some(Target::CaughtUp(_)), Block::Lines(bytes)) => protocol::last_received_ms(bytes),
            _ => None,
        };
        let resumed = std::mem::take(&mut self.resumed);
        self.shared.input.send(Item::Block { block, resumed, connection: self.span.clone() }).await?;
        if let Some(Target::CaughtUp(replay)) = &mut self.target
            && !is_blank
        {
            match replay.took(received_ms, Instant::now()) {
                Reached::Behind => {}
                Reached::There => self.reached(),
                Reached::Undated => {
                    warn!(
                        stream = %self.shared.endpoint.stream, connection = self.number,
                        "the hits of the replay tell no time in {} that could be compared with what was delivered: the \
                         replay counts as over, and repeats are known by their ids alone", numbers::RECEIVED
                    );
                    self.reached();
                }
            }
        }
        Ok(())
    }

    /// Returns when a replay has brought nothing for `CATCH_UP_IDLE`; never returns if no replay is under way.
    async fn idle(&self) {
        match self.target {
            Some(Target::CaughtUp(_)) => tokio::time::sleep_until(self.last_event + CATCH_UP_IDLE).await,
            _ => std::future::pending().await,
        }
    }

    fn reached(&mut self) {
        if self.target.take().is_some() {
            self.tell(Event::Reached);
        }
    }

    fn tell(&self, event: Event) {
        if self.events.send(event).is_err() {
            debug!(stream = %self.shared.endpoint.stream, ?event, "nobody listens: all connections are being closed");
        }
    }

    /// How long to wait, said in the log.
    fn pause(&mut self, failure: &Failure) -> Duration {
        let mut failures = self.streak.count(failure.class);
        if protocol::is_mended_by_a_token(failure.class, failures) {
            let usual = self.shared.adobe.reconnect_pause;
            if self.last_free.is_some_and(|at| at.elapsed() < usual) {
                // A refusal of another kind or a few events in between begin a new streak, but must not allow a retry at once.
                failures += 1;
            } else {
                self.last_free = Some(Instant::now());
            }
        }
        let pause =
            protocol::pause(failure.class, failures, self.shared.adobe.reconnect_pause, rand::random());
        let pause = endings::heed(pause, failure);
        let mended = protocol::is_mended_by_a_token(failure.class, failures);
        let lasting = match failure.class {
            Class::TooManyConnections => failures >= LASTING_CONFLICT,
            Class::BadBody => failures >= endings::LASTING_PAGE,
            _ => false,
        };
        let needs_operator = lasting || (failure.class.needs_operator() && !mended);
        self.shared.metrics.set_state(if needs_operator {
            ConnectionState::NeedsOperator
        } else {
            ConnectionState::BackingOff
        });
        endings::report(&self.shard(), self.number, failure, pause, needs_operator);
        pause
    }

    fn shard(&self) -> ShardId {
        ShardId { stream: Arc::clone(&self.shared.endpoint.stream), index: SHARD }
    }

    /// Asks once for the stream to be enabled, whichever connection comes first; after a failure the next one does.
    async fn enable(&self) {
        if self.shared.enabling.swap(true, Ordering::Relaxed) {
            return;
        }
        let stream = &self.shared.endpoint.stream;
        let Some(url) = protocol::enable_url(&self.shared.endpoint.url) else {
            error!(%stream, "the stream must be enabled, but its address has no /stream/ to tell where; check url");
            return;
        };
        // Unset again if the request fails or is cancelled, so that another connection asks.
        let mut unanswered = UnsetOnDrop(Some(&self.shared.enabling));
        let request = protocol::request(&self.shared.adobe, None);
        match self.shared.connector.ask(url, &request).await {
            Ok(()) => {
                info!(%stream, "asked for the stream to be enabled");
                unanswered.0 = None;
            }
            Err(failure) => error!(%stream, reason = chain(&failure), "the stream cannot be enabled yet"),
        }
    }
}

/// Unsets a flag, whatever ends what it stands for, unless that was done.
struct UnsetOnDrop<'a>(Option<&'a AtomicBool>);

impl Drop for UnsetOnDrop<'_> {
    fn drop(&mut self) {
        if let Some(flag) = self.0 {
            flag.store(false, Ordering::Relaxed);
        }
    }
}
