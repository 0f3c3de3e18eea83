//! Keys of several fields, and none; what is redacted is not in them, unless they are to be those of events as they came.

use crate::harness::adobe::scenes::{self, Expected, id};
use crate::harness::airship::run::{Run, event, setup};
use std::collections::BTreeMap;
use tributary_mock::adobe::Hit;

/// Channels of different lengths, some absent; the longest joined keys are not held in place.
fn lines() -> Vec<(String, Option<String>)> {
    let of = |n: usize| {
        let channel = (!n.is_multiple_of(4)).then(|| "c".repeat(n));
        let device = channel.as_ref().map(|channel| format!("\"device\":{{\"channel\":\"{channel}\"}}"));
        (event(n, "T", &device.unwrap_or_default()), channel)
    };
    (0..90).map(of).collect()
}

/// The keys by the numbers of the events.
#[track_caller]
fn keys(test: &str, stream: &str) -> BTreeMap<usize, Option<String>> {
    let lines = lines();
    let mut run = Run::start(&setup(test).stream(stream), lines.iter().map(|(line, _)| line));
    run.wait(lines.len(), 0);
    run.stop();
    let messages = run.read("events");
    assert_eq!(messages.len(), lines.len());
    let key = |key: &Vec<u8>| String::from_utf8(key.clone()).expect("text");
    let number = |id: &str| id.parse().expect("a number");
    messages
        .iter()
        .map(|message| (number(message.header("ce_id").expect("an id")), message.key.as_ref().map(key)))
        .collect()
}

#[test]
fn fields_are_joined_and_absent_ones_leave_their_places_empty() {
    let found = keys("joined-key", r#"key = { fields = ["device.channel", "type", "body.x"], join = "|" }"#);
    for (n, (_, channel)) in lines().iter().enumerate() {
        assert_eq!(found[&n], Some(format!("{}|T|", channel.as_deref().unwrap_or_default())), "{n}");
    }
}

#[test]
fn none_is_no_key() {
    let found = keys("no-key", r#"key = "none""#);
    assert!(found.len() == 90 && found.values().all(Option::is_none), "{found:?}");
}

#[test]
fn a_joined_key_shows_nothing_that_is_redacted_unless_told_to() {
    let stream = |key_from: &str| {
        format!(
            r#"
            key = {{ fields = ["type", "device.channel"], join = ":" }}
            redact = [{{ path = "device.channel", action = "drop" }}]
            key_from = "{key_from}"
            "#
        )
    };
    let redacted = keys("joined-redacted", &stream("redacted"));
    assert!(redacted.values().all(|key| key.as_deref() == Some("T:")), "{redacted:?}");
    let received = keys("joined-received", &stream("received"));
    for (n, (_, channel)) in lines().iter().enumerate() {
        assert_eq!(received[&n], Some(format!("T:{}", channel.as_deref().unwrap_or_default())), "{n}");
    }
}

#[test]
fn hits_have_joined_keys_too() {
    const HITS: u64 = 300;
    let key = r#"key = { fields = ["reportSuite", "hitIdHigh", "hitIdLow"], join = "/" }"#;
    let mut scene = scenes::Setup::one("adobe-joined", scenes::all_at_once(HITS), key).start();
    let log = scene.log_of("s");
    let all = Expected::from(&log);
    scene.wait_delivered("s", all.len());
    scene.stop();
    let messages = scene.events("s");
    all.check(&messages);
    let hits: BTreeMap<String, Hit> = (0..HITS).map(|n| (id(log.id(n)), log.hit(n))).collect();
    let mut seen = 0;
    for message in &messages {
        let hit = &hits[message.header("ce_id").expect("an id")];
        // Halves that are written as negative numbers are text as they stand.
        if hit.shape.negative_ids {
            continue;
        }
        seen += 1;
        let expected = format!("{}/{}/{}", hit.suite, hit.id.0, hit.id.1);
        assert_eq!(message.key.as_deref(), Some(expected.as_bytes()));
    }
    assert!(seen > HITS / 2, "{seen}");
}
