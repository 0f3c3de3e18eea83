//! Topics that are missing or created, and gaps that are reported.

use crate::harness::airship::scenes::{Expected, Setup, all_at_once};
use crate::harness::broker::{broker, free_port, unique_prefix};
use crate::harness::process;
use crate::harness::reader::{self, Isolation};
use crate::harness::wait::GENEROUS;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{SystemTime, UNIX_EPOCH};
use tributary_mock::airship::{Armed, Config, Epoch, Fault};

const EVENTS: u64 = 500;
const DAY_MS: u64 = 86_400_000;
const HOUR_MS: u128 = 3_600_000;

#[test]
fn missing_topics_are_one_error() {
    let setup = Setup::new("absent", all_at_once(EVENTS)).top("kafka = { create_topics = false }");
    let prefix = setup.prefix().to_owned();
    let mut scene = setup.start(broker());
    let line = scene.process.wait_for_log("missing topics", GENEROUS);
    for name in ["checkpoints", "ids", "shards", "events", "dead-letters"] {
        assert!(line.contains(&format!("{prefix}.{name}")), "{line}");
    }
    assert!(line.contains("create them, or set kafka.create_topics = true"), "{line}");
    assert_eq!(scene.process.get("/ready").status, 503);
    assert_eq!(scene.process.get("/live").status, 200);
    assert_eq!(scene.mock.stats().connections, 0, "nothing is asked of the service before it can be kept");
    // Once an operator has created them it goes on by itself.
    for name in ["checkpoints", "shards"] {
        broker().create_topic(&format!("{prefix}.{name}"), 1, &[("cleanup.policy", "compact")]);
    }
    for name in ["ids", "events", "dead-letters"] {
        broker().create_topic(&format!("{prefix}.{name}"), 1, &[]);
    }
    let expected = Expected::all(&scene.mock_log());
    scene.wait_delivered(expected.len());
    scene.stop();
    expected.check(&reader::read_all(broker(), &scene.events(), Isolation::Committed));
}

#[test]
fn created_topics_are_as_configured() {
    let setup = Setup::new("created", all_at_once(EVENTS))
        .top("dedupe = { window = \"90m\" }")
        .stream("partitions = 5\nretention = \"3days\"\nreplication_factor = 1");
    let prefix = setup.prefix().to_owned();
    let scene = setup.start(broker());
    let (events, expected) = (scene.events(), Expected::all(&scene.mock_log()));
    scene.finish(broker(), &expected).assert_no_dead_letters();
    assert_eq!(broker().partition_count(&events), Some(5));
    assert_eq!(broker().topic_config(&events)["retention.ms"], (3 * DAY_MS).to_string());
    let messages = reader::read_all(broker(), &events, Isolation::Committed);
    let used: std::collections::BTreeSet<_> = messages.iter().map(|message| message.partition).collect();
    assert_eq!(used.len(), 5, "keys spread over all partitions");
    let checkpoints = broker().topic_config(&format!("{prefix}.checkpoints"));
    assert_eq!(checkpoints["cleanup.policy"], "compact");
    let ids = broker().topic_config(&format!("{prefix}.ids"));
    assert_eq!(ids["cleanup.policy"], "delete");
    assert_eq!(ids["retention.ms"], (8 * DAY_MS).to_string(), "longer than the service keeps events");
    assert_eq!(ids["retention.bytes"], (320_000_000 + (64 << 20)).to_string(), "for a million ids");
    for state in ["checkpoints", "ids"] {
        assert_eq!(broker().partition_count(&format!("{prefix}.{state}")), Some(1));
    }
}

#[test]
fn events_have_no_headers_unless_asked_for() {
    let faults = vec![Armed::after(50, Fault::GarbageLine {})];
    let setup = Setup::new("bare", Config { faults, ..all_at_once(EVENTS) }).without("headers");
    let dead_letters = format!("{}.dead-letters", setup.prefix());
    let mut scene = setup.start(broker());
    let (events, log) = (scene.events(), scene.mock_log());
    let expected: BTreeMap<String, Vec<u8>> = log
        .expected(0..log.len())
        .filter(|line| !line.entry.is_duplicate)
        .map(|line| (line.id, line.line))
        .collect();
    scene.wait_delivered(expected.len() as u64);
    scene.stop();
    let messages = reader::read_all(broker(), &events, Isolation::Committed);
    assert!(messages.iter().all(|message| message.headers.is_empty() && message.timestamp.is_some()));
    let lines: Vec<Vec<u8>> = messages.into_iter().filter_map(|message| message.value).collect();
    assert_eq!(lines.len(), expected.len());
    assert_eq!(lines.into_iter().collect::<BTreeSet<_>>(), expected.into_values().collect());
    let letters = reader::read_all(broker(), &dead_letters, Isolation::Committed);
    assert_eq!(letters.len(), 1, "the fault hit");
    assert_eq!(letters[0].header("tributary-reason"), Some("not_an_object"), "dead letters keep theirs");
}

#[test]
fn a_late_first_event_after_a_resume_is_a_possible_gap() {
    let epoch = |ago_ms: u128| {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_millis();
        Epoch::At(u64::try_from(now - ago_ms).expect("before the year 500 million"))
    };
    let old = Config { epoch: epoch(3 * HOUR_MS), ..all_at_once(EVENTS) };
    let mut scene = Setup::new("gap", old.clone()).start(broker());
    let first = Expected::all(&scene.mock_log());
    scene.wait_delivered(first.len());
    assert_eq!(scene.metric("tributary_possible_gaps_total"), 0.0);
    scene.stop();
    // The same service after two hours of which nothing is left.
    scene.move_to(Config { epoch: epoch(HOUR_MS), events: 2 * EVENTS, seed: 7, ..old });
    let second = Expected::of(&scene.mock_log(), std::iter::once(EVENTS..2 * EVENTS));
    scene.wait_delivered(second.len());
    assert_eq!(scene.metric("tributary_possible_gaps_total"), 1.0);
    let line = scene.process.wait_for_log("possible gap", GENEROUS);
    assert!(line.contains("\"level\":\"WARN\"") && line.contains("much later"), "{line}");
    scene.stop();
    let count = reader::read_all(broker(), &scene.events(), Isolation::Committed).len();
    assert_eq!(count as u64, first.len() + second.len());
}

#[test]
fn a_broker_that_is_not_there_is_an_error_that_repeats() {
    let (kafka, admin, prefix) = (free_port(), free_port(), unique_prefix("no-broker"));
    let config = format!(
        r#"
        kafka = {{ bootstrap_servers = "127.0.0.1:{kafka}" }}
        state = {{ prefix = "{prefix}" }}
        admin = {{ listen = "127.0.0.1:{admin}" }}
        [[stream]]
        name = "s"
        kind = "airship"
        url = "http://127.0.0.1:1/api/events/"
        app_key = "app"
        auth = {{ bearer = {{ value = "token" }} }}
        "#
    );
    let mut process = process::tributary(&config, &[]);
    let line = process.wait_for_log("cannot prepare the topics", GENEROUS);
    assert!(line.contains("cannot reach Kafka"), "{line}");
    assert_eq!((process.get("/live").status, process.get("/ready").status), (200, 503));
    process.sigterm();
    assert_eq!(
        process.wait_exit(GENEROUS).code(),
        Some(0),
        "nothing was received, so nothing is left undone"
    );
}
