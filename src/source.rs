//! Where lines come from: one session a shard keeps a connection to the service and yields blocks of whole lines.

use std::sync::Arc;
use std::time::Duration;

use url::Url;

pub mod airship;
pub mod auth;
pub mod backoff;
pub mod body;
pub mod connect;
pub mod failure;
pub mod frame;
pub mod metrics;
pub mod queue;
pub mod redirect;
pub mod retry;
pub mod session;

/// What a source needs to know to reach its service.
#[derive(Clone, Debug)]
pub struct Config {
    /// The stream's name, for logs and errors.
    pub stream: Arc<str>,
    /// The configured address; each new connect begins here.
    pub url: Url,
    /// The credential.
    pub auth: auth::Credential,
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
}
