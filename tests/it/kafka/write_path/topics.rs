//! Topics that events name: looked up together, created together, or not to be had.

use super::{Run, event, keyed, setup, with_reason};
use crate::harness::broker::{broker, distant_broker};
use std::time::Duration;

/// As many types as Airship documents.
const NEW: usize = 43;

/// As many topics as some have already.
const OLD: usize = 320;

/// Between continents.
const ROUND_TRIP: Duration = Duration::from_millis(90);

#[test]
fn new_and_existing_topics_are_prepared_together() {
    let (near, far) = distant_broker(ROUND_TRIP);
    let setup = setup("many-topics");
    let prefix = setup.prefix().to_owned();
    // A transaction that waits for each of them in turn is over before the last one.
    let setup = setup
        .top(&format!("kafka = {{ bootstrap_servers = \"{far}\" }}"))
        .stream(&format!("topic = \"{prefix}.{{type}}\"\npartitions = 1"));
    for n in 0..OLD {
        near.create_topic(&format!("{prefix}.OLD{n}"), 1, &[]);
    }
    let types = (0..OLD).map(|n| format!("OLD{n}")).chain((0..NEW).map(|n| format!("NEW{n}")));
    let types: Vec<String> = types.collect();
    let lines: Vec<String> = types.iter().enumerate().map(|(n, name)| keyed(n, name)).collect();
    let mut run = Run::start_at(&near, &setup, &lines);
    run.wait(lines.len(), 0);
    assert_eq!(run.metric("tributary_write_failures_total"), 0.0, "no transaction was given up");
    let log = run.process.log().join("\n");
    assert!(!log.contains("fenced"), "{log}");
    run.stop();
    for (name, line) in types.iter().zip(&lines) {
        assert_eq!(run.values(name), std::slice::from_ref(line), "{name}");
    }
}

/// The connector's own topics, and these.
fn create_topics(prefix: &str, names: &[&str]) {
    for name in ["checkpoints", "shards"] {
        broker().create_topic(&format!("{prefix}.{name}"), 1, &[("cleanup.policy", "compact")]);
    }
    for name in ["ids", "dead-letters"].iter().chain(names) {
        broker().create_topic(&format!("{prefix}.{name}"), 1, &[]);
    }
}

#[test]
fn an_event_without_a_topic_goes_to_the_default_one() {
    let setup = setup("default-topic");
    let prefix = setup.prefix().to_owned();
    let setup = setup
        .top("kafka = { create_topics = false }")
        .stream(&format!("topic = \"{prefix}.{{type}}\"\ndefault_topic = \"{prefix}.other\""));
    create_topics(&prefix, &["other", "KNOWN"]);
    let lines = [keyed(0, "KNOWN"), keyed(1, "NEW"), keyed(2, "KNOWN"), keyed(3, "NEWER")];
    let mut run = Run::start(&setup, &lines);
    run.wait(4, 0);
    run.process.wait_for_log("there is no topic for some events", crate::harness::wait::GENEROUS);
    // Its topic of announcements was made without it.
    let command = format!("--topic {prefix}.shards --add-config message.timestamp.type=LogAppendTime");
    run.process.wait_for_log(&command, crate::harness::wait::GENEROUS);
    run.stop();
    assert_eq!(run.values("KNOWN"), [lines[0].clone(), lines[2].clone()]);
    assert_eq!(run.values("other"), [lines[1].clone(), lines[3].clone()]);
}

#[test]
fn without_a_default_one_it_is_a_dead_letter() {
    let setup = setup("no-default-topic");
    let prefix = setup.prefix().to_owned();
    let setup =
        setup.top("kafka = { create_topics = false }").stream(&format!("topic = \"{prefix}.{{type}}\""));
    create_topics(&prefix, &["KNOWN"]);
    let lines = [keyed(0, "KNOWN"), keyed(1, "NEW"), keyed(2, "KNOWN")];
    let mut run = Run::start(&setup, &lines);
    run.wait(2, 1);
    run.stop();
    assert_eq!(run.values("KNOWN"), [lines[0].clone(), lines[2].clone()]);
    assert_eq!(run.letters(), with_reason([lines[1].clone()], "unroutable"));
    let letters = run.read("dead-letters");
    let detail = letters[0].header("tributary-detail").expect("a detail");
    assert!(detail.contains(&format!("no topic {prefix}.NEW")), "{detail}");
    assert!(detail.contains("kafka.create_topics"), "{detail}");
}

#[test]
fn a_name_that_kafka_does_not_take_is_a_dead_letter() {
    let setup = setup("collision");
    let prefix = setup.prefix().to_owned();
    let setup = setup.stream(&format!("topic = \"{prefix}.{{type}}\""));
    broker().create_topic(&format!("{prefix}.A.B"), 1, &[]);
    let lines = [event(0, "A.B", ""), event(1, "A_B", ""), event(2, "A.B", "")];
    let mut run = Run::start(&setup, &lines);
    run.wait(2, 1);
    run.stop();
    assert_eq!(run.values("A.B"), [lines[0].clone(), lines[2].clone()]);
    assert_eq!(run.letters(), with_reason([lines[1].clone()], "refused_by_topic"));
}
