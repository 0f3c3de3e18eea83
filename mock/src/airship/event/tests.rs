//! What the events of the mock promise to verifiers: pure, valid, varied, about 600 bytes.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::*;

const STAMP: Stamp<'static> =
    Stamp { offset: "\"1000412900003\"", occurred_ms: 1_772_437_229_950, processed_ms: 1_772_437_230_210 };

fn line(index: u64) -> String {
    let mut out = Vec::new();
    Events::new(1, false).event(index).render(STAMP, &mut out);
    String::from_utf8(out).unwrap()
}

/// Events of which none deviates from the schema.
fn by_schema(index: u64) -> Value {
    let mut out = Vec::new();
    Events::new(1, true).event(index).render(STAMP, &mut out);
    serde_json::from_slice(&out).unwrap()
}

fn key_of(line: &Value) -> Option<String> {
    [
        "/device/channel",
        "/device/ios_channel",
        "/device/android_channel",
        "/device/amazon_channel",
        "/device/named_user_id",
        "/device/named_user",
        "/device/delivery_address",
        "/user/named_user_id",
        "/user/contact_id",
        "/body/identifiers/msisdn",
        "/body/identifiers/address",
        "/body/channel_id",
        "/body/contact_id",
    ]
    .iter()
    .find_map(|path| line.pointer(path))
    .and_then(Value::as_str)
    .map(str::to_owned)
}

#[test]
fn equal_seed_and_index_give_equal_bytes() {
    assert_eq!(line(17), line(17));
    assert_ne!(line(17), line(18));
    let mut other = Vec::new();
    Events::new(2, false).event(17).render(STAMP, &mut other);
    assert_ne!(line(17).into_bytes(), other);
}

#[test]
fn the_bytes_never_change() {
    // A change here breaks every recorded figure and every verifier of another version.
    let lines: String = (0..1_000).map(line).collect();
    assert_eq!(crate::engine::random::hash(lines.as_bytes()), 6_705_280_752_594_255_766);
}

#[test]
fn accessors_agree_with_the_line() {
    for index in 0..5_000 {
        let event = Events::new(1, false).event(index);
        let text = line(index);
        let value: Value =
            serde_json::from_str(&text).unwrap_or_else(|error| panic!("event {index}: {error}: {text}"));
        assert_eq!(value["id"], event.id());
        assert_eq!(value["type"], event.type_name());
        assert_eq!(value["offset"].to_string(), STAMP.offset);
        assert_eq!(value["occurred"], "2026-03-02T07:40:29.95Z");
        assert_eq!(value.pointer("/device/device_type").and_then(Value::as_str), event.device_type());
        assert_eq!(key_of(&value), event.device_key(), "{text}");
        assert!(!text.contains('<') && !text.contains('\n'), "{text}");
    }
}

#[test]
fn all_types_occur_and_the_mean_is_600_bytes() {
    let mut sizes: BTreeMap<&str, u64> = BTreeMap::new();
    let mut bytes = 0;
    for index in 0..20_000 {
        *sizes.entry(Events::new(1, false).event(index).type_name()).or_default() += 1;
        bytes += line(index).len() as u64;
    }
    assert_eq!(sizes.len(), 43);
    assert_eq!(type_names().collect::<BTreeSet<_>>().len(), 43);
    let mean = bytes / 20_000;
    assert!((560..=640).contains(&mean), "mean {mean}");
}

#[test]
fn the_traps_of_the_reference_occur() {
    let lines: Vec<(String, Value)> = (0..20_000)
        .map(|index| {
            let text = line(index);
            let value = serde_json::from_str(&text).unwrap();
            (text, value)
        })
        .collect();
    let any = |what: &str, holds: &dyn Fn(&str, &Value) -> bool| {
        assert!(lines.iter().any(|(text, value)| holds(text, value)), "no event with {what}");
    };
    any("non-ASCII", &|text, _| !text.is_ascii());
    any("four-byte characters", &|text, _| text.contains('🚆'));
    any("a quote escape", &|text, _| text.contains("\\\""));
    any("a backslash escape", &|text, _| text.contains("\\\\"));
    any("a unicode escape", &|text, _| text.contains("\\u00e9"));
    any("a surrogate pair", &|text, _| text.contains("\\ud83d\\ude80"));
    any("a line feed escape", &|text, _| text.contains("\\n"));
    any("an integer above 2^53", &|_, value| {
        value.pointer("/body/properties/balance").and_then(Value::as_u64) > Some(1 << 53)
    });
    any("null campaigns", &|_, value| value.pointer("/body/campaigns").is_some_and(Value::is_null));
    any("PUSH_BODY without device", &|_, value| {
        value["type"] == "PUSH_BODY" && value.get("device").is_none()
    });
    any("OPEN without body", &|_, value| value["type"] == "OPEN" && value.get("body").is_none());
    any("OPEN without device", &|_, value| value["type"] == "OPEN" && value.get("device").is_none());
    any("only a legacy key", &|_, value| {
        value.pointer("/device/ios_channel").is_some() && value.pointer("/device/channel").is_none()
    });
    any("named_user", &|_, value| value.pointer("/device/named_user").is_some());
    any("a number as sender", &|_, value| {
        value.pointer("/body/properties/sender").is_some_and(Value::is_number)
    });
    any("type ahead of body", &|text, _| text.find("\"type\":\"SEND\"") < text.find("\"body\":"));
    any("no key at all", &|_, value| key_of(value).is_none());
    any("only the type of an SMS device", &|_, value| {
        value["type"] == "MOBILE_ORIGINATED" && value["device"].get("delivery_address").is_none()
    });
    any("a person in the body alone", &|_, value| {
        value["type"] == "CONTACT_CHANGE" && value.get("device").is_none() && value.get("user").is_none()
    });
}

/// What official examples have against the schema, and so events without `by_schema` too.
#[test]
fn by_schema_there_is_nothing_that_only_examples_have() {
    let deviates = |value: &Value| {
        let at = |path: &str| value.pointer(path);
        let is = |path: &str, wanted: fn(&Value) -> bool| at(path).is_some_and(wanted);
        let of_app = at("/device/device_type")
            .is_some_and(|kind| ["IOS", "ANDROID", "AMAZON"].contains(&kind.as_str().unwrap()));
        [
            ("null", value.to_string().contains("null") && !is("/body/properties/nothing", Value::is_null)),
            ("no channel of an app", of_app && at("/device/channel").is_none()),
            ("a number as sender", is("/body/properties/sender", Value::is_number)),
            (
                "a switch as text",
                ["is_mobile", "is_prefetched", "channel_registered"]
                    .iter()
                    .any(|name| is(&format!("/body/properties/{name}"), Value::is_string)),
            ),
            ("forms as a list", is("/body/forms", Value::is_array)),
            ("pages as a list", is("/body/viewed_pages", Value::is_array)),
            ("UNINSTALL without body", value["type"] == "UNINSTALL" && value.get("body").is_none()),
            (
                "a named user alone",
                value["type"] == "CUSTOM"
                    && at("/device/channel").is_none()
                    && at("/device/device_type").is_none(),
            ),
            (
                "a bounce without address",
                at("/body/event_type").is_some_and(|kind| kind == "bounce")
                    && at("/body/identifiers").is_none(),
            ),
            (
                "consent without address",
                value["type"] == "COMPLIANCE"
                    && value["device"]["device_type"] == "EMAIL"
                    && at("/device/delivery_address").is_none(),
            ),
            ("an interaction of its own", is("/body/interaction_type", |kind| kind == "url")),
        ]
    };
    let mut seen = std::collections::BTreeSet::new();
    for index in 0..20_000 {
        let all: Value = serde_json::from_str(&line(index)).unwrap();
        seen.extend(deviates(&all).into_iter().filter(|(_, does)| *does).map(|(what, _)| what));
        let clean = by_schema(index);
        for (what, does) in deviates(&clean) {
            assert!(!does, "{what}: {clean}");
        }
    }
    assert_eq!(seen.len(), 11, "each of them occurs otherwise: {seen:?}");
}

/// The members that the schema gives `format: uuid`, wherever they stand in a body.
const UUIDS: [&str; 10] = [
    "region_id",
    "page_identifier",
    "from_page_identifier",
    "to_page_identifier",
    "from_pager_identifier",
    "pager_identifier",
    "form_id",
    "flag_id",
    "experiment_id",
    "event_uuid",
];

/// Those members of a value, with what they hold.
fn uuids<'v>(value: &'v Value, found: &mut Vec<(&'v str, &'v Value)>) {
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                if UUIDS.contains(&name.as_str()) {
                    found.push((name, value));
                }
                uuids(value, found);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| uuids(item, found)),
        _ => {}
    }
}

fn is_uuid(value: &Value) -> bool {
    let is_group = |(group, length): (&str, usize)| {
        group.len() == length && group.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    };
    let groups: Vec<_> = value.as_str().unwrap_or_default().split('-').collect();
    groups.len() == 5 && groups.into_iter().zip([8, 4, 4, 4, 12]).all(is_group)
}

#[test]
fn by_schema_values_have_the_formats_that_the_schema_says() {
    let (mut seen, mut plain) = (BTreeSet::new(), BTreeSet::new());
    for index in 0..20_000 {
        let value = by_schema(index);
        let mut found = Vec::new();
        uuids(&value, &mut found);
        for (name, held) in found {
            assert!(is_uuid(held), "{name}: {value}");
            seen.insert(name.to_owned());
        }
        let other: Value = serde_json::from_str(&line(index)).unwrap();
        let mut found = Vec::new();
        uuids(&other, &mut found);
        plain.extend(found.into_iter().filter(|(_, held)| !is_uuid(held)).map(|(name, _)| name.to_owned()));
    }
    let known = |names: &BTreeSet<String>| names.iter().map(String::clone).collect::<Vec<_>>().join(" ");
    let expected = "event_uuid experiment_id flag_id form_id from_pager_identifier page_identifier pager_identifier \
                    region_id to_page_identifier";
    assert_eq!(known(&seen), expected, "each occurs");
    let expected =
        "form_id from_page_identifier from_pager_identifier page_identifier region_id to_page_identifier";
    assert_eq!(known(&plain), expected, "as examples have it");
}

#[test]
fn values_are_of_the_types_that_the_schema_says() {
    let (mut locales, mut classes, mut kinds) = (0, 0, BTreeSet::new());
    for value in (0..20_000).flat_map(|index| [by_schema(index), serde_json::from_str(&line(index)).unwrap()])
    {
        let body = &value["body"];
        if let Some(locale) = body.get("locale") {
            assert!(locale.is_string(), "{value}");
            locales += 1;
        }
        let variant = body.get("variant_id").filter(|_| value["type"] != "FEATURE_FLAG_INTERACTION");
        assert!(variant.is_none_or(Value::is_u64), "{value}");
        if let Some(class) = body.pointer("/properties/bounce_class") {
            let number = match value["type"].as_str() {
                Some("CUSTOM") => class.as_str().and_then(|text| text.parse().ok()),
                _ => class.as_u64(),
            };
            assert!((1..=100).contains(&number.unwrap_or_else(|| panic!("{value}"))), "{value}");
            classes += 1;
        }
        if let Some(kind) = body.pointer("/forms/responses/type") {
            let known = ["single_choice", "multiple_choice", "text_input", "email_input"];
            assert!(known.contains(&kind.as_str().unwrap()), "{value}");
        }
        if value["type"] == "COMPLIANCE" {
            kinds.insert(body["event_type"].as_str().unwrap().to_owned());
        }
    }
    assert!(locales > 100 && classes > 100, "{locales} {classes}");
    let expected = [
        "api_initiate_opt_in",
        "bounce",
        "carrier_deactivation",
        "create_and_send",
        "custom_keyword_response",
        "mobile_create_channel",
        "mobile_keyword_matched",
        "mobile_keyword_unmatched",
        "mobile_opt_in",
        "mobile_opt_out",
        "mobile_terminated_message",
        "opted_out",
        "registration",
        "rnd_scan",
        "suppression_removed",
        "uninstall",
    ];
    assert_eq!(kinds.iter().map(String::as_str).collect::<Vec<_>>(), expected);
}
