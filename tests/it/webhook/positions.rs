//! Where the shards are in the intake topic: what its retention took is reported, and the number of shards stays what it was.

use std::fs;
use std::net::SocketAddr;
use std::ops::Range;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};

use super::scene::{LIMIT, Scene, array, event};
use crate::harness::broker::{broker, free_port};
use crate::harness::process;
use crate::harness::wait::wait_until;

/// Stores events in the first partition, dated if a time is given, milliseconds since the Unix epoch.
fn store(scene: &Scene, events: Range<usize>, at_ms: Option<i64>) {
    let intake = scene.intake();
    let producer: BaseProducer = scene.broker.client(&[]).create().unwrap();
    for event in events.map(event) {
        let record: BaseRecord<'_, (), str> = BaseRecord::to(&intake).payload(event.as_str()).partition(0);
        let record = at_ms.into_iter().fold(record, BaseRecord::timestamp);
        producer.send(record).unwrap();
    }
    producer.flush(LIMIT).unwrap();
}

#[test]
fn what_was_deleted_before_it_was_read_is_a_gap_and_no_silence() {
    let mut scene = Scene::new("hook-gap", broker());
    scene.shards = 1;
    let mut instance = scene.start();
    assert_eq!(instance.push(&array(0..10)).status, 200);
    scene.wait_for(10);
    instance.stop();
    // Stored while nothing reads: by a producer of this test's own, as by an instance that has no shard.
    let intake = scene.intake();
    let end = scene.broker.high_watermarks(&intake)[&0];
    assert_eq!(end, 10);
    store(&scene, 10..20, None);
    scene.broker.delete_records(&intake, 0, 15);
    let mut again = scene.start();
    again.process.wait_for_log("possible gap: the intake topic does not hold the place", LIMIT);
    scene.wait_for(15);
    let metrics = again.process.metrics();
    assert_eq!(metrics.sum("tributary_possible_gaps_total", &["reason=\"position_given_up\""]), 1.0);
    assert_eq!(metrics.sum("tributary_positions_abandoned_total", &[]), 1.0);
    again.stop();
    let expected: Vec<String> = (0..10).chain(15..20).map(event).collect();
    assert_eq!(scene.counted().into_keys().collect::<Vec<_>>(), expected);
}

/// As after an election that lost the partition's end: what was stored long before the commit was read, whatever there is now.
#[test]
fn behind_the_end_it_goes_on_with_what_was_stored_since_the_commit() {
    let mut scene = Scene::new("hook-behind", broker());
    scene.shards = 1;
    let mut instance = scene.start();
    let hours = Duration::from_secs(3 * 3_600);
    let long_ago = i64::try_from((SystemTime::now() - hours).duration_since(UNIX_EPOCH).unwrap().as_millis());
    let (intake, event_before) = (scene.intake(), event(50));
    // Else the broker's clock dates it.
    scene.broker.change_topic(
        &intake,
        &[("message.timestamp.type", "CreateTime"), ("message.timestamp.after.max.ms", "86400000")],
    );
    let record = BaseRecord::<(), str>::to(&intake).payload(&event_before).partition(0);
    let producer: BaseProducer = scene.broker.client(&[]).create().unwrap();
    producer.send(record.timestamp(long_ago.unwrap())).unwrap();
    producer.flush(LIMIT).unwrap();
    scene.wait_for(1);
    assert_eq!(instance.push(&array(0..10)).status, 200);
    scene.wait_for(11);
    instance.stop();
    let config = tempfile::NamedTempFile::new().unwrap();
    fs::write(config.path(), scene.toml(instance.address, "")).unwrap();
    let at =
        ["checkpoints", "set", "hooks/0", "--position", "1000", "--config", config.path().to_str().unwrap()];
    let mut set = process::subcommand(&at, &[]);
    assert!(set.wait_exit(LIMIT).success(), "{:?}", set.log());
    let mut again = scene.start();
    let line = again.process.wait_for_log("possible gap: the intake topic does not hold the place", LIMIT);
    assert!(line.contains("\"wanted\":1000") && line.contains("\"end\":11,\"next\":1}"), "{line}");
    again.push_until_stored(&event(60));
    scene.wait_for(12);
    assert_eq!(
        again.process.metrics().sum("tributary_duplicates_dropped_total", &[]),
        10.0,
        "all but the old one"
    );
    again.stop();
    assert!(scene.counted().values().all(|count| *count == 1));
}

/// Its length does not tell, since more was stored in it since than in the one of before.
#[test]
fn an_intake_topic_that_was_made_again_while_nobody_ran_is_noticed_by_its_times() {
    let mut scene = Scene::new("hook-remade", broker());
    scene.shards = 1;
    let mut instance = scene.start();
    assert_eq!(instance.push(&array(0..5)).status, 200);
    scene.wait_for(5);
    instance.stop();
    let intake = scene.intake();
    scene.broker.delete_topic(&intake);
    wait_until(LIMIT, "the topic to be gone", || scene.broker.partition_count(&intake).is_none());
    scene.broker.create_topic(
        &intake,
        1,
        &[("message.timestamp.type", "CreateTime"), ("message.timestamp.after.max.ms", "86400000")],
    );
    let later = SystemTime::now() + Duration::from_secs(2 * 3_600);
    let later = i64::try_from(later.duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap();
    store(&scene, 5..15, Some(later));
    let mut again = scene.start();
    let line = again.process.wait_for_log("possible gap: the intake topic does not hold the place", LIMIT);
    assert!(line.contains("\"wanted\":5") && line.contains("\"end\":10,\"next\":0}"), "{line}");
    scene.wait_for(15);
    again.stop();
    assert_eq!(scene.counted().into_keys().collect::<Vec<_>>(), (0..15).map(event).collect::<Vec<_>>());
}

#[test]
fn partitions_of_the_intake_topic_beyond_the_shards_are_not_used() {
    let scene = Scene::new("hook-more", broker());
    scene.broker.create_topic(&scene.intake(), 5, &[]);
    let mut instance = scene.start();
    assert_eq!(instance.push(&array(0..40)).status, 200);
    scene.wait_for(40);
    instance.stop();
    let ends = scene.broker.high_watermarks(&scene.intake());
    assert!((0..2).all(|used| ends[&used] > 0) && (2..5).all(|unused| ends[&unused] == 0), "{ends:?}");
}

#[test]
fn an_intake_topic_with_too_few_partitions_takes_nothing() {
    let scene = Scene::new("hook-fewer", broker());
    let mut instance = scene.start();
    assert_eq!(instance.push(&array(0..5)).status, 200);
    scene.wait_for(5);
    instance.stop();
    scene.broker.delete_topic(&scene.intake());
    wait_until(LIMIT, "the topic to be gone", || scene.broker.partition_count(&scene.intake()).is_none());
    scene.broker.create_topic(&scene.intake(), 1, &[]);
    let toml =
        scene.toml(instance.address, "").replacen("kafka = { ", "kafka = { create_topics = false, ", 1);
    let mut refused = process::tributary(&toml, &[]);
    refused.wait_for_log(&format!("{} needs 2 partitions and could not get them", scene.intake()), LIMIT);
    refused.kill9();
    assert_eq!(scene.broker.high_watermarks(&scene.intake())[&0], 0, "nothing was stored");
}

#[test]
fn an_intake_topic_that_is_deleted_under_way_is_made_again() {
    let mut scene = Scene::new("hook-gone-topic", broker());
    scene.shards = 1;
    let mut instance = scene.start();
    assert_eq!(instance.push(&array(0..30)).status, 200);
    scene.wait_for(30);
    scene.broker.delete_topic(&scene.intake());
    // It is made again by whoever has something to store, and not before.
    wait_until(LIMIT, "the topic to be gone", || scene.broker.partition_count(&scene.intake()).is_none());
    instance.push_until_stored(&array(30..40));
    scene.wait_for(40);
    let metrics = instance.process.metrics();
    assert_eq!(metrics.sum("tributary_possible_gaps_total", &["reason=\"position_given_up\""]), 1.0);
    instance.stop();
    assert_eq!(scene.counted().len(), 40);
}

#[test]
fn another_number_of_shards_is_refused_whatever_the_generation() {
    let mut scene = Scene::new("hook-shards", broker());
    scene.stream = "intake_retention = \"2d\"".into();
    let mut instance = scene.start();
    instance.stop();
    assert_eq!(scene.broker.partition_count(&scene.intake()), Some(2));
    let config = scene.broker.topic_config(&scene.intake());
    assert_eq!(config["retention.ms"], "172800000");
    assert_eq!(config["cleanup.policy"], "delete");
    for (shards, more) in [(3, ""), (1, "generation = 7"), (3, "generation = 7\nownership = \"group\"")] {
        scene.shards = shards;
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let mut process = process::tributary(&scene.toml(address, more), &[]);
        assert_eq!(process.wait_exit(LIMIT).code(), Some(3), "{shards} {more}");
        let log = process.log().join("\n");
        assert!(log.contains("was begun with 2 shards") && log.contains("Set shards = 2"), "{log}");
    }
    assert_eq!(scene.broker.partition_count(&scene.intake()), Some(2), "nothing was made");
    scene.shards = 2;
    let mut instance = scene.start();
    assert_eq!(instance.push(&event(1)).status, 200);
    wait_until(LIMIT, "the event", || scene.found().len() == 1);
    instance.stop();
}
