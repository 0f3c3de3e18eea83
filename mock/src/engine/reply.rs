//! Responses that are not streams.
//!
//! Invariant: a body is whole and in memory. Knows nothing about why.

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full, combinators::UnsyncBoxBody};

/// The body of any response of the mock.
pub(crate) type Body = UnsyncBoxBody<Bytes, std::io::Error>;

/// A redirect.
pub(crate) fn redirect(code: u16, location: Option<&str>, cookies: &[String]) -> Response<Body> {
    let mut response = text(code, "text/plain", String::new());
    // What is no header value is left out: the control plane may ask for anything.
    if let Some(location) = location.and_then(|location| HeaderValue::from_str(location).ok()) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    for cookie in cookies.iter().filter_map(|cookie| HeaderValue::from_str(cookie).ok()) {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    response
}

/// A whole body of `content_type`.
pub(crate) fn text(status: u16, content_type: &'static str, body: String) -> Response<Body> {
    bytes(status, content_type, body)
}

/// The same, of bytes.
pub(crate) fn bytes(status: u16, content_type: &'static str, body: impl Into<Bytes>) -> Response<Body> {
    let mut response = Response::new(Full::new(body.into()).map_err(|never| match never {}).boxed_unsync());
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}
