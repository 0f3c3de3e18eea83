//! Lines and bytes that are strange in themselves, on streams that go on.

use crate::harness::airship::scenes::{Ended, Expected, Setup, bytes, lively, three_times};
use crate::harness::broker::broker;
use crate::harness::reader::Message;
use tributary_mock::airship::fault::{garbage_line, huge_line};
use tributary_mock::airship::{Config, Encoding, Fault, Log};

const EVENTS: u64 = 3_000;
const MIB: usize = 1 << 20;

/// What is kept of a line that fits nowhere.
const HEAD: usize = 64 << 10;

/// Everything arrives, and nothing else.
#[track_caller]
fn harmless(name: &str, config: Config) -> Ended {
    let scene = Setup::new(name, config).start(broker());
    let expected = Expected::all(&scene.mock_log());
    let ended = scene.finish(broker(), &expected);
    ended.assert_no_dead_letters();
    assert_eq!(ended.stats.streams, 1, "the stream never broke");
    ended
}

#[track_caller]
fn harmless_fault(fault: Fault) {
    let name = fault.name();
    let ended = harmless(name, Config { faults: three_times(fault), ..lively(EVENTS) });
    assert_eq!(ended.stats.faults[name], 3);
}

#[test]
fn split_utf8() {
    harmless_fault(Fault::SplitUtf8 {});
}

#[test]
fn slow_drip() {
    harmless_fault(Fault::SlowDrip { bytes: 3, pause_ms: 1, events: 5 });
}

#[test]
fn repeat() {
    harmless_fault(Fault::Repeat { events: 250 });
}

#[test]
fn crlf() {
    harmless("crlf", Config { crlf: true, ..lively(EVENTS) });
}

#[test]
fn several_gzip_members() {
    harmless("members", Config { member_events: 37, ..lively(EVENTS) });
}

#[test]
fn identity() {
    harmless("identity", Config { encoding: Encoding::Identity, ..lively(EVENTS) });
}

#[test]
fn several_sessions_that_end_in_order() {
    let scene = Setup::new("sessions", Config { session_events: 450, ..lively(EVENTS) }).start(broker());
    let expected = Expected::all(&scene.mock_log());
    let ended = scene.finish(broker(), &expected);
    ended.assert_no_dead_letters();
    assert!(ended.stats.streams > EVENTS / 450, "{}", ended.stats.streams);
}

#[test]
fn garbage_is_a_dead_letter_with_its_bytes() {
    for crlf in [false, true] {
        let config = Config { crlf, faults: three_times(Fault::GarbageLine {}), ..lively(EVENTS) };
        let scene = Setup::new("garbage", config).start(broker());
        let expected = Expected::all(&scene.mock_log());
        let ended = scene.finish(broker(), &expected);
        let fired = ended.fired("garbage_line");
        assert_eq!(fired.len(), 3);
        let mut lines: Vec<_> = fired.iter().map(|fired| garbage_line(fired.position)).collect();
        lines.sort();
        let mut letters: Vec<_> = ended.dead_letters.iter().map(|letter| bytes(letter).to_vec()).collect();
        letters.sort();
        assert_eq!(letters, lines);
        for letter in &ended.dead_letters {
            assert_reason(letter, "not_an_object", bytes(letter).len());
            assert_eq!(letter.header("tributary-stream"), Some("s"));
            assert_eq!(letter.header("tributary-shard"), Some("0"));
            assert!(letter.header("tributary-detail").is_some_and(|detail| !detail.is_empty()));
        }
        assert_eq!(ended.stats.streams, 1, "garbage is no reason to reconnect");
    }
}

#[test]
fn a_huge_event_is_an_event() {
    let setup = huge("huge", 5 * MIB, true);
    broker().create_topic(&format!("{}.events", setup.prefix()), 3, &[("max.message.bytes", "8000000")]);
    let scene = setup.start(broker());
    scene.wait_mock("three huge lines", |stats| stats.faults.get("huge_line") == Some(&3));
    let log = scene.mock_log();
    let mut expected = Expected::all(&log);
    for fired in &scene.mock.stats().fired {
        let line = huge_line(&log, fired.position, 5 * MIB, true);
        expected.add(format!("huge-{}", fired.position), line);
    }
    let ended = scene.finish(broker(), &expected);
    ended.assert_no_dead_letters();
    assert_eq!(ended.stats.faults["huge_line"], 3);
}

#[test]
fn an_event_too_large_for_its_topic_is_a_dead_letter() {
    // Where the dead-letter topic takes more, the bytes are kept.
    let setup = huge("too-large-intact", 2 * MIB, true);
    let topic = format!("{}.dead-letters", setup.prefix());
    broker().create_topic(&topic, 1, &[("max.message.bytes", "8000000")]);
    dead_letters(setup, "too_large_for_topic", 2 * MIB, true, 2 * MIB);
    // Else their head and their number.
    dead_letters(huge("too-large-head", 2 * MIB, true), "too_large_for_topic", 2 * MIB, true, HEAD);
}

#[test]
fn a_line_above_the_cap_is_a_dead_letter() {
    for valid in [true, false] {
        let setup = huge("capped", 5 * MIB, valid).stream("max_line = \"1MiB\"");
        dead_letters(setup, "line_too_long", 5 * MIB, valid, HEAD);
    }
}

fn huge(name: &str, bytes: usize, valid: bool) -> Setup {
    let faults = three_times(Fault::HugeLine { bytes, valid });
    Setup::new(name, Config { faults, ..lively(EVENTS) })
}

/// All events, and three dead letters that hold the first `kept` bytes of a huge line.
#[track_caller]
fn dead_letters(setup: Setup, reason: &str, length: usize, valid: bool, kept: usize) {
    let scene = setup.start(broker());
    let log: Log = scene.mock_log();
    let expected = Expected::all(&log);
    let ended = scene.finish(broker(), &expected);
    let fired = ended.fired("huge_line");
    assert_eq!((fired.len(), ended.dead_letters.len()), (3, 3));
    let lines: Vec<_> = fired.iter().map(|fired| huge_line(&log, fired.position, length, valid)).collect();
    for letter in &ended.dead_letters {
        assert_reason(letter, reason, length);
    }
    for line in &lines {
        let matching = ended.dead_letters.iter().filter(|letter| bytes(letter) == &line[..kept]);
        assert_eq!(matching.count(), 1);
    }
    assert_eq!(ended.stats.streams, 1);
}

#[track_caller]
fn assert_reason(letter: &Message, reason: &str, length: usize) {
    assert_eq!(letter.header("tributary-reason"), Some(reason));
    assert_eq!(letter.header("tributary-length"), Some(length.to_string().as_str()));
}
