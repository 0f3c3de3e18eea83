//! Which hits go where: filters, topics by a field, keys and times as configured.

use crate::harness::adobe::scenes::{Expected, Setup, all_at_once, bytes, id};
use crate::harness::broker::broker;
use crate::harness::reader::{self, Isolation, Message};
use serde_json::Value;
use std::collections::BTreeMap;
use tributary_mock::adobe::hit::SUITES;
use tributary_mock::adobe::{Config, Hit, Log};

const HITS: u64 = 1_500;
/// So many that each way to write an eVar is among them whatever the seed: one hit in 400 is old and has the fifth eVar.
const HITS_OF_ALL_SHAPES: u64 = 12_000;

#[test]
fn filters_topics_keys_and_times() {
    let keys = r#"
        drop = ["bot", "excluded"]
        topic = "{prefix}.{reportSuite}"
        key = ["evars.evars.eVar5", "customVisId", "ip"]
        timestamp = "occurred"
    "#;
    // Of 2017 are those that write `evar5`. One connection: what a rebalance brings again is left out, and counted, again.
    let mut scene = Setup::one("routing", all_at_once(HITS_OF_ALL_SHAPES), keys).start();
    let log = scene.log_of("s");
    let dropped =
        |reason: fn(&Hit) -> bool| (0..HITS_OF_ALL_SHAPES).filter(|n| reason(&log.hit(*n))).count() as f64;
    // A hit that is both is counted once.
    let bots = dropped(|hit| hit.bot);
    let excluded = dropped(|hit| hit.excluded && !hit.bot);
    assert!(bots > 0.0 && excluded > 0.0);
    let kept = Expected::only(&log, |hit| !hit.bot && !hit.excluded);
    scene.wait_delivered("s", kept.len());
    crate::harness::wait::wait_until(crate::harness::wait::GENEROUS, "all to be counted", || {
        scene.metric("tributary_events_filtered_total", "s") >= bots + excluded
    });
    for (reason, count) in [("bot", bots), ("excluded", excluded)] {
        let labels = ["stream=\"s\"", &*format!("reason=\"{reason}\"")];
        let counted = scene.process.metrics().sum("tributary_events_filtered_total", &labels);
        assert_eq!(counted, count, "{reason}");
    }
    scene.stop();

    let hits: BTreeMap<String, Hit> = (0..HITS_OF_ALL_SHAPES).map(|n| (id(log.id(n)), log.hit(n))).collect();
    let mut all = Vec::new();
    for suite in SUITES {
        let topic = format!("{}.{suite}", scene.prefix());
        let messages = reader::read_all(broker(), &topic, Isolation::Committed);
        assert!(!messages.is_empty(), "{suite}");
        for message in &messages {
            let hit = &hits[message.header("ce_id").unwrap()];
            assert_eq!(hit.suite, suite);
            assert_eq!(message.timestamp, Some(hit.time_s as i64 * 1_000), "timeGMT");
        }
        all.extend(messages);
    }
    kept.check(&all);
    assert_keys(&all, &hits, &log);
    assert_eq!(scene.dead_letters("s").len(), 0);
}

/// The first field that is there and not empty, however the eVar is written.
#[track_caller]
fn assert_keys(messages: &[Message], hits: &BTreeMap<String, Hit>, log: &Log) {
    let mut kinds = BTreeMap::<&str, u64>::new();
    for message in messages {
        let hit = &hits[message.header("ce_id").unwrap()];
        let value: Value = serde_json::from_str(&String::from_utf8_lossy(bytes(message))).unwrap();
        let evars = value["evars"]["evars"].as_object().unwrap();
        let evar = evars.iter().find(|(name, _)| name.eq_ignore_ascii_case("evar5"));
        let text = |value: &Value| value.as_str().filter(|text| !text.is_empty()).map(str::to_owned);
        let (kind, wanted) = match evar.and_then(|(name, value)| Some((name.as_str(), text(value)?))) {
            Some((name, value)) => (if name == "evar5" { "old" } else { "new" }, Some(value)),
            None => match text(&value["customVisId"]) {
                Some(value) => ("custom", Some(value)),
                None => ("ip", text(&value["ip"])),
            },
        };
        *kinds.entry(kind).or_default() += 1;
        let key = message.key.as_deref().map(String::from_utf8_lossy);
        assert_eq!(key.as_deref(), wanted.as_deref(), "{:?}", String::from_utf8_lossy(&log.line(hit.index)));
    }
    assert!(["old", "new", "custom", "ip"].iter().all(|kind| kinds.contains_key(kind)), "{kinds:?}");
}

#[test]
fn plain_defaults() {
    let mut scene = Setup::one("defaults", Config { visitors: 50, ..all_at_once(HITS) }, "").start();
    scene.finish_all();
    let log = scene.log_of("s");
    let expected: BTreeMap<_, _> = log.expected(0..HITS).map(|line| (id(line.hit.id), line)).collect();
    for message in scene.events("s") {
        let expected = &expected[message.header("ce_id").unwrap()];
        assert_eq!(message.key.as_deref(), Some(expected.key.as_bytes()));
        assert_eq!(message.timestamp, Some(expected.hit.received_s as i64 * 1_000), "receivedTimeGMT");
        assert_eq!(message.header("ce_type"), Some("com.adobe.analytics.hit"));
        assert_eq!(message.header("tributary-stream"), Some("s"));
    }
}
