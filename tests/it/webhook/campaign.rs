//! Many requests at once, several instances, and whatever happens to these: each event of each request that was answered with 200 is there
//! once.

use std::net::SocketAddr;

use super::scene::{Instance, KEY, LIMIT, PATH, Scene};
use super::sender::post;
use super::sending::Sending;
use crate::harness::broker::{broker, private_broker};
use crate::harness::wait::wait_until;

/// Requests at once.
const PARALLEL: u64 = 64;

#[test]
fn instances_die_while_64_requests_are_under_way_and_are_tried_elsewhere() {
    let mut scene = Scene::new("hook-campaign", broker());
    scene.shards = 4;
    let member =
        |name: &str| format!("ownership = \"group\"\ninstance_id = \"{name}\"\nsession_timeout = \"6s\"");
    let begin = |name: &str| scene.start_with(&member(name));
    let mut instances: Vec<Instance> = ["a", "b", "c"].map(begin).into();
    let addresses: Vec<SocketAddr> = instances.iter().map(|instance| instance.address).collect();
    let sending = Sending::start(&addresses, PARALLEL);
    for (round, name) in ["a", "b", "c", "a"].into_iter().enumerate() {
        let enough = sending.stored() + 100;
        wait_until(LIMIT, "requests to be stored", || sending.stored() >= enough);
        let retries = sending.retries();
        let number = round % 3;
        instances[number].process.kill9();
        // In the middle of requests: those of the dead one are sent again, to the others.
        wait_until(LIMIT, "requests to be sent again", || sending.retries() > retries);
        let enough = sending.stored() + 50;
        wait_until(LIMIT, "the others to go on", || sending.stored() >= enough);
        let address = instances[number].address;
        let process = crate::harness::process::tributary(&scene.toml(address, &member(name)), &[]);
        instances[number] = Instance { process, address };
        instances[number].process.wait_for_log("ready to store what is received", LIMIT);
    }
    sending.check(&scene);
    instances.iter_mut().for_each(Instance::stop);
}

#[test]
fn kafka_goes_away_and_comes_back() {
    let mut broker = private_broker();
    let mut scene = Scene::new("hook-away", &broker);
    scene.shards = 1;
    let instance = scene.start();
    let (settings, address) = (scene.settings.clone(), instance.address);
    let sending = Sending::start(&[address], PARALLEL);
    wait_until(LIMIT, "requests to be stored", || sending.stored() >= 50);
    broker.pause();
    // Nothing is acknowledged now, so the very first answer has to say so.
    let refused = post(address, PATH, KEY, &sending.first()).expect("an answer");
    assert_eq!(refused.status, 503, "{}", refused.text);
    assert!(refused.header("retry-after").is_some(), "{}", refused.text);
    broker.resume();
    let enough = sending.stored() + 50;
    wait_until(LIMIT, "requests to be stored again", || sending.stored() >= enough);
    sending.check(&Scene { settings, ..Scene::new("hook-away", &broker) });
    let mut instance = instance;
    instance.stop();
}
