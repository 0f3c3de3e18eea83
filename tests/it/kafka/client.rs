//! The Kafka client: what it says when Kafka cannot be reached, certificates that are replaced under it, keep-alive.

mod keep_alive;

use crate::harness::airship::scenes::{Expected, Scene, Setup, held};
use crate::harness::broker::{PrivateBroker, Tls, days_until, guarded_broker};
use crate::harness::wait;
use std::time::Duration;

/// For a refused client to be noticed and replaced, on a busy machine.
const RECOVER: Duration = Duration::from_secs(180);

const USER: &str = "tributary";
const GOOD: &str = "good-password-51f1a7";
const WRONG: &str = "wrong-password-0c2e4b";

/// Certificates as both sides have them at first: authority `first` for the clients, `servers` for the broker.
fn certificates() -> Tls {
    let tls = Tls::new();
    for authority in ["servers", "first", "second"] {
        tls.authority(authority);
    }
    tls.certificate("server", "servers");
    tls.certificate("client-first", "first");
    tls.certificate("client-second", "second");
    tls.put("first.pem", "trusted.pem");
    tls.put("client-first.pem", "client.pem");
    tls.put("client-first.key", "client.key");
    tls
}

/// The connector's side of TLS, trusting the authority `trusted`.
fn tls_properties(tls: &Tls, trusted: &str) -> String {
    let (ca, certificate, key) = (tls.path(trusted), tls.path("client.pem"), tls.path("client.key"));
    format!(
        r#"
        "security.protocol" = "SSL"
        "ssl.ca.location" = {ca:?}
        "ssl.certificate.location" = {certificate:?}
        "ssl.key.location" = {key:?}
        "#
    )
}

fn setup(name: &str, address: &str, kafka: &str, properties: &str) -> Setup {
    Setup::new(name, held(6_000, 3_000)).stream("silence = \"120s\"").top(&format!(
        r#"
        [kafka]
        bootstrap_servers = "{address}"
        {kafka}
        [kafka.properties]
        {properties}
        "#
    ))
}

/// An ERROR that says `cause`: librdkafka's own line does not count.
#[track_caller]
fn wait_error(scene: &Scene, cause: &str) -> String {
    wait::wait_some(RECOVER, format_args!("an ERROR that says {cause:?}"), || {
        let is_it = |line: &String| line.contains("\"level\":\"ERROR\"") && line.contains(cause);
        scene.process.log().into_iter().find(is_it)
    })
}

/// A wrong password, an advertised name that cannot be resolved, a certificate that cannot be verified, one that is refused,
/// plain text to a TLS listener: today's "Broker transport failure" and "Timed out" say which.
#[test]
fn the_cause_stands_in_the_error() {
    let tls = certificates();
    let (broker, at) = guarded_broker(&tls);
    broker.set_password(USER, GOOD);
    let sasl = format!(
        r#"
        "security.protocol" = "SASL_PLAINTEXT"
        "sasl.mechanism" = "SCRAM-SHA-512"
        "sasl.username" = "{USER}"
        "sasl.password" = {{ value = "{WRONG}" }}
        "#
    );
    let unknown = tls_properties(&tls, "servers.pem").replace("client.", "client-second.");
    let cases = [
        ("wrong-password", &at.sasl, sasl, "SASL authentication error: Authentication failed"),
        ("unresolvable", &at.lost, String::new(), "kafka.invalid:"),
        ("unverified", &at.tls, tls_properties(&tls, "second.pem"), "certificate verify failed"),
        ("refused", &at.tls, unknown, "SSL alert number"),
        ("plain-to-tls", &at.tls, String::new(), "connection closed by peer"),
    ];
    let scenes: Vec<_> = cases
        .iter()
        .map(|(name, address, properties, cause)| {
            (setup(name, address, "", properties).start(&broker), *cause)
        })
        .collect();
    for (scene, cause) in &scenes {
        let line = wait_error(scene, cause);
        println!("{line}");
        assert!(!scene.process.log().iter().any(|line| line.contains(WRONG)), "no secret is shown");
    }
}

/// Everything arrives once, and more than one producer was needed for it.
#[track_caller]
fn finish(scene: Scene, broker: &PrivateBroker) {
    let expected = Expected::all(&scene.mock_log());
    wait::wait_until(RECOVER, "everything to arrive", || {
        scene.metric("tributary_events_delivered_total") >= expected.len() as f64
    });
    let ended = scene.finish(broker, &expected);
    ended.assert_no_dead_letters();
    assert!(ended.lines("\"opened\"").len() >= 2, "a producer was opened with the new files");
}

/// The authority of the clients is replaced at the broker; the certificate that the connector has is refused from then on.
/// The transaction's timeout is longer than the test waits: it is the refusal that has a new producer opened.
#[test]
fn a_certificate_that_is_refused_is_read_again() {
    let tls = certificates();
    let (mut broker, at) = guarded_broker(&tls);
    let properties = tls_properties(&tls, "servers.pem");
    let setup = setup("certificates", &at.tls, "transaction_timeout = \"10m\"", &properties);
    let scene = setup.env("TRIBUTARY_LOG", "debug").start(&broker);
    // All that is there: each tenth of the 3,000 lines repeats another. So no commit is under way, which nobody ends.
    scene.wait_delivered(2_700);
    let days = days_until(scene.metric("tributary_kafka_certificate_expiry_timestamp_seconds"));
    assert!((1.9..=2.0).contains(&days), "the certificate is good for two days, and not for {days}");
    broker.stop();
    tls.put("second.pem", "trusted.pem");
    broker.start();
    scene.mock.release(4_000);
    scene.process.wait_for_log("SSL alert number", RECOVER);
    wait::wait_until(RECOVER, "the refusal to be counted", || {
        scene.metric("tributary_kafka_tls_failures_total") >= 1.0
    });
    tls.put("client-second.pem", "client.pem");
    tls.put("client-second.key", "client.key");
    scene.mock.release(6_000);
    finish(scene, &broker);
}
