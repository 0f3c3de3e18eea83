//! The Airship RTDS protocol as pure functions: request body, response classes, the position in a line.
//! Facts: the service's API reference, "Event stream" and "Compliance event stream".

use std::borrow::Cow;
use std::time::Duration;

use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

use super::filter::Filter;
use crate::source::failure::Class;
use crate::source::http::connect::Request;
use crate::source::http::dialect::Dialect;

/// How long the service keeps events: 7 days or 100 GB, whichever comes first (support article on resuming).
pub(crate) const RETENTION: Duration = Duration::from_secs(7 * 24 * 3600);

/// The type of lines that only move the position: what the service sends while there are no events.
pub(crate) const OFFSET_UPDATE: &str = "OFFSET_UPDATE";

/// The media type of format version 3; clients in use send it with this trailing semicolon.
const ACCEPT: HeaderValue = HeaderValue::from_static("application/vnd.urbanairship+x-ndjson; version=3;");

/// What is asked of Airship.
#[derive(Clone, PartialEq, Debug)]
pub struct Config {
    /// `X-UA-Appkey`; absent for the public test server.
    pub app_key: Option<String>,
    /// Where to begin when there is no checkpoint.
    pub start: Start,
    /// What to do when the service no longer holds the position.
    pub on_expired: OnExpired,
    /// Union of filters; empty for none.
    pub filters: Vec<Filter>,
    /// A random share of the stream, 0 to 1. Not together with several shards: the service takes one subset.
    pub sample: Option<f64>,
    /// Number of shards; above 1 each asks for its `PARTITION`.
    pub shards: u32,
    /// First and longest pause between attempts (full jitter).
    pub backoff: (Duration, Duration),
}

/// Where to begin when there is no checkpoint.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Start {
    /// The oldest event that the service still holds.
    Earliest,
    /// Only what comes after the connect.
    #[default]
    Latest,
}

/// What to do when the service refuses the position as too old.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum OnExpired {
    /// Begin at the oldest event held, with a loud warning and a counter.
    #[default]
    Earliest,
    /// Begin at the end, with a loud warning and a counter.
    Latest,
    /// Keep retrying slowly until an operator acts.
    Stop,
}

/// Where a connection is to begin: exactly one of the two is sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Begin<'a> {
    /// After this offset.
    After(&'a str),
    /// At one end of what is held.
    At(Start),
}

#[derive(Serialize)]
struct Body<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    start: Option<Start>,
    #[serde(skip_serializing_if = "Option::is_none")]
    resume_offset: Option<&'a str>,
    enable_offset_updates: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    subset: Option<Subset>,
    #[serde(skip_serializing_if = "<[Filter]>::is_empty")]
    filters: &'a [Filter],
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "UPPERCASE")]
enum Subset {
    Partition { count: u32, selection: u32 },
    Sample { proportion: f64 },
}

/// How the service speaks HTTP.
pub(crate) const DIALECT: Dialect = Dialect {
    max_hops: 10,
    keeps_query: false,
    classify,
    words: |text| Cow::Borrowed(text),
    is_own_refusal,
    explain,
};

/// The request for one shard.
pub(crate) fn request(config: &Config, shard: u32, begin: Begin<'_>) -> Request {
    Request {
        method: Method::POST,
        headers: headers(config),
        query: Vec::new(),
        body: body(config, shard, begin).into(),
        resumed: matches!(begin, Begin::After(_)),
    }
}

/// The headers that Airship wants, besides the credential.
fn headers(config: &Config) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(header::ACCEPT, ACCEPT);
    headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Some(Ok(key)) = config.app_key.as_deref().map(HeaderValue::from_str) {
        headers.insert("x-ua-appkey", key);
    }
    headers
}

/// The request's body for one shard.
fn body(config: &Config, shard: u32, begin: Begin<'_>) -> Vec<u8> {
    let (start, resume_offset) = match begin {
        Begin::After(offset) => (None, Some(offset)),
        Begin::At(start) => (Some(start), None),
    };
    let subset = match (config.shards, config.sample) {
        (2.., _) => Some(Subset::Partition { count: config.shards, selection: shard }),
        (_, Some(proportion)) => Some(Subset::Sample { proportion }),
        _ => None,
    };
    let body = Body { start, resume_offset, enable_offset_updates: true, subset, filters: &config.filters };
    // Texts, numbers and JSON values only: this cannot fail.
    serde_json::to_vec(&body).unwrap_or_default()
}

/// What a response other than 200 means. `resumed` tells whether a position was sent. 400, 402 and 404 are
/// documented; 401 and 403 are seen in the field; the rest is what HTTP says. A 404 in answer to a position is of no new app;
/// should a position that is gone ever be answered so, nothing is lost: it is kept, and a person is asked.
pub(crate) fn classify(status: StatusCode, resumed: bool) -> Class {
    match status.as_u16() {
        400 if resumed => Class::PositionRejected,
        401 => Class::Unauthorized,
        402 => Class::TooManyConnections,
        403 => Class::Forbidden,
        404 if !resumed => Class::NoData,
        408 | 500..=504 | 506.. => Class::ServerError,
        429 => Class::RateLimited,
        _ => Class::Rejected,
    }
}

/// What a refusal means and what the operator can do.
pub(crate) fn explain(class: Class, status: StatusCode, text: &str) -> String {
    let advice = match class {
        Class::Unauthorized => "the credential was refused; check the token and the app key".to_owned(),
        Class::TooManyConnections => {
            "too many connections are open for this integration; is another consumer running?".to_owned()
        }
        Class::Forbidden => match denied_types(text).as_slice() {
            [] => "access was refused; check what the token may read".to_owned(),
            denied => format!(
                "the token may not read the event types {}; take them out of `filters` or extend the token",
                denied.join(", ")
            ),
        },
        Class::NoData => "there is no data for this app key yet, as for a new app; else check url and app key".to_owned(),
        Class::PositionRejected => {
            "the request to resume at our position was refused, as it is when that is older than what the service keeps \
             (7 days or 100 GB), or by something in between"
                .to_owned()
        }
        Class::Rejected if status == StatusCode::NOT_FOUND => {
            "there is nothing, although this stream has brought events before; check url and app key".to_owned()
        }
        Class::Rejected => "the request was refused; check url, filters and subset".to_owned(),
        Class::RateLimited => "the service limits the rate of requests".to_owned(),
        _ => "the service failed".to_owned(),
    };
    let quote = if text.is_empty() { String::new() } else { format!(" ({text})") };
    format!("{} {advice}{quote}", status.as_u16())
}

/// The event types that a 403 names, as in `Requested event types to which client is not entitled A,B`.
fn denied_types(body: &str) -> Vec<&str> {
    let Some((_, list)) = body.split_once("not entitled") else { return Vec::new() };
    let is_type = |word: &&str| word.len() > 2 && word.bytes().all(|b| b.is_ascii_uppercase() || b == b'_');
    list.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').filter(is_type).collect()
}

/// Whether an error body is of the service: a JSON object with what its interfaces answer with. A proxy sends a page or a
/// text, a gateway's framework an object with an `error` and the status.
pub(crate) fn is_own_refusal(body: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Answer {
        ok: Option<bool>,
        error_code: Option<IgnoredAny>,
    }
    serde_json::from_slice::<Answer>(body)
        .is_ok_and(|answer| answer.ok == Some(false) || answer.error_code.is_some())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::source::airship::filter::{DeviceSelector, NotificationSelector, UserSelector};

    fn config() -> Config {
        Config {
            app_key: Some("key".into()),
            start: Start::Latest,
            on_expired: OnExpired::Earliest,
            filters: Vec::new(),
            sample: None,
            shards: 1,
            backoff: (Duration::from_secs(1), Duration::from_secs(30)),
        }
    }

    fn sent(config: &Config, begin: Begin<'_>) -> serde_json::Value {
        serde_json::from_slice(&body(config, 1, begin)).unwrap()
    }

    #[test]
    fn exactly_one_of_start_and_resume_offset_is_sent() {
        assert_eq!(
            sent(&config(), Begin::At(Start::Earliest)),
            json!({"start": "EARLIEST", "enable_offset_updates": true})
        );
        assert_eq!(
            sent(&config(), Begin::After("MTAw")),
            json!({"resume_offset": "MTAw", "enable_offset_updates": true})
        );
    }

    #[test]
    fn subsets_and_filters() {
        let filter = Filter {
            types: vec!["OPEN".into()],
            devices: vec![DeviceSelector::Channel("c".into()), DeviceSelector::NamedUserId("n".into())],
            users: vec![UserSelector::ContactId("u".into())],
            notifications: vec![NotificationSelector::PushId("p".into())],
            latency: Some(20_000),
            predicates: vec![json!({"key": "name", "scope": ["body"], "value": {"equals": "x"}})],
            ..Filter::default()
        };
        let config = Config { shards: 4, filters: vec![filter], ..config() };
        assert_eq!(
            sent(&config, Begin::At(Start::Latest)),
            json!({
                "start": "LATEST",
                "enable_offset_updates": true,
                "subset": {"type": "PARTITION", "count": 4, "selection": 1},
                "filters": [{
                    "types": ["OPEN"],
                    "devices": [{"channel": "c"}, {"named_user_id": "n"}],
                    "users": [{"contact_id": "u"}],
                    "notifications": {"push_id": "p"},
                    "latency": 20000,
                    "predicates": [{"key": "name", "scope": ["body"], "value": {"equals": "x"}}],
                }],
            })
        );
        let config = Config { sample: Some(0.25), shards: 1, filters: Vec::new(), ..config };
        assert_eq!(
            sent(&config, Begin::At(Start::Latest))["subset"],
            json!({"type": "SAMPLE", "proportion": 0.25})
        );
    }

    #[test]
    fn responses() {
        let class = |status, resumed| classify(StatusCode::from_u16(status).unwrap(), resumed);
        assert_eq!(class(400, true), Class::PositionRejected);
        assert_eq!(class(400, false), Class::Rejected);
        assert_eq!(class(402, true), Class::TooManyConnections);
        assert_eq!(class(404, false), Class::NoData);
        assert_eq!(class(404, true), Class::Rejected, "it has brought events before");
        assert_eq!(class(503, true), Class::ServerError);
        for status in [405, 406, 415, 505] {
            assert_eq!(class(status, true), Class::Rejected, "{status}");
        }
    }

    #[test]
    fn a_403_names_the_denied_types() {
        let body =
            r#"{"error":"Requested event types to which client is not entitled COMPLIANCE,TAG_CHANGE"}"#;
        assert_eq!(denied_types(body), ["COMPLIANCE", "TAG_CHANGE"]);
        assert!(denied_types("<html>Forbidden</html>").is_empty());
    }

    #[test]
    fn a_refusal_says_what_to_do() {
        let text = "Requested event types to which client is not entitled COMPLIANCE,TAG_CHANGE";
        let message = explain(Class::Forbidden, StatusCode::FORBIDDEN, text);
        assert!(message.starts_with("403 the token may not read the event types COMPLIANCE, TAG_CHANGE;"));
    }

    #[test]
    fn the_services_own_refusals_are_told_from_a_proxys() {
        for own in [
            r#"{"ok":false,"error":"resume_offset is too old","error_code":40000,"details":{"error":"x"}}"#,
            r#"{"error_code":40000}"#,
            r#"{"ok":false}"#,
        ] {
            assert!(is_own_refusal(own.as_bytes()), "{own}");
        }
        for foreign in [
            "<html>400</html>",
            "Bad Request",
            "",
            "{}",
            r#"{"ok":true}"#,
            r#"{"timestamp":"2026-11-25T08:00:00Z","status":400,"error":"Bad Request","path":"/api/events/"}"#,
            r#"["error"]"#,
            r#"{"error":"cut"#,
        ] {
            assert!(!is_own_refusal(foreign.as_bytes()), "{foreign}");
        }
    }
}
