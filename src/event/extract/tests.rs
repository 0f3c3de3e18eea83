//! Extraction against `serde_json::Value` on arbitrary JSON, and the service's own traps.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::event::paths::{PathError, Spelling};

mod adobe;
mod filters;
mod offsets;

fn config() -> Config {
    Config {
        id: Id::Field("id".into()),
        key: Key::Fields(vec!["device.named_user_id".into(), "device.channel".into(), "id".into()]),
        event_type: EventType::Field("type".into()),
        topic_fields: vec!["type".into()],
        occurred: "occurred".into(),
        processed: "processed".into(),
        times: TimeFormat::Rfc3339,
        time: None,
        header_fields: Vec::new(),
        offset: Some("offset".into()),
        position_only_type: Some("OFFSET_UPDATE".into()),
        spelling: Spelling::default(),
        filters: Filters::default(),
    }
}

fn event(line: &[u8]) -> Record<'_> {
    match Extractor::new(&config()).unwrap().extract(line) {
        Ok(Line::Event(record)) => record,
        other => panic!("{other:?}"),
    }
}

#[test]
fn all_fields_are_taken_in_one_pass() {
    let line = br#"{"id":"7c9f0a12-91b6-11f0-9b57-0242ac120002","offset":"1000412900117","occurred":"2026-03-02T07:41:09.402Z","processed":"2026-03-02T07:41:11.018Z","device":{"ios_channel":"c","channel":"3f0c"},"body":{"id":"inner"},"type":"OPEN"}"#;
    let record = event(line);
    assert_eq!(&*record.id_text, b"7c9f0a12-91b6-11f0-9b57-0242ac120002");
    assert_eq!(record.key.as_deref(), Some(&b"3f0c"[..]));
    assert_eq!(record.event_type.as_deref(), Some(&b"OPEN"[..]));
    assert_eq!(record.topic_values[0].as_deref(), Some(&b"OPEN"[..]));
    assert_eq!(record.occurred.as_deref(), Some(&b"2026-03-02T07:41:09.402Z"[..]));
    assert_eq!(record.processed_ms, Some(1_772_437_271_018));
    assert_eq!(record.offset.as_deref(), Some(&b"1000412900117"[..]));
    assert!(matches!(record.key, Some(Text::Borrowed(_))), "text without escapes is borrowed");
}

#[test]
fn joined_fields_keep_their_places_and_take_no_other_memory_once_given_back() {
    let fields = ["device.channel", "type", "body.n"].map(str::to_owned).to_vec();
    let config = Config { key: Key::Joined { fields, separator: "||".into() }, ..config() };
    let extractor = Extractor::new(&config).unwrap();
    let key = |members: &str| {
        let line = format!(r#"{{"id":"x",{members}}}"#);
        let found = match extractor.extract(line.as_bytes()) {
            Ok(Line::Event(record)) => record.key,
            other => panic!("{line}: {other:?}"),
        };
        let text = found.as_deref().map(|key| String::from_utf8(key.to_vec()).unwrap());
        extractor.give_back(found);
        text
    };
    let long = "c".repeat(60);
    for (members, expected) in [
        (r#""device":{"channel":"c"},"type":"OPEN","body":{"n":7}"#, Some("c||OPEN||7")),
        (r#""device":{"channel":"c"}"#, Some("c||||")),
        (r#""device":{"channel":null},"body":{"n":-1}"#, Some("||||-1")),
        (r#""device":{"channel":""},"type":"","body":{"n":true}"#, None),
        (r#""body":{"n":["x"]}"#, None),
        (&*format!(r#""device":{{"channel":"{long}"}},"body":{{"n":"n"}}"#), Some(&*format!("{long}||||n"))),
        (r#""type":"after a long one""#, Some("||after a long one||")),
    ] {
        assert_eq!(key(members).as_deref(), expected, "{members}");
    }
    assert_eq!(extractor.key(br#"{"id":"x","type":"T"}"#).as_deref(), Some(&b"||T||"[..]));
}

#[test]
fn the_first_present_and_non_empty_key_wins() {
    let key = |device: &str| {
        let line = format!(r#"{{"id":"x","device":{device}}}"#);
        event(line.as_bytes()).key.unwrap().to_vec()
    };
    assert_eq!(key(r#"{"channel":"c","named_user_id":"n"}"#), b"n");
    assert_eq!(key(r#"{"channel":"c","named_user_id":""}"#), b"c");
    assert_eq!(key(r#"{"channel":"c","named_user_id":null}"#), b"c");
    assert_eq!(key(r#"{"channel":15551234567}"#), b"15551234567");
    assert_eq!(key(r#"{"channel":["c"]}"#), b"x");
    assert_eq!(key(r#""a string""#), b"x");
}

#[test]
fn an_empty_type_is_none() {
    for event_type in [r#""""#, "null", "{}", "1.5", "true"] {
        let line = format!(r#"{{"id":"a","type":{event_type}}}"#);
        assert_eq!(event(line.as_bytes()).event_type, None, "{event_type}");
    }
}

#[test]
fn position_only_lines_are_no_events() {
    let extractor = Extractor::new(&config()).unwrap();
    let line = br#"{"type":"OFFSET_UPDATE","offset":"77","processed":"2026-03-02T07:50:00.000Z"}"#;
    assert_eq!(extractor.extract(line).unwrap(), Line::PositionOnly(Some(Text::Borrowed(b"77"))));
}

#[test]
fn a_number_that_no_float_holds_is_of_no_use_and_its_event_is_one() {
    let extractor = Extractor::new(&config()).unwrap();
    let huge = [r#"{"id":"a","type":1e400}"#, r#"{"id":"a","type":0.25}"#].map(|line| {
        let found = extractor.extract(line.as_bytes()).unwrap();
        let Line::Event(record) = found else { panic!("{line}") };
        (record.id, record.event_type.is_none())
    });
    assert_eq!(huge[0], huge[1]);
    assert_eq!(huge[0], (EventId::from_text(b"a"), true));
    let found = extractor.extract(br#"{"id":1e400}"#);
    assert!(matches!(found, Err(ExtractError::NoId { .. })), "{found:?}");
}

#[test]
fn what_is_no_event_says_why() {
    let extractor = Extractor::new(&config()).unwrap();
    for line in ["not json", "[1]", "\"x\"", "{\"id\":\"a\"", "{\"id\":\"a\"} x", "{\"id\":\"\u{1}\"}"] {
        assert!(matches!(extractor.extract(line.as_bytes()), Err(ExtractError::NotAnObject(_))), "{line}");
    }
    for line in ["\"someone@example.com\"", "4915112345678", "-4915112345678", "[\"someone@example.com\"]"] {
        let Err(ExtractError::NotAnObject(why)) = extractor.extract(line.as_bytes()) else {
            panic!("{line}")
        };
        let why = why.to_string();
        assert!(
            !why.contains("someone") && !why.contains("49151"),
            "the event's text is no part of an error: {why}"
        );
    }
    for line in [r#"{"offset":"5"}"#, r#"{"id":"","offset":"5"}"#, r#"{"id":{},"offset":"5"}"#] {
        match extractor.extract(line.as_bytes()) {
            Err(ExtractError::NoId { offset }) => assert_eq!(offset.as_deref(), Some(&b"5"[..])),
            other => panic!("{line}: {other:?}"),
        }
    }
}

#[test]
fn invalid_utf8_in_fields_that_are_not_used_is_harmless() {
    let record = event(b"{\"id\":\"a\",\"\xff\":1,\"body\":{\"text\":\"caf\xc3\"}}");
    assert_eq!(record.id, EventId::from_text(b"a"));
}

#[test]
fn invalid_utf8_in_fields_that_are_used_is_mended() {
    let record = event(
        b"{\"id\":\"a\",\"device\":{\"channel\":\"caf\xc3\"},\"type\":\"OPEN\",\"offset\":\"5\",\"\xff\":1}",
    );
    assert_eq!(record.id, EventId::from_text(b"a"));
    assert_eq!(record.key.as_deref(), Some("caf\u{fffd}".as_bytes()));
    assert_eq!(
        (record.event_type.as_deref(), record.offset.as_deref()),
        (Some(&b"OPEN"[..]), Some(&b"5"[..]))
    );
}

#[test]
fn half_of_a_surrogate_pair_breaks_no_line() {
    let record = event(br#"{"id":"a","device":{"channel":"caf\ud83d"},"body":"\ud83d"}"#);
    assert_eq!(record.key.as_deref(), Some("caf\u{fffd}".as_bytes()));
}

#[test]
fn different_ids_that_are_not_utf8_stay_different() {
    let (one, other) = (b"{\"id\":\"a\xff\"}", b"{\"id\":\"a\xfe\"}");
    assert_eq!(event(one).id_text, event(other).id_text);
    assert_ne!(event(one).id, event(other).id);
    assert_eq!(event(one).id, EventId::from_text(one), "the same line is the same event");
}

#[test]
fn what_is_redacted_changes_no_id() {
    let extractor = Extractor::new(&config()).unwrap();
    let ids = [
        &b"a"[..],
        b"a\xff",
        br"a\ud83d",
        "a\u{fffd}".as_bytes(),
        br"a\ufffd",
        "\u{fffc}\u{fffd}".as_bytes(),
    ];
    // What is hidden may be broken text itself.
    let channels = [(&b"c"[..], "c"), (b"c\xc3", "c\u{fffd}"), (br"c\ud83d", "c\u{fffd}")];
    for id in ids.into_iter().chain([&b"7c9f0a12-91b6-11f0-9b57-0242ac120002"[..]]) {
        for (channel, key) in channels {
            let line = |channel: &[u8]| {
                [b"{\"id\":\"", id, b"\",\"device\":{\"channel\":\"", channel, b"\"}}"].concat()
            };
            let (received, shown) = (line(channel), line(b"hash"));
            let taken = extractor.extract_shown(&shown, &received);
            let Ok(Line::Event(record)) = taken else { panic!("{taken:?}") };
            assert_eq!(record.id, event(&received).id, "{}", received.escape_ascii());
            assert_eq!(record.key.as_deref(), Some(&b"hash"[..]));
            assert_eq!(extractor.key(&received).as_deref(), Some(key.as_bytes()));
        }
    }
}

#[test]
fn an_id_is_broken_by_its_own_text_alone() {
    // It holds what stands for broken text, and it is another member that is broken.
    let line = |channel: &[u8]| {
        let id = "{\"id\":\"a\u{fffd}\",\"device\":{\"channel\":\"";
        [id.as_bytes(), channel, b"\"}}"].concat()
    };
    for channel in [&b"c"[..], b"c\xc3", br"c\ud83d"] {
        assert_eq!(event(&line(channel)).id, EventId::from_text("a\u{fffd}".as_bytes()));
    }
}

#[test]
fn a_broken_line_stays_broken_with_invalid_utf8() {
    let extractor = Extractor::new(&config()).unwrap();
    let line = b"{\"id\":\"a\xff\",";
    assert!(matches!(extractor.extract(line), Err(ExtractError::NotAnObject(_))));
}

#[test]
fn a_bad_path_is_refused() {
    let bad = Config { id: Id::Field("a..b".into()), ..config() };
    assert_eq!(Extractor::new(&bad).unwrap_err(), ConfigError::Path(PathError("a..b".into())));
    let many = Config { key: Key::Fields((0..30).map(|n| format!("k{n}")).collect()), ..config() };
    assert!(matches!(Extractor::new(&many), Err(ConfigError::TooManyFields(_))));
}

/// The same rule in terms of a parsed document: the oracle.
fn expected(document: &Value, path: &str) -> Option<Vec<u8>> {
    let mut value = document;
    for part in path.split('.') {
        value = value.as_object()?.get(part)?;
    }
    match value {
        Value::String(text) => Some(text.clone().into_bytes()),
        Value::Number(number) if !number.is_f64() => Some(number.to_string().into_bytes()),
        _ => None,
    }
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_filter("finite", |f| f.is_finite()).prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
        "[a-z\"\\\\/\n\u{e9}\u{1f600}]{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 48, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((name(), inner), 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        prop::sample::select(vec!["id", "device", "channel", "named_user_id", "type", "offset"])
            .prop_map(str::to_owned),
        ".{0,6}",
    ]
}

/// A document as text with every member written twice where `twice` says so: the last one must win.
fn with_duplicates(members: &[(String, Value)]) -> (String, Value) {
    let text =
        members.iter().map(|(name, value)| format!("{}:{value}", json!(name))).collect::<Vec<_>>().join(",");
    let text = format!("{{{text}}}");
    let document = serde_json::from_str(&text).unwrap();
    (text, document)
}

proptest! {
    #[test]
    fn extraction_agrees_with_serde_json(members in prop::collection::vec((name(), any_json()), 0..10)) {
        let (text, document) = with_duplicates(&members);
        let tree = {
            let mut paths = tree::Paths::new(Spelling::default());
            for path in ["id", "device.channel", "device.named_user_id", "type", "offset", "device"] {
                paths.slot(path).unwrap();
            }
            paths.build().unwrap()
        };
        let fields = tree.take(text.as_bytes()).unwrap();
        for (slot, path) in ["id", "device.channel", "device.named_user_id", "type", "offset", "device"].iter().enumerate() {
            prop_assert_eq!(fields.text(slot).map(|text| text.to_vec()), expected(&document, path), "{} in {}", path, text);
        }
    }

    #[test]
    fn any_bytes_are_refused_or_taken_without_a_panic(line in prop::collection::vec(any::<u8>(), 0..200)) {
        let extractor = Extractor::new(&config()).unwrap();
        if let Ok(Line::Event(record)) = extractor.extract(&line) {
            prop_assert!(!record.id_text.is_empty());
        }
    }
}
