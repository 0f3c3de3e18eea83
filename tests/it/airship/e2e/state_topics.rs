//! The topics of the connector's own state: their settings, and what others may have done to them.

use crate::airship::e2e::duplicates::repeating;
use crate::harness::airship::oracle::Found;
use crate::harness::airship::{LIMIT, Mock, STREAM, Setup, count_log, service, stop};
use crate::harness::broker::broker;
use crate::harness::process::{self, Process};
use crate::harness::reader::{Isolation, read_all};
use crate::harness::wait::wait_until;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use std::time::Duration;
use tributary_mock::airship;

const EVENTS: u64 = 3_000;
const DAY_MS: u64 = 86_400_000;

/// A million ids at 320 bytes, and 64 MiB.
const JOURNAL_BYTES: u64 = 320_000_000 + (64 << 20);

fn ids(setup: &Setup) -> String {
    format!("{}.ids", setup.prefix)
}

/// With more settings of `[kafka]`.
#[track_caller]
fn start_with(setup: &Setup, kafka: &str) -> Process {
    let toml = setup.toml();
    assert!(toml.contains("kafka = { "), "{toml}");
    process::tributary(&toml.replace("kafka = { ", &format!("kafka = {{ {kafka}, ")), &[])
}

/// All topics of a setup, with these settings of the first two.
fn create(setup: &Setup, checkpoints: &[(&str, &str)], ids_config: &[(&str, &str)]) {
    broker().create_topic(&setup.checkpoints(), 1, checkpoints);
    broker().create_topic(&ids(setup), 1, ids_config);
    broker().create_topic(&format!("{}.shards", setup.prefix), 1, &[("cleanup.policy", "compact")]);
    broker().create_topic(setup.topic(), 3, &[]);
    broker().create_topic(&setup.dead_letters(), 1, &[]);
}

#[test]
fn settings_of_topics_made_beforehand_are_set_right() {
    let mock = Mock::start(service(EVENTS));
    let mut setup = Setup::new("state-settings", &mock);
    create(
        &setup,
        &[("cleanup.policy", "delete"), ("segment.bytes", "20000000")],
        &[("cleanup.policy", "compact"), ("retention.ms", "3600000"), ("retention.bytes", "1000000")],
    );
    let mut process = setup.start();
    setup.progress().wait_received(EVENTS);
    stop(&mut process);
    let checkpoints = broker().topic_config(&setup.checkpoints());
    assert_eq!((&*checkpoints["cleanup.policy"], &*checkpoints["segment.bytes"]), ("compact", "20000000"));
    let journal = broker().topic_config(&ids(&setup));
    assert_eq!(journal["cleanup.policy"], "delete");
    assert_eq!(journal["retention.ms"], (8 * DAY_MS).to_string());
    assert_eq!(journal["retention.bytes"], JOURNAL_BYTES.to_string());
    // A longer window on the topic that is there.
    setup.window = "240h";
    let mut process = setup.start();
    process.wait_for_log("connected", LIMIT);
    stop(&mut process);
    assert_eq!(broker().topic_config(&ids(&setup))["retention.ms"], (10 * DAY_MS).to_string());
    // And a shorter one, which leaves it alone.
    setup.window = "1h";
    let mut process = setup.start();
    process.wait_for_log("connected", LIMIT);
    stop(&mut process);
    assert_eq!(broker().topic_config(&ids(&setup))["retention.ms"], (10 * DAY_MS).to_string());
    assert_eq!(count_log(&process, "set a state topic right"), 0, "nothing was wrong");
}

#[test]
fn settings_that_may_not_be_changed_are_named() {
    let mock = Mock::start(service(EVENTS));
    let setup = Setup::new("state-refused", &mock);
    create(&setup, &[("cleanup.policy", "delete")], &[("retention.ms", "3600000")]);
    let mut process = start_with(&setup, "create_topics = false");
    let line = process.wait_for_log("cannot prepare the topics", LIMIT);
    for part in [
        &setup.checkpoints(),
        "cleanup.policy is delete and must be compact",
        "kafka-configs",
        "--add-config cleanup.policy=compact",
        "kafka.create_topics is false",
    ] {
        assert!(line.contains(part), "{part}: {line}");
    }
    let line = process.wait_for_log("retention.ms is 3600000 and must be at least 691200000", LIMIT);
    assert!(line.contains("\"level\":\"ERROR\"") && line.contains(&ids(&setup)), "{line}");
    assert_eq!(mock.stats().connections, 0, "nothing is read before it can be kept");
    process.sigterm();
    process.wait_exit(LIMIT);
}

#[test]
fn records_of_others_among_the_state_are_skipped() {
    let mock = Mock::start(repeating(EVENTS));
    let setup = Setup::new("state-foreign", &mock);
    create(&setup, &[("cleanup.policy", "compact")], &[]);
    let producer: BaseProducer = broker().client(&[]).create().expect("a producer");
    let key = format!("{STREAM}/0");
    for topic in [setup.checkpoints(), ids(&setup)] {
        for (key, value) in
            [(key.as_str(), "no state"), ("someone", "{\"id\":\"1\",\"version\":99}"), ("", "")]
        {
            producer.send(BaseRecord::to(&topic).partition(0).key(key).payload(value)).expect("queued");
        }
    }
    producer.flush(LIMIT).expect("written");
    let mut killed = setup.start();
    let line = killed.wait_for_log("is skipped", LIMIT);
    assert!(line.contains("\"level\":\"WARN\"") && line.contains(&setup.checkpoints()), "{line}");
    assert!(line.contains("\"offset\":0") && line.contains(&format!("\"key\":\"{key}\"")), "{line}");
    let arrived = || read_all(broker(), setup.topic(), Isolation::Committed).len();
    let distinct = mock.log().distinct(EVENTS) as usize;
    wait_until(LIMIT, "a part of it", || arrived() > distinct / 4);
    killed.kill9();
    let mut process = setup.start();
    wait_until(LIMIT, "all of it", || arrived() >= distinct);
    stop(&mut process);
    assert_eq!(setup.expectation(&mock).check(), Found { records: distinct, repeats: 0 });
}

/// Far more than are looked at before the partition is read as a whole.
const FOREIGN: usize = 300;

#[test]
fn a_checkpoint_is_found_behind_many_records_of_others() {
    let mock = Mock::start(service(EVENTS));
    let setup = Setup::new("state-behind", &mock);
    create(&setup, &[("cleanup.policy", "compact")], &[]);
    let mut process = setup.start();
    setup.progress().wait_received(EVENTS);
    stop(&mut process);
    let producer: BaseProducer = broker().client(&[]).create().expect("a producer");
    for number in 0..FOREIGN {
        let (key, topic) = (format!("foreign-{number}"), setup.checkpoints());
        let record = BaseRecord::to(&topic).partition(0).key(&key).payload("no state");
        producer.send(record).expect("queued");
    }
    producer.flush(LIMIT).expect("written");
    let mut process = setup.start();
    let line = process.wait_for_log("\"opened\"", LIMIT);
    assert!(line.contains("\"position\":"), "it resumes: {line}");
    process.wait_for_log("connected", LIMIT);
    stop(&mut process);
    let distinct = mock.log().distinct(EVENTS) as usize;
    assert_eq!(setup.expectation(&mock).check(), Found { records: distinct, repeats: 0 });
}

/// Ids of a batch that are more than one record may hold: `limit` is the topic's, `kafka` what the connector is told.
#[track_caller]
fn small_records(test: &str, limit: &str, kafka: Option<&str>) {
    const MANY: u64 = 12_000;
    let mock = Mock::start(airship::Config { step: None, ..repeating(MANY) });
    let mut setup = Setup::new(test, &mock);
    (setup.max_events, setup.commit_interval) = (5_000, "2s");
    create(&setup, &[("cleanup.policy", "compact")], &[("max.message.bytes", limit)]);
    let start = || match kafka {
        Some(kafka) => start_with(&setup, kafka),
        None => setup.start(),
    };
    let mut killed = start();
    setup.progress().wait_for("a batch", |checkpoint| checkpoint.received >= 5_000);
    killed.kill9();
    let mut process = start();
    setup.progress().wait_received(MANY);
    stop(&mut process);
    let distinct = mock.log().distinct(MANY) as usize;
    assert_eq!(setup.expectation(&mock).check(), Found { records: distinct, repeats: 0 });
    let journal = read_all(broker(), &ids(&setup), Isolation::Committed);
    let largest = journal.iter().filter_map(|record| record.value.as_ref().map(Vec::len)).max();
    let limit: usize = limit.parse().expect("a number");
    assert!(largest.expect("records") < limit, "{largest:?}");
    assert!(journal.len() * limit > distinct * 16, "and they are all there");
}

#[test]
fn ids_are_cut_to_what_their_topic_takes() {
    small_records("state-small", "20000", None);
}

#[test]
fn a_limit_that_is_not_told_is_learned_from_the_refusal() {
    small_records("state-learned", "20000", Some("max_message_bytes = 1000000"));
}

/// The end of a transaction is marked some time after its commit was answered, and one of somebody else may be open before it:
/// readers of what is settled do not see it yet, but it is there.
#[test]
fn what_is_not_settled_yet_is_not_lost() {
    let mock = Mock::start(airship::Config { rate: 50.0, ..service(EVENTS) });
    let setup = Setup::new("state-unsettled", &mock);
    let mut process = process::tributary(&setup.toml(), &[("TRIBUTARY_LOG", "debug")]);
    setup.progress().wait_received(50);
    let id = format!("{}-other", setup.prefix);
    let other: BaseProducer =
        broker().client(&[("transactional.id", &id), ("transaction.timeout.ms", "300000")]).create().unwrap();
    other.init_transactions(LIMIT).unwrap();
    other.begin_transaction().unwrap();
    let journal = ids(&setup);
    let record = BaseRecord::to(&journal).partition(0).key("other").payload("open");
    other.send(record).map_err(|(error, _)| error).unwrap();
    while other.in_flight_count() > 0 {
        other.poll(Duration::from_millis(10));
    }
    let looks = || count_log(&process, "looked whether the state is there");
    // The first one tells what the next one has to find.
    wait_until(LIMIT, "two looks", || looks() == 2);
    let commits = || process.metrics().sum("tributary_commits_total", &[]);
    let committed = commits();
    wait_until(LIMIT, "what follows it", || commits() > committed + 10.0);
    assert_eq!(count_log(&process, "write failed"), 0, "{}", process.log().join("\n"));
    assert_eq!(count_log(&process, "were lost"), 0);
    other.abort_transaction(LIMIT).unwrap();
    setup.progress().wait_received(EVENTS);
    stop(&mut process);
    assert_eq!(setup.expectation(&mock).check(), Found { records: EVENTS as usize, repeats: 0 });
}
