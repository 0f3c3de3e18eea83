//! The headers of records: CloudEvents in binary mode for events if they are asked for, the reason for dead letters.
//!
//! Invariant: what CloudEvents requires is there and not empty, and `ce_time` is a time; what is none is left out.

use rdkafka::message::{Header, OwnedHeaders, ToBytes};

use crate::model::types::{Headers, ShardId};
use crate::sink::kafka::config::EventHeaders;

/// Bytes of all header names and of the constant values that are not counted one by one.
const NAMES: usize = 128;

/// Makes the headers of one shard's records.
pub(super) struct RecordHeaders {
    /// Names and values of the headers that all events of the shard share; `None` if events have no headers.
    event: Option<[(&'static str, String); 5]>,
    stream: String,
    shard: String,
    source: String,
}

impl RecordHeaders {
    /// For the shard whose events come from `source`.
    pub(super) fn new(events: &EventHeaders, id: &ShardId, source: &str) -> Self {
        let ShardId { stream, index } = id;
        let shard = index.to_string();
        let event = match events {
            EventHeaders::None => None,
            EventHeaders::CloudEvents => Some([
                ("ce_specversion", "1.0".to_owned()),
                ("ce_source", source.to_owned()),
                ("content-type", "application/json".to_owned()),
                ("tributary-stream", stream.to_string()),
                ("tributary-shard", shard.clone()),
            ]),
        };
        Self { event, stream: stream.to_string(), shard, source: source.to_owned() }
    }

    /// The headers of one record, if it has any.
    pub(super) fn of(&self, headers: Headers<'_>) -> Option<OwnedHeaders> {
        match headers {
            Headers::Event { id, event_type, time } => {
                let constant = self.event.as_ref()?;
                // Room for all at once; a copy of ready-made constant ones would have to grow.
                let room = OwnedHeaders::new_with_capacity(constant.len() + 3);
                let all = constant
                    .iter()
                    .fold(room, |all, (name, value)| all.insert(header(name, value)))
                    .insert(header("ce_id", id))
                    .insert(header("ce_type", event_type));
                Some(match time.filter(|time| is_rfc3339(time)) {
                    Some(time) => all.insert(header("ce_time", time)),
                    None => all,
                })
            }
            Headers::DeadLetter { reason, detail, length } => Some(
                OwnedHeaders::new_with_capacity(6)
                    .insert(header("tributary-stream", &self.stream))
                    .insert(header("tributary-shard", &self.shard))
                    .insert(header("tributary-source", &self.source))
                    .insert(header("tributary-reason", reason.name()))
                    .insert(header("tributary-detail", detail))
                    .insert(header("tributary-length", &length.to_string())),
            ),
        }
    }

    /// Their bytes, near enough to judge a record's size.
    pub(super) fn bytes(&self, headers: &Headers<'_>) -> usize {
        let constant = NAMES + self.source.len() + self.stream.len();
        match headers {
            Headers::Event { .. } if self.event.is_none() => 0,
            Headers::Event { id, event_type, time } => {
                constant + id.len() + event_type.len() + time.map_or(0, <[u8]>::len)
            }
            Headers::DeadLetter { detail, .. } => constant + detail.len(),
        }
    }
}

/// Librdkafka copies a header's name and value; this only names the types.
fn header<'a, V: ToBytes + ?Sized>(key: &'a str, value: &'a V) -> Header<'a, &'a V> {
    Header { key, value: Some(value) }
}

/// Whether this is a date and time as RFC 3339 writes them, which is all that `ce_time` may hold: a service's own
/// text may be anything.
fn is_rfc3339(text: &[u8]) -> bool {
    // `0` stands for any digit; the parser, which takes more forms than these, looks at the values.
    const START: &[u8] = b"0000-00-00T00:00:00";
    const OFFSET: &[u8] = b"+00:00";
    let fits = |text: &[u8], form: &[u8]| {
        text.len() == form.len()
            && text.iter().zip(form).all(|(byte, form)| match form {
                b'0' => byte.is_ascii_digit(),
                b'+' => matches!(byte, b'+' | b'-'),
                form => byte.eq_ignore_ascii_case(form),
            })
    };
    let Some((start, rest)) = text.split_at_checked(START.len()) else { return false };
    let zone = match rest.strip_prefix(b".") {
        Some(rest) => {
            let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
            if digits == 0 {
                return false;
            }
            &rest[digits..]
        }
        None => rest,
    };
    fits(start, START)
        && (zone.eq_ignore_ascii_case(b"Z") || fits(zone, OFFSET))
        && std::str::from_utf8(text).is_ok_and(|text| text.parse::<jiff::Timestamp>().is_ok())
}

#[cfg(test)]
mod tests {
    use rdkafka::message::Headers as _;

    use super::*;
    use crate::model::types::DeadLetterReason;

    const LETTER: Headers<'static> =
        Headers::DeadLetter { reason: DeadLetterReason::NoId, detail: "no id", length: 7 };

    fn headers(events: &EventHeaders) -> RecordHeaders {
        let id = ShardId { stream: "mobile".into(), index: 3 };
        RecordHeaders::new(events, &id, "https://example.com/api/events/")
    }

    fn event(time: &[u8]) -> Headers<'_> {
        Headers::Event { id: b"the-id", event_type: b"OPEN", time: Some(time) }
    }

    fn pairs(headers: &OwnedHeaders) -> Vec<(String, String)> {
        let text = |value: Option<&[u8]>| String::from_utf8_lossy(value.unwrap_or_default()).into_owned();
        headers.iter().map(|header| (header.key.to_owned(), text(header.value))).collect()
    }

    #[test]
    fn events_have_no_headers_unless_asked_for_and_dead_letters_always() {
        let none = headers(&EventHeaders::default());
        assert!(none.of(event(b"2026-03-02T07:41:09.402Z")).is_none());
        assert_eq!(none.bytes(&event(b"2026-03-02T07:41:09.402Z")), 0, "what is not sent takes no room");
        let letter = pairs(&none.of(LETTER).unwrap());
        assert_eq!(letter, pairs(&headers(&EventHeaders::CloudEvents).of(LETTER).unwrap()));
        assert!(letter.contains(&("tributary-reason".into(), "no_id".into())), "{letter:?}");
        assert!(none.bytes(&LETTER) > 0);
    }

    #[test]
    fn cloud_events_have_what_the_binding_asks_for() {
        let found =
            pairs(&headers(&EventHeaders::CloudEvents).of(event(b"2026-03-02T07:41:09.402Z")).unwrap());
        let expected = [
            ("ce_specversion", "1.0"),
            ("ce_source", "https://example.com/api/events/"),
            ("content-type", "application/json"),
            ("tributary-stream", "mobile"),
            ("tributary-shard", "3"),
            ("ce_id", "the-id"),
            ("ce_type", "OPEN"),
            ("ce_time", "2026-03-02T07:41:09.402Z"),
        ];
        assert_eq!(found, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }

    #[test]
    fn ce_time_is_a_time_or_not_there() {
        for time in [
            "2026-03-02T07:41:09Z",
            "2026-03-02t07:41:09.1z",
            "2026-03-02T07:41:09.123456789+05:30",
            "2026-03-02T07:41:60Z",
        ] {
            assert!(is_rfc3339(time.as_bytes()), "{time}");
        }
        for other in [
            "",
            "yesterday",
            "1772437269",
            "2026-03-02",
            "2026-03-02 07:41:09Z",
            "2026-03-02T07:41Z",
            "2026-03-02T07:41:09",
            "2026-03-02T07:41:09.Z",
            "2026-03-02T07:41:09+0530",
            "2026-03-02T07:41:09Z[UTC]",
            "2026-02-30T07:41:09Z",
            "2026-03-02T25:41:09Z",
            "caf\u{e9}",
        ] {
            let found = pairs(&headers(&EventHeaders::CloudEvents).of(event(other.as_bytes())).unwrap());
            assert!(found.iter().all(|(name, _)| name != "ce_time"), "{other}: {found:?}");
            assert!(found.iter().all(|(_, value)| !value.is_empty()), "{other}: {found:?}");
        }
    }
}
