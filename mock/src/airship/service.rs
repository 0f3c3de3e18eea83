//! A request of the Airship half to its response.
//!
//! Invariant: checks come in one order (fault, credential, pin, body, offset, limit), and a request that
//! fails one gets the answer of that one. Every request is noted, without its credential.

use std::sync::Arc;

use http::{HeaderMap, HeaderValue, Method, Request, Response, header};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use tokio::time::Instant;

use super::config::{Encoding, OnBadOffset};
use super::fault::{ErrorBody, Fault};
use super::offset::OffsetNumber;
use super::reply::{self, Refusal};
use super::request::{Endpoint, Start, Subscription};
use super::session::Opening;
use super::{Airship, pin};
use crate::engine::fault::Fired;
use crate::engine::reply::{Body, redirect};
use crate::engine::wire::WireEnd;
use crate::stats::Seen;

/// Bytes of a request body that are read.
const MAX_BODY: usize = 1 << 20;
/// Bytes of it that are kept for inspection.
const KEPT_BODY: usize = 64 << 10;
/// What the official examples show, although the specification says `x-ndjson`.
const CONTENT_TYPE: HeaderValue = HeaderValue::from_static("application/vnd.urbanairship+json; version=3;");

/// Why there is no stream.
enum No {
    Refusal(Refusal),
    Pin(pin::Redirect),
}

/// Answers a request, or never does, if a fault says so.
pub(crate) async fn handle(
    airship: Arc<Airship>,
    connection: u64,
    wire: WireEnd,
    request: Request<Incoming>,
) -> Response<Body> {
    let (head, body) = request.into_parts();
    let body = Limited::new(body, MAX_BODY).collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let mut seen = Seen {
        connection,
        method: head.method.to_string(),
        path: head.uri.path().to_owned(),
        status: 0,
        scheme: text(&head.headers, "authorization")
            .map(|value| value.split(' ').next().unwrap_or_default().to_ascii_lowercase()),
        app_key: text(&head.headers, "x-ua-appkey"),
        accept: text(&head.headers, "accept"),
        accept_encoding: text(&head.headers, "accept-encoding"),
        content_type: text(&head.headers, "content-type"),
        cookie: text(&head.headers, "cookie"),
        body: String::from_utf8_lossy(&body[..body.len().min(KEPT_BODY)]).into_owned(),
    };
    let fault = airship.board.claim_connect();
    if let Some(fault) = &fault {
        let fired = Fired { fault: fault.name().to_owned(), connection, position: 0, events: 0 };
        airship.counters.update(|stats| stats.fault_fired(fired));
    }
    let response = match fault {
        Some(fault @ (Fault::Hang {} | Fault::Drop {})) => {
            airship.counters.update(|stats| stats.saw(seen));
            if fault == (Fault::Drop {}) {
                wire.close();
            }
            return std::future::pending().await;
        }
        Some(Fault::Status { code, body, message, retry_after }) => {
            let refusal = message.map_or_else(|| Refusal::usual(code), |message| Refusal::new(code, message));
            reply::error(&refusal, body, retry_after)
        }
        Some(Fault::Redirect { code, location, cookies }) => redirect(code, location.as_deref(), &cookies),
        _ => match airship.open(&head.method, &head.uri, &head.headers, &body) {
            Ok(opening) => airship.stream(opening, connection, wire),
            Err(No::Refusal(refusal)) => reply::error(&refusal, ErrorBody::Json, None),
            Err(No::Pin(pinned)) => {
                let location = pinned.has_location.then(|| {
                    let host = text(&head.headers, "host").unwrap_or_default();
                    format!("http://{host}{}", head.uri.path())
                });
                redirect(307, location.as_deref(), &pinned.cookies)
            }
        },
    };
    seen.status = response.status().as_u16();
    airship.counters.update(|stats| stats.saw(seen));
    response
}

impl Airship {
    /// Decides whether there will be a stream, and takes a slot for it.
    fn open(
        &self,
        method: &Method,
        uri: &http::Uri,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Result<Opening, No> {
        let endpoint = match uri.path().trim_end_matches('/') {
            "/api/events" => Endpoint::Events,
            "/api/events/general" => Endpoint::Compliance,
            _ => return Err(Refusal::new(404, "Not found").into()),
        };
        if method != Method::POST {
            return Err(Refusal::usual(405).into());
        }
        let authorization = text(headers, "authorization");
        let app_key = text(headers, "x-ua-appkey");
        if !self.config.no_auth {
            self.credentials.check(endpoint, authorization.as_deref(), app_key.as_deref())?;
        }
        let cookies: Vec<&str> =
            headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok()).collect();
        if let Some(redirect) = self.pins.check(&cookies) {
            return Err(No::Pin(redirect));
        }
        let subscription = Subscription::parse(endpoint, body)?;
        let position = self.start_position(&subscription)?;
        let slot = self.slots.take().ok_or_else(|| Refusal::usual(402))?;
        let compress = match self.config.encoding {
            Encoding::Gzip => true,
            Encoding::Identity => false,
            Encoding::Auto => text(headers, "accept-encoding").is_some_and(|value| value.contains("gzip")),
        };
        Ok(Opening { subscription, position, compress, slot })
    }

    /// Where a subscription begins.
    fn start_position(&self, subscription: &Subscription) -> Result<u64, Refusal> {
        let now = Instant::now();
        let (oldest, latest) = (self.feed.oldest(now), self.feed.available(now));
        // An offset counts for more than a start.
        let Some(text) = &subscription.resume_offset else {
            let is_earliest = subscription.start == Some(Start::Earliest);
            return Ok(if is_earliest { oldest } else { latest });
        };
        let otherwise = |policy: OnBadOffset, what: &str| match policy {
            OnBadOffset::Reject => Err(Refusal::new(400, format!("resume_offset is {what}"))),
            OnBadOffset::Earliest => Ok(oldest),
            OnBadOffset::Latest => Ok(latest),
        };
        let Some(number) = OffsetNumber::parse(text, self.log.options().offsets) else {
            return otherwise(self.config.malformed, "malformed");
        };
        match number.resume() {
            Some(position) if position > latest => Ok(latest),
            Some(position) if position >= oldest => Ok(position),
            _ => otherwise(self.config.expired, "older than the retention"),
        }
    }

    fn stream(self: &Arc<Self>, opening: Opening, connection: u64, wire: WireEnd) -> Response<Body> {
        let compress = opening.compress;
        let mut response = Response::new(opening.into_body(Arc::clone(self), connection, wire));
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, CONTENT_TYPE);
        if compress {
            headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        response
    }
}

impl From<Refusal> for No {
    fn from(refusal: Refusal) -> Self {
        Self::Refusal(refusal)
    }
}

fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
}
