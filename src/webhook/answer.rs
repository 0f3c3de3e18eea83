//! What a sender is told.

use axum::body::Body;
use axum::http::{HeaderValue, Response, StatusCode, header};

/// An answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Answer {
    /// Everything is stored.
    Stored,
    /// The body cannot be read.
    NotRead(&'static str),
    /// The credential is missing or wrong, which of the two is not told.
    NotAdmitted,
    /// No stream has this path.
    NoStream,
    /// Events are pushed by POST.
    NotPosted,
    /// The body did not arrive in time.
    TooSlow,
    /// The body is too large.
    TooLarge,
    /// It has too many events.
    TooManyEvents(&'static str),
    /// The body is encoded in a way that is not known.
    UnknownEncoding,
    /// Too many requests are in flight.
    TooMany,
    /// It cannot be stored now.
    Away,
}

impl Answer {
    /// The statuses of all of them, as they are counted.
    pub(super) const ALL: [u16; 10] = [200, 400, 401, 404, 405, 408, 413, 415, 429, 503];

    /// The status.
    pub(super) fn status(self) -> StatusCode {
        match self {
            Self::Stored => StatusCode::OK,
            Self::NotRead(_) => StatusCode::BAD_REQUEST,
            Self::NotAdmitted => StatusCode::UNAUTHORIZED,
            Self::NoStream => StatusCode::NOT_FOUND,
            Self::NotPosted => StatusCode::METHOD_NOT_ALLOWED,
            Self::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::TooLarge | Self::TooManyEvents(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnknownEncoding => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::TooMany => StatusCode::TOO_MANY_REQUESTS,
            Self::Away => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    fn text(self) -> &'static str {
        match self {
            Self::Stored => "stored\n",
            Self::NotRead(why) | Self::TooManyEvents(why) => why,
            Self::NotAdmitted => "not admitted\n",
            Self::NoStream => "no stream has this path\n",
            Self::NotPosted => "events are pushed by POST\n",
            Self::TooSlow => "the body did not arrive in time\n",
            Self::TooLarge => "the body is too large\n",
            Self::UnknownEncoding => "the body may be encoded with gzip, or not at all\n",
            Self::TooMany => "too many requests are in flight; try again\n",
            Self::Away => "it cannot be stored now; try again\n",
        }
    }

    /// The header that belongs to it.
    fn header(self) -> Option<(header::HeaderName, &'static str)> {
        Some(match self {
            Self::NotAdmitted => (header::WWW_AUTHENTICATE, "Basic realm=\"tributary\""),
            Self::NotPosted => (header::ALLOW, "POST"),
            Self::TooMany => (header::RETRY_AFTER, "1"),
            Self::Away => (header::RETRY_AFTER, "5"),
            _ => return None,
        })
    }

    /// Whether the connection is of no use any more, since its body was not read to the end.
    fn closes(self) -> bool {
        !matches!(self, Self::Stored | Self::NotRead(_) | Self::TooManyEvents(_))
    }

    /// The response.
    pub(super) fn response(self) -> Response<Body> {
        let mut response = Response::new(Body::from(self.text()));
        *response.status_mut() = self.status();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain"));
        if let Some((name, value)) = self.header() {
            headers.insert(name, HeaderValue::from_static(value));
        }
        if self.closes() {
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}
