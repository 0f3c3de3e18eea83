//! Lines that are no hits, and hits that are no proper text.

use crate::harness::adobe::scenes::{Expected, Scene, Setup, all_at_once, bytes};
use crate::harness::listener::Listener;
use crate::harness::reader::Message;
use crate::harness::wait::{self, GENEROUS};
use std::time::Duration;
use tributary_mock::adobe::{Config, huge_line};
use tributary_mock::fault::{Armed, Fault, array_line, garbage_line};

const HITS: u64 = 900;

/// The cap on lines, and a line above it.
const CAP: &str = "max_line = \"256KiB\"";
const HUGE: usize = 400 << 10;

/// Below the cap of lines, far above any usual hit.
const LARGE: usize = 200 << 10;

/// What is kept of a line above the cap.
const HEAD: usize = 64 << 10;

#[test]
fn what_is_no_hit_is_a_dead_letter_with_its_bytes() {
    let faults = [
        ("garbage", Fault::GarbageLine {}),
        ("array", Fault::ArrayLine {}),
        ("huge", Fault::HugeLine { bytes: HUGE, valid: true }),
        ("huge-garbage", Fault::HugeLine { bytes: HUGE, valid: false }),
        ("large", Fault::HugeLine { bytes: LARGE, valid: true }),
    ];
    let setup = faults.iter().fold(Setup::new("letters"), |setup, (name, fault)| {
        let faults = vec![Armed::after(200, fault.clone()).times(3)];
        // The one with borders everywhere, so that a long line comes in many pieces.
        let config = Config { faults, chunk_bytes: 4_000, crlf: *name != "array", ..all_at_once(HITS) };
        setup.add(name, config, CAP)
    });
    let mut scene = setup.start();
    for (name, fault) in &faults {
        scene.wait_mock(name, "three lines", |stats| stats.faults.get(fault.name()) == Some(&3));
        let is_large = u64::from(*name == "large");
        scene.wait_delivered(name, HITS + 3 * is_large);
        let letters = || scene.metric("tributary_dead_letters_total", name);
        wait::wait_until(GENEROUS, format_args!("dead letters of {name}"), || {
            letters() >= 3.0 - 3.0 * is_large as f64
        });
    }
    let reasons = [
        ("garbage", "not_an_object"),
        ("array", "not_an_object"),
        ("huge", "line_too_long"),
        ("huge-garbage", "line_too_long"),
    ];
    for (name, reason) in reasons {
        let labels = [&*format!("stream=\"{name}\""), &*format!("reason=\"{reason}\"")];
        assert_eq!(scene.process.metrics().sum("tributary_dead_letters_total", &labels), 3.0, "{name}");
    }
    scene.stop();
    for (name, fault) in &faults {
        let log = scene.log_of(name);
        let mut expected = Expected::all(&log);
        let stats = scene.stats(name);
        assert_eq!(stats.streams, 1, "{name}: no reason to reconnect");
        let positions: Vec<u64> = stats.fired.iter().map(|fired| fired.position).collect();
        let line = |position| match fault {
            Fault::GarbageLine {} => garbage_line(position),
            Fault::ArrayLine {} => array_line(position),
            Fault::HugeLine { bytes, valid } => huge_line(&log, position, *bytes, *valid),
            other => panic!("{other:?}"),
        };
        let lines: Vec<_> = positions.into_iter().map(|position| (position, line(position))).collect();
        if *name == "large" {
            lines.into_iter().for_each(|(position, line)| expected.add(format!("1-{position}"), line));
        } else {
            let (_, reason) = reasons.iter().find(|(known, _)| known == name).unwrap();
            assert_letters(&scene, name, reason, lines.into_iter().map(|(_, line)| line).collect());
        }
        scene.check(name, &expected);
    }
    assert_eq!(scene.dead_letters("large").len(), 0);
}

/// The dead letters of a stream are these lines, or their heads.
#[track_caller]
fn assert_letters(scene: &Scene, name: &str, reason: &str, lines: Vec<Vec<u8>>) {
    let letters = scene.dead_letters(name);
    let mut kept: Vec<_> = letters.iter().map(bytes).collect();
    let mut wanted: Vec<_> = lines.iter().map(|line| &line[..line.len().min(HEAD)]).collect();
    kept.sort_unstable();
    wanted.sort_unstable();
    assert!(kept == wanted, "{name}: other letters than what was sent");
    for letter in &letters {
        assert_headers(letter, name, reason);
        let length = letter.header("tributary-length").unwrap();
        assert!(lines.iter().any(|line| line.len().to_string() == length), "{name}: {length} bytes");
    }
}

#[track_caller]
fn assert_headers(letter: &Message, name: &str, reason: &str) {
    assert_eq!(letter.header("tributary-reason"), Some(reason), "{name}");
    assert_eq!(letter.header("tributary-stream"), Some(name));
    assert_eq!(letter.header("tributary-shard"), Some("0"));
    // Of a line above the cap there is nothing to say but its length.
    let detail = letter.header("tributary-detail").is_some_and(|detail| !detail.is_empty());
    assert!(detail || reason == "line_too_long", "{name}");
    assert_eq!(letter.key, None, "{name}");
}

/// Lines without an id, as the mock has none, between two hits.
const NO_IDS: [&str; 7] = [
    r#"{"reportSuite":"x","timeGMT":1}"#,
    r#"{"hitIdHigh":7,"visIdHigh":1,"visIdLow":2}"#,
    r#"{"hitIdHigh":null,"hitIdLow":null}"#,
    r#"{"hitIdHigh":"","hitIdLow":"5"}"#,
    r#"{"hitIdHigh":1.5,"hitIdLow":2}"#,
    r#"{"hitIdHigh":18446744073709551616,"hitIdLow":2}"#,
    r#"{}"#,
];

#[test]
fn a_hit_without_an_id_is_a_dead_letter() {
    let first = r#"{"hitIdHigh":1,"hitIdLow":1,"visIdHigh":3,"visIdLow":4}"#;
    let last = r#"{"hitIdHigh":"1","hitIdLow":"2"}"#;
    let body = [&[first], &NO_IDS[..], &[last, "{\"torn\":"]].concat().join("\r\n");
    let server = Listener::answering(move |number, _| {
        let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n\r\n";
        (number == 0).then(|| format!("{head}{body}").into_bytes())
    });
    let keys =
        format!("url = \"{}/api/1/stream/x\"\nauth = {{ bearer = {{ value = \"t\" }} }}", server.url());
    let mut scene = Setup::one("no-ids", all_at_once(0), &keys).start();
    wait::wait_until(GENEROUS, "dead letters", || {
        scene.metric("tributary_dead_letters_total", "s") >= NO_IDS.len() as f64
    });
    scene.wait_delivered("s", 2);
    let no_id = ["stream=\"s\"", "reason=\"no_id\""];
    let counted = scene.process.metrics().sum("tributary_dead_letters_total", &no_id);
    assert_eq!(counted, NO_IDS.len() as f64);
    scene.stop();
    let letters = scene.dead_letters("s");
    let mut kept: Vec<_> = letters.iter().map(Message::text).collect();
    let mut wanted = NO_IDS.to_vec();
    kept.sort_unstable();
    wanted.sort_unstable();
    assert_eq!(kept, wanted);
    letters.iter().for_each(|letter| assert_headers(letter, "s", "no_id"));
    let mut hits: Vec<_> = scene.events("s").iter().map(|m| m.header("ce_id").unwrap().to_owned()).collect();
    hits.sort();
    assert_eq!(hits, ["1-1", "1-2"], "numbers and texts are the same ids");
}

#[test]
fn hits_that_are_cut_inside_a_character_arrive_byte_for_byte() {
    let config = Config { flush_bytes: 333, rebalance_pause: Duration::from_millis(20), ..all_at_once(HITS) };
    let mut scene = Setup::one("cut-utf8", config, "max_connections = 2").start();
    scene.finish_all();
    let log = scene.log_of("s");
    let cut = (0..HITS).filter(|index| log.hit(*index).shape.truncated_utf8).count();
    let broken = scene.events("s").iter().filter(|m| std::str::from_utf8(bytes(m)).is_err()).count();
    assert!(cut > 0 && cut == broken, "{cut} of them were sent, {broken} arrived");
}
