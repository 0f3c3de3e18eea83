//! Ten thousand connections that say nothing, and bodies that never end: the others are answered, and memory stays flat.

use std::net::{Ipv4Addr, SocketAddr};
use std::ops::Range;
use std::time::Duration;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;

use super::scene::{Instance, KEY, LIMIT, PATH, Scene};
use super::sender::{head_of, post};
use super::sending::Sending;
use crate::harness::airship::RUNTIME;
use crate::harness::broker::broker;
use crate::harness::wait::wait_until;

/// Connections that say nothing.
const CROWD: u32 = 10_000;

/// Requests whose bodies come in drops, fewer than `max_requests`.
const DRIPPING: u32 = 200;

/// Between two drops.
const DROP: Duration = Duration::from_millis(200);

/// Files that the tests beside this one have open, at most.
const OTHERS: u64 = 4_000;

/// Connections from one address of this machine.
const FROM_ONE: u32 = 1_000;

/// Connections that are begun at once: not all of them can be accepted at once, and none may be lost.
const AT_ONCE: u32 = 500;

/// Memory for a connection that is open: its buffer and its task.
const OF_A_CONNECTION: u64 = 32 << 10;

/// Memory that comes with whatever is sent meanwhile.
const BESIDE: u64 = 64 << 20;

/// Raises this process's limit of open files, which its children inherit.
#[track_caller]
fn allow_open_files(needed: u64) {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).expect("a limit");
    assert!(
        hard >= needed,
        "this test takes {needed} open files, and this machine allows {hard}: raise the hard limit (`ulimit -Hn`)"
    );
    if soft < needed {
        setrlimit(Resource::RLIMIT_NOFILE, needed, hard).expect("a limit below the hard one");
    }
}

/// A connection from an address of this machine that other tests do not use.
async fn connect(number: u32, to: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().expect("a socket");
    let host = u8::try_from(10 + number / FROM_ONE).expect("few addresses");
    socket.bind((Ipv4Addr::new(127, 0, 1, host), 0).into()).expect("an address of this machine");
    // Nothing of so many is to stay behind in the system.
    socket.set_zero_linger().expect("an open socket");
    socket.connect(to).await.expect("a connection")
}

/// All connections of these numbers.
async fn connect_all(numbers: Range<u32>, to: SocketAddr) -> Vec<TcpStream> {
    let mut connecting = JoinSet::new();
    numbers.for_each(|number| drop(connecting.spawn(connect(number, to))));
    connecting.join_all().await
}

/// A body that comes byte by byte, and does not end.
async fn drip(number: u32, to: SocketAddr) {
    let mut stream = connect(number, to).await;
    let head = head_of(PATH, KEY, 1_000_000);
    let mut sent = stream.write_all(head.as_bytes()).await;
    let mut drops = tokio::time::interval(DROP);
    while sent.is_ok() {
        drops.tick().await;
        sent = stream.write_all(b" ").await;
    }
}

/// The crowd, the drops and somebody who pushes, at an instance with these limits; `open` connections are kept.
#[track_caller]
fn withstand(test: &str, limits: &str, open: u32) {
    let mut scene = Scene::new(test, broker());
    scene.webhook = format!("request_timeout = \"10m\"\nidle_timeout = \"10m\"\n{limits}");
    let mut instance = scene.start();
    let address = instance.address;
    let sending = Sending::start(&[address], 2);
    wait_until(LIMIT, "requests to be stored", || sending.stored() >= 20);
    let before = instance.process.rss_bytes();

    let mut dripping = JoinSet::new();
    (0..DRIPPING).for_each(|number| drop(dripping.spawn_on(drip(number, address), RUNTIME.handle())));
    let gauge = |instance: &Instance, name: &str| {
        instance.process.metrics().get(&format!("tributary_webhook_{name}")).unwrap_or_default()
    };
    let in_flight = || gauge(&instance, "requests_in_flight") >= f64::from(DRIPPING);
    wait_until(LIMIT, "the bodies to begin", in_flight);
    // Known already, so it is stored and adds nothing to the topic.
    let known = sending.first();
    let push = || {
        wait_until(LIMIT, "the event to be stored", || {
            let answer = post(address, PATH, KEY, &known).expect("an answer");
            // Where Kafka is slow it is to be tried again.
            assert!([200, 503].contains(&answer.status), "{}", answer.text);
            answer.status == 200
        });
    };
    let mut crowd = Vec::new();
    for first in (0..CROWD).step_by(AT_ONCE as usize) {
        crowd.extend(RUNTIME.block_on(connect_all(first..first + AT_ONCE, address)));
        // Whoever is answered behind them knows that all of them were accepted.
        push();
    }
    let connections = gauge(&instance, "connections");
    assert!(connections >= f64::from(open), "{connections} of {open} are kept");
    let with_all = instance.process.rss_bytes();
    let most = u64::from(open) * OF_A_CONNECTION + BESIDE;
    assert!(with_all < before + most, "from {} to {} MiB", before >> 20, with_all >> 20);

    // They are still there, and whoever sends something is answered.
    let enough = sending.stored() + 100;
    wait_until(LIMIT, "requests to be stored among them", || sending.stored() >= enough);
    (0..20).for_each(|_| push());
    let kept = ["requests_in_flight", "connections"].map(|name| gauge(&instance, name));
    assert!(kept[0] >= f64::from(DRIPPING) && kept[1] >= f64::from(open), "{kept:?}: somebody was cut off");
    let after = instance.process.rss_bytes();
    assert!(after < with_all + BESIDE, "from {} to {} MiB", with_all >> 20, after >> 20);
    dripping.abort_all();
    drop(crowd);
    wait_until(LIMIT, "the crowd to be gone", || gauge(&instance, "connections") < f64::from(open / 2));
    sending.check(&scene);
    instance.stop();
}

#[test]
fn ten_thousand_connections_that_say_nothing_stop_nobody() {
    // Their ends here; the connector's are files of its own.
    allow_open_files(u64::from(CROWD + DRIPPING) + OTHERS);
    // One after the other, since both are full of them.
    withstand("hook-crowd", "max_connections = 12000", CROWD + DRIPPING);
    // Who is answered has taken the place of one that said nothing, and leaves.
    withstand("hook-crowd-few", "max_connections = 512", 500);
}
