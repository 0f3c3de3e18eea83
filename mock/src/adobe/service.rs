//! A request of the Adobe half to its response.
//!
//! Invariant: checks of a request for a stream come in one order (fault, redirect, method, compression, version, name,
//! token, parameters, enabled, slots, haste), and one that fails gets the answer of the first. Every request is noted,
//! without its credential.

mod oauth;

use std::sync::Arc;

use http::{HeaderMap, HeaderValue, Method, Request, Response, Version, header, request};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use serde_json::json;
use tokio::time::Instant;

use super::group::{Refused, Wanted};
use super::session::Opening;
use super::stats::Seen;
use super::{Adobe, Stream};
use crate::engine::fault::{ErrorBody, Fault, Fired};
use crate::engine::gzip::GzipWriter;
use crate::engine::reply::{Body, bytes, redirect, text};
use crate::engine::wire::WireEnd;

/// Bytes of a request body that are read.
const MAX_BODY: usize = 1 << 20;

/// The connection that a request came over.
#[derive(Debug)]
pub(crate) struct Origin {
    /// Its number.
    pub(crate) connection: u64,
    /// Whether it is to the second port.
    pub(crate) second: bool,
    pub(crate) wire: WireEnd,
}

/// A refusal.
struct No {
    status: u16,
    /// With `error_description`, if JSON.
    message: String,
    json: bool,
}

/// Whether requests for `path` are for this half.
pub(crate) fn is_for(path: &str) -> bool {
    ["/api/1/", "/api/2/", "/ims/", "/oauth2/"].iter().any(|prefix| path.starts_with(prefix))
        || path == "/token"
}

/// Answers a request, or never does, if a fault says so.
pub(crate) async fn handle(adobe: Arc<Adobe>, origin: Origin, request: Request<Incoming>) -> Response<Body> {
    let (head, body) = request.into_parts();
    let body = Limited::new(body, MAX_BODY).collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let query = pairs(head.uri.query().unwrap_or_default().as_bytes());
    let is_token = !head.uri.path().starts_with("/api/");
    let mut seen = see(&head, &origin, &query);
    let board = if is_token { &adobe.token_board } else { &adobe.board };
    let fault = board.claim_connect();
    if let Some(fault) = &fault {
        let connection = origin.connection;
        let fired = Fired { fault: fault.name().to_owned(), connection, position: 0, events: 0 };
        adobe.counters.update(|stats| stats.adobe.fault_fired(fired));
    }
    let response = match fault {
        Some(fault @ (Fault::Hang {} | Fault::Drop {})) => {
            adobe.counters.update(|stats| stats.adobe.saw(seen, is_token));
            if fault == (Fault::Drop {}) {
                origin.wire.close();
            }
            return std::future::pending().await;
        }
        Some(Fault::Status { code, body, message, retry_after }) => {
            let message = message.unwrap_or_else(|| usual(code).to_owned());
            let mut response = error(code, &message, body);
            if let Some(seconds) = retry_after {
                response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
            }
            response
        }
        Some(Fault::Redirect { code, location, cookies }) => redirect(code, location.as_deref(), &cookies),
        _ if is_token => adobe.token(&head.method, head.uri.path(), &head.headers, &query, &body),
        _ => adobe.stream_or_other(&head, &query, origin, &mut seen),
    };
    seen.status = response.status().as_u16();
    adobe.counters.update(|stats| {
        stats.adobe.redirects += u64::from(response.status().is_redirection());
        stats.adobe.saw(seen, is_token);
    });
    response
}

impl Adobe {
    fn stream_or_other(
        self: &Arc<Self>,
        head: &request::Parts,
        query: &[(String, String)],
        origin: Origin,
        seen: &mut Seen,
    ) -> Response<Body> {
        let path = head.uri.path();
        let mut parts = path.trim_start_matches("/api/").splitn(3, '/').skip(1);
        let answer = match (parts.next(), parts.next()) {
            (Some("stream"), Some(name)) => {
                if let Some(location) = self.location(head, &origin) {
                    return redirect(self.config.redirect_code, Some(&location), &[]);
                }
                self.open(head, query, name, origin).map(|opening| {
                    seen.stream = Some(opening.number);
                    let mut response = Response::new(opening.into_body(Arc::clone(self)));
                    let headers = response.headers_mut();
                    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
                    headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
                    response
                })
            }
            (Some("enable"), Some(name)) => self.enable(head, name),
            _ => Err(No::new(404)),
        };
        answer.unwrap_or_else(|no| self.refuse(&head.headers, &no))
    }

    /// Where a request is sent to instead of being answered.
    fn location(&self, head: &request::Parts, origin: &Origin) -> Option<String> {
        if origin.second {
            return None;
        }
        let base = super::lock(&self.redirect_to).clone()?;
        let path = head.uri.path();
        let query = head.uri.query().filter(|_| self.config.redirect_with_query);
        let query = query.map(|query| format!("?{query}")).unwrap_or_default();
        Some(format!("{}{path}{query}", base.trim_end_matches('/')))
    }

    /// Decides whether there will be a stream, and joins its group.
    fn open(
        &self,
        head: &request::Parts,
        query: &[(String, String)],
        name: &str,
        origin: Origin,
    ) -> Result<Opening, No> {
        let (stream, grant) = self.admit(head, name)?;
        let wanted = Wanted::parse(query).map_err(|message| No { status: 400, message, json: true })?;
        let now = Instant::now();
        let since = stream.switches().enabled;
        let is_enabled =
            since.is_some_and(|since| now.saturating_duration_since(since) >= self.config.enable_delay);
        if self.config.needs_enable && !is_enabled {
            return Err(No::new(424));
        }
        let number = self.next_number();
        let joined = stream.group().join(number, wanted, &self.feed.window(now), now);
        let effects = joined.map_err(No::from)?;
        self.counters.update(|stats| stats.adobe.happened(effects));
        // The others may have less to send now.
        self.feed.changed();
        Ok(Opening {
            stream: Arc::clone(stream),
            number,
            connection: origin.connection,
            wire: origin.wire,
            grant,
        })
    }

    /// The checks that a request for a stream and one to enable it have in common.
    fn admit(&self, head: &request::Parts, name: &str) -> Result<(&Arc<Stream>, super::token::Grant), No> {
        if head.method != Method::GET {
            return Err(No::new(405));
        }
        let encoding = value(&head.headers, "accept-encoding").unwrap_or_default();
        if !encoding.to_ascii_lowercase().contains("gzip") {
            return Err(No::new(406));
        }
        if head.version != Version::HTTP_11 {
            return Err(No::new(505));
        }
        let stream = self.stream(name).filter(|stream| !stream.switches().disabled).ok_or(No::new(404))?;
        let authorization = value(&head.headers, "authorization");
        let has_key = !self.config.needs_api_key || head.headers.contains_key("x-api-key");
        let grant = self.tokens.check(authorization.as_deref(), Instant::now()).filter(|_| has_key);
        Ok((stream, grant.ok_or(No::new(401))?))
    }

    fn enable(&self, head: &request::Parts, name: &str) -> Result<Response<Body>, No> {
        let (stream, _) = self.admit(head, name)?;
        stream.switches().enabled.get_or_insert_with(Instant::now);
        self.counters.update(|stats| stats.adobe.enabled += 1);
        let message = json!({ "message": "the new payload will be ready in 15 minutes" });
        Ok(text(200, "application/json", message.to_string()))
    }

    fn refuse(&self, headers: &HeaderMap, no: &No) -> Response<Body> {
        let form = if no.json { ErrorBody::Json } else { ErrorBody::Text };
        let accepts = value(headers, "accept-encoding").is_some_and(|value| value.contains("gzip"));
        if !(self.config.gzip_errors && accepts) {
            return error(no.status, &no.message, form);
        }
        let (content_type, plain) = error_body(no.status, &no.message, form);
        let (mut gzip, mut out) = (GzipWriter::new(), Vec::new());
        // Writing to memory does not fail; if it did, the client would get a body that is none.
        drop(gzip.write(plain.as_bytes(), &mut out).and_then(|()| gzip.finish(&mut out)));
        let mut response = bytes(no.status, content_type, out);
        response.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        response
    }
}

impl No {
    fn new(status: u16) -> Self {
        Self { status, message: usual(status).to_owned(), json: status == 409 }
    }
}

impl From<Refused> for No {
    fn from(refused: Refused) -> Self {
        let message = match refused {
            Refused::TooMany => "the maximum number of connections to this stream is open already",
            Refused::OtherMaximum => "maxConnections differs from that of the connections that are open",
            Refused::TooSoon => return Self::new(503),
        };
        Self { status: 409, message: message.to_owned(), json: true }
    }
}

/// What errors say.
fn usual(status: u16) -> &'static str {
    match status {
        401 => "not authorized",
        406 => "gzip must be accepted",
        409 => "conflict",
        424 => "the stream is not enabled for the newest API",
        503 => "the stream is being moved",
        _ => http::StatusCode::from_u16(status)
            .ok()
            .and_then(|code| code.canonical_reason())
            .unwrap_or("error"),
    }
}

fn error(status: u16, message: &str, form: ErrorBody) -> Response<Body> {
    let (content_type, body) = error_body(status, message, form);
    text(status, content_type, body)
}

fn error_body(status: u16, message: &str, form: ErrorBody) -> (&'static str, String) {
    match form {
        ErrorBody::Json => (
            "application/json",
            json!({ "error": status.to_string(), "error_description": message }).to_string(),
        ),
        ErrorBody::Text => ("text/plain; charset=utf-8", message.to_owned()),
        ErrorBody::Html => (
            "text/html",
            format!(
                "<html>\r\n<head><title>{status}</title></head>\r\n<body>\r\n<h1>{message}</h1>\r\n</body>\r\n</html>\r\n"
            ),
        ),
    }
}

fn see(head: &request::Parts, origin: &Origin, query: &[(String, String)]) -> Seen {
    let headers = &head.headers;
    let hidden = |key: &str| key.contains("secret") || key.contains("token");
    let shown = query
        .iter()
        .map(|(key, value)| (key.clone(), if hidden(key) { String::new() } else { value.clone() }));
    Seen {
        connection: origin.connection,
        second: origin.second,
        stream: None,
        method: head.method.to_string(),
        version: format!("{:?}", head.version),
        path: head.uri.path().to_owned(),
        query: shown.collect(),
        status: 0,
        scheme: value(headers, "authorization")
            .map(|value| value.split(' ').next().unwrap_or_default().to_ascii_lowercase()),
        has_api_key: headers.contains_key("x-api-key"),
        accept_encoding: value(headers, "accept-encoding"),
        user_agent: value(headers, "user-agent"),
        host: value(headers, "host"),
    }
}

fn pairs(encoded: &[u8]) -> Vec<(String, String)> {
    url::form_urlencoded::parse(encoded).into_owned().collect()
}

fn value(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
}
