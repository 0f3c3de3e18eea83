//! The table `[webhook]`: what receives the streams that are pushed to us.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::checks::{bytes, range, required, size};
use super::errors::{Errors, Path};
use super::raw::Raw;
use super::stream::Stream;
use super::stream::webhook::check_paths;
use super::units::{Size, Span};
use crate::event::extract::{self, Filters};
use crate::plan::{self, Input};
use crate::webhook;

/// Bodies above this would not be those of a webhook.
const LARGEST_BODY: u64 = 256 << 20;
/// Bodies at hand above this would not fit into the machines that this runs on.
const LARGEST_BUFFER: u64 = 4 << 30;
/// Far above what one process answers.
const MOST: usize = 100_000;
/// In less time nobody could send anything.
const SHORTEST_TIME: Duration = Duration::from_millis(100);
/// Whoever is cut off later than that is not cut off.
const LONGEST_TIME: Duration = Duration::from_secs(3_600);

/// What receives the streams of kind `airship_webhook`. It runs on every instance.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Webhook {
    /// Address and port that events are received on, such as `0.0.0.0:8443`. Required where there is such a stream.
    pub(super) listen: Option<String>,
    /// The certificate for HTTPS, read again when its files change; without it plain HTTP is spoken, for behind an ingress.
    pub(super) tls: Option<Tls>,
    /// The largest body, as it is sent and as it is once inflated; a larger one is answered with 413.
    pub(super) max_body: Size,
    /// Requests in flight; one more is answered with 429.
    #[schemars(range(min = 1, max = 100_000))]
    pub(super) max_requests: usize,
    /// Bytes of bodies in flight, inflated ones counted too; beyond it requests are answered with 503.
    pub(super) max_buffered: Size,
    /// Connections that are open at once; a newer one takes the place of one that waits for a request.
    #[schemars(range(min = 1, max = 100_000))]
    pub(super) max_connections: usize,
    /// Limit for a body to arrive.
    pub(super) request_timeout: Span,
    /// Limit for the head of a request to arrive, and for the next request on a connection.
    pub(super) idle_timeout: Span,
}

/// A certificate and its key.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, expecting = "{ cert = \"PATH\", key = \"PATH\" }")]
#[schemars(extend("required" = ["cert", "key"]))]
pub(super) struct Tls {
    /// The file with the certificate and those that lead to its authority, PEM.
    pub(super) cert: Option<PathBuf>,
    /// The file with its private key, PEM.
    pub(super) key: Option<PathBuf>,
}

impl Default for Webhook {
    fn default() -> Self {
        Self {
            listen: None,
            tls: None,
            max_body: Size::mebibytes(16),
            max_requests: 256,
            max_buffered: Size::mebibytes(64),
            max_connections: 512,
            request_timeout: Span::seconds(30),
            idle_timeout: Span::seconds(60),
        }
    }
}

/// The receiver of these streams; `Some(None)` where there are none to receive.
pub(super) fn validate(
    raw: &Raw,
    numbers: &[usize],
    streams: &[Option<plan::Stream>],
    errors: &mut Errors,
) -> Option<Option<webhook::Config>> {
    let path = Path::top("webhook");
    let own = &raw.webhook;
    size(own.max_body, LARGEST_BODY, &path.key("max_body"), errors);
    size(own.max_buffered, LARGEST_BUFFER, &path.key("max_buffered"), errors);
    let message = "must be twice max_body or more, for a body as it is sent and as it is once inflated";
    errors.add_if(own.max_buffered.0 < own.max_body.0.saturating_mul(2), &path.key("max_buffered"), message);
    range(own.max_requests, MOST, &path.key("max_requests"), errors);
    range(own.max_connections, MOST, &path.key("max_connections"), errors);
    for (key, time) in [("request_timeout", own.request_timeout), ("idle_timeout", own.idle_timeout)] {
        let fits = (SHORTEST_TIME..=LONGEST_TIME).contains(&time.0);
        errors.add_if(!fits, &path.key(key), "must be from 100ms to 1h");
    }
    let tls = own.tls.as_ref().map(|tls| {
        let at = path.key("tls");
        let cert = required(tls.cert.clone(), &at.key("cert"), errors);
        let key = required(tls.key.clone(), &at.key("key"), errors);
        Some(webhook::Tls { cert: cert?, key: key? })
    });
    let pushed: Vec<_> = raw.stream.iter().zip(numbers).filter_map(pushed).collect();
    if pushed.is_empty() {
        return Some(None);
    }
    check_paths(pushed, errors);
    let listen = listen(own.listen.as_deref(), &path.key("listen"), errors)?;
    Some(Some(webhook::Config {
        listen,
        tls: match tls {
            Some(tls) => Some(tls?),
            None => None,
        },
        max_body: bytes(own.max_body),
        max_requests: own.max_requests,
        max_buffered: bytes(own.max_buffered),
        max_connections: own.max_connections,
        request_timeout: own.request_timeout.0,
        idle_timeout: own.idle_timeout.0,
        streams: streams.iter().flatten().filter_map(received).collect(),
    }))
}

fn listen(given: Option<&str>, path: &Path, errors: &mut Errors) -> Option<SocketAddr> {
    let message = "missing: streams of kind `airship_webhook` are received there, such as \"0.0.0.0:8443\"";
    errors.add_if(given.is_none(), path, message);
    let listen = given?.parse().ok();
    let message = "expected an address and a port, such as \"0.0.0.0:8443\" or \"[::]:8443\"";
    errors.add_if(listen.is_none(), path, message);
    listen
}

/// The path of a stream that is pushed to us, and where the stream stands.
fn pushed<'r>((stream, number): (&'r Stream, &usize)) -> Option<(Option<&'r str>, Path)> {
    match stream {
        Stream::AirshipWebhook(keys) => Some((keys.own.path.as_deref(), Path::top("stream").index(*number))),
        _ => None,
    }
}

/// The stream as it is received.
fn received(stream: &plan::Stream) -> Option<webhook::Stream> {
    let Input::Intake { intake, path, access, max_line, .. } = &stream.input else { return None };
    Some(webhook::Stream {
        name: stream.name.clone(),
        path: path.clone(),
        access: access.clone(),
        intake: intake.clone(),
        // Only the id: all else is the shards' matter, and where an event belongs must not hang on what may change.
        extract: extract::Config {
            key: extract::Key::Fields(Vec::new()),
            topic_fields: Vec::new(),
            time: None,
            header_fields: Vec::new(),
            filters: Filters::default(),
            ..stream.extract.clone()
        },
        max_event: *max_line,
    })
}
