//! Senders that are too many, too fast or too slow: memory stays bounded, and the others are answered.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use super::scene::{KEY, LIMIT, PATH, Scene, array, event};
use super::sender::{self, answer, connect, head_of, post};
use crate::harness::broker::{broker, private_broker};
use crate::harness::wait::wait_until;

/// Many more requests than are taken, of half a megabyte each, into a Kafka that takes little.
#[test]
fn a_flood_is_answered_with_503_and_429_and_memory_stays_flat() {
    let broker = private_broker();
    broker.limit_producer("tributary", 500_000);
    let mut scene = Scene::new("hook-flood", &broker);
    scene.webhook = "max_requests = 8\nmax_body = \"1MiB\"\nmax_buffered = \"2MiB\"".into();
    let mut instance = scene.start();
    instance.push_until_stored(&event(0));
    let before = instance.process.rss_bytes();
    let address = instance.address;
    let (stop, statuses) =
        (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(BTreeMap::<u16, usize>::new())));
    let stored = Arc::new(Mutex::new(Vec::new()));
    let flood = |sender: usize| {
        let (stop, statuses, stored) = (Arc::clone(&stop), Arc::clone(&statuses), Arc::clone(&stored));
        thread::spawn(move || {
            let mut number = 1 + sender;
            while !stop.load(Ordering::Acquire) {
                let padding = padding(number);
                let event = format!("{{\"id\":\"flood-{number}\",\"type\":\"OPEN\",\"x\":\"{padding}\"}}");
                // A refusal may cut off a body that is still on its way.
                let Ok(answer) = post(address, PATH, KEY, event.as_bytes()) else { continue };
                *statuses.lock().unwrap().entry(answer.status).or_default() += 1;
                if answer.status == 200 {
                    stored.lock().unwrap().push(format!("flood-{number}"));
                    number += 32;
                }
            }
        })
    };
    let senders: Vec<_> = (0..32).map(flood).collect();
    let count = |status: u16| statuses.lock().unwrap().get(&status).copied().unwrap_or_default();
    wait_until(LIMIT, "all kinds of answers", || count(200) >= 5 && count(429) >= 100 && count(503) >= 1);
    stop.store(true, Ordering::Release);
    senders.into_iter().for_each(|sender| sender.join().unwrap());
    let statuses = statuses.lock().unwrap().clone();
    assert!(statuses.keys().all(|status| [200, 429, 503].contains(status)), "{statuses:?}");
    let grown = instance.process.peak_rss_bytes().saturating_sub(before);
    assert!(grown < 256 << 20, "{} MiB more than before", grown >> 20);
    // Somebody who comes later is taken, and nothing that was answered is missing.
    instance.push_until_stored(&event(1));
    let stored = stored.lock().unwrap().clone();
    wait_until(LIMIT, "everything to arrive", || {
        let metrics = instance.process.metrics();
        let received = metrics.get("tributary_webhook_events_total").unwrap_or_default();
        let carried = metrics.sum("tributary_events_received_total", &[]);
        // Some may be stored whose answer said that it is not known.
        carried >= received
    });
    let counts = scene.counted();
    let missing = |id: &&String| !counts.keys().any(|text| text.starts_with(&format!("{{\"id\":\"{id}\"")));
    assert_eq!(stored.iter().find(missing), None, "it was answered with 200");
    assert!(counts.values().all(|count| *count == 1));
    instance.stop();
}

/// Half a megabyte that no compression makes much smaller, another one for each number.
fn padding(number: usize) -> String {
    let mut state = number as u64;
    let digits = (0..32 << 10).map(|_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        format!("{state:016x}")
    });
    digits.collect()
}

#[test]
fn who_says_nothing_or_speaks_slowly_is_cut_off_and_keeps_nobody_out() {
    let mut scene = Scene::new("hook-slow", broker());
    scene.webhook = "max_connections = 32\nrequest_timeout = \"2s\"\nidle_timeout = \"2s\"".into();
    let mut instance = scene.start();
    // Many more than may be open, and none of them says anything.
    let mut silent: Vec<TcpStream> = (0..400).map(|_| connect(instance.address).unwrap()).collect();
    assert_eq!(instance.push(&event(1)).status, 200, "while they are there");
    // A head that never ends, and a body that never comes, or comes in drops.
    let mut half = connect(instance.address).unwrap();
    half.write_all(b"POST /push HTTP/1.1\r\nhost: x\r\nx-a: ").unwrap();
    let mut waiting = connect(instance.address).unwrap();
    waiting.write_all(head_of(PATH, KEY, 1000).as_bytes()).unwrap();
    waiting.write_all(b"{\"id\":").unwrap();
    assert_eq!(answer(&mut waiting).unwrap().status, 408);
    let mut rest = Vec::new();
    // It may be told so before it is closed.
    drop(half.read_to_end(&mut rest));
    assert!(!String::from_utf8_lossy(&rest).contains("200"), "{rest:?}");
    for stream in &mut silent {
        assert!(!matches!(stream.read(&mut [0; 1]), Ok(1..)), "it is closed");
    }
    assert_eq!(instance.push(&event(2)).status, 200);
    scene.wait_for(2);
    instance.stop();
}

/// While all connections are at work, one more is refused, and none of those is cut off.
#[test]
fn a_connection_at_work_gives_its_place_to_nobody() {
    let mut scene = Scene::new("hook-places", broker());
    scene.webhook = "max_connections = 4".into();
    let mut instance = scene.start();
    let body = array(0..10);
    let mut working: Vec<TcpStream> = (0..4).map(|_| connect(instance.address).unwrap()).collect();
    for stream in &mut working {
        stream.write_all((head_of(PATH, KEY, body.len()) + &body[..20]).as_bytes()).unwrap();
    }
    wait_until(LIMIT, "all to be at work", || {
        instance.process.metrics().get("tributary_webhook_requests_in_flight") == Some(4.0)
    });
    assert!(post(instance.address, PATH, KEY, b"{}").is_err(), "there is no place");
    for stream in &mut working {
        stream.write_all(&body.as_bytes()[20..]).unwrap();
        assert_eq!(sender::answer(stream).unwrap().status, 200);
        drop(stream.shutdown(Shutdown::Both));
    }
    instance.push_until_stored(&event(1));
    scene.wait_for(10);
    instance.stop();
    assert_eq!(scene.found().len(), 10);
}

/// A sender that keeps its connection and uses it is not the one that has to go, though it came first.
#[test]
fn who_has_waited_longest_makes_room_and_not_who_came_first() {
    let mut scene = Scene::new("hook-longest", broker());
    scene.webhook = "max_connections = 3".into();
    let mut instance = scene.start();
    let mut three: Vec<TcpStream> = (0..3).map(|_| connect(instance.address).unwrap()).collect();
    let connections = || instance.process.metrics().get("tributary_webhook_connections");
    wait_until(LIMIT, "all to be accepted", || connections() == Some(3.0));
    wait_until(LIMIT, "to be stored", || push_on(&mut three[0], &event(1)) == 200);
    assert_eq!(post(instance.address, PATH, KEY, event(2).as_bytes()).unwrap().status, 200);
    assert_eq!(three[1].read(&mut [0; 1]).unwrap(), 0, "it has waited longest");
    assert_eq!(push_on(&mut three[0], &event(1)), 200);
    assert_eq!(push_on(&mut three[2], &event(1)), 200);
    scene.wait_for(2);
    instance.stop();
}

/// Sends an event on a connection that stays open: the status of its answer.
fn push_on(stream: &mut TcpStream, event: &str) -> u16 {
    let length = event.len();
    let request =
        format!("POST {PATH} HTTP/1.1\r\nhost: receiver\r\ncontent-length: {length}\r\n{KEY}\r\n{event}");
    stream.write_all(request.as_bytes()).unwrap();
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).unwrap();
        head.extend(byte);
    }
    let head = String::from_utf8(head).unwrap().to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
    stream.read_exact(&mut vec![0; length.parse().unwrap()]).unwrap();
    head.split(' ').nth(1).unwrap().parse().unwrap()
}
