//! `tributary dead-letters replay`: each letter once, under the configuration as it is now.

use super::scene::{MENDED, Scene, TEMPLATE, became, typed, untyped, write};
use crate::harness::broker::broker;
use crate::harness::reader::Isolation;
use serde_json::{Value, json};
use std::collections::BTreeSet;

const NO_ID: &str = r#"{"offset":"77","type":"open"}"#;
const GARBAGE: &str = "no JSON";

#[test]
fn each_letter_is_replayed_once_and_what_fails_again_says_how_often() {
    let mut lines: Vec<String> = (1..=3).map(untyped).collect();
    lines.extend([NO_ID.to_owned(), GARBAGE.to_owned(), typed(9)]);
    let scene = Scene::new("replay-once", &lines, 5);
    let first = scene.letters();
    let of = |value: &str| first.iter().find(|letter| letter.text() == value).expect("a letter");
    assert_eq!(of(NO_ID).header("tributary-position"), Some("offset 77"));
    assert_eq!(of(&untyped(2)).header("tributary-position"), Some("offset 2"));
    assert_eq!(of(GARBAGE).header("tributary-position"), None, "it has none");
    assert!(first.iter().all(|letter| letter.header("tributary-attempts").is_none()));
    assert!(first.iter().all(|letter| letter.header("tributary-bytes") == Some("whole")));

    let foreseen = scene.replay(&["--dry-run"]);
    assert_eq!((&foreseen["taken"], &foreseen["replayed_before"]), (&json!(5), &json!(0)));
    let summary = scene.replay(&[]);
    assert_eq!(became(&summary), [3, 0, 2], "{summary:#}");
    assert_eq!(summary["failed_again"], json!({"no_id": 1, "not_an_object": 1}));
    assert_eq!(scene.values("other", Isolation::Committed), (1..=3).map(untyped).collect::<Vec<_>>());
    let again = scene.letters();
    let second =
        again.iter().find(|letter| letter.header("tributary-attempts").is_some()).expect("a new letter");
    assert_eq!(second.header("tributary-attempts"), Some("2"));
    let new = |value: &str| {
        let found = again
            .iter()
            .find(|letter| letter.text() == value && letter.header("tributary-attempts") == Some("2"));
        found.expect("a new letter")
    };
    assert_eq!(new(NO_ID).header("tributary-position"), Some("offset 77"), "as the first one said");
    assert_eq!(
        (new(NO_ID).header("tributary-shard"), new(GARBAGE).header("tributary-position")),
        (Some("0"), None)
    );

    // What failed again is what is left, and open; the rest was replayed.
    let (code, open) = super::look::run(&["list", "--open", "--json"], &scene.toml(MENDED));
    assert_eq!(code, Some(0), "{open:?}");
    let open: Vec<Value> = serde_json::from_str(&open.join("\n")).expect("JSON");
    let open: BTreeSet<_> =
        open.iter().map(|row| (row["reason"].as_str(), row["attempts"].as_u64())).collect();
    assert_eq!(open, BTreeSet::from([(Some("no_id"), Some(2)), (Some("not_an_object"), Some(2))]));
    let summary = scene.replay(&[]);
    assert_eq!((became(&summary), &summary["replayed_before"]), ([0, 0, 2], &json!(5)), "{summary:#}");
    let attempts = scene.attempts();
    for value in [NO_ID, GARBAGE] {
        for attempt in ["-", "2", "3"] {
            assert_eq!(attempts[&(value.to_owned(), attempt.to_owned())], 1, "{value} {attempt}");
        }
    }
    let both =
        [Isolation::Committed, Isolation::Uncommitted].map(|isolation| scene.values("other", isolation));
    assert!(both.iter().all(|values| values.len() == 3), "{both:?}");
}

#[test]
fn some_first_and_the_rest_later_are_each_replayed_once() {
    let mut lines: Vec<String> = (1..=6).map(untyped).collect();
    lines.insert(3, NO_ID.to_owned());
    let scene = Scene::new("replay-some", &lines, 7);
    let summary = scene.replay(&["--until", "1d"]);
    assert_eq!((became(&summary), &summary["not_chosen"]), ([0, 0, 0], &json!(7)), "{summary:#}");
    let summary = scene.replay(&["--reason", "no_id"]);
    assert_eq!((became(&summary), &summary["not_chosen"]), ([0, 0, 1], &json!(6)), "{summary:#}");
    let summary = scene.replay(&["--reason", "unroutable", "--limit", "2", "--since", "1d"]);
    assert_eq!((became(&summary), &summary["limited"]), ([2, 0, 0], &json!(true)), "{summary:#}");
    let summary = scene.replay(&["--reason", "unroutable"]);
    assert_eq!((became(&summary), &summary["limited"]), ([4, 0, 0], &json!(false)), "{summary:#}");
    assert_eq!(scene.values("other", Isolation::Uncommitted), (1..=6).map(untyped).collect::<Vec<_>>());
    let summary = scene.replay(&["--dry-run"]);
    assert_eq!((&summary["taken"], &summary["replayed_before"]), (&json!(1), &json!(7)), "the new letter");
}

/// Writes letters again, as a source that repeats its lines has them written.
fn write_again(scene: &Scene, stream: &str) {
    let letters = scene.letters();
    let again = letters.iter().map(|letter| {
        let headers = letter.headers.iter().map(|(name, value)| match &name[..] {
            "tributary-stream" => ("tributary-stream", stream.as_bytes()),
            name => (name, &value[..]),
        });
        (headers.collect(), letter.value.as_deref().expect("a value"))
    });
    write(broker(), &scene.topic("dead-letters"), &again.collect::<Vec<_>>());
}

#[test]
fn an_event_with_several_letters_is_delivered_once() {
    let lines: Vec<String> = (1..=3).map(untyped).collect();
    let scene = Scene::new("replay-copies", &lines, 3);
    write_again(&scene, "s");
    let summary = scene.replay(&["--limit", "4"]);
    assert_eq!(became(&summary), [3, 1, 0], "the fourth is a copy: {summary:#}");
    let summary = scene.replay(&[]);
    assert_eq!(became(&summary), [0, 2, 0], "{summary:#}");
    assert_eq!(scene.values("other", Isolation::Uncommitted), lines);
}

#[test]
fn what_failed_is_not_taken_for_delivered() {
    let lines: Vec<String> = (1..=3).map(untyped).collect();
    let scene = Scene::new("replay-failed", &lines, 3);
    write_again(&scene, "s");
    // With the configuration of before they fail again: one new letter for each event.
    let summary = scene.start_with(&scene.toml(TEMPLATE), &[], &[]).succeeds();
    assert_eq!(became(&summary), [0, 3, 3], "{summary:#}");
    let summary = scene.replay(&[]);
    assert_eq!(became(&summary), [3, 0, 0], "{summary:#}");
    assert_eq!(scene.values("other", Isolation::Uncommitted), lines);
}

#[test]
fn letters_of_other_streams_and_what_is_not_whole_are_left() {
    let long = format!("{{\"id\":\"5\",\"text\":\"{}\"}}", "x".repeat(70_000));
    let lines = [untyped(1), long];
    let stream = format!("{TEMPLATE}\nmax_line = \"64KiB\"");
    let scene = Scene::with("replay-left", "", &stream, &lines, 2);
    write_again(&scene, "other");
    let summary = scene.replay(&[]);
    assert_eq!((became(&summary), &summary["other_streams"]), ([1, 0, 0], &json!(2)), "{summary:#}");
    assert_eq!(summary["cannot_be_replayed"], json!({"withheld": 0, "head_only": 1, "hashed": 0}));
    let summary = scene.replay(&[]);
    assert_eq!(summary["cannot_be_replayed"]["head_only"], 1, "it stays where it is");
    assert_eq!(scene.letters().len(), 4);
}

#[test]
fn a_topic_that_was_made_again_is_noticed() {
    let scene = Scene::new("replay-anew", &[untyped(1), untyped(2)], 2);
    assert_eq!(became(&scene.replay(&["--limit", "1"])), [1, 0, 0]);
    let topic = format!("{}.dead-letters", scene.prefix);
    let letters = scene.letters();
    broker().delete_topic(&topic);
    crate::harness::wait::wait_until(super::scene::LIMIT, "the topic to be gone", || {
        broker().partition_count(&topic).is_none()
    });
    let refused = scene.start(&[], "").ends();
    assert_eq!(refused.code, Some(1), "{refused:#?}");
    assert!(refused.log.contains("and so no dead letter"), "{refused:#?}");
    broker().create_topic(&topic, 1, &[]);
    let own = || vec![("tributary-stream", &b"s"[..])];
    let again: Vec<_> = letters.iter().map(|letter| (own(), letter.text().as_bytes())).collect();
    write(broker(), &topic, &again);
    let refused = scene.start(&[], "").ends();
    assert_eq!(refused.code, Some(1), "{refused:#?}");
    assert!(refused.log.contains("--forget-replayed"), "{refused:#?}");
    let summary = scene.start_with(&scene.toml(MENDED), &["--forget-replayed"], &[]).succeeds();
    assert_eq!(became(&summary), [2, 0, 0], "{summary:#}");
}

#[test]
fn what_the_retention_has_deleted_is_forgotten_and_no_loss() {
    let scene = Scene::new("replay-retention", &(1..=4).map(untyped).collect::<Vec<_>>(), 4);
    assert_eq!(became(&scene.replay(&["--limit", "2"])), [2, 0, 0]);
    let topic = format!("{}.dead-letters", scene.prefix);
    assert_eq!(broker().partition_count(&topic), Some(1));
    let letters = scene.letters();
    // The latest that was replayed is gone, too.
    broker().delete_records(&topic, 0, letters[1].offset + 1);
    let summary = scene.replay(&[]);
    assert_eq!((became(&summary), &summary["replayed_before"]), ([2, 0, 0], &json!(0)), "{summary:#}");
    assert_eq!(scene.values("other", Isolation::Uncommitted), (1..=4).map(untyped).collect::<Vec<_>>());
    let summary = scene.replay(&[]);
    assert_eq!((became(&summary), &summary["replayed_before"]), ([0, 0, 0], &json!(2)), "{summary:#}");
}

#[test]
fn a_topic_of_replays_that_would_forget_is_set_right() {
    let scene = Scene::new("replay-settings", &[untyped(1)], 1);
    let topic = format!("{}.replays", scene.prefix);
    broker().create_topic(&topic, 1, &[("cleanup.policy", "delete"), ("retention.ms", "604800000")]);
    assert_eq!(became(&scene.replay(&[])), [1, 0, 0]);
    assert_eq!(broker().topic_config(&topic)["cleanup.policy"], "compact");
}

#[test]
fn a_stream_that_is_not_there_is_named() {
    let scene = Scene::new("replay-unknown", &[untyped(1)], 1);
    let done = super::scene::start(&scene.toml(MENDED), "other", &[], &[]).ends();
    assert_eq!(done.code, Some(1), "{done:#?}");
    assert!(done.log.contains("no stream is called other; there are: s"), "{done:#?}");
}
