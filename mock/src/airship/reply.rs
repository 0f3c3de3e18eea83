//! Refusals in the forms of Airship.
//!
//! Invariant: an error says nothing about the credential. Knows the shapes of bodies and nothing about why.

use http::{HeaderValue, Response, StatusCode, header};

use super::fault::ErrorBody;
use crate::engine::reply::{Body, text};

/// A request that is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The status code.
    pub status: u16,
    /// What a client is told.
    pub message: String,
}

impl Refusal {
    pub(super) fn new(status: u16, message: impl Into<String>) -> Self {
        Self { status, message: message.into() }
    }

    /// The usual refusal with `status`.
    pub(super) fn usual(status: u16) -> Self {
        let message = match status {
            401 => "Unauthorized",
            402 => "Too many simultaneous connections for this connection point",
            403 => "Requested event types to which client is not entitled COMPLIANCE,TAG_CHANGE",
            404 => "No data has been received for this application yet",
            406 => "Unsupported Accept version",
            429 => "Rate limit exceeded",
            _ => {
                StatusCode::from_u16(status).ok().and_then(|code| code.canonical_reason()).unwrap_or("Error")
            }
        };
        Self::new(status, message)
    }
}

/// An error response in the given form.
pub(super) fn error(refusal: &Refusal, form: ErrorBody, retry_after: Option<u64>) -> Response<Body> {
    let Refusal { status, message } = refusal;
    let (content_type, body) = match form {
        ErrorBody::Json => (
            "application/vnd.urbanairship+json; version=3;",
            serde_json::json!({
                "ok": false,
                "error": message,
                "error_code": u64::from(*status) * 100,
                "details": { "error": message },
            })
            .to_string(),
        ),
        ErrorBody::Text => ("text/plain; charset=utf-8", message.clone()),
        ErrorBody::Html => (
            "text/html",
            format!(
                "<html>\r\n<head><title>{status} {message}</title></head>\r\n<body>\r\n<center><h1>{status} \
                 {message}</h1></center>\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"
            ),
        ),
    };
    let mut response = text(*status, content_type, body);
    if let Some(seconds) = retry_after {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}
