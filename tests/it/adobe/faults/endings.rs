//! Streams that end while hits flow. The service forgets what it sent, so each whole line must have been taken.

use crate::harness::adobe::scenes::{PAUSE, Scene, Setup, lively};
use crate::harness::wait::{self, GENEROUS};
use std::time::Duration;
use tributary_mock::adobe::Config;
use tributary_mock::fault::{Armed, Fault};

const HITS: u64 = 1_500;

/// An ending, what the connector makes of it, and whether something may have been lost with it.
const ENDINGS: [(Fault, &str, bool); 8] = [
    (Fault::Eof {}, "ended", false),
    (Fault::MissingTrailer {}, "network", true),
    (Fault::TornLine {}, "ended", true),
    (Fault::TruncatedGzip {}, "network", true),
    (Fault::CutMidLine {}, "network", true),
    (Fault::CutMidGzip {}, "network", true),
    (Fault::Reset {}, "network", true),
    (Fault::Stall { ms: None }, "silence", true),
];

#[test]
fn every_whole_line_before_an_end_is_delivered_once() {
    let setup = ENDINGS.iter().fold(Setup::new("endings"), |setup, (fault, ..)| {
        // A reset throws away what lies in the kernel, so there the service has to go back for it.
        let lose_in_flight = !matches!(fault, Fault::Reset {});
        let faults = vec![Armed::after(300, fault.clone()).times(3)];
        // Not all at once, so that the last end comes after the last fault.
        let config = Config { faults, lose_in_flight, member_hits: 70, ..lively(HITS) };
        // Only where silence is waited for: elsewhere a slow machine must not be taken for it.
        let keys = if matches!(fault, Fault::Stall { .. }) { "silence = \"1s\"" } else { "" };
        setup.add(fault.name(), config, keys)
    });
    let mut scene = setup.start();
    for (fault, class, may_be_lost) in &ENDINGS {
        let name = fault.name();
        scene.wait_mock(name, "three ends", |stats| stats.faults.get(name) == Some(&3));
        scene.wait_delivered(name, HITS);
        wait::wait_until(GENEROUS, format_args!("{name} to be counted"), || {
            scene.reconnects(name, class) >= 3.0
        });
        assert_eq!(scene.metric("tributary_reconnects_total", name), 3.0, "{name}: all of them are {class}");
        let gaps = if *may_be_lost { 3.0 } else { 0.0 };
        assert_eq!(scene.metric("tributary_possible_gaps_total", name), gaps, "{name}: gaps that are told");
        let reason = if *class == "silence" { "silence" } else { "broke_off" };
        let labels = [&*format!("stream=\"{name}\""), &*format!("reason=\"{reason}\"")];
        let told = scene.process.metrics().sum("tributary_possible_gaps_total", &labels);
        assert_eq!(told, gaps, "{name}: silence has a reason of its own, that is no alarm");
    }
    scene.finish_all();
    for (fault, class, _) in &ENDINGS {
        assert_paused(&scene, fault.name(), class);
        assert_eq!(scene.stats(fault.name()).streams, 4, "one connection after each end");
    }
}

/// An end in order is followed soon, all others after about the usual pause.
#[track_caller]
fn assert_paused(scene: &Scene, name: &str, class: &str) {
    let usual = PAUSE.as_millis() as u64;
    let about = if class == "ended" { usual / 12..=usual / 6 + 1 } else { usual * 4 / 5..=usual * 6 / 5 };
    let pauses = scene.pauses(name, class);
    assert!(pauses.len() == 3 && pauses.iter().all(|ms| about.contains(ms)), "{name}: {pauses:?}");
}

#[test]
fn all_endings_on_several_connections() {
    // The stall is left out: it would hold its share of the visitors back.
    let all = ENDINGS.iter().filter(|(_, class, _)| *class != "silence");
    let faults: Vec<_> = all.zip(1..).map(|((fault, ..), n)| Armed::at(n * 500, fault.clone())).collect();
    let count = faults.len();
    let hits = (count as u64 + 1) * 500;
    let config = Config {
        faults,
        lose_in_flight: false,
        member_bytes: 3_001,
        rebalance_pause: Duration::from_millis(50),
        ..lively(hits)
    };
    let mut scene = Setup::one("all-endings", config, "max_connections = 4").start();
    scene.finish_all();
    let stats = scene.stats("s");
    assert_eq!((stats.faults.values().sum::<u64>(), stats.faults.len()), (count as u64, count));
    assert!(stats.duplicates > 0, "hits came again: {stats:?}");
    assert_eq!(stats.resets_honoured + stats.resets_ignored, 0);
}
