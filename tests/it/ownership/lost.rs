//! State topics that are deleted under several streams of one process.

use super::{Scene, service};
use crate::harness::airship::progress::Progress;
use crate::harness::airship::{LIMIT, stop};
use crate::harness::broker::broker;
use crate::harness::reader::{Isolation, read_all};
use crate::harness::wait::wait_until;
use std::cell::Cell;
use tributary_mock::airship;

/// Of the stream that flows: at each look at what is waited for, one more comes.
const EVENTS: u64 = 20_000;

/// Of the quiet stream, before the topics are deleted.
const QUIET: u64 = 400;

#[test]
fn a_quiet_stream_keeps_its_state_when_another_one_makes_the_topics_again() {
    let flowing = airship::Config { hold_at: Some(0), ..service(EVENTS, 0.0) };
    let scene = Scene::of("lost-beside", [flowing, service(QUIET, 0.0)]);
    let mut process = scene.setup.start();
    let made = Cell::new(0);
    let wait = |what: &str, holds: &mut dyn FnMut() -> bool| {
        wait_until(LIMIT, what, || {
            made.set((made.get() + 1).min(EVENTS));
            scene.mocks[0].release(made.get());
            holds()
        });
    };
    let commits =
        |stream: &str| process.metrics().sum("tributary_commits_total", &[&format!("stream=\"{stream}\"")]);
    // Otherwise there is nothing yet that they could lose.
    wait("ids of the one that flows to be committed", &mut || commits("s0") > 0.0);
    Progress::of(broker(), &scene.setup, "s1", 0).wait_received(QUIET);
    for topic in ["checkpoints", "ids", "shards"] {
        broker().delete_topic(&format!("{}.{topic}", scene.setup.prefix));
    }
    let says = |part: &str, shard: &str| {
        let says = |line: &String| line.contains("ERROR") && line.contains(part) && line.contains(shard);
        wait(&format!("{shard} to say that {part}"), &mut || process.log().iter().any(says));
    };
    says("ids were lost from the journal", "s0/0");
    says("ids were lost from the journal", "s1/0");
    says("the placement record was lost", "shards");
    let before = commits("s0");
    wait("the ids of the one that flows to be written again", &mut || commits("s0") > before);
    // Not by its commits: those of before are counted a moment after they are seen.
    let ids = format!("{}.ids", scene.setup.prefix);
    wait("those of the quiet one", &mut || {
        let records = read_all(broker(), &ids, Isolation::Committed);
        records.iter().any(|record| record.key.as_deref() == Some(b"s1/0"))
    });
    assert!(made.get() < EVENTS, "it flows");
    process.kill9();
    let killed = process;

    scene.mocks[0].release(EVENTS);
    let mut process = scene.setup.start();
    let line = |shard: &str| {
        let opened = |line: &&String| line.contains("\"opened\"") && line.contains(shard);
        process.log().iter().find(opened).cloned()
    };
    wait_until(LIMIT, "both to be opened", || line("s0/0").is_some() && line("s1/0").is_some());
    for (stream, events) in [("s0", EVENTS), ("s1", QUIET)] {
        Progress::of(broker(), &scene.setup, stream, 0).wait_received(events);
    }
    let (log, before) = (process.log(), killed.log());
    let gaps = process.metrics().sum("tributary_id_journal_gaps_total", &[]);
    assert_eq!(gaps, 0.0, "no id is missing: {}\n--- before:\n{}", log.join("\n"), before.join("\n"));
    stop(&mut process);
    assert!(!log.iter().any(|line| line.contains("was lost")), "{log:#?}");
    scene.assert_each_once();
}
