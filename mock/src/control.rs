//! The control plane: `/_mock/…`, for tests in other processes and for people with curl.
//!
//! Invariant: does nothing that the `Handle` cannot do. Not counted as requests of the service.

use std::sync::Arc;

use http::{Method, Request, Response};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::adobe::{self, control as adobe_control};
use crate::engine::fault::{Armed, Fault};
use crate::engine::reply::{Body, text};
use crate::server::Shared;

/// What the paths of the control plane start with.
pub(crate) const PREFIX: &str = "/_mock/";

/// Bytes of a request body that are read.
const MAX_BODY: usize = 1 << 20;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Release {
    up_to: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Retention {
    oldest: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Credentials {
    token: String,
    /// Whether to end the streams that were opened with the old one.
    #[serde(default)]
    end_streams: bool,
}

pub(crate) async fn handle(shared: &Shared, request: Request<Incoming>) -> Response<Body> {
    let method = request.method().clone();
    let path = request.uri().path().to_owned();
    let body =
        Limited::new(request, MAX_BODY).collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    match answer(shared, &method, path.trim_start_matches(PREFIX), &body) {
        Ok(Some(value)) => text(200, "application/json", format!("{value:#}\n")),
        Ok(None) => {
            text(404, "application/json", format!("{}\n", json!({ "error": "no such path or method" })))
        }
        Err(error) => text(400, "application/json", format!("{}\n", json!({ "error": error.to_string() }))),
    }
}

fn answer(
    shared: &Shared,
    method: &Method,
    path: &str,
    body: &[u8],
) -> Result<Option<Value>, serde_json::Error> {
    if let Some(path) = path.strip_prefix("adobe/") {
        let handle = adobe::Handle::new(Arc::clone(&shared.adobe));
        return adobe_control::answer(&handle, method, path, body);
    }
    let airship = &shared.airship;
    Ok(Some(match (method.as_str(), path) {
        ("GET", "stats") => serde_json::to_value(shared.counters.snapshot())?,
        ("GET", "config") => json!({ "log": airship.log().options(), "readable": airship.window() }),
        ("GET", "faults") => serde_json::to_value(airship.armed())?,
        ("POST", "faults") => {
            let value: Value = serde_json::from_slice(body)?;
            let armed = parse_armed(value)?;
            let count = armed.len();
            armed.into_iter().for_each(|armed| airship.arm(armed));
            json!({ "armed": count })
        }
        ("DELETE", "faults") => {
            airship.disarm();
            json!({})
        }
        ("POST", "release") => {
            airship.release(parse::<Release>(body)?.up_to);
            json!({ "readable": airship.window() })
        }
        ("POST", "retention") => {
            airship.expire(parse::<Retention>(body)?.oldest);
            json!({ "readable": airship.window() })
        }
        ("POST", "credentials") => {
            let Credentials { token, end_streams } = parse(body)?;
            airship.rotate_token(token);
            if end_streams {
                airship.end_streams(Fault::Eof {});
            }
            json!({})
        }
        ("POST", "disconnect") => {
            let fault = if body.is_empty() { Fault::Eof {} } else { parse_fault(body)? };
            airship.end_streams(fault);
            json!({})
        }
        ("POST", "expire-cookies") => {
            airship.expire_cookies();
            json!({})
        }
        ("POST", "reset") => {
            airship.disarm();
            adobe::Handle::new(Arc::clone(&shared.adobe)).reset();
            shared.counters.reset();
            json!({})
        }
        _ => return Ok(None),
    }))
}

/// One fault or several.
pub(crate) fn parse_armed(value: Value) -> Result<Vec<Armed>, serde_json::Error> {
    let faults = match value {
        Value::Array(faults) => faults,
        fault => vec![fault],
    };
    // All or none: a mistake in the second must not leave the first armed.
    faults.into_iter().map(Armed::from_json).collect()
}

pub(crate) fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, serde_json::Error> {
    serde_json::from_slice(body)
}

pub(crate) fn parse_fault(body: &[u8]) -> Result<Fault, serde_json::Error> {
    Armed::from_json(serde_json::from_slice(body)?).map(|armed| armed.fault)
}
