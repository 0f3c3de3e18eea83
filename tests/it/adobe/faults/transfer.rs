//! Ways in which the bytes of a healthy stream may come: all of them bring the same hits.

use crate::harness::adobe::scenes::{Setup, all_at_once, lively};
use std::time::Duration;
use tributary_mock::adobe::{Config, Flush, Stats};
use tributary_mock::fault::{Armed, Fault};

const HITS: u64 = 900;

/// The borders of small pieces make much work.
const FEW: u64 = 120;

/// Three times on the one connection.
fn three_times(fault: Fault) -> Vec<Armed> {
    vec![Armed::after(200, fault).times(3)]
}

#[test]
fn line_ends_flushes_and_members() {
    let blank_every = Duration::from_millis(20);
    let slowly = || Config { blank_every, rate: 30.0, backlog: HITS - 10, ..all_at_once(HITS) };
    let all = all_at_once;
    // What is withheld leaves at the end of a session.
    let withheld =
        Config { flush: Flush::Withheld, withhold_bytes: 5_000, session_hits: HITS / 3, ..all(HITS) };
    // Flushed by hits, not by when they come: so borders are all that makes a difference in bytes.
    let record = || Config { flush: Flush::Record, blank_every: Duration::ZERO, ..all(HITS) };
    let mut scene = Setup::new("transfer")
        .add("plain", Config { blank_every: Duration::ZERO, ..all(HITS) }, "")
        .add("lf", Config { crlf: false, ..slowly() }, "")
        .add("crlf", slowly(), "")
        .add("record", record(), "")
        .add("withheld", withheld, "")
        .add("members", Config { member_hits: 37, ..record() }, "")
        .add("split-members", Config { member_bytes: 701, ..record() }, "")
        .add("split-flushes", Config { flush_bytes: 97, chunk_bytes: 61, ..record() }, "")
        .add("tiny-members", Config { member_bytes: 7, ..all(FEW) }, "")
        .add("tiny-chunks", Config { chunk_bytes: 1, flush_bytes: 11, crlf: false, ..all(FEW) }, "")
        .add("tiny-flushes", Config { flush_bytes: 3, ..all(FEW) }, "")
        .start();
    let names = ["plain", "lf", "crlf", "record", "members", "split-members", "split-flushes"];
    let tiny = ["tiny-members", "tiny-chunks", "tiny-flushes"];
    scene.wait_mock("lf", "blank lines", |stats| stats.blank_lines >= 5);
    scene.wait_mock("crlf", "blank lines", |stats| stats.blank_lines >= 5);
    scene.finish_all();
    for name in names.iter().chain(&tiny) {
        let Stats { streams, hits, duplicates, .. } = scene.stats(name);
        assert_eq!((streams, duplicates), (1, 0), "{name}: the stream never broke");
        assert_eq!(hits, scene.log_of(name).len(), "{name}");
    }
    assert!(scene.stats("withheld").streams >= 3);
    // Each border costs bytes, so there were some.
    let whole = scene.stats("record").bytes;
    for name in ["members", "split-members", "split-flushes"] {
        let bytes = scene.stats(name).bytes;
        assert!(bytes > whole, "{name}: {bytes} bytes, and {whole} without borders");
    }
}

#[test]
fn slow_and_split_pieces_and_repeated_hits() {
    let slow = Fault::SlowDrip { bytes: 3, pause_ms: 1, events: 2 };
    let setup = |name: &str, setup: Setup, fault, config: Config| {
        setup.add(name, Config { faults: three_times(fault), ..config }, "")
    };
    let scene = Setup::new("pieces");
    let scene = setup("split", scene, Fault::SplitUtf8 {}, lively(HITS));
    let scene = setup("drip", scene, slow, lively(HITS));
    let scene = setup("repeat", scene, Fault::Repeat { events: 60 }, lively(HITS));
    let mut scene = setup("pause", scene, Fault::Stall { ms: Some(150) }, lively(HITS)).start();
    scene.wait_delivered("repeat", HITS);
    let dropped = scene.metric("tributary_duplicates_dropped_total", "repeat");
    scene.finish_all();
    for (name, fault) in
        [("split", "split_utf8"), ("drip", "slow_drip"), ("repeat", "repeat"), ("pause", "stall")]
    {
        let stats = scene.stats(name);
        assert_eq!((stats.faults[fault], stats.streams), (3, 1), "{name}");
    }
    assert_eq!(dropped, 180.0, "each repeated hit was dropped");
}
