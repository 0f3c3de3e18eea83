//! `process` sees, signals and measures what it runs.

use crate::harness::broker::free_port;
use crate::harness::process::{self, Process};
use crate::harness::wait::{self, GENEROUS};
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::process::ExitStatusExt as _;
use std::process::Command;
use std::thread;
use std::time::Duration;

fn shell(script: &str) -> Process {
    process::spawn(Command::new("sh").args(["-c", script]), None)
}

#[test]
fn the_binary_runs() {
    let mut version = process::subcommand(&["--version"], &[]);
    assert!(version.wait_exit(GENEROUS).success(), "{:?}", version.log());
    assert!(version.dir().exists());
    // What it makes of this configuration is for other tests; that it reads it and ends, for this one.
    let mut run = process::tributary("nonsense = 1\n", &[("TRIBUTARY_NONSENSE", "2")]);
    assert!(run.dir().join("tributary.toml").exists());
    run.wait_exit(GENEROUS);
}

#[test]
fn a_line_of_either_stream_is_found() {
    let mut process = shell("echo to stdout; echo to stderr >&2; exit 3");
    assert_eq!(process.wait_for_log("stderr", GENEROUS), "to stderr");
    assert_eq!(process.wait_for_log("stdout", GENEROUS), "to stdout");
    assert_eq!(process.wait_exit(GENEROUS).code(), Some(3));
    assert_eq!(process.log().len(), 2);
}

#[test]
#[should_panic(expected = "the output ended before \"no such line\"")]
fn a_line_that_cannot_come_is_not_waited_for() {
    shell("true").wait_for_log("no such line", GENEROUS);
}

#[test]
fn signals_arrive() {
    let mut process =
        shell("trap 'echo asked; exit 5' TERM; echo up; while :; do read -r _ </dev/zero; done");
    process.wait_for_log("up", GENEROUS);
    process.sigstop();
    wait::wait_until(GENEROUS, "the process to stand still", || state(&process) == "T");
    process.sigcont();
    wait::wait_until(GENEROUS, "the process to go on", || state(&process) != "T");
    assert_eq!(process.exited(), None);

    let mut hard = shell("trap '' TERM; echo up; while :; do :; done");
    hard.wait_for_log("up", GENEROUS);
    assert_eq!(hard.kill9().signal(), Some(9));
    assert_eq!(hard.exited().and_then(|status| status.signal()), Some(9));
}

#[test]
fn sigterm_lets_the_process_end_by_itself() {
    let mut process = shell("trap 'echo asked; exit 5' TERM; echo up; while :; do :; done");
    process.wait_for_log("up", GENEROUS);
    process.sigterm();
    process.wait_for_log("asked", GENEROUS);
    assert_eq!(process.wait_exit(GENEROUS).code(), Some(5));
}

#[test]
fn a_process_ends_with_its_handle() {
    let process = shell("echo up; exec sleep 1000");
    process.wait_for_log("up", GENEROUS);
    let pid = process.pid();
    drop(process);
    assert!(!fs::exists(format!("/proc/{pid}")).unwrap());
}

#[test]
fn memory_and_cpu_time_are_measured() {
    let process = shell("echo up; while :; do :; done");
    process.wait_for_log("up", GENEROUS);
    wait::wait_until(GENEROUS, "CPU time to be used", || process.cpu_time() > Duration::from_millis(50));
    assert!(process.rss_bytes() > 100_000, "{}", process.rss_bytes());
    assert!(process.peak_rss_bytes() >= process.rss_bytes());
}

#[test]
fn metrics_are_read_from_the_admin_address() {
    let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let listener = TcpListener::bind(address).unwrap();
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = [0; 1024];
        let count = stream.read(&mut request).unwrap();
        assert!(request[..count].starts_with(b"GET /metrics HTTP/1.0\r\n"));
        let page = "# TYPE x counter\nx_total{stream=\"a b\",shard=\"0\"} 3 1.5\nx_total{stream=\"c\"} 4 # {id=\"1\"} 9\n\
                    lag_seconds 0.25\n# EOF\n";
        write!(stream, "HTTP/1.0 200 OK\r\ncontent-type: text/plain\r\n\r\n{page}").unwrap();
    });
    let process = process::spawn(Command::new("sh").args(["-c", "exec sleep 1000"]), Some(address));
    let metrics = process.metrics();
    assert_eq!(metrics.get("lag_seconds"), Some(0.25));
    assert_eq!(metrics.get("x_total{stream=\"c\"}"), Some(4.0));
    assert_eq!(metrics.sum("x_total", &[]), 7.0);
    assert_eq!(metrics.sum("x_total", &["stream=\"a b\"", "shard=\"0\""]), 3.0);
    assert_eq!(metrics.sum("x", &[]), 0.0);
}

/// One letter, as in `ps`.
fn state(process: &Process) -> String {
    let stat = fs::read_to_string(format!("/proc/{}/stat", process.pid())).unwrap();
    stat.rsplit_once(") ").unwrap().1[..1].to_owned()
}

#[test]
#[should_panic(expected = "no answer from 127.0.0.1:1/ready")]
fn an_ended_process_is_not_asked() {
    process::spawn(&mut Command::new("true"), Some(SocketAddr::from(([127, 0, 0, 1], 1)))).get("/ready");
}
