//! Many senders, several instances, and whatever happens to these: each event of each request that was answered with 200 is there
//! once.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use super::scene::{Instance, KEY, LIMIT, PATH, Scene, array, event};
use super::sender::post;
use crate::harness::broker::{broker, private_broker};
use crate::harness::wait::{poll, wait_until};

/// Senders at once.
const SENDERS: usize = 64;

/// Events of one request.
const BATCH: usize = 10;

/// What the senders know of each other.
#[derive(Default)]
struct Sent {
    /// Requests that were begun; each has its own events.
    begun: AtomicUsize,
    /// The first events of requests that were answered with 200.
    stored: Mutex<BTreeSet<usize>>,
    /// Requests that were sent once more.
    retries: AtomicUsize,
    /// Ends the senders, each after its request.
    stop: AtomicBool,
}

/// Pushes one request after the other, each to the instances in turn until it is stored.
fn push(addresses: &[SocketAddr], sent: &Sent) {
    while !sent.stop.load(Ordering::Acquire) {
        let number = sent.begun.fetch_add(1, Ordering::AcqRel);
        let first = number * BATCH;
        let body = array(first..first + BATCH);
        let mut at = number;
        let stored = poll(LIMIT, || {
            let address = addresses[at % addresses.len()];
            at += 1;
            let answer = post(address, PATH, KEY, body.as_bytes());
            let is_stored = answer.as_ref().is_ok_and(|answer| answer.status == 200);
            if !is_stored {
                sent.retries.fetch_add(1, Ordering::AcqRel);
            }
            is_stored.then_some(())
        });
        assert!(stored.is_some(), "request {number} was not stored in time");
        sent.stored.lock().unwrap().insert(first);
        // A retry of what is stored already, as of a sender to which the answer did not come: to another instance.
        if number.is_multiple_of(5) {
            drop(post(addresses[at % addresses.len()], PATH, KEY, body.as_bytes()));
        }
    }
}

#[track_caller]
fn senders(addresses: &[SocketAddr], sent: &Arc<Sent>) -> Vec<thread::JoinHandle<()>> {
    let spawn = |_| {
        let (addresses, sent) = (addresses.to_vec(), Arc::clone(sent));
        thread::spawn(move || push(&addresses, &sent))
    };
    (0..SENDERS).map(spawn).collect()
}

fn stored(sent: &Sent) -> usize {
    sent.stored.lock().unwrap().len()
}

/// Compares the topic with what was answered.
#[track_caller]
fn check(scene: &Scene<'_>, sent: &Sent) {
    let firsts = sent.stored.lock().unwrap().clone();
    assert_eq!(firsts.len(), sent.begun.load(Ordering::Acquire), "every sender has got its answer");
    let expected: BTreeSet<String> =
        firsts.iter().flat_map(|first| *first..first + BATCH).map(event).collect();
    scene.wait_for(expected.len());
    let counts = scene.counted();
    let twice: Vec<_> = counts.iter().filter(|(_, count)| **count > 1).collect();
    assert!(twice.is_empty(), "{} came twice, such as {:?}", twice.len(), twice.first());
    let found: BTreeSet<String> = counts.into_keys().collect();
    assert!(found == expected, "{} were stored and {} are there", expected.len(), found.len());
}

#[test]
fn instances_die_while_64_senders_push_and_try_again_elsewhere() {
    let mut scene = Scene::new("hook-campaign", broker());
    scene.shards = 4;
    let member =
        |name: &str| format!("ownership = \"group\"\ninstance_id = \"{name}\"\nsession_timeout = \"6s\"");
    let begin = |name: &str| scene.start_with(&member(name));
    let mut instances: Vec<Instance> = ["a", "b", "c"].map(begin).into();
    let addresses: Vec<SocketAddr> = instances.iter().map(|instance| instance.address).collect();
    let sent = Arc::new(Sent::default());
    let senders = senders(&addresses, &sent);
    for (round, name) in ["a", "b", "c", "a"].into_iter().enumerate() {
        let enough = stored(&sent) + 100;
        wait_until(LIMIT, "requests to be stored", || stored(&sent) >= enough);
        let retries = sent.retries.load(Ordering::Acquire);
        let number = round % 3;
        instances[number].process.kill9();
        // In the middle of requests: those of the dead one are sent again, to the others.
        wait_until(LIMIT, "requests to be sent again", || sent.retries.load(Ordering::Acquire) > retries);
        let enough = stored(&sent) + 50;
        wait_until(LIMIT, "the others to go on", || stored(&sent) >= enough);
        let address = instances[number].address;
        let process = crate::harness::process::tributary(&scene.toml(address, &member(name)), &[]);
        instances[number] = Instance { process, address };
        instances[number].process.wait_for_log("ready to store what is received", LIMIT);
    }
    sent.stop.store(true, Ordering::Release);
    senders.into_iter().for_each(|sender| sender.join().unwrap());
    check(&scene, &sent);
    instances.iter_mut().for_each(Instance::stop);
}

#[test]
fn kafka_goes_away_and_comes_back() {
    let mut broker = private_broker();
    // The broker is paused while the scene looks at it elsewhere.
    let sent = Arc::new(Sent::default());
    let mut scene = Scene::new("hook-away", &broker);
    scene.shards = 1;
    let instance = scene.start();
    let (settings, address) = (scene.settings.clone(), instance.address);
    let senders = senders(&[address], &sent);
    wait_until(LIMIT, "requests to be stored", || stored(&sent) >= 50);
    broker.pause();
    // Nothing is acknowledged now, so the very first answer has to say so.
    let refused = post(address, PATH, KEY, event(0).as_bytes()).expect("an answer");
    assert_eq!(refused.status, 503, "{}", refused.text);
    assert!(refused.header("retry-after").is_some(), "{}", refused.text);
    broker.resume();
    let enough = stored(&sent) + 50;
    wait_until(LIMIT, "requests to be stored again", || stored(&sent) >= enough);
    sent.stop.store(true, Ordering::Release);
    senders.into_iter().for_each(|sender| sender.join().unwrap());
    let scene = Scene { settings, ..Scene::new("hook-away", &broker) };
    check(&scene, &sent);
    let mut instance = instance;
    instance.stop();
}
