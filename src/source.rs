//! Where lines come from: each shard has a reader that keeps its connections to the service and yields blocks of whole
//! lines. Each service has a room of its own; [`reader()`] is the only place that knows all of them.

use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use crate::model::types::{OnUnclean, Position};
use adobe::pool::Pool;
use airship::session::Session;
use http::connect::{Endpoint, Request};
use http::dialect::Dialect;
use reader::{ReaderContext, Resume};
use vet::Marks;

pub(crate) mod adobe;
pub(crate) mod airship;
pub(crate) mod backoff;
pub(crate) mod connecting;
pub(crate) mod endings;
pub(crate) mod failure;
pub mod frame;
pub mod http;
pub(crate) mod lines;
pub(crate) mod looking;
pub(crate) mod metrics;
pub(crate) mod pace;
pub(crate) mod queue;
pub(crate) mod reader;
pub(crate) mod vet;

/// What a source needs to know to reach its service.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where the service is.
    pub endpoint: Endpoint,
    /// What the service is and what is asked of it.
    pub service: Service,
    /// Longest line accepted, bytes; what exceeds it becomes a dead letter.
    pub max_line: usize,
    /// Bytes of lines that may wait for the shard's thread.
    pub queue_bytes: usize,
}

/// The services whose protocols are known.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Service {
    /// Airship Real-Time Data Streaming.
    Airship(airship::Config),
    /// Adobe Analytics Livestream.
    Adobe(adobe::Config),
}

/// Prepares what reads one shard; the future is the reader at work, until it is told to stop or the shard takes no more lines.
pub fn reader(config: Config, shard: u32, resume: Resume, context: ReaderContext) -> BoxFuture<'static, ()> {
    let Config { endpoint, service, .. } = config;
    match service {
        Service::Airship(airship) => Session::new(endpoint, airship, shard, resume, context).run().boxed(),
        Service::Adobe(adobe) => Pool::new(endpoint, adobe, resume, context).run().boxed(),
    }
}

impl Service {
    /// How it speaks HTTP, how its stream is known, and how long a token endpoint is left alone that refused.
    fn speech(&self) -> (Dialect, Marks, Duration) {
        match self {
            Self::Airship(airship) => (airship::protocol::DIALECT, airship::line::MARKS, airship.backoff.1),
            Self::Adobe(adobe) => (adobe::protocol::DIALECT, adobe::protocol::MARKS, adobe.reconnect_pause),
        }
    }

    /// What opens a shard's stream after `position`, or at its configured start, and moves nothing at the service. `None` where what
    /// the service sends counts as taken.
    pub(crate) fn harmless_request(&self, shard: u32, position: Option<&Position>) -> Option<Request> {
        match self {
            Self::Airship(airship) => {
                let begin = match position {
                    Some(Position::Offset { offset, .. }) => airship::protocol::Begin::After(offset),
                    _ => airship::protocol::Begin::At(airship.start),
                };
                Some(airship::protocol::request(airship, shard, begin))
            }
            Self::Adobe(_) => None,
        }
    }

    /// How long the service keeps events, or its position.
    pub fn retention(&self) -> Duration {
        match self {
            Self::Airship(_) => airship::RETENTION,
            Self::Adobe(_) => adobe::RETENTION,
        }
    }

    /// Where the service keeps the position: what to do when events may be lost that it sent.
    pub fn on_unclean(&self) -> Option<OnUnclean> {
        match self {
            Self::Airship(_) => None,
            Self::Adobe(adobe) => Some(adobe.on_unclean),
        }
    }

    /// Connections that are open at once, of all shards.
    pub(crate) fn connections(&self) -> u32 {
        match self {
            Self::Airship(airship) => airship.shards,
            Self::Adobe(adobe) => adobe.max_connections,
        }
    }

    /// Whether a stream without a position begins with the oldest event that the service holds.
    pub fn begins_at_oldest(&self) -> bool {
        matches!(self, Self::Airship(airship::Config { start: airship::Start::Earliest, .. }))
    }

    /// Whether the service's position is moved on purpose with this start.
    pub fn resets(&self) -> bool {
        matches!(self, Self::Adobe(adobe::Config { reset: Some(_), .. }))
    }

    /// From now on the service's position is moved on purpose no more.
    pub fn forget_reset(&mut self) {
        if let Self::Adobe(adobe) = self {
            adobe.reset = None;
        }
    }
}
