//! Takeovers where nobody writes, and between instances with different `delivery`: one of them writes without transactions,
//! and a fence does not show to it.

use super::{Scene, TAKEN_OVER};
use crate::harness::airship::progress::{Checkpoint, Progress};
use crate::harness::airship::{LIMIT, stop};
use crate::harness::broker::broker;
use crate::harness::process::Process;
use crate::harness::reader::{Isolation, read_all};
use std::time::Duration;
use tributary_mock::airship;

const EVENTS: u64 = 3_000;

const EXACTLY_ONCE: &str = "exactly_once";
const AT_LEAST_ONCE: &str = "at_least_once";

/// One stream, of which so many events are made at first.
#[track_caller]
fn scene(test: &str, hold_at: u64) -> Scene {
    Scene::new(
        test,
        1,
        airship::Config { hold_at: Some(hold_at), ..crate::harness::airship::service(EVENTS) },
    )
}

#[track_caller]
fn start(scene: &Scene, delivery: &'static str) -> Process {
    scene.setup.clone().with(|settings| settings.delivery = delivery).start()
}

#[track_caller]
fn start_opened(scene: &Scene, delivery: &'static str) -> Process {
    let process = start(scene, delivery);
    process.wait_for_log("\"opened\"", LIMIT);
    process
}

fn progress(scene: &Scene) -> Progress<'static> {
    Progress::of(broker(), &scene.setup, "s0", 0)
}

/// All checkpoints of the stream, in their order.
#[track_caller]
fn checkpoints(scene: &Scene) -> Vec<Checkpoint> {
    let messages = read_all(broker(), &scene.setup.checkpoints(), Isolation::Committed);
    messages.iter().map(Checkpoint::parse).collect()
}

#[track_caller]
fn assert_taken_over(process: &mut Process) {
    let status = process.wait_exit(LIMIT);
    assert_eq!(status.code(), Some(TAKEN_OVER), "{}", process.log().join("\n"));
}

/// The rest of the events, which `process` delivers.
#[track_caller]
fn finish(scene: &Scene, process: &mut Process) {
    scene.mocks[0].release(EVENTS);
    progress(scene).wait_received(EVENTS);
    stop(process);
}

#[test]
fn an_instance_that_writes_nothing_learns_that_it_was_replaced() {
    // Not even the position moves.
    let keep_alive = Duration::from_secs(3600);
    let service =
        airship::Config { hold_at: Some(EVENTS / 3), keep_alive, ..crate::harness::airship::service(EVENTS) };
    let scene = Scene::new("quiet", 1, service);
    let mut first = start(&scene, EXACTLY_ONCE);
    progress(&scene).wait_received(EVENTS / 3);
    let mut second = start_opened(&scene, EXACTLY_ONCE);
    assert_taken_over(&mut first);
    finish(&scene, &mut second);
    scene.assert_each_once();
}

#[test]
fn a_successor_without_transactions_fences_all_the_same() {
    let scene = scene("to-least", EVENTS / 3);
    let mut first = start(&scene, EXACTLY_ONCE);
    progress(&scene).wait_received(EVENTS / 3);
    let old = checkpoints(&scene).last().expect("a checkpoint").owner.clone();
    let mut second = start_opened(&scene, AT_LEAST_ONCE);
    // Both would write this, if the first were not fenced.
    scene.mocks[0].release(EVENTS * 2 / 3);
    assert_taken_over(&mut first);
    finish(&scene, &mut second);
    let found = checkpoints(&scene);
    let claim = found.iter().position(|checkpoint| checkpoint.owner != old).expect("a claim of the second");
    assert!(claim > 0, "the first wrote before it");
    let later = found[claim..].iter().filter(|checkpoint| checkpoint.owner == old);
    assert_eq!(later.count(), 0, "the first wrote after it was taken over: {found:#?}");
}

/// Nobody is fenced; so an orderly stop is asked about first.
#[track_caller]
fn leaves_the_shard_to(test: &str, successor: &'static str) {
    let scene = scene(test, EVENTS / 3);
    let mut first = start(&scene, AT_LEAST_ONCE);
    progress(&scene).wait_received(EVENTS / 3);
    let old = checkpoints(&scene).last().expect("a checkpoint").owner.clone();
    let mut second = start_opened(&scene, successor);
    first.sigterm();
    assert_taken_over(&mut first);
    let found = checkpoints(&scene);
    let let_go = found.iter().filter(|checkpoint| checkpoint.owner == old && checkpoint.has_let_go());
    assert_eq!(let_go.count(), 0, "{found:#?}");
    finish(&scene, &mut second);
    let last = checkpoints(&scene).pop().expect("a checkpoint");
    assert!(last.owner != old && last.has_let_go(), "{last:?}");
}

#[test]
fn one_without_transactions_does_not_let_go_of_what_its_like_has() {
    leaves_the_shard_to("least-least", AT_LEAST_ONCE);
}

#[test]
fn one_without_transactions_does_not_let_go_of_what_another_has() {
    leaves_the_shard_to("least-exactly", EXACTLY_ONCE);
}
