//! The default keys, on events as the service's documents show them: whoever is named has a key.

use super::{SMALL, errors, parse};
use crate::event::extract::{Extractor, Key, Line};

/// Events of the main stream, with their keys.
const EVENTS: [(&str, Option<&str>); 14] = [
    (r#"{"id":"1","device":{"channel":"c","ios_channel":"c","named_user_id":"n"},"type":"OPEN"}"#, Some("c")),
    (r#"{"id":"2","device":{"ios_channel":"i"},"type":"OPEN"}"#, Some("i")),
    (r#"{"id":"3","device":{"android_channel":"a"},"type":"OPEN"}"#, Some("a")),
    (r#"{"id":"4","device":{"amazon_channel":"z"},"type":"OPEN"}"#, Some("z")),
    (r#"{"id":"5","device":{"named_user_id":"n"},"type":"SUBSCRIPTION_LIST"}"#, Some("n")),
    (
        r#"{"id":"6","device":{"device_type":"EMAIL","delivery_address":"a@example.net","named_user":"n"},"type":"COMPLIANCE"}"#,
        Some("n"),
    ),
    (r#"{"id":"7","user":{"contact_id":"k","named_user_id":"n"},"type":"OPEN"}"#, Some("n")),
    (r#"{"id":"8","user":{"contact_id":"k"},"type":"OPEN"}"#, Some("k")),
    // An SMS device of which only the type is told.
    (
        r#"{"id":"9","device":{"device_type":"SMS","identifiers":{"sender":"55510"}},"body":{"event_type":"mobile_originated_sms","identifiers":{"msisdn":"15555550142","sender":"55510"}},"type":"MOBILE_ORIGINATED"}"#,
        Some("15555550142"),
    ),
    (
        r#"{"id":"10","body":{"event_type":"mobile_originated_sms","identifiers":{"msisdn":15555550142}},"type":"MOBILE_ORIGINATED"}"#,
        Some("15555550142"),
    ),
    (
        r#"{"id":"11","device":{"device_type":"EMAIL"},"body":{"event_type":"registration","identifiers":{"address":"a@example.net"}},"type":"COMPLIANCE"}"#,
        Some("a@example.net"),
    ),
    (
        r#"{"id":"12","body":{"change_type":"ASSOCIATION","channel_id":"c","contact_id":"k","named_user_id":"n"},"type":"CONTACT_CHANGE"}"#,
        Some("c"),
    ),
    (r#"{"id":"13","body":{"change_type":"UNINSTALL","contact_id":"k"},"type":"CONTACT_CHANGE"}"#, Some("k")),
    // A push is about nobody.
    (
        r#"{"id":"14","body":{"push_id":"p","resource":"PUSH","trimmed":false,"payload":""},"type":"PUSH_BODY"}"#,
        None,
    ),
];

/// The consents of one person, each by another way of naming him.
const EMAIL: [&str; 4] = [
    r#"{"id":"1","device":{"channel":"c","device_type":"EMAIL","delivery_address":"a@example.net","named_user":"n"},"body":{"event_type":"registration","identifiers":{"address":"a@example.net"}},"type":"COMPLIANCE"}"#,
    r#"{"id":"2","device":{"device_type":"EMAIL","delivery_address":"a@example.net"},"body":{"event_type":"bounce"},"type":"COMPLIANCE"}"#,
    r#"{"id":"3","device":{"channel":"c","device_type":"EMAIL"},"body":{"event_type":"registration","identifiers":{"address":"a@example.net"}},"type":"COMPLIANCE"}"#,
    r#"{"id":"4","device":{"device_type":"EMAIL","named_user":"n"},"body":{"event_type":"create_and_send","identifiers":{"address":"a@example.net"}},"type":"COMPLIANCE"}"#,
];

/// The same of a telephone.
const SMS: [&str; 3] = [
    r#"{"id":"1","device":{"channel":"c","device_type":"SMS","delivery_address":"15555550142","identifiers":{"sender":"55510"}},"body":{"event_type":"mobile_opt_out","identifiers":{"msisdn":"15555550142","sender":"55510"}},"type":"COMPLIANCE"}"#,
    r#"{"id":"2","device":{"device_type":"SMS","identifiers":{"sender":"55510"}},"body":{"event_type":"opted_out","identifiers":{"msisdn":"15555550142","sender":"55510"}},"type":"COMPLIANCE"}"#,
    r#"{"id":"3","device":{"channel":"c","device_type":"SMS","identifiers":{"sender":"55510"}},"body":{"event_type":"suppression_removed","identifiers":{"msisdn":"15555550142","sender":"55510"}},"type":"COMPLIANCE"}"#,
];

/// A consent that tells no address: better a key than none.
const WITHOUT_ADDRESS: [(&str, &str); 3] = [
    (
        r#"{"id":"1","device":{"channel":"c","device_type":"EMAIL","named_user":"n"},"type":"COMPLIANCE"}"#,
        "c",
    ),
    (r#"{"id":"2","device":{"device_type":"EMAIL","named_user":"n"},"type":"COMPLIANCE"}"#, "n"),
    (r#"{"id":"3","user":{"contact_id":"k"},"type":"COMPLIANCE"}"#, "k"),
];

fn extractor(toml: &str) -> Extractor {
    Extractor::new(&parse(toml).unwrap().plan.streams[0].extract).unwrap()
}

fn compliance() -> Extractor {
    extractor(
        "kafka.bootstrap_servers = \"k\"\n[[stream]]\nname = \"c\"\nkind = \"airship_compliance\"\n\
         auth.basic = { user = \"app\", password = { env = \"P\" } }\n",
    )
}

fn key(extractor: &Extractor, line: &str) -> Option<String> {
    match extractor.extract(line.as_bytes()) {
        Ok(Line::Event(record)) => record.key.map(|key| String::from_utf8(key.to_vec()).unwrap()),
        other => panic!("{line}: {other:?}"),
    }
}

#[test]
fn keys_are_lists_joined_fields_or_none() {
    let read = |key: &str| {
        let config = parse(&format!("{SMALL}key = {key}\n")).unwrap();
        assert_eq!(
            parse(&config.render()).unwrap().plan.streams[0].extract.key,
            config.plan.streams[0].extract.key
        );
        config.plan.streams[0].extract.key.clone()
    };
    assert_eq!(read("[\"a\", \"b.c\"]"), Key::Fields(vec!["a".into(), "b.c".into()]));
    assert_eq!(read("[]"), Key::Fields(vec![]));
    assert_eq!(read("\"none\""), Key::Fields(vec![]));
    let joined = Key::Joined { fields: vec!["a".into(), "b.c".into()], separator: "|".into() };
    assert_eq!(read("{ fields = [\"a\", \"b.c\"], join = \"|\" }"), joined);
    for (key, at, part) in [
        ("\"non\"", "key", "did you mean `none`?"),
        ("7", "key", "expected a list of fields, { fields"),
        ("{ fields = [\"a\"] }", "key.join", "missing"),
        ("{ join = \"|\" }", "key.fields", "missing"),
        ("{ fields = [], join = \"|\" }", "key.fields", "key = \"none\""),
        ("{ fields = [\"a\"], join = \"\" }", "key.join", "must not be empty"),
        ("{ fields = [\"a\", \".b\"], join = \"|\" }", "key.fields[1]", "expected member names"),
        ("{ fields = [\"a\"], join = \"|\", first = true }", "key.first", "unknown key"),
        ("[\"a\", 7]", "key[1]", "expected a string"),
    ] {
        let found = errors(&format!("{SMALL}key = {key}\n"));
        let right =
            found.len() == 1 && found[0].starts_with(&format!("stream[0].{at}: ")) && found[0].contains(part);
        assert!(right, "{key}: {found:#?}");
    }
}

#[test]
fn every_event_that_names_somebody_has_a_key() {
    let events = extractor(SMALL);
    for (line, expected) in EVENTS {
        assert_eq!(key(&events, line).as_deref(), expected, "{line}");
    }
}

#[test]
fn the_consents_of_one_address_have_one_key() {
    let consents = compliance();
    for line in EMAIL {
        assert_eq!(key(&consents, line).as_deref(), Some("a@example.net"), "{line}");
    }
    for line in SMS {
        assert_eq!(key(&consents, line).as_deref(), Some("15555550142"), "{line}");
    }
    for (line, expected) in WITHOUT_ADDRESS {
        assert_eq!(key(&consents, line).as_deref(), Some(expected), "{line}");
    }
}
