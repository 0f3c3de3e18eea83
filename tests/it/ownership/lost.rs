//! State topics that are deleted under several streams of one process.

use super::{Scene, service};
use crate::harness::airship::progress::Progress;
use crate::harness::airship::{LIMIT, stop};
use crate::harness::broker::broker;
use crate::harness::wait::wait_until;

/// Of the stream that flows: it does for a minute.
const EVENTS: u64 = 6_000;
const RATE: f64 = 100.0;

/// Of the quiet stream, before the topics are deleted.
const QUIET: u64 = 400;

#[test]
fn a_quiet_stream_keeps_its_state_when_another_one_makes_the_topics_again() {
    let scene = Scene::of("lost-beside", [service(EVENTS, RATE), service(QUIET, 100_000.0)]);
    let mut process = scene.setup.start();
    let received = |stream: &str| {
        process.metrics().sum("tributary_events_received_total", &[&format!("stream=\"{stream}\"")])
    };
    wait_until(LIMIT, "the quiet stream's events", || received("s1") == QUIET as f64);
    let commits =
        |stream: &str| process.metrics().sum("tributary_commits_total", &[&format!("stream=\"{stream}\"")]);
    // Otherwise there is nothing yet that it could lose.
    wait_until(LIMIT, "ids of both to be committed", || commits("s0") > 0.0 && commits("s1") > 0.0);
    for topic in ["checkpoints", "ids", "shards"] {
        broker().delete_topic(&format!("{}.{topic}", scene.setup.prefix));
    }
    let says = |part: &str, shard: &str| {
        let says = |line: &String| line.contains("ERROR") && line.contains(part) && line.contains(shard);
        wait_until(LIMIT, format!("{shard} to say that {part}"), || process.log().iter().any(says));
    };
    says("ids were lost from the journal", "s0/0");
    says("ids were lost from the journal", "s1/0");
    says("the placement record was lost", "shards");
    assert!(received("s0") < EVENTS as f64, "it flows");
    let before = commits("s1");
    wait_until(LIMIT, "the ids to be written again", || commits("s1") > before);
    process.kill9();

    let mut process = scene.setup.start();
    let line = |shard: &str| {
        let opened = |line: &&String| line.contains("\"opened\"") && line.contains(shard);
        process.log().iter().find(opened).cloned()
    };
    wait_until(LIMIT, "both to be opened", || line("s0/0").is_some() && line("s1/0").is_some());
    for (stream, events) in [("s0", EVENTS), ("s1", QUIET)] {
        Progress::of(broker(), &scene.setup, stream, 0).wait_received(events);
    }
    assert_eq!(process.metrics().sum("tributary_id_journal_gaps_total", &[]), 0.0, "no id is missing");
    stop(&mut process);
    let log = process.log();
    assert!(!log.iter().any(|line| line.contains("was lost")), "{log:#?}");
    scene.assert_each_once();
}
