//! With `at_least_once` nothing fences a member: what it may say of a shard follows from the checkpoints.

use super::*;
use crate::harness::airship::STREAM;
use crate::harness::airship::progress::Checkpoint;
use crate::harness::reader::Message;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use serde_json::Value;

/// Without transactions nothing fences it; it is told that its shards are lost, and says of none that it is free.
#[test]
fn one_that_wakes_up_to_its_stop_ends_in_order() {
    let mut group = Group::new("group-least", 10_000);
    group.setup.delivery = "at_least_once";
    let mut first = group.start("a");
    let second = group.start("b");
    group.wait("both to have half", || owned(&first) == 4.0 && owned(&second) == 4.0);
    group.wait_shared(&[&first, &second]);
    group.wait("the other one to have opened its own", || opened(&second) >= 4);
    let (let_go, opened_before) = (count_log(&first, LET_GO), opened(&second));
    first.sigstop();
    // Before it has claimed a shard the first one may say of it that it is free.
    group.wait("the other one to have claimed the rest", || opened(&second) >= opened_before + 4);
    first.sigterm();
    first.sigcont();
    group.wait("its end", || first.exited().is_some());
    assert_eq!(first.wait_exit(LIMIT).code(), Some(0), "{}", first.log().join("\n"));
    assert_eq!(count_log(&first, LET_GO), let_go, "{}", first.log().join("\n"));
    group.wait_shared(&[&second]);
    let mut second = second;
    stop(&mut second);
}

/// Without transactions one may write on although another member has claimed its shard. It says of none that it is free all the
/// same, also where the claim is not the latest checkpoint any more.
#[test]
fn a_claim_is_seen_behind_what_was_written_since() {
    let mut group = Group::of("group-hidden", 20_000, 1);
    group.setup.delivery = "at_least_once";
    // Nobody takes it for dead, however busy the machine is.
    let lines = "ownership = \"group\"\ninstance_id = \"a\"\nsession_timeout = \"60s\"".to_owned();
    let mut member = group.setup.clone().with(|settings| settings.more = lines).start();
    let checkpoints = || read_all(broker(), &group.setup.checkpoints(), Isolation::Committed);
    group.wait("something to be committed", || member.metrics().sum("tributary_commits_total", &[]) > 2.0);
    let last = checkpoints().pop().expect("a checkpoint");
    write_as(&group, &last, |claim| claim["owner"] = "another".into());
    let hides =
        || checkpoints().iter().rev().take_while(|found| !found.text().contains("\"another\"")).count();
    group.wait("the claim to be hidden", || hides() >= 2);
    member.sigterm();
    member.wait_exit(LIMIT);
    assert_eq!(count_log(&member, LET_GO), 0, "{}", member.log().join("\n"));
    assert_eq!(count_log(&member, "opening another has claimed the shard"), 1, "{}", member.log().join("\n"));
    assert!(!Checkpoint::parse(&checkpoints().pop().expect("a checkpoint")).has_let_go());
}

/// Writes a checkpoint as another opening of the first shard would, made of one that is there.
fn write_as(group: &Group, from: &Message, change: impl FnOnce(&mut Value)) {
    let mut checkpoint: Value = serde_json::from_str(from.text()).expect("JSON");
    change(&mut checkpoint);
    let producer: BaseProducer = broker().client(&[]).create().expect("a producer");
    let (topic, key, payload) = (group.setup.checkpoints(), format!("{STREAM}/0"), checkpoint.to_string());
    let record = BaseRecord::to(&topic).partition(0).key(&key).payload(&payload);
    producer.send(record).expect("queued");
    producer.flush(LIMIT).expect("written");
}

/// Nor does what the predecessor still writes, however far it counts: the release is the latest checkpoint all the same.
#[test]
fn what_a_predecessor_still_writes_is_no_claim() {
    let mut group = Group::of("group-late", 20_000, 1);
    group.setup.delivery = "at_least_once";
    let lines = "ownership = \"group\"\ninstance_id = \"a\"\nsession_timeout = \"60s\"".to_owned();
    let setup = group.setup.clone().with(|settings| settings.more = lines);
    let commits = |member: &Process| member.metrics().sum("tributary_commits_total", &[]);
    let mut first = setup.start();
    group.wait("something to be committed", || commits(&first) > 2.0);
    first.kill9();
    let checkpoints = || read_all(broker(), &group.setup.checkpoints(), Isolation::Committed);
    let before = checkpoints().pop().expect("a checkpoint");
    let mut member = setup.start();
    group.wait("more to be committed", || commits(&member) > 2.0);
    let late = Checkpoint::parse(&before).sequence + 1_000;
    write_as(&group, &before, |late_one| late_one["sequence"] = late.into());
    stop(&mut member);
    assert_eq!(count_log(&member, LET_GO), 1, "{}", member.log().join("\n"));
    let latest = checkpoints().iter().map(Checkpoint::parse).max_by_key(|found| found.sequence);
    let latest = latest.expect("a checkpoint");
    assert!(latest.has_let_go() && latest.sequence == late + 1, "{latest:?}");
}
