//! `tail` on a stream whose hits are gone for others once they are read.

use crate::harness::adobe::scenes::{Setup, held};
use crate::harness::process;
use crate::harness::wait::GENEROUS;
use std::fs;
use tributary_mock::adobe::Config;

const HITS: u64 = 400;

#[test]
fn tail_takes_hits_only_when_told_to() {
    // The connector has nothing to do with it: it stops before the first hit.
    let config = Config { ..held(HITS, 0) };
    let mut scene = Setup::one("tail", config, "max_connections = 3").start();
    scene.wait_mock("s", "all connections", |stats| stats.open_streams == 3);
    scene.stop();
    scene.wait_mock("s", "all to be closed", |stats| stats.open_streams == 0);
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("tributary.toml");
    fs::write(&file, &scene.config).unwrap();
    let file = file.to_str().unwrap();
    let before = scene.stats("s").requests.len();

    let mut refused = process::subcommand(&["tail", "--config", file, "s"], &[]);
    assert_eq!(refused.wait_exit(GENEROUS).code(), Some(1));
    let log = refused.log().join("\n");
    assert!(log.contains("taken from whoever else reads the stream") && log.contains("--take"), "{log}");
    assert_eq!(scene.stats("s").requests.len(), before, "nothing was asked");

    scene.mock("s").release(HITS);
    let mut tail = process::subcommand(&["tail", "--config", file, "s", "--take", "-n", "5"], &[]);
    assert_eq!(tail.wait_exit(GENEROUS).code(), Some(0), "{:#?}", tail.log());
    let log = scene.log_of("s");
    let wanted: Vec<_> = (0..5).map(|n| String::from_utf8_lossy(&log.line(n)).into_owned()).collect();
    let mut printed = tail.log();
    printed.retain(|line| line.contains("\"hitIdHigh\""));
    assert_eq!(printed, wanted);
    let stats = scene.stats("s");
    let last = stats.requests.iter().rfind(|seen| seen.stream.is_some()).unwrap();
    assert_eq!(last.query, [("maxConnections".to_owned(), "1".to_owned())], "one connection, no reset");

    let arguments = ["tail", "--config", file, "s", "--take", "--from", "earliest"];
    let mut wrong = process::subcommand(&arguments, &[]);
    assert_eq!(wrong.wait_exit(GENEROUS).code(), Some(1));
    assert!(wrong.log().join("\n").contains("--from is for Airship"), "{:#?}", wrong.log());
}
