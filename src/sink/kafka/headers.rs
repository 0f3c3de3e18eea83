//! The headers of records: those of CloudEvents in binary mode, static ones and fields for events, as they are asked for; the reason
//! for dead letters.
//!
//! Invariant: what CloudEvents requires is there and not empty, and `ce_time` is a time; what is none is left out.

use rdkafka::message::{Header, Headers as _, OwnedHeaders, ToBytes};

use crate::model::packed;
use crate::model::types::{Headers, ShardId};
use crate::sink::kafka::config::{CLOUD_EVENTS, EventHeader, EventHeaders, TRACEPARENT};

/// Bytes of all header names of a dead letter and of the values that are not counted one by one. Those are short, and what a replay
/// adds is among them, so a letter that fails again takes no more room than the one before it.
const NAMES: usize = 256;

/// Bytes of the shard's name that are among [`NAMES`]: any number.
const SHARD: usize = 10;

/// Bytes that a header takes beside its name and its value.
const FRAME: usize = 4;

/// Bytes of a `traceparent`.
const TRACEPARENT_BYTES: usize = 55;

/// Makes the headers of one shard's records.
pub(super) struct RecordHeaders {
    /// Those of events.
    event: Vec<Made>,
    /// Bytes of what is the same for all events.
    constant: usize,
    stream: String,
    shard: String,
    source: String,
}

/// A header of events, and where its value is from.
enum Made {
    Constant(String, String),
    Id,
    Type,
    Time,
    /// The next field.
    Field(String),
    /// The trace of the batch.
    Trace,
}

impl Made {
    fn standard(name: &str, stream: &str, shard: &str, source: &str) -> Self {
        let value = match name {
            "ce_id" => return Self::Id,
            "ce_type" => return Self::Type,
            "ce_time" => return Self::Time,
            TRACEPARENT => return Self::Trace,
            "ce_specversion" => "1.0",
            "ce_source" => source,
            "tributary-stream" => stream,
            "tributary-shard" => shard,
            _ => "application/json",
        };
        Self::Constant(name.to_owned(), value.to_owned())
    }

    /// Its bytes as far as they are the same for all events.
    fn bytes(&self) -> usize {
        let text = match self {
            Self::Constant(name, value) => name.len() + value.len(),
            Self::Id | Self::Type | Self::Time => "ce_type".len(),
            Self::Trace => TRACEPARENT.len() + TRACEPARENT_BYTES,
            Self::Field(name) => name.len(),
        };
        FRAME + text
    }
}

impl RecordHeaders {
    /// For the shard whose events come from `source`.
    pub(super) fn new(events: &EventHeaders, id: &ShardId, source: &str) -> Self {
        let (stream, shard) = (&id.stream, id.part().to_string());
        let standard = |name: &str| Made::standard(name, stream, &shard, source);
        let event: Vec<Made> = match events {
            EventHeaders::None => Vec::new(),
            EventHeaders::CloudEvents => CLOUD_EVENTS.into_iter().map(standard).collect(),
            EventHeaders::List(headers) => headers
                .iter()
                .map(|header| match header {
                    EventHeader::Standard(name) => standard(name),
                    EventHeader::Static { name, value } => Made::Constant(name.clone(), value.clone()),
                    EventHeader::Field { name } => Made::Field(name.clone()),
                })
                .collect(),
        };
        let constant = event.iter().map(Made::bytes).sum();
        Self { event, constant, stream: stream.to_string(), shard, source: source.to_owned() }
    }

    /// The headers of one record, if it has any.
    pub(super) fn of(&self, headers: Headers<'_>) -> Option<OwnedHeaders> {
        match headers {
            Headers::Event { .. } if self.event.is_empty() => None,
            Headers::Event { id, event_type, time, fields, trace } => {
                let mut fields = packed::values(fields);
                // Room for all at once; a copy of ready-made constant ones would have to grow.
                let room = OwnedHeaders::new_with_capacity(self.event.len());
                let all = self.event.iter().fold(room, |all, made| match made {
                    Made::Constant(name, value) => all.insert(header(name, value)),
                    Made::Id => all.insert(header("ce_id", id)),
                    Made::Type => all.insert(header("ce_type", event_type)),
                    Made::Time => match time.filter(|time| is_rfc3339(time)) {
                        Some(time) => all.insert(header("ce_time", time)),
                        None => all,
                    },
                    Made::Trace => match trace {
                        Some(trace) => all.insert(header(TRACEPARENT, trace)),
                        None => all,
                    },
                    Made::Field(name) => match fields.next().flatten() {
                        Some(value) => all.insert(header(name, value)),
                        None => all,
                    },
                });
                (all.count() > 0).then_some(all)
            }
            Headers::DeadLetter { reason, detail, length, bytes, rules, position, before } => {
                let shard = before.map_or(&self.shard, |before| &before.shard);
                let mut all = OwnedHeaders::new_with_capacity(10)
                    .insert(header("tributary-stream", &self.stream))
                    .insert(header("tributary-shard", shard))
                    .insert(header("tributary-source", &self.source))
                    .insert(header("tributary-reason", reason.name()))
                    .insert(header("tributary-detail", detail))
                    .insert(header("tributary-length", &length.to_string()))
                    .insert(header("tributary-bytes", bytes.name()));
                if let Some(rules) = rules {
                    all = all.insert(header("tributary-redaction", rules));
                }
                if !position.is_unknown() {
                    all = all.insert(header("tributary-position", &position.to_string()));
                }
                if let Some(before) = before {
                    let attempts = before.attempts.saturating_add(1);
                    all = all.insert(header("tributary-attempts", &attempts.to_string()));
                }
                Some(all)
            }
        }
    }

    /// Their bytes, near enough to judge a record's size.
    pub(super) fn bytes(&self, headers: &Headers<'_>) -> usize {
        match headers {
            Headers::Event { .. } if self.event.is_empty() => 0,
            Headers::Event { id, event_type, time, fields, trace: _ } => {
                self.constant + id.len() + event_type.len() + time.map_or(0, <[u8]>::len) + fields.len()
            }
            Headers::DeadLetter { detail, position, before, .. } => {
                let shard = before.map_or(0, |before| before.shard.len().saturating_sub(SHARD));
                let position = position.to_string().len();
                NAMES + self.source.len() + self.stream.len() + detail.len() + shard + position
            }
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
    use super::*;
    use crate::model::letters::{Letter, LetterBytes, Spot, Stamp};
    use crate::model::text::Text;
    use crate::model::types::DeadLetterReason;
    use crate::sink::kafka::writing::RECORD_OVERHEAD;

    const LETTER: Headers<'static> = Headers::DeadLetter {
        reason: DeadLetterReason::NoId,
        detail: "no id",
        length: 7,
        bytes: LetterBytes::Whole,
        rules: None,
        position: Spot::Unknown,
        before: None,
    };

    fn headers(events: &EventHeaders) -> RecordHeaders {
        let id = ShardId { stream: "mobile".into(), index: 3 };
        RecordHeaders::new(events, &id, "https://example.com/api/events/")
    }

    fn event(time: &[u8]) -> Headers<'_> {
        Headers::Event { id: b"the-id", event_type: b"OPEN", time: Some(time), fields: &[], trace: None }
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
    fn a_letter_that_fails_again_takes_no_more_room() {
        let headers = headers(&EventHeaders::default());
        let before = Letter {
            partition: 0,
            from: 0,
            stamp: Stamp::of(0, 0, b""),
            attempts: u32::MAX,
            length: 7,
            bytes: LetterBytes::Redacted,
            rules: None,
            shard: u32::MAX.to_string(),
            position: "offset 77".into(),
        };
        let largest = |position, before| Headers::DeadLetter {
            reason: DeadLetterReason::TooLargeForTopic,
            detail: "no id",
            length: u64::from(u32::MAX),
            bytes: LetterBytes::Redacted,
            rules: Some("0123456789abcdef"),
            position,
            before,
        };
        let first = headers.bytes(&largest(Spot::Offset("77"), None));
        let again = largest(Spot::Said(&before.position), Some(&before));
        assert_eq!(headers.bytes(&again), first);
        let all = headers.of(again).unwrap();
        let real: usize = all.iter().map(|it| FRAME + it.key.len() + it.value.map_or(0, <[u8]>::len)).sum();
        // A batch of one record has 74 bytes beside key, value and headers.
        assert!(real + 74 <= first + RECORD_OVERHEAD, "{real} bytes");
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
    fn a_trace_is_named_where_there_is_one() {
        let list = headers(&EventHeaders::List(vec![EventHeader::Standard(TRACEPARENT)]));
        let with = |trace| Headers::Event { id: b"i", event_type: b"T", time: None, fields: &[], trace };
        let text = [b'0'; TRACEPARENT_BYTES];
        let found = pairs(&list.of(with(Some(&text))).unwrap());
        assert_eq!(found, [(TRACEPARENT.to_owned(), "0".repeat(TRACEPARENT_BYTES))]);
        assert!(list.bytes(&with(Some(&text))) > TRACEPARENT.len() + TRACEPARENT_BYTES);
        assert!(list.of(with(None)).is_none());
    }

    #[test]
    fn a_list_has_what_it_names_in_its_order() {
        let list = headers(&EventHeaders::List(vec![
            EventHeader::Field { name: "os".into() },
            EventHeader::Standard("ce_id"),
            EventHeader::Static { name: "env".into(), value: "prod".into() },
            EventHeader::Field { name: "country".into() },
            EventHeader::Standard("tributary-shard"),
        ]));
        let of = |values: [Option<&[u8]>; 2]| {
            let mut fields = Text::default();
            values.into_iter().for_each(|value| packed::push(&mut fields, value));
            let event = Headers::Event {
                id: b"the-id",
                event_type: b"OPEN",
                time: None,
                fields: &fields,
                trace: None,
            };
            assert!(list.bytes(&event) > "osce_idthe-idenvprodcountrytributary-shard3".len());
            pairs(&list.of(event).unwrap())
        };
        let fixed = [("ce_id", "the-id"), ("env", "prod")];
        let expected = |pairs: &[(&str, &str)]| {
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect::<Vec<_>>()
        };
        let last = ("tributary-shard", "3");
        let all = expected(&[("os", "ios"), fixed[0], fixed[1], ("country", "NL"), last]);
        assert_eq!(of([Some(b"ios"), Some(b"NL")]), all);
        assert_eq!(of([None, Some(b"NL")]), expected(&[fixed[0], fixed[1], ("country", "NL"), last]));
        assert_eq!(of([Some(b"ios"), None]), expected(&[("os", "ios"), fixed[0], fixed[1], last]));
        let only = headers(&EventHeaders::List(vec![EventHeader::Field { name: "os".into() }]));
        assert!(only.of(event(b"")).is_none(), "nothing to say");
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
