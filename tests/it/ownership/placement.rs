//! Where the state of each shard lives: the placement record, and what it refuses.

use super::{MISCONFIGURED, Scene, service, start_changed};
use crate::harness::airship::progress::Progress;
use crate::harness::airship::{LIMIT, Setup, count_log, stop};
use crate::harness::broker::broker;
use crate::harness::process::Process;
use crate::harness::reader::{Isolation, read_all};
use crate::harness::wait::wait_until;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use std::collections::{BTreeMap, BTreeSet};

const EVENTS: u64 = 400;

/// Far more events a second than there are.
const AT_ONCE: f64 = 100_000.0;

/// Processes that start at the same moment.
const STARTERS: usize = 4;

/// The partitions in which each shard has checkpoints.
fn places(setup: &Setup) -> BTreeMap<String, BTreeSet<i32>> {
    let mut places: BTreeMap<String, BTreeSet<i32>> = BTreeMap::new();
    for message in read_all(broker(), &setup.checkpoints(), Isolation::Committed) {
        let key = String::from_utf8(message.key.expect("a key")).expect("text");
        places.entry(key).or_default().insert(message.partition);
    }
    places
}

#[test]
fn processes_that_start_at_once_with_different_streams_share_no_partition() {
    let scene = Scene::new("at-once", STARTERS, service(EVENTS, AT_ONCE));
    let alone = |number: usize| {
        let streams = vec![scene.setup.streams[number].clone()];
        Setup { streams, ..scene.setup.clone() }
    };
    let mut processes: Vec<Process> = (0..STARTERS).map(|number| alone(number).start()).collect();
    for process in &processes {
        // From then on the state topics have all their partitions.
        process.wait_for_log("\"opened\"", LIMIT);
    }
    scene.wait_received();
    for process in &processes {
        let log = process.log();
        assert!(!log.iter().any(|line| line.contains("cannot read max.message.bytes")), "{log:#?}");
    }
    processes.iter_mut().for_each(stop);
    let places = places(&scene.setup);
    assert_eq!(places.len(), STARTERS);
    assert!(places.values().all(|partitions| partitions.len() == 1), "{places:?}");
    let distinct: BTreeSet<_> = places.values().flatten().collect();
    assert_eq!(distinct.len(), STARTERS, "{places:?}");

    // All of them in one process: everything is found where it is.
    let mut together = scene.setup.start();
    together.wait_for_log("connected", LIMIT);
    stop(&mut together);
    scene.assert_each_once();
}

#[test]
fn a_changed_number_of_shards_is_refused_for_the_stream_as_a_whole() {
    let mut scene = Scene::new("shard-number", 1, service(EVENTS, AT_ONCE));
    let mut process = scene.setup.start();
    scene.wait_received();
    stop(&mut process);
    let before = places(&scene.setup);
    let prefix = scene.setup.prefix.clone();
    let counts = || {
        let topics = broker().topics(&prefix).into_iter();
        topics.map(|topic| (broker().partition_count(&topic), topic)).collect::<Vec<_>>()
    };
    let topics = counts();
    assert!(topics.contains(&(Some(1), scene.setup.checkpoints())), "{topics:?}");

    scene.setup.streams[0].shards = 2;
    let mut refused = scene.setup.start();
    let why = refused.wait_for_log("was cut into 1 shards and is now configured with 2", LIMIT);
    assert!(why.contains("Set a higher generation"), "{why}");
    assert_eq!(refused.wait_exit(LIMIT).code(), Some(MISCONFIGURED));
    assert_eq!(places(&scene.setup), before, "no second shard was begun");
    assert_eq!(counts(), topics, "and no topic has grown for it");

    scene.setup.streams[0].shards = 1;
    let mut again = scene.setup.start();
    again.wait_for_log("connected", LIMIT);
    stop(&mut again);
    scene.assert_each_once();
}

#[test]
fn another_source_is_refused_and_disturbs_nobody() {
    let scene = Scene::new("other-source", 1, service(EVENTS, 200.0));
    let mut running = scene.setup.start();
    running.wait_for_log("connected", LIMIT);

    let other_key = |text: String| text.replace("app_key = \"key\"", "app_key = \"other\"");
    let mut refused = start_changed(&scene.setup, other_key, &[]);
    let why = refused.wait_for_log("has read airship app key key at 127.0.0.1", LIMIT);
    assert!(
        why.contains("airship app key other at 127.0.0.1") && why.contains("--start-anew s0=WORD"),
        "{why}"
    );
    assert_eq!(refused.wait_exit(LIMIT).code(), Some(MISCONFIGURED));

    scene.wait_received();
    assert_eq!(running.exited(), None, "nobody took it over");
    stop(&mut running);
    scene.assert_each_once();

    // The same service by another name of its host.
    let other_host = |text: String| text.replace("http://127.0.0.1:", "http://localhost:");
    let mut moved = start_changed(&scene.setup, other_host, &[]);
    moved.wait_for_log("read from another host than before", LIMIT);
    moved.wait_for_log("connected", LIMIT);
    stop(&mut moved);
    scene.assert_each_once();

    // On purpose: from the beginning, in partitions of its own.
    let mut anew = start_changed(&scene.setup, other_key, &["--start-anew", "s0=other-app"]);
    anew.wait_for_log("\"opened\"", LIMIT);
    // Its ids are forgotten, so none of them is a duplicate.
    let again = format!("\"delivered\":{EVENTS},\"duplicates\":0");
    wait_until(LIMIT, "the stream once more, in a partition of its own", || {
        let checkpoints = read_all(broker(), &scene.setup.checkpoints(), Isolation::Committed);
        checkpoints.iter().any(|message| message.partition == 1 && message.text().contains(&again))
    });
    stop(&mut anew);
}

#[test]
fn an_instance_whose_transactions_no_broker_takes_disturbs_nobody() {
    let scene = Scene::new("too-long", 1, service(EVENTS, 200.0));
    let mut running = scene.setup.start();
    running.wait_for_log("connected", LIMIT);

    // Brokers take 15 minutes unless they are told otherwise.
    let mut refused = scene.setup.clone().with(|settings| settings.transaction_timeout = "20m").start();
    let why = refused.wait_for_log("transaction.max.timeout.ms", LIMIT);
    assert!(why.contains("no transaction of 1200 s") && why.contains("no stream was taken over"), "{why}");
    assert_eq!(refused.wait_exit(LIMIT).code(), Some(MISCONFIGURED));
    assert!(!refused.log().iter().any(|line| line.contains("\"announced")), "{:#?}", refused.log());

    scene.wait_received();
    assert_eq!(running.exited(), None, "nobody took it over");
    stop(&mut running);
    scene.assert_each_once();
}

impl Scene {
    /// Waits until each stream's events are committed.
    #[track_caller]
    fn wait_received(&self) {
        for (stream, mock) in self.setup.streams.iter().zip(&self.mocks) {
            Progress::of(broker(), &self.setup, &stream.name, 0).wait_received(mock.log().len());
        }
    }
}

#[test]
fn a_clock_that_differs_from_the_brokers_is_said() {
    let scene = Scene::new("clock", 1, service(EVENTS, AT_ONCE));
    for (offset_ms, level, said) in
        [("7200000", "ERROR", "\"ahead_s\":7"), ("-600000", "WARN", "\"ahead_s\":-")]
    {
        let env = [("TRIBUTARY_FAILPOINT_CLOCK_MS", offset_ms)];
        let mut process = crate::harness::process::tributary(&scene.setup.toml(), &env);
        let line = process.wait_for_log("this machine's clock", LIMIT);
        assert!(line.contains(level) && line.contains(said), "{line}");
        // Nothing can be written that the brokers take for the future. Before Kafka 4.0 they take any time, unless told otherwise.
        let limit = &broker().topic_config(&scene.setup.checkpoints())["message.timestamp.after.max.ms"];
        let is_refused = level == "ERROR" && limit.parse::<i64>().expect("a number") < 7_200_000;
        let next = if is_refused { "cannot open the shard in Kafka" } else { "connected" };
        process.wait_for_log(next, LIMIT);
        stop(&mut process);
    }
    let mut process = scene.setup.start();
    process.wait_for_log("connected", LIMIT);
    stop(&mut process);
    assert_eq!(count_log(&process, "this machine's clock"), 0);
}

/// An earlier release could put two shards on one partition.
#[test]
fn two_shards_on_one_partition_are_an_error_with_a_way_out() {
    let scene = Scene::new("shared", 1, service(EVENTS, AT_ONCE));
    let topic = scene.setup.checkpoints();
    broker().create_topic(&topic, 1, &[("cleanup.policy", "compact")]);
    let producer: BaseProducer = broker().client(&[]).create().expect("a producer");
    let send = |key: &str, value: Option<&str>| {
        let record: BaseRecord<'_, str, str> = BaseRecord::to(&topic).key(key).partition(0);
        let record = BaseRecord { payload: value, ..record };
        producer.send(record).map_err(|(error, _)| error).expect("queued");
        producer.flush(LIMIT).expect("written");
    };
    let checkpoint = r#"{"version":1,"sequence":7,"owner":"old","shards":1,"position":null,"processed_ms":null,
        "committed_ms":5,"clean":true,"totals":{"received":0,"delivered":0,"duplicates":0,"dead_letters":0}}"#;
    send("s0/0", Some(checkpoint));
    send("gone/0", Some(checkpoint));
    let mut refused = scene.setup.start();
    let why = refused.wait_for_log("have their checkpoints in partition 0", LIMIT);
    assert!(why.contains("gone/0") && why.contains("s0/0"), "{why}");
    assert_eq!(refused.wait_exit(LIMIT).code(), Some(MISCONFIGURED));

    send("gone/0", None);
    let mut process = scene.setup.start();
    scene.wait_received();
    stop(&mut process);
    assert_eq!(places(&scene.setup)["s0/0"], BTreeSet::from([0]));
    scene.assert_each_once();
}
