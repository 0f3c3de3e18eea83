//! `tributary checkpoints`: what is committed of each shard, for whoever may read it.

use crate::harness::airship::progress::Progress;
use crate::harness::airship::{LIMIT, Mock, STREAM, Setup, service, stop};
use crate::harness::broker::{Right, acl_broker, broker};
use crate::harness::process;
use crate::harness::reader::{Isolation, read_all};
use serde_json::Value;
use std::fs;
use tributary_mock::airship;

const EVENTS: u64 = 2_000;

/// Runs a command with this configuration; gives its exit code and what it printed.
#[track_caller]
fn run(arguments: &[&str], config: &str) -> (Option<i32>, Vec<String>) {
    let file = tempfile::NamedTempFile::new().expect("a file");
    fs::write(file.path(), config).expect("written");
    let path = file.path().to_str().expect("UTF-8");
    let mut process = process::subcommand(&[arguments, &["--config", path]].concat(), &[]);
    let status = process.wait_exit(LIMIT);
    (status.code(), process.log())
}

#[test]
fn each_shard_is_listed_with_what_it_has_delivered() {
    let mock = Mock::start(service(EVENTS));
    let mut setup = Setup::new("checkpoints", &mock);
    setup.streams[0].shards = 2;
    let (code, said) = run(&["checkpoints", "list"], &setup.toml());
    assert_eq!(code, Some(1), "nothing is there yet: {said:?}");
    assert!(said.join("\n").contains(&setup.prefix), "{said:?}");

    let mut running = setup.start();
    let expectation = setup.expectation(&mock);
    for shard in 0..2 {
        let lines = expectation.lines_of(shard) as u64;
        Progress::of(broker(), &setup, STREAM, shard).wait_for("all events", |at| at.delivered >= lines);
    }
    let listed = |arguments: &[&str]| {
        let (code, said) = run(&[&["checkpoints"], arguments].concat(), &setup.toml());
        assert_eq!(code, Some(0), "{said:?}");
        said
    };
    let table = listed(&["list"]);
    assert!(table[0].starts_with("SHARD") && table[1].starts_with("mobile/0"), "{table:#?}");
    assert!(table[1].contains("held") && table[2].contains("held"), "{table:#?}");
    assert!(table[0].contains("GENERATION  INSTANCE"), "{table:#?}");
    stop(&mut running);
    let rows: Vec<Value> = serde_json::from_str(&listed(&["list", "--json"]).join("\n")).expect("JSON");
    let delivered: u64 =
        rows.iter().map(|row| row["checkpoint"]["totals"]["delivered"].as_u64().expect("a total")).sum();
    assert_eq!((rows.len(), delivered), (2, EVENTS));
    assert!(rows.iter().all(|row| row["checkpoint"]["hold"] == "drained"), "{rows:#?}");
    let one: Value = serde_json::from_str(&listed(&["show", "mobile/1"]).join("\n")).expect("JSON");
    assert_eq!(one, rows[1]);
    let (code, said) = run(&["checkpoints", "show", "mobile/2"], &setup.toml());
    assert_eq!(code, Some(1));
    assert!(said.join("\n").contains("mobile/0, mobile/1"), "{said:?}");
}

/// Looking takes the right to read, and no other.
#[test]
fn to_list_takes_no_right_to_write() {
    let (broker, address) = acl_broker();
    let mock = Mock::start(service(EVENTS));
    let mut setup = Setup::at(&broker, "look", &mock);
    let mut running = setup.start();
    Progress::of(&broker, &setup, STREAM, 0).wait_received(EVENTS);
    stop(&mut running);
    let prefix = format!("{}.", setup.prefix);
    let right: Right = ["TOPIC", "PREFIXED", &prefix, "READ"].map(str::to_owned);
    broker.allow(&[right]);
    setup.bootstrap = address;
    let login = r#"kafka = { properties = { "security.protocol" = "SASL_PLAINTEXT", "sasl.mechanism" = "PLAIN", "sasl.username" = "tributary", "sasl.password" = { value = "secret" } }, "#;
    let (code, said) = run(&["checkpoints", "list"], &setup.toml().replace("kafka = { ", login));
    assert_eq!(code, Some(0), "{said:?}");
    assert!(said[1].contains("drained") && said[1].contains(&EVENTS.to_string()), "{said:#?}");
    let (code, said) = run(&["dead-letters", "list"], &setup.toml().replace("kafka = { ", login));
    assert_eq!(code, Some(0), "{said:?}");
    assert!(said.join("\n").contains("0 dead letters"), "{said:#?}");
}

/// Ids in the topic, in the order of the log's offsets of each partition.
fn ids(setup: &Setup) -> Vec<String> {
    let messages = read_all(broker(), setup.topic(), Isolation::Committed);
    messages.iter().map(|message| message.header("ce_id").expect("an id").to_owned()).collect()
}

#[track_caller]
fn edit(setup: &Setup, arguments: &[&str], expected: i32) -> String {
    let (code, said) = run(&[&["checkpoints"], arguments].concat(), &setup.toml());
    assert_eq!(code, Some(expected), "{said:?}");
    said.join("\n")
}

/// A shard that is at work is left alone; with force it is taken away from whoever runs it, which then goes on from there.
#[test]
fn a_position_is_set_under_the_fence() {
    let mock = Mock::start(airship::Config { hold_at: Some(EVENTS / 2), ..service(EVENTS) });
    let setup = Setup::new("checkpoints-set", &mock);
    let mut running = setup.start();
    let mut progress = Progress::of(broker(), &setup, STREAM, 0);
    let half = progress.wait_received(EVENTS / 2);
    let early = mock.log().offset(EVENTS / 4);
    let set = ["set", "mobile/0", "--position", &early];
    let refused = edit(&setup, &set, 1);
    assert!(refused.contains("is held by") && refused.contains("--force"), "{refused}");
    assert!(edit(&setup, &["set", "mobile/0", "--position", " "], 1).contains("no offset"));
    assert!(edit(&setup, &["reset", "other"], 1).contains("mobile/0"));

    // What was delivered is known by its id, so nothing comes twice.
    let said = edit(&setup, &[&set[..], &["--force"]].concat(), 0);
    assert!(said.contains(&format!("mobile/0: goes on after {early}")), "{said}");
    mock.release(EVENTS);
    let all = progress.wait_for("all events", |at| at.delivered >= EVENTS);
    assert!(all.duplicates >= half.delivered - EVENTS / 4 - 1, "it went back: {all:?}");
    assert_eq!(running.exited(), None, "the process goes on");
    stop(&mut running);
    setup.expectation(&mock).check();

    // A stop lets go, so no force is needed; without its ids everything from there on comes once more.
    edit(&setup, &["reset", "mobile", "--forget-ids"], 0);
    let mut running = setup.start();
    progress.wait_for("all events again", |at| at.delivered >= 2 * EVENTS);
    stop(&mut running);
    let found = ids(&setup);
    let distinct: std::collections::BTreeSet<_> = found.iter().collect();
    assert_eq!((found.len() as u64, distinct.len() as u64), (2 * EVENTS, EVENTS));
}

/// To another prefix, where nothing was ever announced.
#[test]
fn an_export_is_imported_elsewhere() {
    let mock = Mock::start(airship::Config { hold_at: Some(EVENTS / 2), ..service(EVENTS) });
    let mut setup = Setup::new("checkpoints-move", &mock);
    setup.streams[0].shards = 2;
    let mut running = setup.start();
    let delivered = |shard, lines: u64| {
        Progress::of(broker(), &setup, STREAM, shard).wait_for("its events", |at| at.delivered >= lines)
    };
    let first_half = setup.expectation_of(&mock, EVENTS / 2);
    for shard in 0..2 {
        delivered(shard, first_half.lines_of(shard) as u64);
    }
    stop(&mut running);
    let exported = edit(&setup, &["export"], 0);
    let file = tempfile::NamedTempFile::new().expect("a file");
    fs::write(file.path(), &exported).expect("written");
    let path = file.path().to_str().expect("UTF-8");

    let elsewhere = setup.clone().with(|settings| settings.prefix = format!("{}-moved", settings.prefix));
    let said = edit(&elsewhere, &["import", path], 0);
    assert!(said.contains("mobile/0: goes on after") && said.contains("mobile/1: goes on after"), "{said}");
    mock.release(EVENTS);
    let mut running = elsewhere.start();
    let all = elsewhere.expectation(&mock);
    for shard in 0..2 {
        let lines = all.lines_of(shard) as u64;
        // Its totals were imported, too.
        Progress::of(broker(), &elsewhere, STREAM, shard).wait_for("all events", |at| at.delivered >= lines);
    }
    assert!(edit(&elsewhere, &["import", path], 1).contains("is held by"), "it is at work");
    stop(&mut running);
    // The topic is the same one.
    all.check();
    let other = elsewhere.with(|settings| settings.more = "generation = 1".into());
    let mut one = other.clone();
    one.streams[0].shards = 1;
    assert!(edit(&one, &["import", path], 1).contains("is one of 2 in the file"), "nothing is guessed");
}
