//! Airship events: rules for what names people, with the keys, through a batch that is aborted and made again.

use super::{Action, KEY, Rules, assert_hidden, assert_no_text, at, hash, parsed, redacted};
use crate::harness::airship::scenes::{Expected, Setup, all_at_once, bytes};
use crate::harness::broker::broker;
use crate::harness::process::{self};
use crate::harness::reader::{self, Isolation};
use crate::harness::wait::GENEROUS;
use std::collections::BTreeMap;
use std::fs;

const EVENTS: u64 = 2_000;

const RULES: Rules<'static> = &[
    (&["device", "channel"], Action::Hash(KEY)),
    (&["device", "ios_channel"], Action::Hash(KEY)),
    (&["device", "android_channel"], Action::Hash(KEY)),
    (&["device", "amazon_channel"], Action::Hash(KEY)),
    (&["device", "named_user_id"], Action::Hash(KEY)),
    (&["device", "named_user"], Action::Drop),
    (&["device", "delivery_address"], Action::Hash(KEY)),
    (&["device", "identifiers", "com.urbanairship.vendor"], Action::Drop),
    (&["device", "attributes"], Action::Drop),
    (&["user", "named_user_id"], Action::Hash(KEY)),
    (&["body", "channel_id"], Action::Hash(KEY)),
    (&["body", "identifiers", "address"], Action::Hash(KEY)),
    (&["body", "identifiers", "msisdn"], Action::Hash(KEY)),
    // An array of objects.
    (&["body", "set", "value"], Action::Drop),
    (&["body", "set", "key"], Action::Hash(KEY)),
];

/// The same in the connector's words.
fn keys() -> String {
    let rule = |(path, action): &(&[&str], Action)| {
        let name = |name: &&str| if name.contains('.') { format!("\"{name}\"") } else { (*name).to_owned() };
        let path = path.iter().map(name).collect::<Vec<_>>().join(".");
        let action = match action {
            Action::Drop => "action = \"drop\"".to_owned(),
            Action::Hash(key) => format!("action = \"hash\", secret = {{ value = \"{key}\" }}"),
            Action::Truncate => "action = \"truncate\"".to_owned(),
        };
        format!("{{ path = '{path}', {action} }}")
    };
    format!("redact = [{}]", RULES.iter().map(rule).collect::<Vec<_>>().join(", "))
}

/// The fields of the default key that these events have.
const KEY_FIELDS: [&str; 13] = [
    "device.channel",
    "device.ios_channel",
    "device.android_channel",
    "device.amazon_channel",
    "device.named_user_id",
    "device.named_user",
    "device.delivery_address",
    "user.named_user_id",
    "user.contact_id",
    "body.identifiers.msisdn",
    "body.identifiers.address",
    "body.channel_id",
    "body.contact_id",
];

fn key(event: &serde_json::Value) -> Option<String> {
    let text = |value: &serde_json::Value| match value {
        serde_json::Value::String(text) if !text.is_empty() => Some(text.clone()),
        serde_json::Value::Number(number) => Some(number.to_string()),
        _ => None,
    };
    KEY_FIELDS.iter().find_map(|path| at(event, path).and_then(text))
}

/// Runs all events through, with one batch that is aborted; `key_from` says what keys are made of.
#[track_caller]
fn all_events(name: &str, more: &str, is_key_redacted: bool) {
    let setup = Setup::new(name, all_at_once(EVENTS))
        .top("commit = { max_events = 150 }")
        .stream(&format!("{}\n{more}", keys()))
        .env("TRIBUTARY_FAILPOINTS", "before_commit=3:abort");
    let prefix = setup.prefix().to_owned();
    let mut scene = setup.start(broker());
    let log = scene.mock_log();
    let received: BTreeMap<String, Vec<u8>> = log
        .expected(0..log.len())
        .filter(|line| !line.entry.is_duplicate)
        .map(|line| (line.id, line.line))
        .collect();
    scene.wait_delivered(received.len() as u64);
    scene.process.wait_for_log("failpoint hit", GENEROUS);
    let metrics = scene.process.get("/metrics").body;
    scene.stop();

    let messages = reader::read_all(broker(), &scene.events(), Isolation::Committed);
    let mut hidden = Vec::new();
    let mut touched = 0;
    let expected: Expected = messages
        .iter()
        .map(|message| {
            let id = message.header("ce_id").expect("an id").to_owned();
            let line = &received[&id];
            let before = parsed(line);
            let after = redacted(before.clone(), RULES, &mut hidden);
            if after == before {
                assert_eq!(bytes(message), line, "{id} has nothing to redact");
            } else {
                touched += 1;
                assert_eq!(parsed(bytes(message)), after, "{id}: {}", message.text());
            }
            let keyed = if is_key_redacted { &after } else { &before };
            let found = message.key.as_deref().map(|key| String::from_utf8_lossy(key).into_owned());
            assert_eq!(found, key(keyed), "{id}: {}", String::from_utf8_lossy(line));
            (id, bytes(message).to_vec())
        })
        .collect();
    // Each once, and so all of them.
    expected.check(&messages);
    assert_eq!(expected.len(), received.len() as u64);
    assert!(
        touched > EVENTS / 2 && hidden.len() as u64 > EVENTS,
        "{touched} events, {} values",
        hidden.len()
    );

    let mut others =
        vec![("checkpoints", vec![]), ("ids", vec![]), ("shards", vec![]), ("dead-letters", vec![])];
    for (topic, messages) in &mut others {
        *messages = reader::read_all(broker(), &format!("{prefix}.{topic}"), Isolation::Uncommitted);
        assert_hidden(&hidden, topic, messages);
    }
    assert_no_text(&hidden, "the log", &scene.process.log().join("\n"));
    assert_no_text(&hidden, "/metrics", &metrics);
    if is_key_redacted {
        let headers = messages.into_iter().map(|message| reader::Message { value: None, ..message });
        assert_hidden(&hidden, "keys and headers", &headers.collect::<Vec<_>>());
    }
}

#[test]
fn events_are_redacted_and_so_are_their_keys() {
    all_events("redact", "", true);
}

#[test]
fn keys_can_be_those_of_the_events_as_they_came() {
    all_events("redact-received-key", "key_from = \"received\"", false);
}

#[test]
fn tail_shows_what_is_redacted() {
    let setup = Setup::new("redact-tail", all_at_once(50)).stream(&keys());
    let scene = tokio::runtime::Runtime::new().expect("a runtime");
    let mock = scene
        .block_on(tributary_mock::start(tributary_mock::Config::local(setup.airship.clone())))
        .expect("a mock");
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("tributary.toml");
    fs::write(&file, setup.configuration(broker(), &mock.url())).expect("written");
    let arguments = ["tail", "--config", file.to_str().expect("text"), "-n", "30", "--from", "earliest"];
    let mut process = process::subcommand(&arguments, &[]);
    assert_eq!(process.wait_exit(GENEROUS).code(), Some(0), "{:#?}", process.log());
    let mut hidden = Vec::new();
    let expected: Vec<_> =
        mock.log().expected(0..30).map(|line| redacted(parsed(&line.line), RULES, &mut hidden)).collect();
    let lines: Vec<_> = process.log().into_iter().filter(|line| line.starts_with("{\"id\"")).collect();
    assert_eq!(lines.iter().map(|line| parsed(line.as_bytes())).collect::<Vec<_>>(), expected);
    assert!(lines.iter().any(|line| line.contains(&hash(KEY, &hidden[0]))));
}
