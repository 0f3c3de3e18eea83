//! The rights that docs/security.md lists are enough for a webhook too.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::time::Instant;

use super::scene::{Instance, Scene, array};
use crate::harness::broker::{Right, acl_broker, free_port};
use crate::harness::process;
use crate::harness::rights::documented_without_group;
use crate::harness::wait::{GENEROUS, wait_until};

/// How long it is left alone, for what comes in the background.
const QUIET: Duration = Duration::from_secs(5);

/// The user whose rights count.
const LOGIN: &str = r#"kafka = { properties = { "security.protocol" = "SASL_PLAINTEXT", "sasl.mechanism" = "PLAIN", "sasl.username" = "tributary", "sasl.password" = { value = "secret" } }, "#;

/// A shard reads its partition without a right on any group.
#[test]
fn the_rights_on_the_prefix_are_enough() {
    let (broker, address) = acl_broker();
    let mut scene = Scene::new("hook-rights", &broker);
    scene.settings.bootstrap = address;
    scene.settings.transaction_timeout = "10s";
    // The topic of its events is below the prefix.
    let rights = documented_without_group(&scene.settings.prefix, "unused");
    let on_prefix: Vec<Right> = rights.into_iter().filter(|right| right[1] == "PREFIXED").collect();
    broker.allow(&on_prefix);
    let listen = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let toml = scene.toml(listen, "").replace("kafka = { ", LOGIN);
    let mut instance = Instance { process: process::tributary(&toml, &[]), address: listen };
    instance.process.wait_for_log("ready to store what is received", GENEROUS);
    assert_eq!(instance.push(&array(0..50)).status, 200);
    scene.wait_for(50);
    let since = Instant::now();
    wait_until(GENEROUS, "it to be left alone", || since.elapsed() >= QUIET);
    assert_eq!(instance.push(&array(50..100)).status, 200);
    scene.wait_for(100);
    instance.stop();
    let log = instance.process.log();
    let failed: Vec<&String> = log.iter().filter(|line| line.contains("cannot be read")).collect();
    assert_eq!(failed, Vec::<&String>::new());
    assert!(scene.counted().values().all(|count| *count == 1));
}
