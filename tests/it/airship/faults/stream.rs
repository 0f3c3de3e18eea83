//! Streams that end badly while events flow.

use crate::harness::airship::early_endings;
use crate::harness::airship::scenes::{Expected, Setup, lively, three_times};
use crate::harness::broker::broker;
use tributary_mock::airship::{Armed, Config, Fault};

const EVENTS: u64 = 3_000;

/// Three endings by `fault`, each of which the connector must see as `class`.
#[track_caller]
fn endings(fault: Fault, class: &str) {
    let name = fault.name();
    let setup = Setup::new(name, Config { faults: three_times(fault), ..lively(EVENTS) });
    // Only `stall` needs it so short; the mock sends keep-alives more often.
    let scene = setup.stream("silence = \"2s\"").start(broker());
    let expected = Expected::all(&scene.mock_log());
    scene.wait_delivered(expected.len());
    assert_eq!(scene.reconnects(class), 3.0, "endings seen as {class}");
    let ended = scene.finish(broker(), &expected);
    ended.assert_no_dead_letters();
    assert_eq!(ended.stats.faults[name], 3);
    assert_eq!(ended.stats.streams, 4, "one connection after each ending");
}

#[test]
fn eof() {
    endings(Fault::Eof {}, "ended");
}

#[test]
fn missing_trailer() {
    endings(Fault::MissingTrailer {}, "network");
}

#[test]
fn torn_line() {
    endings(Fault::TornLine {}, "ended");
}

#[test]
fn truncated_gzip() {
    endings(Fault::TruncatedGzip {}, "network");
}

#[test]
fn cut_mid_line() {
    endings(Fault::CutMidLine {}, "network");
}

#[test]
fn cut_mid_gzip() {
    endings(Fault::CutMidGzip {}, "network");
}

#[test]
fn reset() {
    endings(Fault::Reset {}, "network");
}

#[test]
fn stall() {
    endings(Fault::Stall { ms: None }, "silence");
}

#[test]
fn a_connect_that_is_dropped() {
    let faults = vec![Armed::now(Fault::Drop {}).times(2), Armed::after(500, Fault::Eof {})];
    let scene = Setup::new("drop", Config { faults, ..lively(EVENTS) }).start(broker());
    let expected = Expected::all(&scene.mock_log());
    scene.wait_delivered(expected.len());
    assert_eq!(scene.reconnects("network"), 2.0);
    let ended = scene.finish(broker(), &expected);
    ended.assert_no_dead_letters();
    assert_eq!(ended.stats.faults["drop"], 2);
}

#[test]
fn all_endings_in_one_stream() {
    let others = [Fault::SplitUtf8 {}, Fault::Repeat { events: 300 }];
    let all: Vec<_> = early_endings().into_iter().chain(others).collect();
    let count = all.len() as u64;
    let faults = all.into_iter().zip(1..).map(|(fault, n)| Armed::at(n * 2_000, fault)).collect();
    let config = Config { rate: 8_000.0, member_events: 700, faults, ..lively((count + 1) * 2_000) };
    let scene = Setup::new("all-endings", config).start(broker());
    let expected = Expected::all(&scene.mock_log());
    let ended = scene.finish(broker(), &expected);
    ended.assert_no_dead_letters();
    assert_eq!(ended.stats.faults.values().sum::<u64>(), count, "{:?}", ended.stats.faults);
    assert_eq!(ended.stats.faults.len() as u64, count);
}
