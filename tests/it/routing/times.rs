//! Timestamps from a field, clamped and counted where they are beyond their bounds.

use crate::harness::airship::run::{Run, event, setup};
use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

const HOUR_MS: i64 = 3_600_000;
const YEAR_MS: i64 = 365 * 24 * HOUR_MS;

#[test]
fn a_field_is_the_time_unless_it_is_far_from_when_the_event_was_received() {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    let now = i64::try_from(since_1970.as_secs()).expect("a time") * 1000;
    let received = now - 2 * HOUR_MS;
    let text = |ms: i64| jiff::Timestamp::from_millisecond(ms).expect("a time").to_string();
    let line = |n: usize, time: &str| {
        event(
            n,
            "T",
            &format!(
                "\"processed\":\"{}\",\"occurred\":\"{}\",\"body\":{{\"t\":{time}}}",
                text(received),
                text(received - 7)
            ),
        )
    };
    let times = [
        (received.to_string(), received),
        ((received - 5).to_string(), received - 5),
        (format!("\"{}\"", received - 6), received - 6),
        ((received + HOUR_MS / 2).to_string(), received + HOUR_MS / 2),
        // Beyond the bounds.
        ((received + HOUR_MS + 1).to_string(), received),
        ("9223372036854775807".to_owned(), received),
        ((received - 2 * YEAR_MS).to_string(), received),
        ("1".to_owned(), received),
        // No times.
        ("0".to_owned(), received),
        ("-5".to_owned(), received),
        ("null".to_owned(), received),
        ("\"soon\"".to_owned(), received),
        ("[1]".to_owned(), received),
    ];
    let lines: Vec<String> = times.iter().enumerate().map(|(n, (time, _))| line(n, time)).collect();
    let setup = setup("times").stream("timestamp = { field = \"body.t\", format = \"milliseconds\" }");
    let mut run = Run::start(&setup, &lines);
    run.wait(lines.len(), 0);
    let metrics = run.process.metrics();
    for reason in ["past", "future"] {
        let label = format!("reason=\"{reason}\"");
        assert_eq!(metrics.sum("tributary_timestamps_clamped_total", &[&label]), 2.0, "{reason}");
    }
    run.stop();
    let messages = run.read("events");
    let found: BTreeMap<usize, Option<i64>> = messages
        .iter()
        .map(|message| {
            (message.header("ce_id").expect("an id").parse().expect("a number"), message.timestamp)
        })
        .collect();
    assert_eq!(found.len(), times.len());
    for (n, (time, expected)) in times.iter().enumerate() {
        assert_eq!(found[&n], Some(*expected), "{time}");
    }
}
