//! Replays of streams of other kinds, of redacted letters, and of those that the configuration leaves out by now.

use super::scene::{MENDED, Scene, TEMPLATE, became, start, untyped};
use crate::harness::adobe::scenes as adobe;
use crate::harness::broker::broker;
use crate::harness::listener::Listener;
use crate::harness::reader::{Isolation, read_all};
use crate::harness::wait::{GENEROUS, wait_until};
use crate::redaction::{KEY, hash};
use serde_json::json;

/// Where it must not be seen.
const CLEAR: &str = "clear-4139e16a";

#[test]
fn hits_are_replayed_and_their_letters_say_when_they_were_received() {
    let hit = r#"{"hitIdHigh":1,"hitIdLow":2,"receivedTimeGMT":1767225600}"#;
    let server = Listener::answering(move |number, _| {
        let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n\r\n";
        (number == 0).then(|| format!("{head}{hit}\r\n").into_bytes())
    });
    let keys = format!(
        r#"
        url = "{}/api/1/stream/x"
        auth = {{ bearer = {{ value = "t" }} }}
        topic = "{{prefix}}.{{reportSuite}}"
        "#,
        server.url()
    );
    let mut scene = adobe::Setup::one("replay-hits", adobe::all_at_once(0), &keys).start();
    wait_until(GENEROUS, "a dead letter", || scene.metric("tributary_dead_letters_total", "s") >= 1.0);
    scene.stop();
    let letters = scene.dead_letters("s");
    assert_eq!(letters[0].header("tributary-position"), Some("received 2026-01-01T00:00:00Z"));
    let other = format!("{}.other", scene.prefix());
    let mended = scene.config.replacen("[[stream]]", &format!("[[stream]]\ndefault_topic = \"{other}\""), 1);
    let summary = start(&mended, "s", &[], &[]).succeeds();
    assert_eq!(became(&summary), [1, 0, 0], "{summary:#}");
    let events = read_all(broker(), &other, Isolation::Uncommitted);
    assert_eq!(events.iter().map(|event| event.text()).collect::<Vec<_>>(), [hit]);
}

#[test]
fn what_was_hashed_is_not_hashed_twice_and_what_was_withheld_is_left() {
    let line = format!(r#"{{"id":"1","offset":"1","device":{{"channel":"{CLEAR}"}}}}"#);
    let redact = |more: &str| {
        format!(
            r#"redact = [{{ path = "device.channel", action = "hash", secret = {{ value = "{KEY}" }} }}{more}]"#
        )
    };
    let lines = [line.clone(), format!("garbage {CLEAR}")];
    let before = format!("{TEMPLATE}\n{}", redact(""));
    let scene = Scene::with("replay-redacted", "", &before, &lines, 2);
    let rules: Vec<_> =
        scene.letters().iter().map(|it| it.header("tributary-bytes").map(str::to_owned)).collect();
    assert!(
        rules.contains(&Some("redacted".into())) && rules.contains(&Some("withheld".into())),
        "{rules:?}"
    );
    // With another rule nobody knows what in it is hashed already.
    let other = format!("{MENDED}\n{}", redact(r#", { path = "user", action = "drop" }"#));
    let summary = scene.start_with(&scene.toml(&other), &[], &[]).succeeds();
    assert_eq!(summary["cannot_be_replayed"], json!({"withheld": 1, "head_only": 0, "hashed": 1}));
    // First it fails again, and then it is delivered.
    let summary = scene.start_with(&scene.toml(&before), &[], &[]).succeeds();
    assert_eq!(became(&summary), [0, 0, 1], "{summary:#}");
    let mended = format!("{MENDED}\n{}", redact(""));
    let summary = scene.start_with(&scene.toml(&mended), &[], &[]).succeeds();
    assert_eq!(became(&summary), [1, 0, 0], "{summary:#}");
    let hashed = hash(KEY, CLEAR);
    assert_eq!(scene.values("other", Isolation::Uncommitted), [line.replace(CLEAR, &hashed)]);
    let events = read_all(broker(), &format!("{}.other", scene.prefix), Isolation::Committed);
    assert_eq!(events[0].key.as_deref(), Some(hashed.as_bytes()));
    let lengths: Vec<_> =
        scene.letters().iter().map(|it| it.header("tributary-length").map(str::to_owned)).collect();
    let length = Some(line.len().to_string());
    assert_eq!(
        lengths.iter().filter(|found| **found == length).count(),
        2,
        "of the line as received: {lengths:?}"
    );
}

#[test]
fn what_the_configuration_leaves_out_by_now_is_left_out_and_counted() {
    let lines: Vec<String> = (1..=3).map(untyped).collect();
    let scene = Scene::new("replay-filters", &lines, 3);
    let drops = format!("{MENDED}\ndrop = [{{ name = \"two\", field = \"n\", is = [\"2\"] }}]");
    let summary = scene.start_with(&scene.toml(&drops), &[], &[]).succeeds();
    assert_eq!((became(&summary), &summary["filtered"]), ([2, 0, 0], &json!(1)), "{summary:#}");
    assert_eq!(scene.values("other", Isolation::Uncommitted), [untyped(1), untyped(3)]);
    let summary = scene.replay(&[]);
    assert_eq!((became(&summary), &summary["replayed_before"]), ([0, 0, 0], &json!(3)), "{summary:#}");
}

#[test]
fn letters_are_replayed_exactly_once_whatever_is_asked_of_events() {
    let lines: Vec<String> = (1..=4).map(untyped).collect();
    let least = "delivery = \"at_least_once\"\ncommit = { max_events = 2 }";
    let scene = Scene::with("replay-least", least, TEMPLATE, &lines, 4);
    let mut replay = scene.start(&[], "before_commit=3:pause");
    crate::harness::airship::wait_hit(&replay.process);
    replay.process.kill9();
    let summary = scene.replay(&[]);
    assert_eq!((became(&summary), &summary["replayed_before"]), ([2, 0, 0], &json!(2)), "{summary:#}");
    assert_eq!(scene.values("other", Isolation::Committed), lines);
    assert!(
        scene.values("other", Isolation::Uncommitted).len() > lines.len(),
        "what was aborted had been sent"
    );
}
