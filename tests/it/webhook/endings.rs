//! How the receiver begins and ends: it is not ready before it can store, answers what is in flight when it is told to stop,
//! and shows the certificate of the moment.

use std::io::Write as _;
use std::time::Duration;

use reqwest::{Certificate, Client};

use super::scene::{KEY, LIMIT, PATH, Scene, array, event};
use super::sender::{answer, connect, head_of};
use crate::harness::broker::{Tls, broker, days_until, free_port};
use crate::harness::process;
use crate::harness::wait::wait_until;

#[test]
fn what_is_in_flight_at_a_stop_is_answered_and_nobody_new_is_taken() {
    let scene = Scene::new("hook-drain", broker());
    let mut instance = scene.start();
    let ready = instance.process.get("/ready");
    wait_until(LIMIT, "it to be ready", || instance.process.get("/ready").status == 200);
    assert!(ready.body.contains("\"webhook\""), "{}", ready.body);
    let body = array(0..10);
    let mut slow = connect(instance.address).unwrap();
    slow.write_all((head_of(PATH, KEY, body.len()) + &body[..20]).as_bytes()).unwrap();
    let mut idle = connect(instance.address).unwrap();
    wait_until(LIMIT, "the request to be seen", || {
        instance.process.metrics().get("tributary_webhook_requests_in_flight") == Some(1.0)
    });
    instance.process.sigterm();
    wait_until(LIMIT, "nobody new to be taken", || connect(instance.address).is_err());
    let page = instance.process.get("/ready");
    assert_eq!(page.status, 503, "{}", page.body);
    assert!(page.body.contains("told to stop"), "{}", page.body);
    slow.write_all(&body.as_bytes()[20..]).unwrap();
    assert_eq!(answer(&mut slow).unwrap().status, 200);
    assert!(answer(&mut idle).is_err(), "it was closed without an answer");
    assert_eq!(instance.process.wait_exit(LIMIT).code(), Some(0));
    // It was stored; the next start carries it.
    let mut again = scene.start();
    scene.wait_for(10);
    again.stop();
    assert_eq!(scene.found().len(), 10);
}

#[test]
fn without_kafka_it_says_so_at_once() {
    let mut scene = Scene::new("hook-none", broker());
    scene.settings.bootstrap = format!("127.0.0.1:{}", free_port());
    let mut instance = scene.begin("");
    instance.process.wait_for_log("receiving webhooks", LIMIT);
    let answer = instance.push(&event(1));
    assert_eq!((answer.status, answer.header("retry-after").is_some()), (503, true), "{}", answer.text);
    assert_eq!(instance.process.get("/ready").status, 503);
    instance.process.sigterm();
    assert_eq!(instance.process.wait_exit(LIMIT).code(), Some(0));
}

#[test]
fn a_certificate_that_changes_is_shown_from_then_on() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let tls = Tls::new();
    let (old, new) = (tls.authority("old"), tls.authority("new"));
    tls.certificate("first", "old");
    tls.certificate("second", "new");
    let copy = |from: &str| {
        for ending in ["pem", "key"] {
            std::fs::copy(tls.path(&format!("{from}.{ending}")), tls.path(&format!("shown.{ending}")))
                .unwrap();
        }
    };
    copy("first");
    let mut scene = Scene::new("hook-tls", broker());
    let (cert, key) = (tls.path("shown.pem"), tls.path("shown.key"));
    scene.webhook = format!("tls = {{ cert = \"{}\", key = \"{}\" }}", cert.display(), key.display());
    let mut instance = scene.start();
    let url = format!("https://{}{PATH}", instance.address);
    let push = |authority: &std::path::Path, n: usize| {
        let authority = Certificate::from_pem(&std::fs::read(authority).unwrap()).unwrap();
        let client =
            Client::builder().add_root_certificate(authority).no_proxy().timeout(Duration::from_secs(60));
        let request = client.build().unwrap().post(&url).header("x-key", "open sesame").body(event(n));
        runtime.block_on(async { request.send().await }).map(|answer| answer.status().as_u16())
    };
    assert_eq!(push(&old, 1).unwrap(), 200);
    assert!(push(&new, 2).is_err(), "it is not the authority");
    let expiry = instance.process.metrics().get("tributary_webhook_certificate_expiry_timestamp_seconds");
    let days = days_until(expiry.unwrap());
    assert!((1.9..=2.0).contains(&days), "the certificate is good for two days, and not for {days}");
    // A key that does not fit leaves the certificate as it is, and says so.
    std::fs::copy(tls.path("second.key"), &key).unwrap();
    instance.process.wait_for_log("the one before is shown", LIMIT);
    assert_eq!(push(&old, 3).unwrap(), 200);
    copy("second");
    wait_until(LIMIT, "the new certificate to be shown", || push(&new, 4).is_ok_and(|status| status == 200));
    assert!(push(&old, 5).is_err());
    scene.wait_for(3);
    instance.stop();
}

#[test]
fn an_address_that_is_taken_is_named() {
    let scene = Scene::new("hook-taken", broker());
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let mut process = process::tributary(&scene.toml(address, ""), &[]);
    assert_eq!(process.wait_exit(LIMIT).code(), Some(1));
    let log = process.log().join("\n");
    assert!(log.contains(&format!("cannot listen at webhook.listen {address}")), "{log}");
}
