//! Responses with status 200 that are no stream, and streams that are labelled wrongly, from a server that is no mock.

use super::refusals::pauses;
use crate::harness::airship::scenes::{Ended, Scene, Setup, all_at_once};
use crate::harness::broker::broker;
use crate::harness::listener::{Heard, Listener};
use crate::harness::reader::{self, Isolation, Message};
use crate::harness::wait::{self, GENEROUS};
use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::Write as _;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

/// A connector on a server that plays a script.
pub(super) struct Scripted(pub(super) Scene, pub(super) Listener);

/// Lines of these events.
pub(super) fn events(range: Range<u64>) -> Vec<u8> {
    range.flat_map(|n| format!("{}\n", event(n, &format!("\"{n}\""))).into_bytes()).collect()
}

/// An event with this offset, as JSON.
pub(super) fn event(n: u64, offset: &str) -> String {
    // Kafka deletes what is older than a topic's retention, whenever it looks.
    let processed = humantime::format_rfc3339_millis(SystemTime::now());
    format!(r#"{{"id":"event-{n}","offset":{offset},"type":"OPEN","processed":"{processed}"}}"#)
}

/// A response that ends with the connection.
pub(super) fn stream(status: u16, headers: &str, body: &[u8]) -> Vec<u8> {
    let mut response = format!("HTTP/1.1 {status} X\r\nconnection: close\r\n{headers}\r\n").into_bytes();
    response.extend_from_slice(body);
    response
}

/// A connector with these keys, on a server that says what `script` gives for its first requests, then three events,
/// then nothing more.
#[track_caller]
pub(super) fn scripted(
    name: &str,
    keys: &str,
    script: impl Fn(usize, &Heard) -> Option<Vec<u8>> + Send + Sync + 'static,
) -> Scripted {
    let done = AtomicBool::new(false);
    let server = Listener::answering(move |number, heard| {
        script(number, heard).or_else(|| {
            let first = !done.swap(true, Ordering::Relaxed);
            first.then(|| stream(200, "content-type: application/x-ndjson\r\n", &events(0..3)))
        })
    });
    let url = format!("url = \"{}/api/events/\"\n{keys}", server.url());
    Scripted(Setup::new(name, all_at_once(0)).stream(&url).start(broker()), server)
}

impl Scripted {
    /// Stops the connector; gives what it left behind.
    #[track_caller]
    pub(super) fn stop(mut self) -> Ended {
        self.0.stop();
        let dead_letters = reader::read_all(broker(), &self.0.dead_letters(), Isolation::Committed);
        Ended { dead_letters, stats: self.0.mock.stats(), log: self.0.process.log() }
    }

    /// Ids of the events that lie in Kafka.
    #[track_caller]
    pub(super) fn ids(&self) -> Vec<String> {
        let events = reader::read_all(broker(), &self.0.events(), Isolation::Committed);
        let id = |message: &Message| -> Option<String> {
            let event: serde_json::Value = serde_json::from_str(message.text()).expect("JSON");
            event["id"].as_str().map(str::to_owned)
        };
        let mut ids: Vec<_> = events.iter().filter_map(id).collect();
        ids.sort();
        ids
    }
}

const PAGE: &str = "<html>\r\n<head><title>Sign in</title></head>\r\n<body>\r\n<script>\r\n{\"a\":1}\r\n</script>\r\n\
                    hello, jane.doe@example.com\r\n</body>\r\n</html>\r\n";

/// Requests at least that are answered with a page.
const PAGES: usize = 12;

#[test]
fn a_page_with_status_200_is_neither_events_nor_dead_letters() {
    let with_type = stream(200, "content-type: text/html; charset=utf-8\r\n", PAGE.as_bytes());
    let without = stream(200, "", PAGE.as_bytes());
    let text = stream(200, "content-type: text/plain\r\n", b"jane.doe@example.com is not signed in");
    let json = stream(200, "content-type: text/html\r\n", b"{\"error\":\"jane.doe@example.com\"}\n");
    let line = stream(200, "content-type: application/json\r\n", b"{\"message\":\"jane.doe@example.com\"}\n");
    let no_end = stream(200, "", b"{\"message\":\"jane.doe@example.com\"}");
    let pages = [with_type, without, text, json, line, no_end];
    let signed_in = Arc::new(AtomicBool::new(false));
    let may_read = Arc::clone(&signed_in);
    let scene = scripted("page", "", move |number, _| {
        (!may_read.load(Ordering::Relaxed)).then(|| pages[number % pages.len()].clone())
    });
    wait::wait_until(GENEROUS, "many pages", || scene.0.reconnects("bad_body") >= PAGES as f64);
    let ready = scene.0.process.get("/ready");
    assert!(ready.status == 503 && ready.body.contains("needs an operator"), "{}", ready.body);
    signed_in.store(true, Ordering::Relaxed);
    scene.0.wait_delivered(3);
    wait::wait_until(GENEROUS, "ready", || scene.0.process.get("/ready").status == 200);
    assert_eq!(scene.ids(), ["event-0", "event-1", "event-2"]);
    let ended = scene.stop();
    ended.assert_no_dead_letters();
    assert!(ended.lines("jane.doe").is_empty(), "it may be anybody's: {:#?}", ended.lines("jane.doe"));
    let told = ended.lines("something that is no stream (markup, such as a page");
    assert!(told.len() >= PAGES / 3, "{:#?}", ended.lines("bad_body"));
    let told = ended.lines("something that is no stream (JSON that is no event");
    assert!(told.len() >= PAGES / 3, "a line of JSON: {:#?}", ended.lines("bad_body"));
    // Each pause is random up to a limit that doubles from 10 ms. If each page were the first, all would be below that.
    let pauses = pauses(&ended, "bad_body");
    assert!(pauses[..PAGES].iter().sum::<u64>() >= 10 * PAGES as u64, "{pauses:?}");
}

#[test]
fn gzip_counts_for_what_it_is_and_not_for_its_label() {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(&events(10..15)).expect("in memory");
    let unlabelled = stream(200, "", &gzip.finish().expect("in memory"));
    let plain = stream(200, "content-encoding: gzip\r\n", &events(20..25));
    let page = stream(200, "content-encoding: gzip\r\n", PAGE.as_bytes());
    let bodies = [unlabelled, plain, page];
    let scene = scripted("gzip-label", "", move |number, _| bodies.get(number).cloned());
    scene.0.wait_delivered(13);
    wait::wait_until(GENEROUS, "three ends", || scene.0.reconnects("ended") == 3.0);
    assert_eq!(scene.0.reconnects("bad_body"), 1.0);
    let ids = scene.ids();
    scene.stop().assert_no_dead_letters();
    let expected = (0..3).chain(10..15).chain(20..25).map(|n| format!("event-{n}"));
    let mut expected: Vec<_> = expected.collect();
    expected.sort();
    assert_eq!(ids, expected);
}

/// A broken event may be the first one after the position, and then it stands there with each connect.
#[test]
fn a_broken_first_event_does_not_stop_a_stream() {
    let mut body = b"%% broken\n".to_vec();
    body.extend_from_slice(&events(10..12));
    let broken = stream(200, "", &body);
    let scene = scripted("broken-first", "", move |number, _| (number == 0).then(|| broken.clone()));
    scene.0.wait_delivered(5);
    assert_eq!(scene.0.reconnects("bad_body"), 0.0);
    let ended = scene.stop();
    let letters: Vec<_> = ended.dead_letters.iter().map(Message::text).collect();
    assert_eq!(letters, ["%% broken"]);
}

/// As they would be in the middle of a stream: more broken events in a row than any page has lines, and such as are long.
#[test]
fn many_and_long_broken_events_do_not_stop_a_stream() {
    const SHORT: usize = 150;
    const LONG: usize = 300 << 10;
    let mut body: Vec<u8> = (0..SHORT).flat_map(|n| format!("{{ broken {n}\n").into_bytes()).collect();
    for _ in 0..2 {
        body.extend_from_slice(b"{ broken ");
        body.resize(body.len() + LONG, b'x');
        body.push(b'\n');
    }
    body.extend_from_slice(&events(10..12));
    let broken = stream(200, "content-type: application/vnd.urbanairship+x-ndjson; version=3;\r\n", &body);
    let scene = scripted("broken-many", "", move |number, _| (number == 0).then(|| broken.clone()));
    scene.0.wait_delivered(5);
    assert_eq!(scene.0.reconnects("bad_body"), 0.0);
    let letters = scene.stop().dead_letters;
    let long = letters.iter().filter(|letter| letter.text().len() > LONG).count();
    assert_eq!((letters.len(), long), (SHORT + 2, 2));
}

/// A server that says no more than where it stands, and closes.
#[test]
fn what_is_no_event_does_not_reset_the_backoff() {
    const ENDS: usize = 14;
    let update = stream(200, "", b"\n{\"type\":\"OFFSET_UPDATE\",\"offset\":\"7\"}\n");
    let blank = stream(200, "", b"\n\n");
    let keys = "backoff = { min = \"1ms\", max = \"4s\" }";
    let both = [update, blank];
    let scene = scripted("updates", keys, move |number, _| (number < ENDS).then(|| both[number % 2].clone()));
    scene.0.wait_delivered(3);
    let ended = scene.stop();
    // Each pause is random up to a limit that doubles: 1, 2, 4 ms and so on. If each end were the first, all of them would be
    // below 1 ms.
    let pauses = pauses(&ended, "ended");
    assert!(pauses[..ENDS].iter().sum::<u64>() > ENDS as u64, "{pauses:?}");
}

/// The head of the response is waited for as long as `connect_timeout` and `silence` say, and the request is then made again.
#[test]
fn an_answer_is_waited_for_no_longer_than_a_byte() {
    let answer = AtomicBool::new(false);
    let server = Listener::answering(move |_, _| {
        // The first request is never answered; what follows the events is silence too.
        answer.swap(true, Ordering::Relaxed).then(|| stream(200, "", &events(0..3)))
    });
    let keys = format!("url = \"{}/api/events/\"\nsilence = \"1s\"\nconnect_timeout = \"1s\"", server.url());
    let mut scene = Setup::new("late-head", all_at_once(0)).stream(&keys).start(broker());
    scene.wait_delivered(3);
    assert_eq!(scene.reconnects("network"), 0.0);
    let log = scene.process.log();
    let given_up: Vec<_> = log.iter().filter(|line| line.contains("did not answer")).collect();
    assert!(
        matches!(given_up[..], [line] if line.contains("within 2 s (`connect_timeout` and `silence`)")
            && line.contains("\"class\":\"silence\"")),
        "{log:#?}"
    );
    scene.stop();
}
