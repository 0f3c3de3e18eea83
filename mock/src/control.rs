//! The control plane: `/_mock/…`, for tests in other processes and for people with curl.
//!
//! Invariant: does nothing that the `Handle` cannot do. Not counted as requests of the service.

use std::sync::Arc;

use http::{Method, Request, Response};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use serde_json::json;

use crate::engine::control::Answer;
use crate::engine::reply::{Body, text};
use crate::shared::Shared;
use crate::{adobe, airship};

/// What the paths of the control plane start with.
pub(crate) const PREFIX: &str = "/_mock/";

/// Bytes of a request body that are read.
const MAX_BODY: usize = 1 << 20;

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

fn answer(shared: &Shared, method: &Method, path: &str, body: &[u8]) -> Answer {
    if let Some(path) = path.strip_prefix("adobe/") {
        return adobe::control::answer(&shared.adobe, method, path, body);
    }
    match (method.as_str(), path) {
        ("GET", "stats") => Ok(Some(serde_json::to_value(shared.counters.snapshot())?)),
        ("POST", "reset") => {
            shared.airship.disarm();
            adobe::Handle::new(Arc::clone(&shared.adobe)).reset();
            shared.counters.reset();
            Ok(Some(json!({})))
        }
        _ => airship::control::answer(&shared.airship, method, path, body),
    }
}
