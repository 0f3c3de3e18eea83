//! The receiver of streams that are pushed to us: HTTP requests become records of their stream's intake topic.
//!
//! It decides nothing about an event. It looks at the credential, cuts the body into events whose bytes stay as they are, has
//! each written to the partition that its id chooses, and answers 200 once every one of them is acknowledged. From there a
//! shard reads them like any other source.
//!
//! Invariants:
//! - Nothing is answered with 200 that Kafka has not acknowledged, all of it.
//! - What is held in memory is bounded: connections, requests in flight, and the bytes of their bodies.
//! - Once a body is complete it is stored, whether or not somebody waits for the answer.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::event::extract;
use crate::sink::kafka::intake::Intake;

mod access;
pub(crate) mod answer;
pub(crate) mod body;
mod connections;
pub(crate) mod cut;
mod metrics;
mod receive;
mod serve;
mod tls;

pub use access::Access;
pub use metrics::{Health, Metrics};
pub(crate) use serve::{Receiver, ReceiverError};

/// What the receiver is, for all of its streams.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where it listens.
    pub listen: SocketAddr,
    /// The certificate that it shows; `None` for plain HTTP.
    pub tls: Option<Tls>,
    /// The largest body, as it is sent and as it is once inflated, bytes.
    pub max_body: usize,
    /// Requests that are looked at at once; one more is told to come later.
    pub max_requests: usize,
    /// Bytes of bodies that are held at once.
    pub max_buffered: usize,
    /// Connections that are open at once; a newer one takes the place of one that waits for a request.
    pub max_connections: usize,
    /// Limit for a body to arrive.
    pub request_timeout: Duration,
    /// Limit for the head of a request to arrive, and so for the next request on a connection.
    pub idle_timeout: Duration,
    /// The streams.
    pub streams: Vec<Stream>,
}

/// A certificate and its key, which are read again when they change.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Tls {
    /// The chain, PEM.
    pub cert: PathBuf,
    /// The key, PEM.
    pub key: PathBuf,
}

/// A stream that is pushed to us.
#[derive(Clone, Debug)]
pub struct Stream {
    /// Its name.
    pub name: Arc<str>,
    /// The path of its address, unlike that of any other stream.
    pub path: String,
    /// Who may push; `None` for everyone.
    pub access: Option<Access>,
    /// Where what was received goes.
    pub intake: Intake,
    /// Where the id of an event is.
    pub extract: extract::Config,
    /// The longest event, bytes.
    pub max_event: usize,
}
