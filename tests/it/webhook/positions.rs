//! Where the shards are in the intake topic: what its retention took is reported, and the number of shards stays what it was.

use std::fs;
use std::net::SocketAddr;
use std::ops::Range;
use std::time::{SystemTime, UNIX_EPOCH};

use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};

use super::scene::{Instance, LIMIT, Scene, array, event};
use crate::harness::broker::{Broker, broker, free_port};
use crate::harness::process;
use crate::harness::wait::wait_until;

/// What is said where the place of before is not there.
const GAP: &str = "possible gap: the intake topic does not hold the place";

/// Has the broker keep the times that records come with, hours before and after its own.
const KEEPS_TIMES: [(&str, &str); 2] =
    [("message.timestamp.type", "CreateTime"), ("message.timestamp.after.max.ms", "86400000")];

/// So many hours from now, milliseconds since the Unix epoch.
fn in_hours(hours: i64) -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
    i64::try_from(now).unwrap() + hours * 3_600_000
}

/// Stores events in the first partition: by a producer of this test's own, as an instance does that has no shard. `at_ms` dates each
/// of them, milliseconds since the Unix epoch, where the broker keeps that.
fn store(scene: &Scene, events: Range<usize>, at_ms: impl Fn(usize) -> Option<i64>) {
    let intake = scene.intake();
    let producer: BaseProducer = scene.broker.client(&[]).create().unwrap();
    for n in events {
        let event = event(n);
        let record: BaseRecord<'_, (), str> = BaseRecord::to(&intake).payload(event.as_str()).partition(0);
        producer.send(at_ms(n).into_iter().fold(record, BaseRecord::timestamp)).unwrap();
    }
    producer.flush(LIMIT).unwrap();
}

/// A stream of one shard that has delivered so many events, and nobody runs any more.
fn delivered<'b>(test: &str, broker: &'b Broker, count: usize) -> Scene<'b> {
    let mut scene = Scene::new(test, broker);
    scene.shards = 1;
    let mut instance = scene.start();
    assert_eq!(instance.push(&array(0..count)).status, 200);
    scene.wait_for(count);
    instance.stop();
    scene
}

/// Deletes the intake topic and makes it again.
fn make_again(scene: &Scene, config: &[(&str, &str)]) {
    let intake = scene.intake();
    scene.broker.delete_topic(&intake);
    wait_until(LIMIT, "the topic to be gone", || scene.broker.partition_count(&intake).is_none());
    scene.broker.create_topic(&intake, 1, config);
}

/// How often the instance has taken up another place than its own, and how many events it knew by their ids.
fn gaps_and_duplicates(instance: &Instance) -> (f64, f64) {
    let metrics = instance.process.metrics();
    (
        metrics.sum("tributary_possible_gaps_total", &["reason=\"position_given_up\""]),
        metrics.sum("tributary_duplicates_dropped_total", &[]),
    )
}

/// What is committed is counted a moment later.
#[track_caller]
fn wait_gaps_and_duplicates(instance: &Instance, wanted: (f64, f64)) {
    let what = format!("gaps and duplicates to be {wanted:?}");
    wait_until(LIMIT, what, || gaps_and_duplicates(instance) == wanted);
}

/// Each of these events is in the topic, once.
fn assert_once(scene: &Scene, events: impl Iterator<Item = usize>) {
    assert_eq!(scene.counted(), events.map(|n| (event(n), 1)).collect());
}

#[test]
fn what_was_deleted_before_it_was_read_is_a_gap_and_no_silence() {
    let scene = delivered("hook-gap", broker(), 10);
    let intake = scene.intake();
    assert_eq!(scene.broker.high_watermarks(&intake)[&0], 10);
    store(&scene, 10..20, |_| None);
    scene.broker.delete_records(&intake, 0, 15);
    let mut again = scene.start();
    again.process.wait_for_log(GAP, LIMIT);
    scene.wait_for(15);
    wait_gaps_and_duplicates(&again, (1.0, 0.0));
    assert_eq!(again.process.metrics().sum("tributary_positions_abandoned_total", &[]), 1.0);
    again.stop();
    assert_once(&scene, (0..10).chain(15..20));
}

/// As after an election that lost the partition's end: what is left of it was read, and what was stored since was not, whether it is
/// less than what was lost or more.
#[test]
fn after_a_lost_end_it_goes_on_with_what_was_stored_since() {
    for (test, end) in [("hook-lost-end", 23), ("hook-lost-more", 33)] {
        let mut scene = Scene::new(test, broker());
        scene.shards = 1;
        scene.broker.create_topic(&scene.intake(), 1, &KEEPS_TIMES);
        let began = in_hours(-3);
        let own_time = |n| Some(began + n as i64);
        store(&scene, 0..20, own_time);
        let mut instance = scene.start();
        scene.wait_for(20);
        instance.stop();
        make_again(&scene, &KEEPS_TIMES);
        store(&scene, 0..15, own_time);
        store(&scene, 20..end, |_| None);
        let mut again = scene.start();
        let line = again.process.wait_for_log(GAP, LIMIT);
        assert!(line.contains("\"wanted\":20") && line.contains("\"next\":13}"), "{line}");
        scene.wait_for(end);
        // 13 and 14 are known by their ids.
        wait_gaps_and_duplicates(&again, (1.0, 2.0));
        again.stop();
        assert_once(&scene, 0..end);
    }
}

/// Its length does not tell, since more was stored in it since than in the one of before.
#[test]
fn an_intake_topic_that_was_made_again_while_nobody_ran_is_read_from_its_beginning() {
    let scene = delivered("hook-remade", broker(), 5);
    make_again(&scene, &[("message.timestamp.type", "LogAppendTime")]);
    store(&scene, 5..15, |_| None);
    let mut again = scene.start();
    let line = again.process.wait_for_log(GAP, LIMIT);
    assert!(line.contains("\"wanted\":5") && line.contains("\"end\":10,\"next\":0}"), "{line}");
    scene.wait_for(15);
    wait_gaps_and_duplicates(&again, (1.0, 0.0));
    again.stop();
    assert_once(&scene, 0..15);
}

#[test]
fn records_whose_clock_is_hours_ahead_are_read_once() {
    let scene = delivered("hook-clocks", broker(), 5);
    scene.broker.change_topic(&scene.intake(), &KEEPS_TIMES);
    let ahead = in_hours(3);
    store(&scene, 5..15, |_| Some(ahead));
    let mut instance = scene.start();
    scene.wait_for(15);
    instance.stop();
    let mut again = scene.start();
    again.push_until_stored(&event(15));
    scene.wait_for(16);
    wait_gaps_and_duplicates(&again, (0.0, 0.0));
    again.stop();
    assert_once(&scene, 0..16);
}

/// The commit of the start before is no measure of what was read since.
#[test]
fn a_partition_that_is_opened_anew_under_way_is_the_one_of_before() {
    let scene = delivered("hook-anew", broker(), 5);
    scene.broker.change_topic(&scene.intake(), &KEEPS_TIMES);
    let mut instance = scene.begin_in(&[("TRIBUTARY_FAILPOINTS", "intake_lost_brokers=1:error")], "");
    let ahead = in_hours(3);
    store(&scene, 5..15, |_| Some(ahead));
    let line = instance.process.wait_for_log("the intake topic cannot be read; trying again", LIMIT);
    assert!(line.contains("told of a cluster without brokers"), "{line}");
    store(&scene, 15..20, |_| None);
    scene.wait_for(20);
    wait_gaps_and_duplicates(&instance, (0.0, 0.0));
    instance.stop();
    assert_once(&scene, 0..20);
}

/// Nothing is known of what was read before a place that somebody says. An export has what is known of its own.
#[test]
fn a_place_that_somebody_says() {
    let scene = delivered("hook-said", broker(), 11);
    let config = tempfile::NamedTempFile::new().unwrap();
    fs::write(config.path(), scene.toml(SocketAddr::from(([127, 0, 0, 1], free_port())), "")).unwrap();
    let checkpoints = |arguments: &[&str]| {
        let config = ["--config", config.path().to_str().unwrap()];
        let mut ran = process::subcommand(&[&["checkpoints"], arguments, &config].concat(), &[]);
        assert!(ran.wait_exit(LIMIT).success(), "{:?}", ran.log());
        ran.log().join("\n")
    };
    let exported = tempfile::NamedTempFile::new().unwrap();
    fs::write(exported.path(), checkpoints(&["export"])).unwrap();
    let import = ["import", exported.path().to_str().unwrap()];
    for (place, next, found) in [
        (&["set", "hooks/0", "--position", "1000"][..], 0, (1.0, 11.0)),
        (&["set", "hooks/0", "--position", "7"][..], 7, (0.0, 4.0)),
        (&import[..], 11, (0.0, 0.0)),
    ] {
        checkpoints(place);
        let mut again = scene.start();
        let line = again.process.wait_for_log("reading the intake topic", LIMIT);
        assert!(line.contains(&format!("\"offset\":{next}")), "{line}");
        wait_until(LIMIT, "all to be read", || gaps_and_duplicates(&again) == found);
        again.stop();
    }
    checkpoints(&import);
    make_again(&scene, &[]);
    store(&scene, 11..31, |_| None);
    let mut again = scene.start();
    scene.wait_for(31);
    wait_gaps_and_duplicates(&again, (1.0, 0.0));
    again.stop();
    assert_once(&scene, 0..31);
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
    wait_gaps_and_duplicates(&instance, (1.0, 0.0));
    instance.stop();
    assert_once(&scene, 0..40);
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
