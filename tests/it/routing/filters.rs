//! What `only` and `drop` leave out: counted by the rule, past in the position, and not remembered.

use crate::harness::airship::LIMIT;
use crate::harness::airship::run::{Run, event, setup, sorted};
use crate::harness::wait::wait_until;

#[test]
fn events_are_left_out_and_counted_by_their_rule() {
    let setup = setup("filters").stream(
        r#"
        drop = ["SEND", { name = "tests", field = "body.test", is = ["true", "1"] }]
        only = ["OPEN", { field = "body.keep", is = ["yes"] }]
        "#,
    );
    let line = |n: usize, event_type: &str, body: &str| event(n, event_type, &format!("\"body\":{body}"));
    let copy = |n: usize, line: &str| line.replacen("\"offset\":\"", &format!("\"offset\":\"{n}"), 1);
    let kept =
        [line(0, "OPEN", "{}"), line(1, "CLOSE", r#"{"keep":"yes"}"#), line(2, "OPEN", r#"{"test":false}"#)];
    let out = [
        ("SEND", line(3, "SEND", r#"{"keep":"yes"}"#)),
        ("SEND", line(4, "SEND", r#"{"test":true}"#)),
        ("tests", line(5, "OPEN", r#"{"test":true}"#)),
        ("tests", line(6, "OPEN", r#"{"test":1}"#)),
        ("tests", line(7, "CLOSE", r#"{"test":"1"}"#)),
        ("only", line(8, "CLOSE", r#"{"keep":"no"}"#)),
    ];
    // Its id was that of one that was left out: that one is not remembered.
    let again = line(3, "OPEN", "{}").replacen("\"offset\":\"3\"", "\"offset\":\"20\"", 1);
    // A copy of what was delivered counts as that; one of what was left out is left out again. It is the last line.
    let copies = [copy(1, &kept[0]), copy(2, &out[5].1)];
    let mut lines = kept.to_vec();
    lines.extend(out.iter().map(|(_, line)| line.clone()));
    lines.push(again.clone());
    lines.extend(copies);
    let mut run = Run::start(&setup, &lines);
    wait_until(LIMIT, "all to be counted", || {
        run.metric("tributary_events_received_total") == lines.len() as f64
    });
    let metrics = run.process.metrics();
    for (reason, count) in [("SEND", 2.0), ("tests", 3.0), ("only", 2.0)] {
        let label = format!("reason=\"{reason}\"");
        assert_eq!(metrics.sum("tributary_events_filtered_total", &[&label]), count, "{reason}");
    }
    assert_eq!(metrics.sum("tributary_events_filtered_total", &[]), 7.0);
    assert_eq!(metrics.sum("tributary_events_delivered_total", &[]), 4.0);
    assert_eq!(metrics.sum("tributary_duplicates_dropped_total", &[]), 1.0);
    assert_eq!(metrics.sum("tributary_dead_letters_total", &[]), 0.0);
    run.stop();
    assert_eq!(run.values("events"), sorted([&kept[..], &[again]].concat()));
    let checkpoints = run.read("checkpoints");
    let last: serde_json::Value =
        serde_json::from_str(checkpoints.last().expect("one").text()).expect("JSON");
    assert_eq!(last["position"]["offset"], "28", "that of the last line, which was left out: {last}");
    assert_eq!(last["totals"]["filtered"], 7, "{last}");
}
