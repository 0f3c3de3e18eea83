//! Why an attempt or a connection ended, in classes that decide what happens next.

use std::time::Duration;

/// The class of an ending. Its name is a metric label.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Class {
    /// The server closed in order: routine.
    Ended,
    /// The connection broke, or could not be made.
    Network,
    /// No byte for too long, on an open stream or in answer to a request.
    Silence,
    /// What arrived is no stream: a page, damaged gzip, an unknown coding.
    BadBody,
    /// 5xx, 408.
    ServerError,
    /// 402, 409: too many connections are open; slots of broken connections are freed by themselves.
    TooManyConnections,
    /// 429.
    RateLimited,
    /// 401.
    Unauthorized,
    /// 403.
    Forbidden,
    /// 404: no data yet for this app.
    NoData,
    /// 424: the stream must be enabled first, which takes a while.
    NotEnabled,
    /// The service refused the position, most likely as too old.
    PositionRejected,
    /// 400, 405, 406 and the like: the request will not get better by itself.
    Rejected,
    /// A redirect that must not be followed.
    Redirect,
    /// The credential could not be read.
    Credential,
}

/// How eagerly a class is retried.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Pace {
    /// Full jitter up to the longest pause.
    Quick,
    /// Full jitter up to twice the longest pause (Airship: 60 s for 402 and 429).
    Slow,
    /// Always between one and two times the longest pause: waiting does not mend it, a person does.
    Permanent,
}

/// One ending.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Failure {
    /// What it means.
    pub class: Class,
    /// What happened, what was expected and what to do. Never holds a secret.
    pub message: String,
    /// The server's own wish.
    pub retry_after: Option<Duration>,
    /// Whether the service itself said so, in its own form: anything in between may answer too.
    pub by_service: bool,
    /// Whether the request was sent and its connection broke before an answer, so that the service may have begun to send.
    pub unanswered: bool,
    /// Whether the service answered with what may have been a stream, of which nothing was taken.
    pub untaken: bool,
    /// The cause.
    #[source]
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Class {
    /// All classes, for metrics that must exist from the start.
    pub const ALL: [Self; 15] = [
        Self::Ended,
        Self::Network,
        Self::Silence,
        Self::BadBody,
        Self::ServerError,
        Self::TooManyConnections,
        Self::RateLimited,
        Self::Unauthorized,
        Self::Forbidden,
        Self::NoData,
        Self::NotEnabled,
        Self::PositionRejected,
        Self::Rejected,
        Self::Redirect,
        Self::Credential,
    ];

    /// The stable name used in metrics and logs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ended => "ended",
            Self::Network => "network",
            Self::Silence => "silence",
            Self::BadBody => "bad_body",
            Self::ServerError => "server_error",
            Self::TooManyConnections => "too_many_connections",
            Self::RateLimited => "rate_limited",
            Self::Unauthorized => "unauthorized",
            Self::Forbidden => "forbidden",
            Self::NoData => "no_data",
            Self::NotEnabled => "not_enabled",
            Self::PositionRejected => "position_rejected",
            Self::Rejected => "rejected",
            Self::Redirect => "redirect",
            Self::Credential => "credential",
        }
    }

    /// How eagerly it is retried.
    pub fn pace(self) -> Pace {
        match self {
            Self::Ended | Self::Network | Self::Silence | Self::BadBody | Self::ServerError => Pace::Quick,
            // A rejected position is tried again a few times before it is given up, see `airship/retry`.
            Self::PositionRejected => Pace::Quick,
            Self::TooManyConnections | Self::RateLimited => Pace::Slow,
            Self::Unauthorized
            | Self::Forbidden
            | Self::NoData
            | Self::NotEnabled
            | Self::Rejected
            | Self::Redirect
            | Self::Credential => Pace::Permanent,
        }
    }

    /// Whether a person has to act before this can end.
    pub fn needs_operator(self) -> bool {
        self.pace() == Pace::Permanent && self != Self::NoData
    }
}

impl Failure {
    /// A failure without a cause.
    pub(crate) fn new(class: Class, message: impl Into<String>) -> Self {
        Self {
            class,
            message: message.into(),
            retry_after: None,
            by_service: false,
            unanswered: false,
            untaken: false,
            source: None,
        }
    }

    /// A failure with its cause.
    pub(crate) fn caused(
        class: Class,
        message: impl Into<String>,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self { source: Some(source.into()), ..Self::new(class, message) }
    }
}
