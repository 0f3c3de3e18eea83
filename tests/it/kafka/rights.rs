//! The rights that docs/security.md lists are enough, for a first start, a second one, a re-opening and a takeover; and each
//! that is missing is named, at the first start.

use crate::harness::airship::oracle::{Found, Repeats};
use crate::harness::airship::{LIMIT, Mock, Setup, count_log, service, stop};
use crate::harness::broker::{PrivateBroker, Right, acl_broker};
use crate::harness::process::{self, Process};
use crate::harness::rights::{documented, documented_without_group};
use crate::harness::wait::wait_until;

const EVENTS: u64 = 4_000;

/// The right to change the settings, not that to read them.
const CHANGES: &str = "state changes of settings";

/// The right on the transactional ids of the shards, not that on the one of the placement record.
const OF_SHARDS: &str = "transactional ids of shards";

/// The same, of an instance that writes without transactions.
const OF_LEAST: &str = "transactional ids of shards, at least once";

/// The document's list, but for the rights that `left_out` names as `kind OPERATION`.
fn rights(setup: &Setup, left_out: &str) -> Vec<Right> {
    let listed = documented_without_group(&setup.prefix, setup.topic());
    let letters = documented_without_group(&setup.prefix, &dead_letters(setup));
    let mut rights = Vec::new();
    // The second list differs in the rights on the dead-letter topic alone.
    for right in listed.into_iter().chain(letters.into_iter().filter(|right| kind(right) == "events")) {
        let changes = left_out == CHANGES && kind(&right) == "state" && right[3] == "ALTER_CONFIGS";
        if changes {
            // ALTER_CONFIGS includes it.
            let [what, pattern, name, _] = right;
            rights.push([what, pattern, name, "DESCRIBE_CONFIGS".to_owned()]);
        } else if kind(&right) == "id" && [OF_SHARDS, OF_LEAST].contains(&left_out) {
            let [what, _, name, operation] = right;
            rights.push([what, "LITERAL".to_owned(), format!("{name}shards"), operation]);
        } else if format!("{} {}", kind(&right), right[3]) != left_out {
            rights.push(right);
        }
    }
    rights
}

/// What a right of the list is about.
fn kind(right: &Right) -> &'static str {
    match [&right[0][..], &right[1]] {
        ["TOPIC", "PREFIXED"] => "state",
        ["TOPIC", "LITERAL"] => "events",
        ["TRANSACTIONAL_ID", "PREFIXED"] => "id",
        _ => panic!("{right:?}"),
    }
}

/// Outside of the state's prefix, so that the rights on that do not count for it.
fn dead_letters(setup: &Setup) -> String {
    format!("letters-{}", setup.prefix)
}

fn setup(broker: &PrivateBroker, address: &str, test: &str, mock: &Mock) -> Setup {
    let mut setup = Setup::at(broker, test, mock);
    setup.bootstrap = address.to_owned();
    setup.streams[0].topic = format!("out-{}", setup.prefix);
    setup.transaction_timeout = "10s";
    setup
}

fn config(setup: &Setup, kafka: &str) -> String {
    let toml = setup.toml().replace(
        "kafka = { ",
        &format!(
            r#"kafka = {{ {kafka}properties = {{ "security.protocol" = "SASL_PLAINTEXT", "sasl.mechanism" = "PLAIN", "sasl.username" = "tributary", "sasl.password" = {{ value = "secret" }} }}, "#
        ),
    );
    toml.replace("[[stream]]\n", &format!("[[stream]]\ndead_letter_topic = \"{}\"\n", dead_letters(setup)))
}

fn start(setup: &Setup) -> Process {
    process::tributary(&config(setup, ""), &[])
}

fn received(process: &Process) -> f64 {
    process.metrics().sum("tributary_events_received_total", &[])
}

#[test]
fn the_least_rights_are_enough_and_each_missing_one_is_named() {
    let (broker, address) = acl_broker();
    let mock = Mock::start(tributary_mock::airship::Config { rate: 500.0, backlog: 500, ..service(EVENTS) });
    let full = setup(&broker, &address, "rights-full", &mock);
    // What is left out, what the log says, and whether the connector runs all the same.
    let cases = [
        ("state READ", "it takes READ on the topic", false),
        ("state WRITE", "Topic authorization failed", false),
        ("state CREATE", "it takes CREATE", false),
        ("state ALTER_CONFIGS", "which takes DESCRIBE_CONFIGS on it", true),
        (CHANGES, "that takes ALTER_CONFIGS on the topic", true),
        ("state ALTER", "it takes ALTER on the topic", false),
        ("id WRITE", "it takes WRITE on the transactional id", false),
        (OF_SHARDS, "it takes WRITE on the transactional id", false),
        (OF_LEAST, "it takes WRITE on the transactional id", false),
        ("events WRITE", "it takes WRITE on the topic", false),
        ("events CREATE", "it takes CREATE", false),
        ("events DESCRIBE_CONFIGS", "which takes DESCRIBE_CONFIGS on them", true),
    ];
    let with_case = |(left_out, ..): &(&str, &str, bool)| {
        let setup = setup(&broker, &address, "rights-less", &mock);
        let delivery = if *left_out == OF_LEAST { "at_least_once" } else { setup.delivery };
        setup.with(|settings| settings.delivery = delivery)
    };
    let setups: Vec<Setup> = cases.iter().map(with_case).collect();
    let lists = cases.iter().zip(&setups).flat_map(|((left_out, ..), setup)| rights(setup, left_out));
    let mut least = setup(&broker, &address, "rights-least", &mock);
    least.delivery = "at_least_once";
    let enough = rights(&full, "").into_iter().chain(rights(&least, ""));
    broker.allow(&enough.chain(lists).collect::<Vec<_>>());

    // First start, second start after a kill, takeover by another instance, re-opening.
    let mut first = start(&full);
    wait_until(LIMIT, "a first part", || received(&first) > 600.0);
    first.kill9();
    let mut second = start(&full);
    wait_until(LIMIT, "a second part", || received(&second) > 300.0);
    let mut third =
        process::tributary(&config(&full, ""), &[("TRIBUTARY_FAILPOINTS", "before_commit=6:error")]);
    second.wait_exit(LIMIT);
    wait_until(LIMIT, "a re-opening", || count_log(&third, "\"opened\"") >= 2);
    let read = || {
        crate::harness::reader::read_all(&broker, full.topic(), crate::harness::reader::Isolation::Committed)
            .len()
    };
    wait_until(LIMIT, "all of it", || read() >= EVENTS as usize);
    stop(&mut third);
    assert_eq!(count_log(&third, "authorization failed"), 0, "{:?}", third.log());
    let found = full.expectation(&mock).check_at(&broker, Repeats::Forbidden);
    assert_eq!(found, Found { records: EVENTS as usize, repeats: 0 });

    replays_with_its_rights(&broker, &full);

    let mut without_transactions = start(&least);
    let read = || {
        crate::harness::reader::read_all(&broker, least.topic(), crate::harness::reader::Isolation::Committed)
            .len()
    };
    wait_until(LIMIT, "all of it, at least once", || read() >= EVENTS as usize);
    stop(&mut without_transactions);
    assert_eq!(count_log(&without_transactions, "authorization failed"), 0);

    for ((left_out, says, runs), setup) in cases.iter().zip(&setups) {
        if *left_out == CHANGES {
            // Only then something has to be changed.
            broker.create_topic(&format!("{}.ids", setup.prefix), 1, &[("retention.ms", "1000")]);
        }
        if *left_out == "state ALTER" {
            let two =
                Setup { streams: [setup.streams.clone(), setup.streams.clone()].concat(), ..setup.clone() };
            for topic in ["ids", "checkpoints"] {
                broker.create_topic(
                    &format!("{}.{topic}", setup.prefix),
                    1,
                    &[("cleanup.policy", "compact")],
                );
            }
            let text = config(&two, "").replacen("name = \"mobile\"", "name = \"other\"", 1);
            let process = process::tributary(&text, &[]);
            let line = process.wait_for_log(says, LIMIT);
            assert!(line.contains(&setup.prefix), "{left_out}: {line}");
            continue;
        }
        let process = start(setup);
        eprintln!("without {left_out}");
        let line = process.wait_for_log(says, LIMIT);
        let names = line.contains(&setup.prefix);
        assert!(names, "{left_out}: the resource is named: {line}");
        if *runs {
            wait_until(LIMIT, format_args!("events without {left_out}"), || received(&process) > 100.0);
        }
    }
}

/// A replay takes one right more than its stream: to read the dead letters.
#[track_caller]
fn replays_with_its_rights(broker: &PrivateBroker, setup: &Setup) {
    use rdkafka::message::{Header, OwnedHeaders};
    use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
    let topic = dead_letters(setup);
    let producer: BaseProducer = broker.client(&[]).create().expect("a producer");
    let headers = OwnedHeaders::new().insert(Header { key: "tributary-stream", value: Some("mobile") });
    let record: BaseRecord<'_, (), str> = BaseRecord::to(&topic).payload("no JSON").headers(headers);
    producer.send(record).map_err(|(error, _)| error).expect("sent");
    producer.flush(LIMIT).expect("written");
    let replay = || crate::dead_letters::scene::start(&config(setup, ""), "mobile", &[], &[]);
    let denied = replay().ends();
    assert_eq!(denied.code, Some(1), "{denied:#?}");
    assert!(denied.log.contains(&topic) && denied.log.contains("uthoriz"), "{denied:#?}");
    let read = ["TOPIC", "LITERAL", &topic, "READ"].map(str::to_owned);
    broker.allow(&[read]);
    let summary = replay().succeeds();
    assert_eq!(crate::dead_letters::scene::became(&summary), [0, 0, 1], "{summary:#}");
}

/// With a group it is one right more.
#[test]
fn a_group_takes_the_right_on_it_and_no_other() {
    let (broker, address) = acl_broker();
    let mock = Mock::start(service(EVENTS));
    let setup = setup(&broker, &address, "rights-group", &mock);
    let more = "ownership = \"group\"\ninstance_id = \"a\"".to_owned();
    let setup = setup.with(|settings| settings.more = more);
    broker.allow(&rights(&setup, ""));
    let mut process = start(&setup);
    let line = process.wait_for_log("it takes READ on the group", LIMIT);
    assert!(line.contains(&format!("{}.shards", setup.prefix)), "{line}");
    assert_eq!(received(&process), 0.0);
    let listed = documented(&setup.prefix, setup.topic());
    let of_group: Vec<Right> = listed.into_iter().filter(|right| right[0] == "GROUP").collect();
    assert_eq!(of_group.len(), 1, "{of_group:?}");
    broker.allow(&of_group);
    let expected = setup.expectation(&mock);
    wait_until(LIMIT, "all of it", || {
        let isolation = crate::harness::reader::Isolation::Committed;
        crate::harness::reader::read_all(&broker, setup.topic(), isolation).len() >= EVENTS as usize
    });
    stop(&mut process);
    assert_eq!(
        expected.check_at(&broker, Repeats::Forbidden),
        Found { records: EVENTS as usize, repeats: 0 }
    );
}
