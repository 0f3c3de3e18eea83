//! Where lines come from: each shard has a reader that keeps its connections to the service and yields blocks of whole
//! lines. A service that is told where to resume has a [`airship::session`], one that keeps the position itself a [`adobe::pool`].

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use ::http::StatusCode;
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::model::types::Position;
use adobe::OnUnclean;
use failure::{Class, Failure};

pub mod adobe;
pub mod airship;
pub mod backoff;
pub mod failure;
pub mod frame;
pub mod http;
pub mod lines;
pub mod metrics;
pub mod queue;
pub mod vet;

/// What a source needs to know to reach its service.
#[derive(Clone, Debug)]
pub struct Config {
    /// The stream's name, for logs and errors.
    pub stream: Arc<str>,
    /// The configured address; each new connect begins here.
    pub url: Url,
    /// The credential.
    pub auth: http::auth::Credential,
    /// Hosts, and whatever is below them, that may be sent the credential after a redirect.
    pub redirect_hosts: Vec<String>,
    /// Whether plain `http` targets may get the credential (always so for loopback addresses).
    pub allow_plain_http: bool,
    /// What the service is and what is asked of it.
    pub service: Service,
    /// Time without a byte after which the connection is given up.
    pub silence: Duration,
    /// Limit for TCP and TLS to be set up.
    pub connect_timeout: Duration,
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

/// What a reader is given, whatever the service.
#[derive(Debug)]
pub struct Reader {
    /// Where the blocks go.
    pub input: queue::Input,
    /// What it counts.
    pub metrics: metrics::Metrics,
    /// Ends it.
    pub stop: CancellationToken,
}

/// Where a shard was when it was opened.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Resume {
    /// Its position; `None` for the configured start.
    pub position: Option<Position>,
    /// Whether its last stop was not in order, so that what was on its way then may be lost.
    pub unclean: bool,
    /// When its checkpoint was committed, milliseconds since the Unix epoch; `None` for a first start.
    pub committed_ms: Option<i64>,
    /// When the service processed the last event before its position, or else when the position was committed; `None`
    /// without a position.
    pub dated_ms: Option<i64>,
}

/// What keeps the connections of a shard.
#[derive(Debug)]
pub enum Connections {
    /// One that says where to resume.
    Session(Box<airship::session::Session>),
    /// Several, whose common position the service keeps.
    Pool(Box<adobe::pool::Pool>),
}

impl Connections {
    /// Prepares what reads one shard.
    pub fn new(config: Arc<Config>, shard: u32, resume: Resume, reader: Reader) -> Result<Self, Failure> {
        Ok(match config.service.clone() {
            Service::Airship(airship) => {
                let place = match resume.position {
                    Some(Position::Offset { offset }) => {
                        Some(airship::Place { offset, dated_ms: resume.dated_ms })
                    }
                    _ => None,
                };
                let session = airship::session::Session::new(config, airship, shard, place, reader)?;
                Self::Session(Box::new(session))
            }
            Service::Adobe(adobe) => {
                Self::Pool(Box::new(adobe::pool::Pool::new(config, adobe, resume, reader)?))
            }
        })
    }

    /// Runs until told to stop or until the shard takes no more lines.
    pub async fn run(self) {
        match self {
            Self::Session(session) => session.run().await,
            Self::Pool(pool) => pool.run().await,
        }
    }
}

impl Service {
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

    /// Redirects followed within one connect.
    fn max_hops(&self) -> usize {
        match self {
            Self::Airship(_) => airship::MAX_HOPS,
            Self::Adobe(_) => adobe::MAX_HOPS,
        }
    }

    /// Whether the parameters go along to a `Location` that has none of its own. Adobe's samples show both.
    fn keeps_query(&self) -> bool {
        matches!(self, Self::Adobe(_))
    }

    /// The pause after which something that was refused is asked for again.
    fn longest_pause(&self) -> Duration {
        match self {
            Self::Airship(airship) => airship.backoff.1,
            Self::Adobe(adobe) => adobe.reconnect_pause,
        }
    }

    /// What a response other than 200 means. `resumed` tells whether a position was sent.
    fn classify(&self, status: StatusCode, resumed: bool) -> Class {
        match self {
            Self::Airship(_) => airship::classify(status, resumed),
            Self::Adobe(_) => adobe::classify(status),
        }
    }

    /// The service's own words in the body of a refusal.
    fn words<'t>(&self, text: &'t str) -> Cow<'t, str> {
        match self {
            Self::Airship(_) => text.into(),
            Self::Adobe(_) => adobe::words(text),
        }
    }

    /// Whether a refusal is in the service's own form, and not a proxy's.
    fn is_own_refusal(&self, body: &[u8]) -> bool {
        match self {
            Self::Airship(_) => airship::is_own_refusal(body),
            // Nothing is given up for what it says.
            Self::Adobe(_) => false,
        }
    }

    /// How its stream is known.
    fn marks(&self) -> vet::Marks {
        match self {
            Self::Airship(_) => airship::MARKS,
            Self::Adobe(_) => adobe::MARKS,
        }
    }

    /// Where in a text a line stands that is a refusal in place of events.
    fn refusal_line(&self, text: &[u8]) -> Option<usize> {
        match self {
            Self::Airship(_) => None,
            Self::Adobe(_) => adobe::refusal_line(text),
        }
    }

    /// What a refusal means and what the operator can do. `text` is fit to be shown.
    fn explain(&self, class: Class, status: StatusCode, text: &str) -> String {
        match self {
            Self::Airship(_) => airship::explain(class, status, text),
            Self::Adobe(_) => adobe::explain(class, status, text),
        }
    }
}
