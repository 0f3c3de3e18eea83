//! Airship's official clients, unchanged, against the mock: what they accept is what the mock must be.
//!
//! They are installed below `target/official_clients/` from PyPI and npm, once. Where that cannot be done these tests
//! fail, unless `TRIBUTARY_TEST_SKIP_CLIENTS=1` says that it is known.

use crate::harness::process;
use crate::harness::wait::GENEROUS;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use tokio::runtime::Runtime;
use tributary_mock::airship::{Config, Pin};

/// Says that the clients cannot be installed here.
const SKIP: &str = "TRIBUTARY_TEST_SKIP_CLIENTS";

const EVENTS: u64 = 2_000;

#[test]
fn python() {
    let dir = dir("python");
    let python = dir.join("bin/python");
    let install = |dir: &Path| {
        run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(dir))?;
        run(Command::new(&python).args(["-m", "pip", "install", "--quiet", "uaconnect==1.0.2"]))
    };
    if is_installed(&dir, install) {
        reads_everything(|| {
            let mut command = Command::new(&python);
            command.arg(script("read.py"));
            command
        });
    }
}

#[test]
fn node() {
    let dir = dir("node");
    let package = ["install", "--no-audit", "--no-fund", "urban-airship-connect@2.0.4", "--prefix"];
    if is_installed(&dir, |dir| run(Command::new("npm").args(package).arg(dir))) {
        reads_everything(|| {
            let mut command = Command::new("node");
            command.env("NODE_PATH", dir.join("node_modules")).arg(script("read.js"));
            command
        });
    }
}

/// The client gets every event of the mock once and in order, without and with a redirect that sets a cookie.
#[track_caller]
fn reads_everything(client: impl Fn() -> Command) {
    for (pin, member_events) in [(Pin::Off, 0), (Pin::Location, 50)] {
        let airship = Config { events: EVENTS, pin, member_events, ..Config::default() };
        let runtime = Runtime::new().unwrap();
        let mock = runtime.block_on(tributary_mock::start(tributary_mock::Config::local(airship))).unwrap();
        let mut process = process::spawn(client().args([mock.url(), EVENTS.to_string()]), None);
        let status = process.wait_exit(GENEROUS * 2);
        let log = process.log();
        assert_eq!(status.code(), Some(0), "{pin:?}: {log:#?}");
        let said: Value = serde_json::from_str(log.last().expect("a line")).expect("JSON");
        assert_eq!((said["events"].as_u64(), said["ids"].as_u64()), (Some(EVENTS), Some(EVENTS)), "{said}");
        assert_eq!(said["offsets_rise"], true, "{said}");
        assert_eq!(said["ids_sha256"].as_str(), Some(ids_sha256(&mock).as_str()), "{said}");
        println!("{said}");
    }
}

fn ids_sha256(mock: &tributary_mock::Handle) -> String {
    let mut digest = Sha256::new();
    for line in mock.log().expected(0..EVENTS) {
        digest.update(line.id.as_bytes());
        digest.update(b"\n");
    }
    digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn dir(client: &str) -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("target/tmp has a parent");
    target.join("official_clients").join(client)
}

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/official_clients").join(name)
}

/// Installs it unless that was done before. False only where [`SKIP`] is set.
#[track_caller]
fn is_installed(dir: &Path, install: impl Fn(&Path) -> Result<(), String>) -> bool {
    let mark = dir.join("installed");
    if mark.exists() {
        return true;
    }
    let done = fs::create_dir_all(dir).map_err(|error| error.to_string()).and_then(|()| install(dir));
    match done {
        Ok(()) => fs::write(mark, "").expect("a mark"),
        Err(why) if std::env::var_os(SKIP).is_some_and(|value| value == "1") => {
            eprintln!("NOT TESTED, since {SKIP}=1: {why}");
            return false;
        }
        Err(why) => panic!(
            "the official client cannot be installed: it takes Python 3 with venv and pip, Node with npm, and their \
             package indexes. Where that cannot be, set {SKIP}=1 to leave this out. {why}"
        ),
    }
    true
}

/// Runs an installer to its end.
fn run(command: &mut Command) -> Result<(), String> {
    let output = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    match output.status.success() {
        true => Ok(()),
        false => Err(format!("{command:?}: {}: {}", output.status, String::from_utf8_lossy(&output.stderr))),
    }
}
