//! `tributary checkpoints`: what is committed of each shard, for whoever may read it.

use crate::harness::airship::progress::Progress;
use crate::harness::airship::{LIMIT, Mock, STREAM, Setup, service, stop};
use crate::harness::broker::{Right, acl_broker, broker};
use crate::harness::process;
use serde_json::Value;
use std::fs;

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
}
