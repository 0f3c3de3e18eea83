//! A state topic that is deleted under a running connector is made again from what the connector remembers.

use crate::airship::e2e::duplicates::repeating;
use crate::harness::airship::oracle::Found;
use crate::harness::airship::{LIMIT, Mock, Setup, service, stop};
use crate::harness::broker::broker;
use crate::harness::process::{self, Process};
use crate::harness::wait::wait_until;
use tributary_mock::airship;

const EVENTS: u64 = 12_000;

/// Events come at a pace of which a test sees something, with repeats that reach far back.
fn flowing() -> airship::Config {
    airship::Config { rate: 1_500.0, backlog: 2_000, duplicate_reach: 4_000, ..repeating(EVENTS) }
}

fn received(process: &Process) -> f64 {
    process.metrics().sum("tributary_events_received_total", &[])
}

/// Deletes topics under load, waits until the connector has got over it, kills it, and lets another one finish.
#[track_caller]
fn delete_under_load(test: &str, topics: &[&str], says: &[&str]) {
    let mock = Mock::start(flowing());
    let mut setup = Setup::new(test, &mock);
    setup.transaction_timeout = "10s";
    let mut process = setup.start();
    wait_until(LIMIT, "events to flow", || received(&process) > 2_500.0);
    for topic in topics {
        broker().delete_topic(&format!("{}.{topic}", setup.prefix));
    }
    for part in says {
        let line = process.wait_for_log(part, LIMIT);
        assert!(line.contains("\"level\":\"ERROR\""), "{line}");
    }
    let at = received(&process);
    wait_until(LIMIT, "events to flow again", || received(&process) > at + 1_000.0);
    assert!(received(&process) < EVENTS as f64, "under load");
    process.kill9();
    let mut process = setup.start();
    let last = setup.progress().wait_received(EVENTS);
    let distinct = mock.log().distinct(EVENTS);
    assert_eq!((last.delivered, last.duplicates), (distinct, EVENTS - distinct), "totals go on");
    assert_eq!(process.metrics().sum("tributary_id_journal_gaps_total", &[]), 0.0, "no id is missing");
    stop(&mut process);
    assert_eq!(setup.expectation(&mock).check(), Found { records: distinct as usize, repeats: 0 });
}

#[test]
fn the_checkpoints_are_deleted() {
    delete_under_load("lost-checkpoints", &["checkpoints"], &["the shard's checkpoint was lost"]);
}

#[test]
fn the_ids_are_deleted() {
    delete_under_load("lost-ids", &["ids"], &["ids were lost from the journal"]);
}

#[test]
fn all_are_deleted() {
    let says = ["the shard's checkpoint was lost", "ids were lost from the journal"];
    delete_under_load("lost-all", &["checkpoints", "ids", "shards"], &says);
}

#[test]
fn a_shard_whose_checkpoint_is_gone_does_not_begin_anew_in_silence() {
    let mock = Mock::start(service(1_000));
    let setup = Setup::new("lost-while-stopped", &mock);
    let mut process = setup.start();
    setup.progress().wait_received(1_000);
    stop(&mut process);
    let connections = mock.stats().connections;
    broker().delete_topic(&setup.checkpoints());
    let mut process = setup.start();
    let line = process.wait_for_log("has no checkpoint", LIMIT);
    for part in ["ERROR", "mobile/0", &setup.checkpoints(), "run --start-anew mobile=WORD"] {
        assert!(line.contains(part), "{part}: {line}");
    }
    assert_eq!(mock.stats().connections, connections, "the service is not asked");
    process.sigterm();
    process.wait_exit(LIMIT);
    // On purpose it does.
    let mut process = process::tributary_with(&setup.toml(), &["--start-anew", "mobile=anew"], &[]);
    wait_until(LIMIT, "all of it again", || received(&process) == 1_000.0);
    stop(&mut process);
}
