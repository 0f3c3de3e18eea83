//! The connector in a process of its own, and what it says of itself.

use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;
use tokio::time::Instant;

use crate::broker::free_port;
use crate::proc::Killed;

/// The connector's binary, which is the mock's too.
pub(crate) const TRIBUTARY: &str = env!("CARGO_BIN_EXE_tributary");

/// Without a new commit for so long the round has failed.
const STALLED: Duration = Duration::from_secs(60);

/// A running connector and its configuration.
pub(crate) struct Connector {
    pub(crate) process: Killed,
    admin: String,
    dir: TempDir,
}

/// Starts the real binary, with these arguments behind its own. `configuration` is told where to listen with the metrics.
pub(crate) fn start(configuration: impl FnOnce(&str) -> String, arguments: &[&str]) -> Connector {
    let admin = format!("127.0.0.1:{}", free_port());
    let dir = tempfile::tempdir().expect("a directory");
    let file: PathBuf = dir.path().join("tributary.toml");
    std::fs::write(&file, configuration(&admin)).expect("a file");
    let process = Killed::spawn(
        Command::new(TRIBUTARY)
            .arg("run")
            .arg("--config")
            .arg(&file)
            .args(arguments)
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(dir.path().join("log")).expect("a file")),
    );
    Connector { process, admin, dir }
}

impl Connector {
    /// Where its metrics are.
    pub(crate) fn admin(&self) -> &str {
        &self.admin
    }

    /// Asks every `pause` until `delivered` is as `holds` wants it.
    pub(crate) fn wait_for(&self, pause: Duration, holds: impl Fn(u64) -> bool) -> (Instant, u64) {
        let (mut last, mut since) = (0, Instant::now());
        loop {
            let now = Instant::now();
            let delivered =
                self.metrics().ok().and_then(|page| sum(&page, "tributary_events_delivered_total"));
            let delivered = delivered.unwrap_or_default() as u64;
            if holds(delivered) {
                return (now, delivered);
            }
            if delivered > last {
                (last, since) = (delivered, now);
            }
            if since.elapsed() > STALLED {
                panic!("stalled at {delivered} events; its log:\n{}", log(self.dir.path()));
            }
            std::thread::sleep(pause);
        }
    }

    pub(crate) fn metrics(&self) -> io::Result<String> {
        get(&self.admin, "/metrics")
    }
}

/// Gets a page by HTTP/1.0, so that the body ends with the connection.
pub(crate) fn get(address: &str, path: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.write_all(format!("GET {path} HTTP/1.0\r\nhost: {address}\r\n\r\n").as_bytes())?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    Ok(text)
}

/// The sum of all samples of that name; `None` without any.
pub(crate) fn sum(page: &str, name: &str) -> Option<f64> {
    let is_meant = |line: &&str| line.strip_prefix(name).is_some_and(|rest| rest.starts_with('{'));
    let values = page.lines().filter(is_meant).filter_map(|line| line.rsplit_once(' ')?.1.parse().ok());
    values.fold(None, |sum: Option<f64>, value: f64| Some(sum.unwrap_or_default() + value))
}

/// The value in the middle.
pub(crate) fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn log(dir: &Path) -> String {
    std::fs::read_to_string(dir.join("log")).unwrap_or_default()
}
