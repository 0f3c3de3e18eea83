//! Records that their topic refuses for themselves become dead letters, and only those; what an operator must change waits.

use super::{Run, event, keyed, setup, sorted, with_reason};
use crate::harness::airship::LIMIT;
use crate::harness::broker::broker;
use crate::harness::wait::{GENEROUS, wait_until};
use std::time::Duration;
use tokio::time::Instant;

/// Every seventh has no key.
fn some_without_key(count: usize) -> (Vec<String>, Vec<String>) {
    let lines = |keyless: bool| {
        let numbers = (0..count).filter(move |n| (n % 7 == 3) == keyless);
        numbers.map(move |n| if keyless { event(n, "T", "") } else { keyed(n, "T") }).collect()
    };
    (lines(false), lines(true))
}

fn compacted(test: &str, top: &str, is_told: bool) {
    let setup = setup(test).top(top);
    let topic = format!("{}.events", setup.prefix());
    broker().create_topic(&topic, 3, &[("cleanup.policy", "compact")]);
    let (good, bad) = some_without_key(200);
    let mut run = Run::start(&setup, sorted([good.clone(), bad.clone()].concat()));
    run.wait(good.len(), bad.len());
    assert_eq!(run.refusals("invalid_record") == 0.0, is_told, "whether it took a refusal to find out");
    run.stop();
    assert_eq!(run.values("events"), sorted(good));
    assert_eq!(run.letters(), with_reason(bad, "refused_by_topic"));
}

#[test]
fn without_a_key_a_compacted_topic_takes_no_record() {
    compacted("compacted", "", true);
}

#[test]
fn a_time_that_is_too_old_for_its_topic_makes_a_dead_letter() {
    let setup = setup("old-time").top("kafka = { max_message_bytes = \"1MB\" }");
    let topic = format!("{}.events", setup.prefix());
    broker().create_topic(&topic, 1, &[("message.timestamp.before.max.ms", "86400000")]);
    let old = |n: usize| event(n, "T", "\"processed\":\"2020-01-02T03:04:05.000Z\"");
    let lines: Vec<String> = (0..50).map(|n| if n % 10 == 3 { old(n) } else { keyed(n, "T") }).collect();
    let mut run = Run::start(&setup, &lines);
    run.wait(45, 5);
    run.stop();
    let (bad, good): (Vec<String>, Vec<String>) = lines.into_iter().partition(|line| line.contains("2020"));
    assert_eq!(run.values("events"), sorted(good));
    assert_eq!(run.letters(), with_reason(bad, "refused_by_topic"));
}

#[test]
fn the_refused_records_of_a_batch_are_found() {
    // Nothing is asked of the topics' configuration then.
    compacted("compacted-unasked", "kafka = { max_message_bytes = \"1MB\" }", false);
}

/// An event of about so many bytes that no compression makes much smaller.
fn dense(n: usize, event_type: &str, bytes: usize) -> String {
    let letter = || char::from(rand::random_range(b'#'..b'Z')).to_ascii_lowercase();
    let text: String = (0..bytes).map(|_| letter()).collect();
    event(n, event_type, &format!("\"device\":{{\"channel\":\"c\"}},\"x\":\"{text}\""))
}

#[test]
fn batches_fit_the_topic_that_takes_least() {
    let setup = setup("small-topic");
    let prefix = setup.prefix().to_owned();
    let setup = setup.stream(&format!("topic = \"{prefix}.{{type}}\""));
    broker().create_topic(&format!("{prefix}.SMALL"), 1, &[("max.message.bytes", "20000")]);
    let line = |n: usize| match n {
        50 => dense(n, "SMALL", 30_000),
        _ => dense(n, if n.is_multiple_of(2) { "SMALL" } else { "LARGE" }, 2_000),
    };
    let lines: Vec<String> = (0..300).map(line).collect();
    let mut run = Run::start(&setup, &lines);
    run.wait(299, 1);
    run.stop();
    let of = |rest: usize| (0..300).filter(|n| n % 2 == rest && *n != 50).map(|n| lines[n].clone()).collect();
    assert_eq!(run.values("SMALL"), sorted(of(0)));
    assert_eq!(run.values("LARGE"), sorted(of(1)));
    assert_eq!(run.letters(), with_reason([lines[50].clone()], "too_large_for_topic"));
}

#[test]
fn a_limit_that_is_wrong_is_found_out() {
    let setup = setup("wrong-limit").top("kafka = { max_message_bytes = \"1MB\" }");
    let topic = format!("{}.events", setup.prefix());
    broker().create_topic(&topic, 1, &[("max.message.bytes", "50000")]);
    let line = |n: usize| dense(n, "T", if n == 70 { 200_000 } else { 2_000 });
    let lines: Vec<String> = (0..120).map(line).collect();
    let mut run = Run::start(&setup, &lines);
    run.wait(119, 1);
    assert!(run.refusals("message_size_too_large") >= 1.0);
    run.stop();
    let good = (0..120).filter(|n| *n != 70).map(|n| lines[n].clone()).collect();
    assert_eq!(run.values("events"), sorted(good));
    assert_eq!(run.letters(), with_reason([lines[70].clone()], "refused_by_topic"));
}

#[test]
fn an_event_above_the_producers_queue_is_an_event() {
    let setup = setup("above-queue").stream("max_line = \"40MiB\"");
    let topic = format!("{}.events", setup.prefix());
    broker().create_topic(&topic, 1, &[("max.message.bytes", "50000000")]);
    let large = event(1, "T", &format!("\"x\":\"{}\"", "y".repeat(18 << 20)));
    let lines = [keyed(0, "T"), large, keyed(2, "T")];
    let mut run = Run::start(&setup, &lines);
    run.wait(3, 0);
    run.stop();
    let values = run.values("events");
    assert!(values == sorted(lines.to_vec()), "{:?}", values.iter().map(String::len).collect::<Vec<_>>());
}

#[test]
fn a_dead_letter_is_cut_to_what_its_topic_takes() {
    let setup = setup("small-letters");
    let topic = format!("{}.dead-letters", setup.prefix());
    broker().create_topic(&topic, 1, &[("max.message.bytes", "20000")]);
    let garbage = "g".repeat(100_000);
    let lines = [keyed(0, "T"), garbage.clone(), keyed(2, "T")];
    let mut run = Run::start(&setup, &lines);
    run.wait(2, 1);
    run.stop();
    let letters = run.read("dead-letters");
    let head = letters[0].text();
    assert!(head.len() > 18_000 && garbage.starts_with(head), "{} bytes", head.len());
    assert_eq!(letters[0].header("tributary-length"), Some("100000"));
}

#[test]
fn a_dead_letter_is_cut_where_the_limit_of_its_topic_is_not_told() {
    let setup = setup("untold-letters").top("kafka = { max_message_bytes = \"1MB\" }");
    let topic = format!("{}.dead-letters", setup.prefix());
    broker().create_topic(&topic, 1, &[("max.message.bytes", "20000")]);
    let garbage = format!("garbage {}", dense(1, "T", 100_000));
    let lines = [keyed(0, "T"), garbage.clone(), keyed(2, "T")];
    let mut run = Run::start(&setup, &lines);
    run.wait(2, 1);
    assert!(run.refusals("message_size_too_large") > 0.0, "a refusal told it");
    run.stop();
    let letters = run.read("dead-letters");
    let head = letters[0].text();
    assert!(head.len() > 5_000 && garbage.starts_with(head), "{} bytes", head.len());
    assert_eq!(letters[0].header("tributary-length"), Some(garbage.len().to_string().as_str()));
    assert_eq!(run.values("events"), sorted(vec![lines[0].clone(), lines[2].clone()]));
}

#[test]
fn what_an_operator_must_change_waits_and_says_so() {
    let setup = setup("refused-letters");
    let topic = format!("{}.dead-letters", setup.prefix());
    // Dead letters have no key.
    broker().create_topic(&topic, 1, &[("cleanup.policy", "compact")]);
    let lines = [keyed(0, "T"), "garbage".to_owned(), keyed(2, "T")];
    let mut run = Run::start(&setup, &lines);
    let line = run.process.wait_for_log("write failed", GENEROUS);
    let since = Instant::now();
    for part in [topic.as_str(), "partition 0", "InvalidRecord", "cleanup.policy = delete"] {
        assert!(line.contains(part), "no {part} in {line}");
    }
    wait_until(LIMIT, "five more failures", || run.metric("tributary_write_failures_total") >= 6.0);
    // 200, 400, 800 and 1600 ms lie between the first and the sixth.
    assert!(since.elapsed() >= Duration::from_secs(2), "{:?}", since.elapsed());
    assert_eq!(run.refusals("invalid_record"), run.metric("tributary_write_failures_total"));
    assert_eq!(run.metric("tributary_events_delivered_total"), 0.0);
    broker().change_topic(&topic, &[("cleanup.policy", "delete")]);
    run.wait(2, 1);
    run.stop();
    assert_eq!(run.letters(), with_reason(["garbage".to_owned()], "not_an_object"));
    assert_eq!(run.values("events"), sorted(vec![lines[0].clone(), lines[2].clone()]));
}
