//! Replays that are killed, replays that meet, and the stream at work beside them.

use super::scene::{MENDED, Replay, Scene, became, start, untyped, write};
use crate::harness::airship::oracle::Found;
use crate::harness::airship::run::sorted;
use crate::harness::airship::{Mock, STREAM, Setup, count_log, service, stop, wait_hit};
use crate::harness::broker::{broker, killable_broker, unique_prefix};
use crate::harness::reader::{Isolation, read_all};
use serde_json::json;
use tributary_mock::airship::{Armed, Config, Fault};

/// In transactions of two letters each.
const LETTERS: usize = 8;
const SMALL: &str = "commit = { max_events = 2 }\nkafka = { transaction_timeout = \"10m\" }";

/// The same in transactions that a broker which is back again ends soon.
const SOON: &str = "commit = { max_events = 2 }\nkafka = { transaction_timeout = \"5s\" }";

/// The documented exit code of one whose work another has taken over.
const FENCED: i32 = 4;

#[track_caller]
fn scene(test: &str) -> (Scene, Vec<String>) {
    let lines: Vec<String> = (1..=LETTERS).map(untyped).collect();
    (Scene::with(test, SMALL, super::scene::TEMPLATE, &lines, LETTERS), lines)
}

/// Has a replay that is held at a failpoint go on.
struct Go(tempfile::TempDir);

impl Go {
    fn file(&self) -> std::path::PathBuf {
        self.0.path().join("go")
    }

    fn on(&self) {
        std::fs::write(self.file(), "").expect("written");
    }
}

/// A replay that stands at a failpoint until it is told to go on.
#[track_caller]
fn held(toml: &str, point: &str) -> (Replay, Go) {
    let go = Go(tempfile::tempdir().expect("a directory"));
    let (point, file) = (format!("{point}:hold"), go.file());
    let file = file.to_str().expect("UTF-8");
    let env = [("TRIBUTARY_FAILPOINTS", &point[..]), ("TRIBUTARY_FAILPOINT_GO", file)];
    let replay = start(toml, "s", &[], &env);
    wait_hit(&replay.process);
    (replay, go)
}

/// Each event once, for both kinds of readers but for what was aborted.
#[track_caller]
fn check(scene: &Scene, lines: &[String], aborted: bool) {
    assert_eq!(scene.values("other", Isolation::Committed), lines);
    let written = scene.values("other", Isolation::Uncommitted).len();
    assert_eq!(written > LETTERS, aborted, "{written} written");
    assert_eq!(scene.letters().len(), LETTERS);
}

#[test]
fn a_kill_before_a_commit_repeats_and_loses_nothing() {
    killed("before_commit", true);
}

#[test]
fn a_kill_after_a_commit_repeats_and_loses_nothing() {
    killed("after_commit", false);
}

/// The first commit is that of the claim, the second that of the first batch.
#[track_caller]
fn killed(point: &str, aborts: bool) {
    let (scene, lines) = scene(&format!("replay-{point}"));
    let mut replay = scene.start(&[], &format!("{point}=3:pause"));
    let hit = wait_hit(&replay.process);
    assert!(hit.contains(point), "{hit}");
    replay.process.kill9();
    let summary = scene.replay(&[]);
    let before = if aborts { 2 } else { 4 };
    assert_eq!(summary["replayed_before"], json!(before), "{summary:#}");
    assert_eq!(became(&summary), [LETTERS as u64 - before, 0, 0], "{summary:#}");
    check(&scene, &lines, aborts);
    let summary = scene.replay(&[]);
    assert_eq!((became(&summary), &summary["taken"]), ([0, 0, 0], &json!(0)), "{summary:#}");
    check(&scene, &lines, aborts);
}

#[test]
fn an_unknown_outcome_is_found_out() {
    for (point, aborts) in [("before_commit", true), ("after_commit", false)] {
        let (scene, lines) = scene(&format!("replay-unknown-{point}"));
        let replay = scene.start(&[], &format!("{point}=3:error"));
        wait_hit(&replay.process);
        assert_eq!(became(&replay.succeeds()), [LETTERS as u64, 0, 0]);
        check(&scene, &lines, aborts);
    }
}

#[test]
fn the_older_of_two_replays_ends_and_nothing_comes_twice() {
    let (scene, lines) = scene("replay-two");
    let (older, go) = held(&scene.toml(MENDED), "before_commit=3");
    older.process.sigstop();
    assert!(broker_has_open_transaction(&scene), "it stands in a transaction");
    let summary = scene.replay(&[]);
    assert_eq!((became(&summary), &summary["replayed_before"]), ([6, 0, 0], &json!(2)), "{summary:#}");
    go.on();
    older.process.sigcont();
    let done = older.ends();
    assert_eq!(done.code, Some(FENCED), "{done:#?}");
    assert!(done.log.contains("a later replay of stream s was started"), "{done:#?}");
    assert_eq!(
        (&done.summary["delivered"], &done.summary["complete"]),
        (&json!(2), &json!(false)),
        "{done:#?}"
    );
    check(&scene, &lines, true);
}

#[test]
fn a_broker_that_is_lost_in_the_middle_repeats_and_loses_nothing() {
    for point in ["mid_batch=2", "before_commit=3"] {
        let mut broker = killable_broker();
        let lines: Vec<String> = (1..=LETTERS).map(untyped).collect();
        let scene = Scene { prefix: unique_prefix("replay-broker"), top: SOON };
        let topic = scene.topic("dead-letters");
        broker.create_topic(&topic, 1, &[]);
        let letters = lines.iter().map(|line| (vec![("tributary-stream", &b"s"[..])], line.as_bytes()));
        write(&broker, &topic, &letters.collect::<Vec<_>>());
        let (replay, go) = held(&scene.toml_at(&broker, MENDED), point);
        broker.kill9();
        go.on();
        let said = replay.process.wait_for_log("the batch is kept", super::scene::LIMIT);
        assert!(said.contains("\"level\":\"WARN\""), "the fault has hit: {said}");
        broker.start();
        let summary = replay.succeeds();
        assert_eq!(became(&summary), [LETTERS as u64, 0, 0], "{point}: {summary:#}");
        let found = read_all(&broker, &scene.topic("other"), Isolation::Committed);
        let values = found.iter().map(|message| message.text().to_owned()).collect();
        assert_eq!(sorted(values), lines, "{point}");
        assert_eq!(read_all(&broker, &topic, Isolation::Committed).len(), LETTERS, "{point}");
    }
}

#[track_caller]
fn broker_has_open_transaction(scene: &Scene) -> bool {
    crate::harness::airship::has_open_transaction(&format!("{}.other", scene.prefix))
}

#[test]
fn a_signal_ends_it_in_order_and_the_next_goes_on() {
    let (scene, lines) = scene("replay-signal");
    let (replay, go) = held(&scene.toml(MENDED), "replay_opened=1");
    replay.process.sigterm();
    replay.process.wait_for_log("stopping in order", super::scene::LIMIT);
    go.on();
    let done = replay.ends();
    assert_eq!((done.code, &done.summary["taken"]), (Some(1), &json!(0)), "{done:#?}");
    assert!(done.log.contains("stopped by a signal before the end"), "{done:#?}");
    assert_eq!(became(&scene.replay(&[])), [LETTERS as u64, 0, 0]);
    check(&scene, &lines, false);
    assert!(broker().topics(&scene.prefix).iter().any(|topic| topic.ends_with(".replays")));
}

#[test]
fn the_stream_at_work_is_not_disturbed() {
    const EVENTS: u64 = 3_000;
    const FIRST: u64 = 500;
    let faults = vec![Armed::at(50, Fault::GarbageLine {})];
    let mock = Mock::start(Config { faults, hold_at: Some(FIRST), ..service(EVENTS) });
    let setup = Setup::new("replay-beside", &mock);
    let mut process = setup.start();
    let mut progress = setup.progress();
    let before = progress.wait_received(FIRST + 1);
    // The first one meets the stream at rest, the others meet it at work.
    for (round, release) in [(0, FIRST), (1, EVENTS / 2), (2, EVENTS)] {
        mock.release(release);
        let summary = start(&setup.toml(), STREAM, &[], &[]).succeeds();
        assert_eq!(
            (became(&summary), &summary["replayed_before"]),
            ([0, 0, 1], &json!(round)),
            "{summary:#}"
        );
    }
    let last = progress.wait_received(EVENTS + 1);
    assert_eq!(last.owner, before.owner, "nobody has opened the shard anew");
    assert_eq!(process.metrics().sum("tributary_write_failures_total", &[]), 0.0);
    stop(&mut process);
    assert_eq!(count_log(&process, "write failed"), 0);
    assert_eq!(setup.expectation(&mock).check(), Found { records: EVENTS as usize, repeats: 0 });
    let letters = crate::harness::reader::read_all(broker(), &setup.dead_letters(), Isolation::Committed);
    let attempts: Vec<_> = letters.iter().map(|it| it.header("tributary-attempts").unwrap_or("1")).collect();
    assert_eq!(attempts, ["1", "2", "3", "4"]);
}
