//! Requests as they must be, and connects that are never answered.

use crate::harness::adobe::scenes::{PAUSE, Setup, all_at_once};
use crate::harness::listener::Listener;
use crate::harness::wait::{self, GENEROUS};
use tributary_mock::adobe::Config;
use tributary_mock::fault::{Armed, Fault};

const HITS: u64 = 1_200;

#[test]
fn every_connection_asks_alike_and_never_for_a_reset() {
    // Ends of every kind, each of which a client might answer with a reset.
    let ends = [Fault::Eof {}, Fault::CutMidLine {}, Fault::TruncatedGzip {}, Fault::TornLine {}];
    let faults = ends.into_iter().map(|fault| Armed::after(100, fault)).collect();
    let keys = "max_connections = 4\nsmoothing = true\nsmoothing_bucket_size = 600";
    let plain = Config { faults: vec![Armed::after(100, Fault::Eof {})], ..all_at_once(HITS) };
    let mut scene = Setup::new("requests")
        .add("smooth", Config { faults, needs_api_key: true, ..all_at_once(HITS) }, keys)
        .add("plain", plain, "max_connections = 3")
        .start();
    // A stream that has just ended may still count as open, so by how many there were.
    scene.wait_mock("smooth", "a connection after each end", |stats| {
        stats.streams == 8 && stats.open_streams == 4
    });
    scene.wait_mock("plain", "a connection after the end", |stats| {
        stats.streams == 4 && stats.open_streams == 3
    });
    scene.finish_all();
    let smooth = [("maxConnections", "4"), ("smoothing", "1"), ("smoothingBucketSize", "600")];
    assert_alike(&scene.stats("smooth"), &smooth, 8);
    assert_alike(&scene.stats("plain"), &[("maxConnections", "3")], 4);
}

#[track_caller]
fn assert_alike(stats: &tributary_mock::adobe::Stats, query: &[(&str, &str)], streams: u64) {
    assert_eq!((stats.streams, stats.resets_honoured, stats.resets_ignored), (streams, 0, 0));
    let query: Vec<_> = query.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    for seen in stats.requests.iter().filter(|seen| seen.path.starts_with("/api/")) {
        assert_eq!((seen.version.as_str(), seen.method.as_str()), ("HTTP/1.1", "GET"));
        assert_eq!(seen.query, query, "the same on every connection");
        assert_eq!(seen.accept_encoding.as_deref(), Some("gzip"));
        assert!(seen.has_api_key && seen.scheme.as_deref() == Some("bearer"), "{seen:?}");
        assert!(seen.user_agent.as_deref().is_some_and(|agent| agent.starts_with("tributary/")), "{seen:?}");
    }
    for seen in stats.requests.iter().filter(|seen| !seen.path.starts_with("/api/")) {
        assert_eq!(seen.version, "HTTP/1.1");
    }
}

#[test]
fn no_answer_at_all() {
    let at_connect = |fault| Config { faults: vec![Armed::now(fault)], ..all_at_once(HITS) };
    let mut scene = Setup::new("no-answer")
        .add("hang", at_connect(Fault::Hang {}), "max_connections = 2\nsilence = \"10s\"")
        .add("drop", Config { faults: vec![Armed::now(Fault::Drop {}).times(3)], ..all_at_once(HITS) }, "")
        .add("token", all_at_once(HITS), "max_connections = 8")
        .start_after(|mocks| mocks.of("token").arm_token(Armed::now(Fault::Drop {})));
    // The other connection takes all of it; the one that hangs is given up after `connect_timeout` and `silence`.
    scene.wait_delivered("hang", HITS);
    scene.wait_mock("hang", "both connections", |stats| stats.open_streams == 2);
    assert_eq!((scene.reconnects("hang", "silence"), scene.reconnects("hang", "network")), (1.0, 0.0));
    scene.wait_delivered("drop", HITS);
    assert_eq!(scene.reconnects("drop", "network"), 3.0);
    // What the service may have begun to send is told, with a reason of its own. One that says nothing is quiet, most likely.
    for (name, reason, requests) in [("hang", "silence", 1.0), ("drop", "unanswered", 3.0)] {
        let labels = [&*format!("stream=\"{name}\""), &*format!("reason=\"{reason}\"")];
        assert_eq!(scene.process.metrics().sum("tributary_possible_gaps_total", &labels), requests, "{name}");
        assert_eq!(scene.metric("tributary_possible_gaps_total", name), requests, "{name}: no other reason");
    }
    let alarms = |shard| {
        scene
            .process
            .log()
            .iter()
            .filter(|line| line.contains("possible gap") && line.contains(shard))
            .count()
    };
    assert_eq!((alarms("hang/0"), alarms("drop/0")), (0, 3));
    scene.finish_all();
    assert_eq!(scene.stats("hang").faults["hang"], 1);
    assert_eq!(scene.lines("hang", "did not answer within 20 s (`connect_timeout` and `silence`)").len(), 1);
    assert_eq!(scene.stats("drop").faults["drop"], 3);
    let about = (PAUSE.as_millis() as u64 / 2)..=(PAUSE.as_millis() as u64 * 2);
    assert!(scene.pauses("drop", "network").iter().all(|ms| about.contains(ms)));
    assert_eq!((scene.stats("token").faults["drop"], scene.stats("token").minted), (1, 1));
    assert!(!scene.lines("token", "the token endpoint at 127.0.0.1:").is_empty());
}

/// Heads that are not taken, before a service that moves its position with what it sends: what followed them is lost.
#[test]
fn a_stream_that_is_not_taken_may_be_lost() {
    let heads = ["200 OK\r\ncontent-encoding: br", "200 OK\r\ncontent-encoding: deflate", "203 X", "206 X"];
    let mut setup = Setup::new("untaken");
    let mut servers = Vec::new();
    for (number, head) in heads.into_iter().enumerate() {
        let server = Listener::answering(move |request, _| {
            (request == 0).then(|| format!("HTTP/1.1 {head}\r\nconnection: close\r\n\r\nhits").into_bytes())
        });
        let keys = format!(
            "url = \"{}/api/1/stream/x\"\nauth = {{ bearer = {{ value = \"t\" }} }}\nreconnect_pause = \"50ms\"",
            server.url()
        );
        setup = setup.add(&format!("h{number}"), all_at_once(0), &keys);
        servers.push(server);
    }
    let mut scene = setup.start();
    for (number, server) in servers.iter().enumerate() {
        let name = format!("h{number}");
        wait::wait_until(GENEROUS, "another attempt", || server.heard().len() >= 2);
        let labels = [&*format!("stream=\"{name}\""), "reason=\"broke_off\""];
        wait::wait_until(GENEROUS, format_args!("the loss to be told: {}", heads[number]), || {
            scene.process.metrics().sum("tributary_possible_gaps_total", &labels) == 1.0
        });
    }
    scene.stop();
}
