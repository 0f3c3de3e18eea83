//! Nobody reads, or the disk is full: no command panics, and events go on while the log cannot be written.

use crate::harness::airship::scenes::{Expected, Setup, held, lively};
use crate::harness::broker::{broker, free_port};
use crate::harness::http;
use crate::harness::process::{self, Outputs, Process};
use crate::harness::reader::{self, Isolation};
use crate::harness::wait::{self, GENEROUS};
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::pty::{self, PtyMaster};
use std::fs::{self, File};
use std::io::{self, PipeReader, PipeWriter, Read as _, Write as _};
use std::net::SocketAddr;
use std::os::fd::AsFd as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tributary_mock::Handle;
use tributary_mock::airship::{Config, Fault};

const EVENTS: u64 = 3_000;

/// A disk without room.
fn full() -> Stdio {
    File::options().write(true).open("/dev/full").expect("Linux has it").into()
}

/// A pipe whose reader has gone.
fn closed() -> Stdio {
    io::pipe().expect("a pipe").1.into()
}

/// A pipe that nobody reads and that refuses whatever is written, with what is in it.
fn refusing() -> (PipeReader, PipeWriter, usize) {
    let (reader, writer) = io::pipe().expect("a pipe");
    set_flags(&writer, OFlag::O_NONBLOCK);
    let mut held = 0;
    while let Ok(count) = (&writer).write(&[b'-'; 4096]) {
        held += count;
    }
    (reader, writer, held)
}

/// The same, which has whoever writes wait.
fn blocked() -> (PipeReader, PipeWriter, usize) {
    let (reader, writer, held) = refusing();
    set_flags(&writer, OFlag::empty());
    (reader, writer, held)
}

fn set_flags(writer: &PipeWriter, flags: OFlag) {
    fcntl(writer, FcntlArg::F_SETFL(flags)).expect("a pipe of ours");
}

/// A terminal: what a person sees, and what a process writes to. No process that is started meanwhile inherits the former,
/// or the terminal would never go away.
fn terminal() -> (PtyMaster, Stdio) {
    let master = pty::posix_openpt(OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC).expect("a terminal");
    pty::grantpt(&master).expect("a terminal of ours");
    pty::unlockpt(&master).expect("a terminal of ours");
    let name = pty::ptsname_r(&master).expect("a name");
    let flags = OFlag::O_NOCTTY.bits();
    let slave = File::options().read(true).write(true).custom_flags(flags).open(name).expect("a terminal");
    (master, slave.into())
}

/// A connector whose standard error goes somewhere.
struct Blind {
    mock: Handle,
    process: Process,
    topic: String,
    _runtime: Runtime,
}

impl Blind {
    #[track_caller]
    fn start(name: &str, airship: Config, stderr: Stdio) -> Self {
        let runtime = Runtime::new().expect("a runtime");
        let mock = runtime
            .block_on(tributary_mock::start(tributary_mock::Config::local(airship.clone())))
            .expect("a mock");
        let setup = Setup::new(name, airship);
        let config = setup.configuration(broker(), &mock.url());
        let outputs = Outputs { stderr: Some(stderr), ..Outputs::default() };
        let process = process::tributary_to(&config, &[("TRIBUTARY_LOG", "debug")], outputs);
        Self { mock, process, topic: format!("{}.events", setup.prefix()), _runtime: runtime }
    }

    #[track_caller]
    fn wait_delivered(&self, events: u64) {
        wait::wait_until(GENEROUS, format_args!("{events} events"), || {
            self.process.metrics().sum("tributary_events_delivered_total", &[]) >= events as f64
        });
    }

    /// Everything arrives although log lines are lost, and the process stops in order.
    #[track_caller]
    fn finish(mut self) {
        let expected = Expected::all(self.mock.log());
        self.wait_delivered(expected.len());
        let dropped = self.process.metrics().sum("tributary_log_lines_dropped_total", &[]);
        assert!(dropped >= 1.0, "{dropped} lines were dropped");
        self.process.sigterm();
        assert_eq!(self.process.wait_exit(GENEROUS).code(), Some(0));
        expected.check(&reader::read_all(broker(), &self.topic, Isolation::Committed));
    }
}

#[test]
fn events_go_on_while_the_log_is_on_a_full_disk() {
    Blind::start("log-full", lively(EVENTS), full()).finish();
}

#[test]
fn events_go_on_without_a_reader_of_the_log() {
    Blind::start("log-closed", lively(EVENTS), closed()).finish();
}

#[test]
fn events_go_on_when_the_terminal_goes_away() {
    let (mut terminal, stderr) = terminal();
    let blind = Blind::start("log-terminal", held(EVENTS, 1_000), stderr);
    blind.wait_delivered(800);
    let mut text = String::new();
    while !text.contains(" total  lag ") {
        let mut bytes = [0; 4096];
        let count = terminal.read(&mut bytes).expect("the status line");
        text.push_str(&String::from_utf8_lossy(&bytes[..count]));
    }
    // Nobody drains it from here on, so it goes at once.
    drop(terminal);
    // A reconnect is logged.
    blind.mock.disconnect(Fault::Eof {});
    blind.mock.release(EVENTS);
    blind.finish();
}

#[test]
fn events_go_on_while_nobody_reads_the_log_and_the_process_stops() {
    let (mut reader, writer, held) = blocked();
    let mut blind = Blind::start("log-blocked", lively(EVENTS), writer.into());
    let expected = Expected::all(blind.mock.log());
    blind.wait_delivered(expected.len());
    blind.process.sigterm();
    assert_eq!(blind.process.wait_exit(GENEROUS).code(), Some(0));
    let mut seen = Vec::new();
    reader.read_to_end(&mut seen).expect("a pipe");
    assert_eq!(seen.len(), held, "it took no line at all");
    expected.check(&reader::read_all(broker(), &blind.topic, Isolation::Committed));
}

#[test]
fn the_log_comes_out_when_it_is_read_again_the_last_line_too() {
    let (mut reader, writer, held) = blocked();
    let mut blind = Blind::start("log-late", lively(EVENTS), writer.into());
    blind.wait_delivered(Expected::all(blind.mock.log()).len());
    // Logged behind all that waits, so that nothing waits any more once it was read.
    let breaks = || blind.process.metrics().sum("tributary_reconnects_total", &[]) as usize;
    let before = breaks();
    blind.mock.disconnect(Fault::Eof {});
    wait::wait_until(GENEROUS, "the connection to break", || breaks() > before);
    let seen = Arc::new(Mutex::new(Vec::new()));
    let text = Arc::clone(&seen);
    let read = std::thread::spawn(move || {
        let mut bytes = [0; 4096];
        loop {
            match reader.read(&mut bytes).expect("a pipe") {
                0 => break,
                count => text.lock().expect("a lock of ours").extend_from_slice(&bytes[..count]),
            }
        }
    });
    let log = || String::from_utf8_lossy(&seen.lock().expect("a lock of ours")[..]).into_owned();
    wait::wait_until(GENEROUS, "the log to be read up to there", || {
        log().matches("\"disconnected\"").count() > before
    });
    blind.process.sigterm();
    assert_eq!(blind.process.wait_exit(GENEROUS).code(), Some(0));
    read.join().expect("a thread of ours");
    let log = log()[held..].to_owned();
    let lines: Vec<&str> = log.lines().collect();
    assert!(lines[0].contains("the secret is written into the configuration"), "{}", lines[0]);
    assert!(log.contains("stopping in order"), "{log}");
    assert!(lines[lines.len() - 1].contains("\"ended\":\"Stopped\""), "{:?}", lines.last());
}

#[test]
fn the_log_tells_what_is_missing_whatever_the_filter() {
    let (mut reader, writer, held) = refusing();
    // Without Kafka there is an error every few seconds, and nothing else.
    let config = Bench::new().config.replace(broker().bootstrap(), &format!("127.0.0.1:{}", free_port()));
    let outputs = Outputs { stderr: Some(writer.into()), ..Outputs::default() };
    let process = process::tributary_to(&config, &[("TRIBUTARY_LOG", "error")], outputs);
    wait::wait_until(GENEROUS, "a line to be dropped", || {
        process.metrics().sum("tributary_log_lines_dropped_total", &[]) >= 1.0
    });
    let mut seen = Vec::new();
    let missing = loop {
        let mut bytes = [0; 4096];
        let count = reader.read(&mut bytes).expect("a pipe");
        assert!(count > 0, "the process ended: {}", String::from_utf8_lossy(&seen));
        seen.extend_from_slice(&bytes[..count]);
        let log = String::from_utf8_lossy(seen.get(held..).unwrap_or_default()).into_owned();
        let whole = log.rsplit_once('\n').map(|(whole, _)| whole.to_owned()).unwrap_or_default();
        let mut lines = whole.lines().filter(|line| !line.is_empty());
        if let Some(line) = lines.find(|line| line.contains("log lines are missing before this one")) {
            break serde_json::from_str::<serde_json::Value>(line).expect("a line of JSON");
        }
        // The second line of the log would come behind it.
        assert!(log.matches("cannot prepare the topics").count() < 2, "{log}");
    };
    assert_eq!(missing["level"], "WARN");
    assert!(missing["lines"].as_u64() >= Some(1), "{missing}");
}

/// The lines of a process's log that tell of a panic at this failpoint.
fn panics(process: &Process, point: &str) -> Vec<serde_json::Value> {
    let lines = process.log();
    let lines = lines.iter().map(|line| serde_json::from_str(line).expect("a line of JSON"));
    lines
        .filter(|line: &serde_json::Value| line["message"].as_str().is_some_and(|said| said.contains(point)))
        .collect()
}

#[test]
fn a_panic_is_told_whatever_the_filter_and_the_shard_goes_on() {
    let env = [("TRIBUTARY_LOG", "off"), ("TRIBUTARY_FAILPOINTS", "mid_batch=1:panic")];
    let bench = Bench::new();
    let mut process = process::tributary(&bench.config, &env);
    process.wait_for_log("failpoint mid_batch", GENEROUS);
    wait::wait_until(GENEROUS, "all events", || {
        let delivered = process.metrics().sum("tributary_events_delivered_total", &[]);
        delivered >= Expected::all(bench.mock.log()).len() as f64
    });
    process.sigterm();
    assert_eq!(process.wait_exit(GENEROUS).code(), Some(0));
    let found = panics(&process, "failpoint mid_batch");
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!((&found[0]["level"], &found[0]["thread"]), (&"ERROR".into(), &"shard-s/0".into()));
}

#[test]
fn a_panic_that_ends_the_process_is_told_before() {
    let env = [("TRIBUTARY_LOG", "off"), ("TRIBUTARY_FAILPOINTS", "run=1:panic")];
    let mut process = process::tributary(&Bench::new().config, &env);
    assert_eq!(process.wait_exit(GENEROUS).code(), Some(101));
    let found = panics(&process, "failpoint run");
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!((&found[0]["level"], &found[0]["thread"]), (&"ERROR".into(), &"main".into()));
}

#[test]
fn a_reader_of_events_that_stands_still_does_not_hold_the_process_up() {
    let bench = Bench::new();
    let (mut reader, writer) = io::pipe().expect("a pipe");
    let stdout = writer.try_clone().expect("a pipe of ours");
    let outputs = Outputs { stdout: Some(stdout.into()), ..Outputs::default() };
    let mut tail =
        process::subcommand_to(&["tail", "--config", &bench.file, "--from", "earliest"], &[], outputs);
    wait::wait_until(GENEROUS, "the pipe to be full", || {
        poll(&mut [PollFd::new(writer.as_fd(), PollFlags::POLLOUT)], PollTimeout::ZERO).expect("a pipe") == 0
    });
    drop(writer);
    tail.sigterm();
    assert_eq!(tail.wait_exit(GENEROUS).code(), Some(0));
    let mut printed = Vec::new();
    reader.read_to_end(&mut printed).expect("a pipe");
    let all: usize = bench.mock.log().expected(0..EVENTS).map(|line| line.line.len() + 1).sum();
    assert!(printed.len() < all, "it had more to say: {} of {all} bytes", printed.len());
}

/// A service and a configuration file for it.
struct Bench {
    mock: Handle,
    config: String,
    file: String,
    _dir: TempDir,
    _runtime: Runtime,
}

impl Bench {
    fn new() -> Self {
        let runtime = Runtime::new().unwrap();
        let airship = lively(EVENTS);
        let mock =
            runtime.block_on(tributary_mock::start(tributary_mock::Config::local(airship.clone()))).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("tributary.toml");
        let config = Setup::new("output", airship).configuration(broker(), &mock.url());
        fs::write(&file, &config).unwrap();
        Self { mock, config, file: file.to_str().unwrap().to_owned(), _dir: dir, _runtime: runtime }
    }
}

/// The exit code, and what was said where that can be read.
#[track_caller]
fn end(arguments: &[&str], outputs: Outputs) -> (Option<i32>, String) {
    let mut process = process::subcommand_to(arguments, &[], outputs);
    let status = process.wait_exit(GENEROUS);
    let log = process.log().join("\n");
    assert!(!log.contains("panicked"), "{arguments:?}: {log}");
    (status.code(), log)
}

#[test]
fn a_command_whose_output_is_lost_says_so_and_one_whose_reader_left_ends_quietly() {
    let bench = Bench::new();
    let commands: [&[&str]; 8] = [
        &["--help"],
        &["--version"],
        &["run", "--help"],
        &["config", "schema"],
        &["config", "--config", &bench.file],
        &["tail", "--config", &bench.file, "--from", "earliest", "--count", "500"],
        &["tail", "--config", &bench.file, "--from", "earliest", "--pretty"],
        &["demo", "--for", "1s", "--no-faults", "--service", "airship"],
    ];
    for command in commands {
        let (code, log) = end(command, Outputs { stdout: Some(full()), ..Outputs::default() });
        assert_eq!(code, Some(1), "{command:?}: {log}");
        assert!(
            log.contains("cannot write to standard output: No space left on device"),
            "{command:?}: {log}"
        );
        let (code, log) = end(command, Outputs { stdout: Some(closed()), ..Outputs::default() });
        assert_eq!(code, Some(0), "{command:?}: {log}");
        assert!(!log.contains("standard output"), "{command:?}: {log}");
    }
}

#[test]
fn a_command_whose_work_is_another_does_it() {
    let bench = Bench::new();
    let url = format!("{}/_mock/stats", bench.mock.url());
    for stdout in [full, closed] {
        let probe = end(&["probe", &url], Outputs { stdout: Some(stdout()), ..Outputs::default() });
        assert_eq!(probe.0, Some(0), "{probe:?}");
        let idle =
            end(&["probe", "--if-configured"], Outputs { stdout: Some(stdout()), ..Outputs::default() });
        assert_eq!(idle.0, Some(0), "{idle:?}");
        let address: SocketAddr = format!("127.0.0.1:{}", free_port()).parse().unwrap();
        let outputs = Outputs { stdout: Some(stdout()), ..Outputs::default() };
        let mut mock = process::subcommand_to(&["mock", "--listen", &address.to_string()], &[], outputs);
        let serves = || http::get(address, "/_mock/stats").is_ok_and(|answer| answer.status == 200);
        wait::wait_until(GENEROUS, "the mock", || {
            assert_eq!(mock.exited(), None, "{:?}", mock.log());
            serves()
        });
    }
}

#[test]
fn what_standard_error_does_not_take_changes_no_exit_code() {
    let bench = Bench::new();
    let commands: [(&[&str], i32); 6] = [
        (&["run", "--no-such-flag"], 2),
        (&["run"], 3),
        (&["config"], 3),
        // It warns of a secret in the file.
        (&["config", "--config", &bench.file], 0),
        (&["tail", "--config", &bench.file, "--count", "5"], 0),
        (&["tail", "other", "--config", &bench.file], 1),
    ];
    for (command, expected) in commands {
        for stderr in [full, closed] {
            let (code, log) = end(command, Outputs { stderr: Some(stderr()), ..Outputs::default() });
            assert_eq!(code, Some(expected), "{command:?}: {log}");
        }
    }
}
