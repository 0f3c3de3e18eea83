//! The Adobe Livestream protocol as pure functions: request, response classes, pauses, what a line tells.
//! Facts: `Livestream` pages of the Analytics 2.0 and 1.4 documentation; what is not documented is said so.

use std::borrow::Cow;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use serde::Deserialize;
use url::Url;

use crate::model::block::lines;
use crate::model::member;
use crate::model::numbers::{self, RECEIVED};
use crate::model::types::OnUnclean;
use crate::source::failure::{Class, Pace};
use crate::source::http::connect::Request;
use crate::source::http::dialect::Dialect;
use crate::source::vet::Marks;

/// How long the service keeps its position while nobody is connected: "a few minutes", without a number. A stop that
/// took longer is reported.
pub(crate) const RETENTION: Duration = Duration::from_secs(5 * 60);

/// How the service speaks HTTP. Adobe's samples show a `Location` both with parameters and without.
pub(crate) const DIALECT: Dialect = Dialect {
    max_hops: 5,
    keeps_query: true,
    classify: |status, _| classify(status),
    words,
    // No decision depends on it.
    is_own_refusal: |_| false,
    explain,
};

/// A stream that was just enabled is ready after 15 minutes, so as many usual pauses of a minute.
const ENABLE_PAUSES: u32 = 15;

/// The usual pause in units of the shortest: 60 s to 5 s.
const QUICK_SHARE: u32 = 12;

/// Every hit has an id of two halves. How streams are labelled is not documented.
pub(crate) const MARKS: Marks = Marks {
    is_line: |names| names.have(&["hitIdHigh"]),
    media_type: None,
    way_past: "give up what is held by `run --reset largest`",
    refusal_line,
};

/// The text that stands in the body of a stream, with status 200, whose token is no longer good.
const NOT_AUTHORIZED: &[u8] = b"not authorized";

/// What is asked of Adobe.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Config {
    /// `x-api-key`: the client id of the credential.
    pub api_key: Option<String>,
    /// Connections that share the stream, 1 to 8.
    pub max_connections: u32,
    /// `smoothing`, with the seconds of `smoothingBucketSize`, or with the service's own default.
    pub smoothing: Option<Option<u32>>,
    /// The usual pause before a reconnect. Others follow from it: a twelfth to a sixth after a clean end (5 to 10 s for
    /// the default of 60 s), fifteen times it after the stream was enabled.
    pub reconnect_pause: Duration,
    /// What to do when events that were sent may be lost to us.
    pub on_unclean: OnUnclean,
    /// A replay happens at most once in this time.
    pub replay_interval: Duration,
    /// One deliberate `reset`, with the first connect of this process.
    pub reset: Option<Reset>,
}

/// Moves the service's position, once, while no connection is open.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reset {
    /// To the oldest hit held.
    Smallest,
    /// To the newest.
    Largest,
}

impl Reset {
    /// The older spelling, which both versions' documentation describes.
    pub fn name(self) -> &'static str {
        match self {
            Self::Smallest => "smallest",
            Self::Largest => "largest",
        }
    }
}

/// The request for one connection. `reset` is for a deliberate start or a replay, never for an automatic reconnect.
pub(crate) fn request(config: &Config, reset: Option<Reset>) -> Request {
    let mut headers = HeaderMap::new();
    // Anything but gzip is answered with 406; Adobe's own samples send just this.
    headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
    if let Some(Ok(key)) = config.api_key.as_deref().map(HeaderValue::from_str) {
        headers.insert("x-api-key", key);
    }
    let mut query = vec![("maxConnections", config.max_connections.to_string())];
    if let Some(bucket) = config.smoothing {
        query.push(("smoothing", "1".to_owned()));
        query.extend(bucket.map(|seconds| ("smoothingBucketSize", seconds.to_string())));
    }
    query.extend(reset.map(|reset| ("reset", reset.name().to_owned())));
    Request { method: Method::GET, headers, query, body: Bytes::new(), resumed: false }
}

/// Where a stream is enabled for the second version of the interface: `/api/2/stream/x` becomes `/api/2/enable/x`.
pub(crate) fn enable_url(stream: &Url) -> Option<Url> {
    let path = stream.path();
    let at = path.find("/stream/")?;
    let mut url = stream.clone();
    url.set_path(&format!("/api/2/enable/{}", &path[at + "/stream/".len()..]));
    url.set_query(None);
    Some(url)
}

/// What a response other than 200 means: the documentation's list of errors, and for the rest what HTTP says.
pub(crate) fn classify(status: StatusCode) -> Class {
    match status.as_u16() {
        401 => Class::Unauthorized,
        403 => Class::Forbidden,
        409 => Class::TooManyConnections,
        424 => Class::NotEnabled,
        429 => Class::RateLimited,
        // 505 says that the request was not HTTP/1.1, which no waiting mends.
        408 | 500..=504 | 506.. => Class::ServerError,
        _ => Class::Rejected,
    }
}

/// What a refusal means and what the operator can do.
pub(crate) fn explain(class: Class, status: StatusCode, text: &str) -> String {
    let advice = match class {
        Class::Unauthorized | Class::Forbidden => {
            "the credential was refused; check that the token is good and that its technical account has the \
             Livestream product profile and is the one that the stream was provided for"
        }
        Class::TooManyConnections => {
            "too many connections are open for this stream, or they were opened with another max_connections; \
             those that broke off are counted for about a minute; is another consumer running?"
        }
        Class::NotEnabled => {
            "the stream is not enabled for this version of the interface; it is asked for once, and is ready after \
             15 minutes"
        }
        Class::RateLimited => "the service limits the rate of requests",
        Class::ServerError if status == StatusCode::SERVICE_UNAVAILABLE => {
            "the stream is being moved, has no hits yet, or was connected to too often; if this lasts, `run --reset \
             largest` (skips what was missed) or `--reset smallest` clears its position"
        }
        Class::ServerError => "the service failed; if this lasts, ask Adobe's customer care",
        _ if status == StatusCode::NOT_FOUND => {
            "there is no such stream: check the address; a stream that nobody read for 90 days is disabled"
        }
        _ if status == StatusCode::BAD_REQUEST => {
            "a parameter was refused: check url, max_connections and smoothing"
        }
        _ => "the request was refused; check url",
    };
    let quote = if text.is_empty() { String::new() } else { format!(" ({text})") };
    format!("{} {advice}{quote}", status.as_u16())
}

/// The service's own words in an error body: `error_description` of a JSON object (409), or the text as it is.
pub(crate) fn words(text: &str) -> Cow<'_, str> {
    #[derive(Deserialize)]
    struct Described {
        error_description: String,
    }
    serde_json::from_str(text)
        .map_or(Cow::Borrowed(text), |Described { error_description }| error_description.into())
}

/// How long to wait after `failures` endings of one class in a row: about the usual pause, jittered, since quick
/// reconnects are answered with 409 and 503 (support article on Livestream connections). `random` is uniform in 0..1.
pub(crate) fn pause(class: Class, failures: u32, usual: Duration, random: f64) -> Duration {
    match class {
        // A fresh token may mend it at once; a second refusal in a row is for an operator.
        _ if is_mended_by_a_token(class, failures) => Duration::ZERO,
        Class::Ended if failures == 1 => (usual / QUICK_SHARE).mul_f64(1.0 + random),
        Class::NotEnabled => usual * ENABLE_PAUSES,
        _ if class.pace() == Pace::Permanent => (usual * 2).mul_f64(1.0 + random),
        _ => usual.mul_f64(0.8 + 0.4 * random),
    }
}

/// Whether a refusal may be the old token's fault alone: the first one in a row.
pub(crate) fn is_mended_by_a_token(class: Class, failures: u32) -> bool {
    matches!(class, Class::Unauthorized | Class::Forbidden) && failures == 1
}

/// When the last hit of a block that tells it was received by Adobe, milliseconds since the Unix epoch: by the same rule as
/// that of the event path, whose times a replay is compared with.
pub(crate) fn last_received_ms(block: &[u8]) -> Option<i64> {
    let received = |line: &[u8]| member::of_line(line, RECEIVED)?.whole().and_then(numbers::time);
    lines(block).rev().find_map(received).map(jiff::Timestamp::as_millisecond)
}

/// Where in a block the text line stands that means a refused token.
pub(crate) fn refusal_line(block: &[u8]) -> Option<usize> {
    memchr::memmem::find_iter(block, NOT_AUTHORIZED).find(|at| {
        let begins = *at == 0 || block[at - 1] == b'\n';
        let rest = &block[at + NOT_AUTHORIZED.len()..];
        begins && (rest.is_empty() || rest.starts_with(b"\n") || rest.starts_with(b"\r"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> Config {
        Config {
            api_key: Some("id".into()),
            max_connections: 4,
            smoothing: None,
            reconnect_pause: Duration::from_secs(60),
            on_unclean: OnUnclean::Continue,
            replay_interval: Duration::from_secs(600),
            reset: None,
        }
    }

    #[test]
    fn a_request_asks_for_gzip_and_no_reset() {
        let plain = request(&config(), None);
        assert_eq!(plain.method, Method::GET);
        assert_eq!(plain.headers["accept-encoding"], "gzip");
        assert_eq!(plain.headers["x-api-key"], "id");
        assert_eq!(plain.query, [("maxConnections", "4".to_owned())]);
        let smoothed = request(&Config { smoothing: Some(Some(300)), ..config() }, Some(Reset::Smallest));
        let names: Vec<_> = smoothed.query.iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(names, ["maxConnections=4", "smoothing=1", "smoothingBucketSize=300", "reset=smallest"]);
    }

    #[test]
    fn every_documented_status_has_its_class() {
        let class = |status| classify(StatusCode::from_u16(status).unwrap());
        for status in [400, 404, 405, 406, 505] {
            assert_eq!(class(status), Class::Rejected, "{status}");
        }
        assert_eq!(class(401), Class::Unauthorized);
        assert_eq!(class(403), Class::Forbidden);
        assert_eq!(class(409), Class::TooManyConnections);
        assert_eq!(class(424), Class::NotEnabled);
        assert_eq!(class(429), Class::RateLimited);
        assert_eq!(class(500), Class::ServerError);
        assert_eq!(class(503), Class::ServerError);
    }

    #[test]
    fn a_conflict_is_told_in_the_services_words() {
        let said = words(r#"{"error":"conflict","error_description":"maxConnections\u0020differs"}"#);
        let message = explain(Class::TooManyConnections, StatusCode::CONFLICT, &said);
        assert!(
            message.starts_with("409 too many") && message.ends_with("(maxConnections differs)"),
            "{message}"
        );
        assert!(explain(Class::Rejected, StatusCode::NOT_FOUND, "").contains("90 days"));
    }

    #[test]
    fn pauses_are_about_a_minute_but_for_two() {
        let minute = Duration::from_secs(60);
        let seconds = |class, failures, random| pause(class, failures, minute, random).as_secs();
        assert_eq!([seconds(Class::Ended, 1, 0.0), seconds(Class::Ended, 1, 0.999)], [5, 9]);
        assert_eq!([seconds(Class::Ended, 2, 0.0), seconds(Class::Ended, 2, 0.999)], [48, 71]);
        assert_eq!([seconds(Class::Network, 1, 0.5), seconds(Class::TooManyConnections, 9, 0.5)], [60, 60]);
        assert_eq!([seconds(Class::Unauthorized, 1, 0.5), seconds(Class::Unauthorized, 2, 0.0)], [0, 120]);
        assert_eq!(seconds(Class::NotEnabled, 1, 0.5), 15 * 60);
    }

    #[test]
    fn lines_that_are_no_hits_are_known() {
        assert_eq!(refusal_line(b"{\"a\":\"not authorized\"}\n"), None);
        assert_eq!(refusal_line(b"{}\nnot authorized\r\n"), Some(3));
        assert_eq!(refusal_line(b"not authorized"), Some(0));
        assert_eq!(refusal_line(b"not authorized to\n"), None);
        let late = b"{\"receivedTimeGMT\":5}\n{\"receivedTimeGMT\":\"7\"}\n{}\n";
        assert_eq!(last_received_ms(late), Some(7_000), "quoted or not");
    }

    #[test]
    fn the_last_received_time_of_a_block() {
        let block = b"\n{}\n{\"receivedTimeGMT\":5}\n{\"receivedTimeGMT\":7,\"x\":{}}\ngarbage\n\n";
        assert_eq!(last_received_ms(block), Some(7000));
        assert_eq!(last_received_ms(b"{}\n"), None);
        for (written, ms) in [
            ("1372782179.0", Some(1_372_782_179_000)),
            ("1.372782179e9", Some(1_372_782_179_000)),
            ("\"1372782179.0\"", Some(1_372_782_179_000)),
            ("\"1372782179\"", Some(1_372_782_179_000)),
            ("0", None),
            ("-5", None),
            ("1372782179.5", None),
            ("\"soon\"", None),
            ("null", None),
            ("9223372036854775807", None),
            ("1,\"receivedTimeGMT\":2", Some(2_000)),
            ("3,\"x\":\"\\ud83d\"", Some(3_000)),
        ] {
            let block = format!("{{\"receivedTimeGMT\":{written}}}\n");
            assert_eq!(last_received_ms(block.as_bytes()), ms, "{written}");
        }
    }

    #[test]
    fn the_enable_address() {
        let enable = |text| enable_url(&Url::parse(text).unwrap()).map(|url| url.to_string());
        let expected = "https://livestream.adobe.net/api/2/enable/adobe-livestream-x";
        assert_eq!(
            enable("https://livestream.adobe.net/api/2/stream/adobe-livestream-x?beta=true").as_deref(),
            Some(expected)
        );
        assert_eq!(enable("https://livestream.adobe.net/other"), None);
    }
}
