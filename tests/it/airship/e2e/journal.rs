//! The id journal: what an older release wrote, and what the topic has lost, which the journal itself tells.

use crate::airship::e2e::duplicates::repeating;
use crate::harness::airship::oracle::Found;
use crate::harness::airship::{LIMIT, Mock, STREAM, Setup, stop};
use crate::harness::broker::broker;
use crate::harness::reader::{Isolation, Message, read_all};
use crate::harness::wait::wait_until;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::time::{SystemTime, UNIX_EPOCH};
use tributary_mock::airship::{self, Log};

const EVENTS: u64 = 3_000;
const HELD_AT: u64 = 1_000;

fn held() -> airship::Config {
    airship::Config { hold_at: Some(HELD_AT), duplicate_reach: 900, ..repeating(EVENTS) }
}

fn ids(setup: &Setup) -> String {
    format!("{}.ids", setup.prefix)
}

fn journal(setup: &Setup) -> Vec<Message> {
    read_all(broker(), &ids(setup), Isolation::Committed)
}

/// The id of the event at a place of the log, as the journal holds it.
fn id(log: &Log, position: u64) -> u128 {
    let mut line = Vec::new();
    log.render(position, &mut line);
    let line: Value = serde_json::from_slice(&line).expect("JSON");
    let id = line["id"].as_str().expect("an id");
    // Some are no UUIDs, as in the official examples: of those a hash is kept.
    u128::from_str_radix(&id.replace('-', ""), 16).unwrap_or_else(|_| {
        let hash: [u8; 32] = Sha256::digest(id.as_bytes()).into();
        u128::from_be_bytes(hash[..16].try_into().expect("16 bytes"))
    })
}

fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_millis() as i64
}

#[test]
fn what_an_older_release_left_is_taken_over() {
    let mock = Mock::start(held());
    let setup = Setup::new("journal-v1", &mock);
    let log = mock.log();
    // As version 1 left it after the first half of what is there.
    let taken = HELD_AT / 2;
    broker().create_topic(&setup.checkpoints(), 1, &[("cleanup.policy", "compact")]);
    broker().create_topic(&ids(&setup), 1, &[]);
    let first: Vec<u64> = (0..taken).filter(|position| !log.entry(*position).is_duplicate).collect();
    let old: Vec<u8> = [1].into_iter().chain(first.iter().flat_map(|p| id(log, *p).to_be_bytes())).collect();
    let delivered = first.len() as u64;
    let totals = json!({"received": taken, "delivered": delivered, "duplicates": taken - delivered, "dead_letters": 0});
    let checkpoint = json!({
        "version": 1, "sequence": 9, "owner": "an older release", "shards": 1,
        "position": {"kind": "offset", "offset": log.offset(taken - 1)},
        "processed_ms": null, "committed_ms": now_ms(), "clean": true, "released": true, "totals": totals,
    });
    let producer: BaseProducer = broker().client(&[]).create().expect("a producer");
    let key = format!("{STREAM}/0");
    for (topic, value) in [(ids(&setup), old), (setup.checkpoints(), checkpoint.to_string().into_bytes())] {
        producer.send(BaseRecord::to(&topic).partition(0).key(&key).payload(&value)).expect("queued");
    }
    producer.flush(LIMIT).expect("written");

    let mut killed = setup.start();
    setup.progress().wait_received(HELD_AT);
    killed.kill9();
    let records = journal(&setup);
    let versions: Vec<u8> = records.iter().map(|record| record.value.as_ref().expect("a value")[0]).collect();
    assert_eq!(versions[..2], [1, 3], "all of it was written again in the present version: {versions:?}");
    let again = records[1].value.as_ref().expect("a value");
    assert_eq!(again.len(), 25 + 16 * first.len(), "with the ids of the older one");
    // Those of the older version are not needed any more.
    broker().delete_records(&ids(&setup), 0, records[1].offset);
    mock.release(EVENTS);
    let mut process = setup.start();
    setup.progress().wait_received(EVENTS);
    assert_eq!(process.metrics().sum("tributary_id_journal_gaps_total", &[]), 0.0);
    stop(&mut process);
    let upgraded = taken..EVENTS;
    let across =
        upgraded.filter(|p| log.entry(*p).is_duplicate && log.first_position(log.entry(*p).index) < taken);
    assert!(across.count() > 0, "events of before the upgrade came again");
    let after = first_seen_after(log, taken);
    let expected =
        crate::harness::airship::oracle::Expectation::of(&setup, &setup.streams[0], log, after.clone());
    assert_eq!(expected.check(), Found { records: after.len(), repeats: 0 });
}

/// Lines whose event was not there before `taken`, each event once.
fn first_seen_after(log: &Log, taken: u64) -> Vec<u64> {
    (taken..log.len()).filter(|position| !log.entry(*position).is_duplicate).collect()
}

#[test]
fn a_journal_that_lost_its_beginning_is_noticed() {
    let mock = Mock::start(held());
    let setup = Setup::new("journal-cut", &mock);
    let mut process = setup.start();
    setup.progress().wait_received(HELD_AT);
    stop(&mut process);
    let mut whole = setup.start();
    whole.wait_for_log("connected", LIMIT);
    assert_eq!(whole.metrics().sum("tributary_id_journal_gaps_total", &[]), 0.0, "nothing is missing yet");
    stop(&mut whole);
    let records = journal(&setup);
    assert!(records.len() > 3, "{} records", records.len());
    broker().delete_records(&ids(&setup), 0, records[2].offset);
    let lost: usize =
        records[..2].iter().map(|record| (record.value.as_ref().expect("a value").len() - 25) / 16).sum();
    let mut process = setup.start();
    let line = process.wait_for_log("are missing from the journal", LIMIT);
    assert!(line.contains("\"level\":\"WARN\"") && line.contains(&format!("\"missing\":{lost}")), "{line}");
    wait_until(LIMIT, "it to be counted", || {
        process.metrics().sum("tributary_id_journal_gaps_total", &[]) == 1.0
    });
    stop(&mut process);
}
