//! Runs without trouble, and one without transactions: every hit arrives once, in order, complete in every bit.

use crate::harness::adobe::{Service, Setup, service, wait_connections_metric};
use crate::harness::airship::oracle::Repeats;
use crate::harness::airship::{stop, wait_hit};
use crate::harness::broker::broker;
use crate::harness::reader::{Isolation, read_all};
use std::collections::{BTreeMap, HashSet};
use tributary_mock::adobe;

const HITS: u64 = 3_000;

/// Until all connections are open nothing is sent, so that no partition changes hands.
fn held(hits: u64) -> adobe::Config {
    adobe::Config { hold_at: Some(0), ..service(hits) }
}

#[test]
fn one_connection_brings_every_hit_once() {
    brings_every_hit_once(1);
}

#[test]
fn two_connections_bring_every_hit_once() {
    brings_every_hit_once(2);
}

#[test]
fn eight_connections_bring_every_hit_once() {
    brings_every_hit_once(8);
}

fn brings_every_hit_once(connections: u32) {
    let service = Service::start(held(HITS));
    let setup = Setup::new(&format!("adobe-plain-{connections}"), &service).connections(connections);
    // An aborted batch on the way, for a reader that sees it.
    let mut process = setup.start_with("before_commit=3:abort");
    service.wait_open(connections.into());
    wait_connections_metric(&process, connections);
    service.release(HITS);
    let last = setup.wait_delivered(HITS);
    wait_hit(&process);
    stop(&mut process);

    assert_eq!((last.delivered, last.dead_letters), (HITS, 0));
    setup.check_all(&service);
    check_extremes(&setup, &service);
    let written = read_all(broker(), &setup.topic, Isolation::Uncommitted).len() as u64;
    assert!(written > HITS, "the aborted batch is in the log: {written}");
    let stats = service.stats();
    assert_eq!((stats.minted, stats.streams), (1, u64::from(connections)), "one token, and no reconnect");
    let hits: Vec<u64> = stats.by_stream.values().map(|stream| stream.hits).collect();
    assert!(hits.iter().all(|hits| *hits > 0), "the connections share the stream: {hits:?}");
    assert_eq!(service.resets(), Vec::<String>::new());
    let mut visitors_of = BTreeMap::<u64, HashSet<u64>>::new();
    for sent in service.sent() {
        visitors_of.entry(sent.stream).or_default().insert(service.log().visitor(sent.hit));
    }
    let all: HashSet<u64> = visitors_of.values().flatten().copied().collect();
    assert_eq!(
        visitors_of.values().map(HashSet::len).sum::<usize>(),
        all.len(),
        "a visitor has one connection"
    );
}

/// The edges of all number types are among the first hits, and no float has been near them.
#[track_caller]
fn check_extremes(setup: &Setup, service: &Service) {
    let messages = read_all(broker(), &setup.topic, Isolation::Committed);
    let find = |id: &str| messages.iter().find(|message| message.header("ce_id") == Some(id));
    for id in [
        "0-9007199254740993",
        "9007199254740993-0",
        "9223372036854775808-18446744073709551615",
        "18446744073709551615-9223372036854775808",
        "18446744073709551615-18446744073709551615",
        "0-18446744073709551615",
        "9223372036854775808-0",
        "9223372036854775807-9223372036854775808",
        "9007199254740993-9007199254740993",
        "0-9223372036854775808",
    ] {
        assert!(find(id).is_some(), "{id}");
    }
    let keys: HashSet<&[u8]> = messages.iter().filter_map(|message| message.key.as_deref()).collect();
    for key in [
        "v:0:9007199254740993",
        "v:9223372036854775808:0",
        "v:18446744073709551615:18446744073709551615",
        "v:9007199254740993:9223372036854775808",
    ] {
        assert!(keys.contains(key.as_bytes()), "{key}");
    }
    for kind in ["v:", "m:", "c:", "i:", "h:"] {
        assert!(keys.iter().any(|key| key.starts_with(kind.as_bytes())), "{kind}");
    }
    let log = service.log();
    let cut = (0..log.len()).filter(|hit| log.hit(*hit).shape.truncated_utf8).count();
    let invalid = messages
        .iter()
        .filter(|message| std::str::from_utf8(message.value.as_deref().unwrap_or_default()).is_err());
    assert!(cut > 0);
    assert_eq!(invalid.count(), cut, "values with a cut character are as they were");
}

#[test]
fn without_transactions_nothing_is_lost() {
    let service = Service::start(held(HITS));
    let mut setup = Setup::new("adobe-least", &service).connections(2);
    setup.delivery = "at_least_once";
    let mut process = setup.start_with("before_checkpoint=5:error;before_commit=9:error");
    service.wait_open(2);
    service.release(HITS);
    setup.wait_delivered(HITS);
    stop(&mut process);
    assert_eq!(crate::harness::airship::count_log(&process, "failpoint hit"), 2);
    let found = setup.judge(&service, Repeats::Allowed);
    assert_eq!(found.missing.len(), 0, "{:?}", found.missing);
    assert!(found.repeats <= 2 * setup.max_events, "{}", found.repeats);
}
