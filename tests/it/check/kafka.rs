//! Kafka's side: it cannot be reached, refuses, or has topics that will not do.

use super::Checked;
use crate::harness::airship::progress::Progress;
use crate::harness::airship::{LIMIT, Mock, STREAM, Setup, service, stop};
use crate::harness::broker::{
    Broker, Right, Tls, acl_broker, cluster, free_port, guarded_broker, private_broker, scram_broker,
};
use crate::harness::wait::wait_until;
use std::time::Duration;

const EVENTS: u64 = 10;
const USER: &str = "tributary";
const WRONG: &str = "wrong-password-7a41be";

/// A stream whose topics would be created in `broker`.
fn setup(broker: &Broker, test: &str) -> (Mock, Setup) {
    let mock = Mock::start(service(EVENTS));
    let setup = Setup::at(broker, test, &mock);
    (mock, setup)
}

/// The configuration with more keys of `kafka`.
pub(super) fn with(setup: &Setup, kafka: &str) -> String {
    setup.toml().replace("kafka = { ", &format!("kafka = {{ {kafka}, "))
}

/// The login of [`USER`].
pub(super) fn login(mechanism: &str, password: &str) -> String {
    format!(
        r#"properties = {{ "security.protocol" = "SASL_PLAINTEXT", "sasl.mechanism" = "{mechanism}", "sasl.username" = "{USER}", "sasl.password" = {{ value = "{password}" }} }}"#
    )
}

#[test]
fn nobody_listens_or_the_name_is_unknown() {
    let (_mock, mut setup) = setup(crate::harness::broker::broker(), "check-away");
    setup.bootstrap = format!("127.0.0.1:{}", free_port());
    let checked = Checked::with(&setup.toml(), &["--timeout", "3s"]);
    assert_eq!(checked.code, 7);
    checked.assert_failed("reach", "Connection refused", "that the broker runs");
    assert_eq!(checked.finding("all topics")[0], "not_tried");
    setup.bootstrap = "kafka.invalid:9092".to_owned();
    let checked = Checked::with(&setup.toml(), &["--timeout", "3s"]);
    assert_eq!(checked.code, 7);
    checked.assert_failed("reach", "resolve", "name server");
}

#[test]
fn a_wrong_password_is_named_and_not_shown() {
    let (broker, address) = scram_broker(Duration::from_secs(600));
    broker.set_password(USER, "good-password-1c9d02");
    let (_mock, mut setup) = setup(&broker, "check-password");
    setup.bootstrap = address;
    let checked = Checked::of(&with(&setup, &login("SCRAM-SHA-512", WRONG)));
    assert_eq!(checked.code, 7);
    checked.assert_failed("reach", "Authentication failed", "password");
    assert!(!checked.json.to_string().contains(WRONG), "{:#}", checked.json);
    let checked = Checked::of(&with(&setup, &login("SCRAM-SHA-512", "good-password-1c9d02")));
    assert_eq!(checked.code, 0, "{:#}", checked.json);
    assert!(checked.finding("reach")[1].contains("login accepted"));
}

#[test]
fn a_certificate_that_has_expired_is_named() {
    let tls = Tls::new();
    for authority in ["servers", "clients"] {
        tls.authority(authority);
    }
    tls.expired_certificate("server", "servers");
    tls.certificate("client", "clients");
    tls.put("clients.pem", "trusted.pem");
    let (mut broker, at) = guarded_broker(&tls);
    let (_mock, mut setup) = setup(&broker, "check-expired");
    setup.bootstrap = at.tls.clone();
    let (ca, certificate, key) = (tls.path("servers.pem"), tls.path("client.pem"), tls.path("client.key"));
    let properties = format!(
        r#"properties = {{ "security.protocol" = "SSL", "ssl.ca.location" = {ca:?}, "ssl.certificate.location" = {certificate:?}, "ssl.key.location" = {key:?} }}"#
    );
    let checked = Checked::of(&with(&setup, &properties));
    assert_eq!(checked.code, 7);
    checked.assert_failed("reach", "certificate verify failed", "must not have expired");
    // A broker that calls itself by a name that nobody can resolve.
    setup.bootstrap = at.lost;
    let checked = Checked::with(&setup.toml(), &["--timeout", "5s"]);
    assert_eq!(checked.code, 7, "{:#}", checked.json);
    // The first answer may come before or after the client has learnt that name.
    let failed = if checked.finding("reach")[0] == "ok" { "transactions" } else { "reach" };
    checked.assert_failed(failed, "kafka.invalid", "advertised.listeners");
    // It was the certificate's date alone.
    setup.bootstrap = at.tls;
    tls.certificate("server", "servers");
    broker.stop();
    broker.start();
    let checked = Checked::of(&with(&setup, &properties));
    assert_eq!(checked.code, 0, "{:#}", checked.json);
}

#[test]
fn missing_topics_are_named_where_none_may_be_created() {
    let broker = crate::harness::broker::broker();
    let (_mock, setup) = setup(broker, "check-missing");
    broker.create_topic(&format!("{}.checkpoints", setup.prefix), 1, &[("cleanup.policy", "delete")]);
    broker.create_topic(&setup.streams[0].topic, 1, &[("cleanup.policy", "compact")]);
    let config = with(&setup, "create_topics = false");
    let checked = Checked::of(&config);
    assert_eq!(checked.code, 8);
    for topic in ["ids", "shards", "dead-letters"] {
        let name = format!("{}.{topic}", setup.prefix);
        checked.assert_failed(&name, "kafka.create_topics = true", "Topics made beforehand");
    }
    checked.assert_failed(".checkpoints", "would delete state", "--add-config cleanup.policy=compact");
    assert_eq!(checked.finding(setup.topic())[0], "warning", "it is compacted");
    // A second stream takes a partition more.
    let two = Setup { streams: [setup.streams.clone(), setup.streams.clone()].concat(), ..setup.clone() };
    let two = with(&two, "create_topics = false").replacen("name = \"mobile\"", "name = \"other\"", 1);
    Checked::of(&two).assert_failed(".checkpoints", "has 1 partitions and needs 2", "create it");
    // The start would mend what this one only names.
    let checked = Checked::of(&setup.toml());
    assert_eq!((checked.code, checked.finding(".checkpoints")[0]), (0, "warning"));
    assert_eq!(broker.topic_config(&format!("{}.checkpoints", setup.prefix))["cleanup.policy"], "delete");
}

#[test]
fn a_missing_right_is_named() {
    let (broker, address) = acl_broker();
    let (_mock, mut setup) = setup(&broker, "check-rights");
    setup.bootstrap = address;
    setup.streams[0].topic = format!("out-{}", setup.prefix);
    let prefix = format!("{}.", setup.prefix);
    let right = |kind: &str, name: &str, operation: &str| -> Right {
        [kind, "PREFIXED", name, operation].map(str::to_owned)
    };
    let of_state = ["READ", "WRITE", "CREATE", "ALTER_CONFIGS", "ALTER"];
    let rights: Vec<Right> = of_state.map(|operation| right("TOPIC", &prefix, operation)).into();
    broker.allow(&rights);
    let config = with(&setup, &login("PLAIN", "secret"));
    let checked = Checked::of(&config);
    assert_eq!(checked.code, 7);
    checked.assert_failed("transactions", "it takes WRITE on the transactional id", "Rights on Kafka");
    broker.allow(&[right("TRANSACTIONAL_ID", &prefix, "WRITE")]);
    wait_until(LIMIT, "the right to hold", || Checked::of(&config).finding("transactions")[0] == "ok");
    let checked = Checked::of(&config);
    assert_eq!(checked.code, 8);
    checked.assert_failed(setup.topic(), "it takes CREATE", "give the right");
    assert_eq!(checked.finding(".checkpoints")[0], "ok");
    // The group is asked for only where there is one.
    assert!(checked.findings("consumer group").is_empty(), "{:#}", checked.json);
    let shared = setup.clone().with(|settings| settings.more = "ownership = \"group\"".to_owned());
    let shared = with(&shared, &login("PLAIN", "secret"));
    let denied = Checked::of(&shared);
    assert_eq!(denied.code, 7, "{:#}", denied.json);
    denied.assert_failed("consumer group", "it takes READ on the group", "the right Read on the group");
    broker.allow(&[right("GROUP", &prefix, "READ")]);
    wait_until(LIMIT, "the right to hold", || Checked::of(&shared).finding("consumer group")[0] == "ok");
    // One that may be written to, but whose settings may not be read.
    broker.create_topic(setup.topic(), 1, &[]);
    broker.allow(&[right("TOPIC", setup.topic(), "WRITE")]);
    wait_until(LIMIT, "the right to hold", || {
        let checked = Checked::of(&config);
        checked.code == 0 && checked.finding(setup.topic())[0] == "warning"
    });
    let checked = Checked::of(&config);
    let [_, found, todo] = checked.finding(setup.topic());
    assert!(found.contains("may not be read") && todo.contains("DescribeConfigs"), "{:#}", checked.json);
}

#[test]
fn too_few_replicas_in_sync_are_named() {
    let mut nodes = cluster(3);
    let (_mock, mut setup) = setup(&nodes[0], "check-replicas");
    setup.bootstrap = nodes[..2].iter().map(|node| node.bootstrap().to_owned()).collect::<Vec<_>>().join(",");
    // The connector makes the topics, with three replicas.
    let mut running = setup.start();
    Progress::of(&nodes[0], &setup, STREAM, 0).wait_received(EVENTS);
    stop(&mut running);
    nodes[0].change_topic(setup.topic(), &[("min.insync.replicas", "3")]);
    let checked = Checked::of(&setup.toml());
    assert_eq!(checked.code, 0, "{:#}", checked.json);
    nodes[2].kill9();
    // Other things may be wrong until the others have taken over what it did.
    let is_short = |checked: &Checked| {
        checked.findings(setup.topic()).iter().any(|[_, found, _]| found.contains("2 of 3 in sync, 3 needed"))
    };
    wait_until(LIMIT, "the broker to be missed", || is_short(&Checked::of(&setup.toml())));
    let checked = Checked::of(&setup.toml());
    assert_eq!(checked.code, 8, "{:#}", checked.json);
    checked.assert_failed(setup.topic(), "2 of 3 in sync, 3 needed", "bring the brokers back");
}

#[test]
fn a_broker_that_stands_still_is_waited_for_no_longer_than_the_limit() {
    let mut broker = private_broker();
    let (_mock, setup) = setup(&broker, "check-still");
    broker.pause();
    let checked = Checked::with(&setup.toml(), &["--timeout", "2s"]);
    broker.resume();
    assert_eq!(checked.code, 7);
    checked.assert_failed("reach", "no answer within 2 s", "security.protocol");
}

#[test]
fn transactions_that_brokers_do_not_take_are_named() {
    let (_mock, mut setup) = setup(crate::harness::broker::broker(), "check-timeout");
    setup.transaction_timeout = "1h";
    let checked = Checked::of(&setup.toml());
    assert_eq!(checked.code, 7, "{:#}", checked.json);
    checked.assert_failed("transactions", "transaction.max.timeout.ms", "do what the finding says");
}
