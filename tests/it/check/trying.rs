//! What `check` tries by requests that Kafka always refuses: the rights to write, the right to join the group, Kafka's clock. None of it
//! changes anything, also beside an instance that runs.

use super::Checked;
use super::kafka::{login, with};
use crate::harness::airship::oracle::Found;
use crate::harness::airship::progress::Progress;
use crate::harness::airship::{LIMIT, Mock, STREAM, Setup, count_log, service, stop};
use crate::harness::broker::{Broker, PrivateBroker, Right, acl_broker, broker};
use crate::harness::rights::{documented, documented_without_group};
use crate::harness::wait::wait_until;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use std::collections::BTreeMap;

const EVENTS: u64 = 10;

/// The topic in which brokers keep what groups have committed, and who their members are.
const OF_GROUPS: &str = "__consumer_offsets";

/// What is looked at.
const WRITING: &str = "rights to write";
const CLOCK: &str = "clock of Kafka";

/// Settings of the checkpoints' topic. Before Kafka 4.0 there is no limit by default.
const LIMITED: [(&str, &str); 2] =
    [("cleanup.policy", "compact"), ("message.timestamp.after.max.ms", "3600000")];

/// Where each partition of these topics ends.
type Ends = BTreeMap<String, BTreeMap<i32, i64>>;

#[track_caller]
fn ends(broker: &Broker, prefix: &str) -> Ends {
    let topics = broker.topics(prefix).into_iter();
    topics
        .map(|topic| {
            let ends = broker.high_watermarks(&topic);
            (topic, ends)
        })
        .collect()
}

/// A stream whose topics were made by an instance that has delivered all of it, outside of the state's prefix.
#[track_caller]
fn delivered(broker: &PrivateBroker, address: &str, test: &str) -> (Mock, Setup) {
    let mock = Mock::start(service(EVENTS));
    let mut setup = Setup::at(broker, test, &mock);
    setup.streams[0].topic = format!("{}-out", setup.prefix);
    let mut running = setup.start();
    Progress::of(broker, &setup, STREAM, 0).wait_received(EVENTS);
    stop(&mut running);
    setup.bootstrap = address.to_owned();
    (mock, setup)
}

#[test]
fn each_topic_is_tried_to_be_written_to_and_none_is() {
    let (broker, address) = acl_broker();
    let (_mock, setup) = delivered(&broker, &address, "check-write");
    let config = with(&setup, &login("PLAIN", "secret"));
    let (writes, others): (Vec<Right>, Vec<Right>) = documented_without_group(&setup.prefix, setup.topic())
        .into_iter()
        .partition(|right| right[0] == "TOPIC" && right[2] == setup.topic() && right[3] == "WRITE");
    assert_eq!(writes.len(), 1, "{others:?}");
    broker.allow(&others);
    // Else it would not be seen, and taken for missing.
    broker.allow(&[["TOPIC", "LITERAL", setup.topic(), "DESCRIBE"].map(str::to_owned)]);
    broker.change_topic(&setup.checkpoints(), &LIMITED);
    let before = ends(&broker, &setup.prefix);
    assert!(before.contains_key(setup.topic()) && before.len() >= 4, "{before:#?}");
    wait_until(LIMIT, "the rights to hold", || {
        Checked::of(&config).findings(setup.topic()).iter().any(|found| found[0] == "ok")
    });
    let checked = Checked::of(&config);
    assert_eq!(checked.code, 8, "{:#}", checked.json);
    checked.assert_failed(WRITING, &format!("refused: {}", setup.topic()), "give the right Write on");
    // Checkpoints, ids, shards; the dead-letter topic is made with the first letter, or was made by the start.
    let others = before.len() - 1;
    assert!(
        checked.finding(WRITING)[1].contains(&format!("(tried, not done): {others}")),
        "{:#}",
        checked.json
    );
    broker.allow(&writes);
    wait_until(LIMIT, "the right to hold", || Checked::of(&config).finding(WRITING)[0] == "ok");
    let checked = Checked::of(&config);
    assert_eq!(checked.code, 0, "{:#}", checked.json);
    assert!(
        checked.finding(WRITING)[1].contains(&format!("(tried, not done): {}", before.len())),
        "{:#}",
        checked.json
    );
    assert_eq!(checked.finding(CLOCK)[0], "ok", "{:#}", checked.json);
    // A topic with a limit of its own, what is compressed by default, and what users may tune.
    broker.change_topic(setup.topic(), &[("max.message.bytes", "20000000"), ("compression.type", "zstd")]);
    let tuned = config.replace(
        "properties = {",
        r#"properties = { "compression.codec" = "lz4", "queue.buffering.max.ms" = "1","#,
    );
    // Of two names of one property the one counts that comes last, by chance.
    for _ in 0..4 {
        let checked = Checked::of(&tuned);
        assert_eq!((checked.code, checked.finding(WRITING)[0]), (0, "ok"), "{:#}", checked.json);
    }
    broker.change_topic(setup.topic(), &[("max.message.bytes", "100000000")]);
    let checked = Checked::of(&config);
    assert!(
        checked.finding(WRITING)[1].contains("1 whose max.message.bytes is above 64 MiB"),
        "{:#}",
        checked.json
    );
    assert_eq!(ends(&broker, &setup.prefix), before, "nothing was written");
}

#[test]
fn the_group_is_tried_to_be_joined_and_notices_nothing() {
    let (broker, address) = acl_broker();
    let mock = Mock::start(service(EVENTS));
    let setup = Setup::at(&broker, "check-group", &mock)
        .with(|settings| settings.more = "ownership = \"group\"\ninstance_id = \"a\"".to_owned());
    let group = format!("{}.shards", setup.prefix);
    let asked = |address: &str| {
        let setup = setup.clone().with(|settings| settings.bootstrap = address.to_owned());
        with(&setup, &login("PLAIN", "secret"))
    };
    let config = asked(&address);
    let (of_group, others): (Vec<Right>, Vec<Right>) =
        documented(&setup.prefix, setup.topic()).into_iter().partition(|right| right[0] == "GROUP");
    broker.allow(&others);
    // Who may see the group may not join it yet. Nothing of it is there, not even its topic.
    broker.allow(&[["GROUP", "LITERAL", &group, "DESCRIBE"].map(str::to_owned)]);
    let subject = "consumer group";
    wait_until(LIMIT, "the right to see it", || {
        Checked::of(&config).finding(subject)[1].contains("cannot use")
    });
    let checked = Checked::of(&config);
    assert_eq!(checked.code, 7, "{:#}", checked.json);
    checked.assert_failed(subject, "it takes READ on the group", "the right Read on the group");
    broker.allow(&of_group);
    wait_until(LIMIT, "the right to hold", || Checked::of(&config).finding(subject)[0] == "ok");
    assert_eq!(members(&broker, &group), [] as [String; 0]);

    let mut running = setup.start();
    Progress::of(&broker, &setup, STREAM, 0).wait_received(EVENTS);
    let (there, before) = (members(&broker, &group), broker.high_watermarks(OF_GROUPS));
    assert_eq!(there.len(), 1, "{there:?}");
    let written = broker.high_watermarks(setup.topic());
    for _ in 0..3 {
        let checked = Checked::of(&config);
        assert_eq!((checked.code, checked.finding(subject)[0]), (0, "ok"), "{:#}", checked.json);
        assert_eq!(checked.finding(WRITING)[0], "ok", "{:#}", checked.json);
        assert!(checked.finding(subject)[1].contains("may be joined"), "{:#}", checked.json);
    }
    assert_eq!(members(&broker, &group), there, "nobody joined, and nobody had to join again");
    assert_eq!(broker.high_watermarks(OF_GROUPS), before, "no offset was committed");
    assert_eq!(broker.high_watermarks(setup.topic()), written);
    assert_eq!(count_log(&running, "\"opened\""), 1, "{:#?}", running.log());
    stop(&mut running);
    // A group without members would take offsets of anybody.
    wait_until(LIMIT, "the member to leave", || members(&broker, &group).is_empty());
    let before = broker.high_watermarks(OF_GROUPS);
    let checked = Checked::of(&config);
    assert_eq!((checked.code, checked.finding(subject)[0]), (0, "ok"), "{:#}", checked.json);
    assert_eq!(broker.high_watermarks(OF_GROUPS), before, "no offset was committed");
    assert_eq!(members(&broker, &group), [] as [String; 0]);
}

/// The ids of a group's members.
#[track_caller]
fn members(broker: &Broker, group: &str) -> Vec<String> {
    let consumer: BaseConsumer = broker.client(&[]).create().expect("a consumer");
    let found = consumer.fetch_group_list(Some(group), LIMIT).expect("the group");
    let members = found.groups().iter().flat_map(|group| group.members());
    members.map(|member| member.id().to_owned()).collect()
}

#[test]
fn a_clock_that_differs_from_the_brokers_is_found_without_writing() {
    let mock = Mock::start(service(EVENTS));
    let setup = Setup::new("check-clock", &mock);
    let config = setup.toml();
    let checked = Checked::of(&config);
    let [result, found, _] = checked.finding(CLOCK);
    assert!(result == "not_tried" && found.contains("is missing"), "{:#}", checked.json);
    let mut running = setup.start();
    Progress::of(broker(), &setup, STREAM, 0).wait_received(EVENTS);
    stop(&mut running);
    let change = |settings: &[(&str, &str)]| broker().change_topic(&setup.checkpoints(), settings);
    change(&LIMITED);
    let before = ends(broker(), &setup.prefix);
    let off = |ms: &str| Checked::by(&config, &[], &[("TRIBUTARY_FAILPOINT_CLOCK_MS", ms)]);
    for (ms, expected, says) in [
        ("0", "ok", "agrees"),
        ("600000", "warning", "more than a minute ahead"),
        ("-600000", "warning", "more than a minute behind"),
        ("4200000", "failed", "refuse what is dated by it"),
    ] {
        let checked = off(ms);
        let [result, found, _] = checked.finding(CLOCK);
        assert!(result == expected && found.contains(says), "{ms}: {:#}", checked.json);
        if expected == "failed" {
            assert_eq!(checked.code, 10, "{:#}", checked.json);
        }
    }
    let [compact, limit] = LIMITED;
    for (settings, says) in [
        ([compact, (limit.0, "9223372036854775807")], "refuses no record for its time"),
        ([compact, ("message.timestamp.type", "LogAppendTime")], "does not keep the times"),
        ([(compact.0, "delete"), limit], "is not compacted"),
    ] {
        change(&settings);
        let checked = off("600000");
        let [result, found, _] = checked.finding(CLOCK);
        assert!(result == "not_tried" && found.contains(says), "{:#}", checked.json);
    }
    assert_eq!(ends(broker(), &setup.prefix), before, "nothing was written");
}

/// No Kafka takes what `check` sends to the checkpoints. Should another broker take it, it must do no harm there.
#[test]
fn what_a_broker_should_have_refused_is_passed_over_by_a_start() {
    let mock = Mock::start(service(EVENTS));
    let setup = Setup::new("check-taken", &mock);
    // While it is not compacted it takes both.
    let topic = setup.checkpoints();
    broker().create_topic(&topic, 1, &[("cleanup.policy", "delete")]);
    let producer: BaseProducer = broker().client(&[]).create().expect("a producer");
    let write = || {
        let without_key: BaseRecord<'_, str, str> = BaseRecord::to(&topic).partition(0).payload("Written by");
        producer.send(without_key).map_err(|(error, _)| error).expect("queued");
        let dated: BaseRecord<'_, str, str> = BaseRecord::to(&topic).partition(0).key("tributary-check");
        producer.send(dated).map_err(|(error, _)| error).expect("queued");
        producer.flush(LIMIT).expect("written");
    };
    write();
    let mut running = setup.start();
    Progress::of(broker(), &setup, STREAM, 0).wait_received(EVENTS);
    running.kill9();
    broker().change_topic(&topic, &[("cleanup.policy", "delete")]);
    write();
    let mut again = setup.start();
    again.wait_for_log("connected", LIMIT);
    stop(&mut again);
    assert_eq!(count_log(&again, "is skipped"), 0, "{:#?}", again.log());
    let expected = Found { records: EVENTS as usize, repeats: 0 };
    assert_eq!(setup.expectation(&mock).check(), expected);
    let checked = Checked::of(&setup.toml());
    assert_eq!(checked.code, 0, "{:#}", checked.json);
    assert!(checked.finding("position")[1].contains("goes on after"), "{:#}", checked.json);
}
