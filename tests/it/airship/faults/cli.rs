//! The commands beside `run`, and exit codes.

use crate::harness::airship::scenes::{Setup, all_at_once, held};
use crate::harness::broker::broker;
use crate::harness::process::{self, Process};
use crate::harness::wait::GENEROUS;
use serde_json::Value;
use std::fs;
use std::path::PathBuf;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tributary_mock::Handle;
use tributary_mock::airship::{self, Fault};

/// A mock and a configuration file for it, but no connector.
struct Bench {
    mock: Handle,
    file: PathBuf,
    _dir: TempDir,
    _runtime: Runtime,
}

impl Bench {
    fn new(airship: airship::Config) -> Self {
        let runtime = Runtime::new().unwrap();
        let mock =
            runtime.block_on(tributary_mock::start(tributary_mock::Config::local(airship.clone()))).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("tributary.toml");
        fs::write(&file, Setup::new("cli", airship).configuration(broker(), &mock.url())).unwrap();
        Self { mock, file, _dir: dir, _runtime: runtime }
    }

    fn run(&self, arguments: &[&str]) -> Process {
        let file = self.file.to_str().unwrap();
        let (command, rest) = arguments.split_first().unwrap();
        process::subcommand(&[&[*command, "--config", file], rest].concat(), &[])
    }

    /// `tail` with these arguments, to its end; its lines of standard output.
    #[track_caller]
    fn tail(&self, arguments: &[&str]) -> Vec<String> {
        let mut process = self.run(&[&["tail"], arguments].concat());
        let status = process.wait_exit(GENEROUS);
        let log = process.log();
        assert_eq!(status.code(), Some(0), "{log:#?}");
        log.into_iter().filter(|line| !line.starts_with("{\"timestamp\"")).collect()
    }

    fn lines(&self, positions: std::ops::Range<u64>) -> Vec<String> {
        self.mock.log().expected(positions).map(|line| String::from_utf8(line.line).unwrap()).collect()
    }
}

#[test]
fn what_is_asked_of_streams_that_are_not_there_is_a_wrong_command_line() {
    let bench = Bench::new(all_at_once(10));
    for (arguments, said) in [
        (&["run", "--reset", "smallest"][..], "--reset is for Adobe streams, and the configuration has none"),
        (
            &["run", "--start-anew", "other=word"],
            "--start-anew other=word: the configuration has no stream of this name",
        ),
    ] {
        let mut process = bench.run(arguments);
        assert_eq!(process.wait_exit(GENEROUS).code(), Some(2), "{arguments:?}");
        assert!(process.log().concat().contains(said), "{:#?}", process.log());
    }
}

#[test]
fn tail_prints_lines_as_they_are() {
    let bench = Bench::new(all_at_once(1_000));
    assert_eq!(bench.tail(&["--count", "25", "--from", "earliest"]), bench.lines(0..25));
    let offset = bench.mock.log().offset(99);
    assert_eq!(bench.tail(&["-n", "25", "--from", &offset]), bench.lines(100..125), "after the offset");
    assert_eq!(bench.tail(&["s", "--count", "3"]), bench.lines(0..3), "as configured: earliest");
}

#[test]
fn tail_goes_on_after_a_cut() {
    let cut = airship::Armed::after(300, Fault::CutMidLine {}).times(2);
    let bench = Bench::new(airship::Config { faults: vec![cut], ..all_at_once(1_000) });
    assert_eq!(bench.tail(&["--count", "1000", "--from", "earliest"]), bench.lines(0..1_000));
    assert_eq!(bench.mock.stats().faults["cut_mid_line"], 2);
}

#[test]
fn tail_from_latest_waits_for_what_comes() {
    let bench = Bench::new(held(1_000, 600));
    let mut process = bench.run(&["tail", "--count", "5", "--from", "latest"]);
    process.wait_for_log("connected", GENEROUS);
    bench.mock.release(1_000);
    assert_eq!(process.wait_exit(GENEROUS).code(), Some(0));
    let printed: Vec<_> = process.log().into_iter().filter(|line| line.contains("\"offset\"")).collect();
    assert_eq!(printed, bench.lines(600..605));
}

#[test]
fn tail_prints_pretty_json_too() {
    let bench = Bench::new(all_at_once(10));
    let lines = bench.tail(&["--count", "2", "--from", "earliest", "--pretty"]);
    assert!(lines.len() > 20, "indented: {lines:#?}");
    let text = lines.join("\n");
    let printed: Vec<Value> =
        serde_json::Deserializer::from_str(&text).into_iter().collect::<Result<_, _>>().expect("JSON");
    let sent: Vec<Value> = bench.lines(0..2).iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(printed, sent);
}

#[test]
fn tail_wants_a_stream_that_is_there() {
    let bench = Bench::new(all_at_once(10));
    let mut process = bench.run(&["tail", "other"]);
    assert_eq!(process.wait_exit(GENEROUS).code(), Some(1));
    assert!(process.log().iter().any(|line| line.contains("no stream is called other; there are: s")));
}

#[test]
fn tail_ends_at_what_the_service_refuses_for_good() {
    let bench = Bench::new(all_at_once(10));
    for (offset, code, said) in [
        ("garbage", 1, "the stream cannot be read after the offset \"garbage\": 400"),
        ("", 1, "--from \"\": expected earliest, latest or an offset"),
    ] {
        let mut process = bench.run(&["tail", "--from", offset]);
        assert_eq!(process.wait_exit(GENEROUS).code(), Some(code), "{offset:?}");
        assert!(process.log().concat().contains(said), "{offset:?}: {:#?}", process.log());
    }
    let seen = bench.mock.stats().requests.len();
    assert!(seen >= 1, "the service was asked: {seen}");
}

#[test]
fn a_log_filter_that_means_nothing_is_refused() {
    let bench = Bench::new(all_at_once(10));
    let file = bench.file.to_str().unwrap();
    for command in [&["run", "--config", file][..], &["tail", "--config", file], &["demo", "--for", "1s"]] {
        let mut process = process::subcommand(command, &[("TRIBUTARY_LOG", "verbose")]);
        assert_eq!(process.wait_exit(GENEROUS).code(), Some(3), "{command:?}");
        let log = process.log().join("\n");
        assert!(
            log.starts_with("TRIBUTARY_LOG: \"verbose\" is no log filter; expected a level"),
            "{command:?}: {log}"
        );
    }
}

#[test]
fn config_prints_what_is_in_effect() {
    let bench = Bench::new(all_at_once(10));
    let mut process = bench.run(&["config", "--set", "commit.interval=250ms"]);
    assert_eq!(process.wait_exit(GENEROUS).code(), Some(0));
    let log = process.log();
    let (warnings, text): (Vec<_>, Vec<_>) = log.into_iter().partition(|line| line.starts_with("warning:"));
    assert_eq!(warnings.len(), 1, "the secret in the file: {warnings:?}");
    let table: toml::Table = text.join("\n").parse().expect("TOML");
    assert_eq!(table["commit"]["interval"].as_str(), Some("250ms"), "the flag");
    assert_eq!(table["stream"][0]["name"].as_str(), Some("s"), "the file");
    assert_eq!(table["shutdown"]["timeout"].as_str(), Some("20s"), "the default");
    assert!(text.iter().any(|line| line.contains("<hidden>")), "{text:#?}");
}

#[test]
fn config_prints_the_schema_without_a_file() {
    let mut process = process::subcommand(&["config", "schema"], &[]);
    assert_eq!(process.wait_exit(GENEROUS).code(), Some(0));
    let schema: Value = serde_json::from_str(&process.log().join("\n")).expect("JSON");
    for key in ["kafka", "state", "commit", "dedupe", "admin", "stream"] {
        assert!(schema["properties"].get(key).is_some(), "{key}");
    }
}

#[test]
fn every_error_of_a_configuration_is_printed() {
    let config = r#"
        delivery = "at_most_once"
        nonsense = 1
        kafka = { bootstrap_servers = "", transaction_timeout = "soon" }
        [[stream]]
        name = "s"
        kind = "airship"
        url = "http://example.com/api/events/"
        auth = { bearer = { env = "A", file = "b" } }
    "#;
    let mut process = process::tributary(config, &[("TRIBUTARY_COMMIT__MAX_EVENTS", "many")]);
    assert_eq!(process.wait_exit(GENEROUS).code(), Some(3));
    let log = process.log().join("\n");
    for path in [
        "delivery",
        "nonsense",
        "kafka.bootstrap_servers",
        "kafka.transaction_timeout",
        "stream[0].url",
        "stream[0].app_key",
        "stream[0].auth.bearer",
        "commit.max_events",
    ] {
        assert!(log.lines().any(|line| line.starts_with(path)), "{path} is missing in\n{log}");
    }
    assert!(log.contains("TRIBUTARY_COMMIT__MAX_EVENTS"), "where it came from:\n{log}");
}

#[test]
fn run_without_a_configuration_says_what_is_missing() {
    for command in ["run", "config"] {
        let mut process = process::subcommand(&[command], &[]);
        assert_eq!(process.wait_exit(GENEROUS).code(), Some(3));
        let log = process.log();
        assert!(log.iter().any(|line| line.starts_with("kafka.bootstrap_servers: ")), "{log:#?}");
        assert!(log.iter().any(|line| line.starts_with("stream: ")), "{log:#?}");
        let last = log.last().expect("what is wrong");
        assert_eq!(last, "no configuration file was read: name one with --config FILE or TRIBUTARY_CONFIG");
    }
    let mut process = process::subcommand(&["run", "--config", "absent.toml"], &[]);
    assert_eq!(process.wait_exit(GENEROUS).code(), Some(3));
    let log = process.log().join("\n");
    assert!(log.contains("absent.toml") && !log.contains("no configuration file was read"), "{log}");
}

#[test]
fn a_wrong_command_line_is_a_usage_error() {
    let mut process = process::subcommand(&["run", "--no-such-flag"], &[]);
    assert_eq!(process.wait_exit(GENEROUS).code(), Some(2));
}
