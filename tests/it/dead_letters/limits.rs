//! What a replay may not lose or repeat where it comes to a limit: of the bytes that a topic takes, of what its record has room for, and
//! of what others leave open.

use super::scene::{MENDED, Scene, TEMPLATE, became, start, untyped, write};
use crate::harness::airship::run;
use crate::harness::airship::wait_hit;
use crate::harness::broker::broker;
use crate::harness::reader::{Isolation, Message, read_all};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// What the topic of dead letters takes, bytes.
const TAKES: usize = 4_096;

/// An event without a type, of so many bytes.
fn of_length(length: usize) -> String {
    let event = |text: &str| format!("{{\"id\":\"{length}\",\"offset\":\"{length}\",\"text\":\"{text}\"}}");
    event(&"x".repeat(length - event("").len()))
}

#[test]
fn a_line_that_just_fits_is_there_in_full_however_often_it_fails() {
    let prefix = run::setup("replay-fits").prefix;
    broker().create_topic(&format!("{prefix}.dead-letters"), 1, &[("max.message.bytes", &TAKES.to_string())]);
    let lines: Vec<String> = (TAKES - 700..TAKES - 200).map(of_length).collect();
    let scene = Scene::at(prefix, "", TEMPLATE, &lines, lines.len());
    let with = |attempts: Option<&str>, bytes: &str| -> Vec<Message> {
        let is_it = |letter: &Message| {
            letter.header("tributary-attempts") == attempts && letter.header("tributary-bytes") == Some(bytes)
        };
        scene.letters().into_iter().filter(is_it).collect()
    };
    let values = |letters: &[Message]| -> BTreeSet<String> {
        letters.iter().map(|letter| letter.text().to_owned()).collect()
    };
    let (whole, heads) = (values(&with(None, "whole")), with(None, "head"));
    assert!(!whole.is_empty() && !heads.is_empty(), "{} whole, {} heads", whole.len(), heads.len());
    // What is said of them is longer the second time.
    let longer = r#"topic = "{prefix}.{a_member_with_a_name_that_is_as_long_as_a_sentence_about_it}""#;
    for attempt in ["2", "3"] {
        let summary = scene.start_with(&scene.toml(longer), &[], &[]).succeeds();
        assert_eq!(became(&summary), [0, 0, whole.len() as u64], "{summary:#}");
        let again = with(Some(attempt), "whole");
        assert_eq!(values(&again), whole);
        assert!(with(Some(attempt), "head").is_empty());
        let details: Vec<_> =
            again.iter().map(|it| it.header("tributary-detail").expect("a detail").len()).collect();
        assert!(details.iter().min() < details.iter().max(), "it made room for the line: {details:?}");
    }
}

#[test]
fn a_topic_that_takes_less_than_before_ends_the_replay_and_keeps_the_line() {
    let lines = [of_length(3_000)];
    let scene = Scene::new("replay-lowered", &lines, 1);
    broker().change_topic(&scene.topic("dead-letters"), &[("max.message.bytes", "2000")]);
    let refused = scene.start_with(&scene.toml(TEMPLATE), &[], &[]).ends();
    assert_eq!(refused.code, Some(3), "{refused:#?}");
    assert!(refused.log.contains("raise its max.message.bytes"), "{refused:#?}");
    assert_eq!(scene.letters().len(), 1, "nothing was written");
    assert_eq!(became(&scene.replay(&[])), [1, 0, 0], "and what is mended is delivered");
    assert_eq!(scene.values("other", Isolation::Committed), lines);
}

/// The record of what was replayed: its partition, key and value.
fn record(scene: &Scene) -> (i32, Vec<u8>, Value) {
    let records = read_all(broker(), &scene.topic("replays"), Isolation::Committed);
    let last = records.last().expect("a record");
    let value = serde_json::from_slice(last.value.as_deref().expect("a value")).expect("JSON");
    (last.partition, last.key.clone().expect("a key"), value)
}

/// Replays one letter, and then has the record of it say that this set of ranges has as many as it has room for.
fn fill(scene: &Scene, set: &str) {
    assert_eq!(became(&scene.replay(&["--limit", "1"])), [1, 0, 0]);
    let (partition, key, mut value) = record(scene);
    let ranges = find(&mut value, set).expect("the set");
    let known: Vec<Value> = ranges.as_array().expect("ranges").clone();
    // Behind what there is.
    let more = (0..15_000 - known.len()).map(|n| json!([1_000_000 + 2 * n, 1_000_001 + 2 * n]));
    *ranges = known.into_iter().chain(more).collect();
    let sequence = find(&mut value, "sequence").expect("a sequence");
    *sequence = json!(sequence.as_u64().expect("a number") + 1);
    let topic = scene.topic("replays");
    let bytes = serde_json::to_vec(&value).expect("JSON");
    let record: BaseRecord<'_, [u8], [u8]> =
        BaseRecord::to(&topic).key(&key[..]).payload(&bytes[..]).partition(partition);
    let producer: BaseProducer = broker().client(&[]).create().expect("a producer");
    producer.send(record).map_err(|(error, _)| error).expect("sent");
    producer.flush(super::scene::LIMIT).expect("written");
}

/// The member of this name, wherever it stands.
fn find<'v>(value: &'v mut Value, name: &str) -> Option<&'v mut Value> {
    match value {
        Value::Object(members) => {
            if members.contains_key(name) {
                return members.get_mut(name);
            }
            members.values_mut().find_map(|value| find(value, name))
        }
        Value::Array(items) => items.iter_mut().find_map(|value| find(value, name)),
        _ => None,
    }
}

#[test]
fn what_its_record_has_no_room_for_is_refused_and_not_forgotten() {
    for (set, code, says) in [
        ("done", 1, "replay without --reason"),
        ("delivered", 3, "failed again, and their record has no room"),
    ] {
        let lines: Vec<String> = (1..=4).map(untyped).collect();
        let scene = Scene::new(&format!("replay-full-{set}"), &lines, 4);
        fill(&scene, set);
        // The second letter is left out, so the third begins a range.
        let reason = [(&b"no_id"[..], 2), (&b"unroutable"[..], 3)].map(|(reason, n)| {
            let headers = vec![("tributary-stream", &b"s"[..]), ("tributary-reason", reason)];
            (headers, untyped(n + 10))
        });
        let letters: Vec<_> =
            reason.iter().map(|(headers, text)| (headers.clone(), text.as_bytes())).collect();
        write(broker(), &scene.topic("dead-letters"), &letters);
        let before = scene.values("other", Isolation::Committed);
        let refused = scene.start(&["--reason", "unroutable", "--since", "2000-01-01T00:00:00Z"], "").ends();
        assert_eq!(refused.code, Some(code), "{set}: {refused:#?}");
        assert!(refused.log.contains(says), "{set}: {refused:#?}");
        let after = scene.values("other", Isolation::Committed);
        assert!(after.iter().all(|value| lines.contains(value)), "{set}: {before:?} {after:?}");
        let (_, _, mut value) = record(&scene);
        let ranges = find(&mut value, set).and_then(|set| set.as_array().map(Vec::len));
        assert_eq!(ranges, Some(15_000), "{set}: none is forgotten");
    }
}

#[test]
fn a_replay_that_died_holds_up_no_other_stream() {
    let lines: Vec<String> = (1..=3).map(untyped).collect();
    // Longer than the test may take.
    let scene =
        Scene::with("replay-beside-dead", "kafka = { transaction_timeout = \"10m\" }", TEMPLATE, &lines, 3);
    let letters = scene.letters();
    let of_other =
        letters.iter().map(|letter| (vec![("tributary-stream", &b"t"[..])], letter.text().as_bytes()));
    write(broker(), &scene.topic("dead-letters"), &of_other.collect::<Vec<_>>());
    let mut dead = scene.start(&[], "before_commit=2:pause");
    wait_hit(&dead.process);
    dead.process.kill9();
    assert!(crate::harness::airship::has_open_transaction(&scene.topic("replays")), "it is open");
    let toml = scene.toml(&MENDED.replace(".other", ".beside")).replacen("name = \"s\"", "name = \"t\"", 1);
    let summary = start(&toml, "t", &[], &[]).succeeds();
    assert_eq!(became(&summary), [3, 0, 0], "{summary:#}");
    assert_eq!(scene.values("beside", Isolation::Committed), lines);
    assert!(
        crate::harness::airship::has_open_transaction(&scene.topic("replays")),
        "it was open all the time"
    );
    assert_eq!(became(&scene.replay(&[])), [3, 0, 0]);
    assert_eq!(scene.values("other", Isolation::Committed), lines);
}
