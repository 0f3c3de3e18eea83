//! Runs the real `tributary` binary (or any command): its log, its signals, its use of the machine, its metrics.
//!
//! Output is read by threads as it comes, so that a full pipe never stops the process. The process dies with its
//! [`Process`], and with the test process if that is killed.

mod log;
mod metrics;
mod usage;

pub(crate) use metrics::Metrics;

use crate::harness::http::{self, Answer};
use crate::harness::wait;
use crate::harness::watchdog::Watchdog;
use log::Log;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs;
use std::net::SocketAddr;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;
use tempfile::TempDir;

/// For the threads that read the output to reach its end, once the process has ended.
const LAST_WORDS: Duration = Duration::from_secs(10);

/// A running process, or one that has ended.
pub(crate) struct Process {
    child: Child,
    log: Log,
    admin: Option<SocketAddr>,
    /// Configuration file and working directory; none for [`spawn`].
    dir: Option<TempDir>,
    _watchdog: Watchdog,
}

/// Starts `tributary run --config FILE` with that text in the file. `env` comes on top of this process's environment
/// less its `TRIBUTARY_*` variables. For [`Process::metrics`] the text needs an `admin.listen` with a port:
/// [`crate::harness::broker::free_port`] gives one.
#[track_caller]
pub(crate) fn tributary(config: &str, env: &[(&str, &str)]) -> Process {
    tributary_with(config, &[], env)
}

/// The same with more arguments behind the others.
#[track_caller]
pub(crate) fn tributary_with(config: &str, arguments: &[&str], env: &[(&str, &str)]) -> Process {
    configured(config, arguments, env, Outputs::default())
}

#[track_caller]
fn configured(config: &str, arguments: &[&str], env: &[(&str, &str)], outputs: Outputs) -> Process {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("tributary.toml");
    fs::write(&file, config).expect("the configuration is written");
    let table: toml::Table = config.parse().expect("the configuration is TOML");
    let admin = table.get("admin").and_then(|admin| admin.get("listen")?.as_str());
    let mut command = binary(dir.path(), env);
    let mut process = start(command.args(["run", "--config"]).arg(file).args(arguments), outputs);
    process.admin = admin.map(|address| address.parse().expect("admin.listen is ip:port"));
    process.dir = Some(dir);
    process
}

/// Starts `tributary` with these arguments, in an empty directory.
#[track_caller]
pub(crate) fn subcommand(arguments: &[&str], env: &[(&str, &str)]) -> Process {
    subcommand_to(arguments, env, Outputs::default())
}

/// Where a process writes. What is not given is read into its log.
#[derive(Default)]
pub(crate) struct Outputs {
    pub(crate) stdout: Option<Stdio>,
    pub(crate) stderr: Option<Stdio>,
}

/// The same as [`tributary`], writing elsewhere.
#[track_caller]
pub(crate) fn tributary_to(config: &str, env: &[(&str, &str)], outputs: Outputs) -> Process {
    configured(config, &[], env, outputs)
}

/// The same as [`subcommand`], writing elsewhere.
#[track_caller]
pub(crate) fn subcommand_to(arguments: &[&str], env: &[(&str, &str)], outputs: Outputs) -> Process {
    let dir = tempfile::tempdir().expect("a directory");
    let mut process = start(binary(dir.path(), env).args(arguments), outputs);
    process.dir = Some(dir);
    process
}

/// Starts any command; `admin` is where it serves `/metrics`.
#[track_caller]
pub(crate) fn spawn(command: &mut Command, admin: Option<SocketAddr>) -> Process {
    let mut process = start(command, Outputs::default());
    process.admin = admin;
    process
}

fn binary(dir: &Path, env: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tributary"));
    // Those of the developer's shell, TRIBUTARY_TEST_KAFKA above all, would be read as configuration.
    for (key, _) in std::env::vars_os() {
        if key.to_string_lossy().starts_with("TRIBUTARY_") {
            command.env_remove(key);
        }
    }
    command.current_dir(dir).envs(env.iter().copied());
    command
}

#[track_caller]
fn start(command: &mut Command, outputs: Outputs) -> Process {
    let Outputs { stdout, stderr } = outputs;
    let (stdout, stderr) = (stdout.unwrap_or_else(Stdio::piped), stderr.unwrap_or_else(Stdio::piped));
    let command = command.stdin(Stdio::null()).stdout(stdout).stderr(stderr).process_group(0);
    let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let watchdog = Watchdog::kill(child.id(), None).expect("sh");
    let log = Log::read(child.stdout.take(), child.stderr.take());
    Process { child, log, admin: None, dir: None, _watchdog: watchdog }
}

impl Process {
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Where configuration and working files are.
    #[track_caller]
    pub(crate) fn dir(&self) -> &Path {
        self.dir.as_ref().expect("a process of the harness's own").path()
    }

    /// SIGKILL, and waits for the end.
    #[track_caller]
    pub(crate) fn kill9(&mut self) -> ExitStatus {
        self.child.kill().expect("our child");
        self.child.wait().expect("our child")
    }

    /// SIGTERM: an orderly shutdown; see [`Process::wait_exit`].
    #[track_caller]
    pub(crate) fn sigterm(&self) {
        self.signal(Signal::SIGTERM);
    }

    /// SIGHUP: the configuration is read again.
    #[track_caller]
    pub(crate) fn sighup(&self) {
        self.signal(Signal::SIGHUP);
    }

    /// SIGSTOP: the process stands still with its connections open, as in a long pause of the machine.
    #[track_caller]
    pub(crate) fn sigstop(&self) {
        self.signal(Signal::SIGSTOP);
    }

    /// SIGCONT, after [`Process::sigstop`].
    #[track_caller]
    pub(crate) fn sigcont(&self) {
        self.signal(Signal::SIGCONT);
    }

    #[track_caller]
    fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.pid()).expect("a pid");
        kill(Pid::from_raw(pid), signal).expect("the process has not been waited for");
    }

    /// Its exit status, if it has ended.
    pub(crate) fn exited(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("our child")
    }

    /// Waits for its end; panics with the end of the log after `limit`.
    #[track_caller]
    pub(crate) fn wait_exit(&mut self, limit: Duration) -> ExitStatus {
        let child = &mut self.child;
        match wait::poll(limit, || child.try_wait().expect("our child")) {
            Some(status) => {
                // What it wrote last may still be on its way to us. A child of its own may keep the pipe open.
                wait::poll(LAST_WORDS, || self.log.is_closed().then_some(()));
                status
            }
            None => panic!("no exit in {limit:?}; log:\n{}", self.log.tail()),
        }
    }

    /// Waits for a line of stdout or stderr, already written or yet to come, that contains `part`, and gives the first
    /// such line. Panics with the end of the log after `limit`, or when the process ends without. For the second such
    /// line, wait on [`Process::log`].
    #[track_caller]
    pub(crate) fn wait_for_log(&self, part: &str, limit: Duration) -> String {
        match self.log.wait_for(part, limit) {
            Ok(line) => line,
            Err(why) => panic!("{why} before {part:?}; log:\n{}", self.log.tail()),
        }
    }

    /// All lines so far, stdout and stderr in the order in which they came.
    pub(crate) fn log(&self) -> Vec<String> {
        self.log.lines()
    }

    /// Resident memory now.
    #[track_caller]
    pub(crate) fn rss_bytes(&self) -> u64 {
        usage::memory(self.pid(), "VmRSS:")
    }

    /// The most resident memory so far.
    #[track_caller]
    pub(crate) fn peak_rss_bytes(&self) -> u64 {
        usage::memory(self.pid(), "VmHWM:")
    }

    /// How often threads whose names begin so have waited for something, so far.
    #[track_caller]
    pub(crate) fn waits_of(&self, name: &str) -> u64 {
        usage::waits(self.pid(), name)
    }

    /// CPU time so far, user and system, of all its threads.
    #[track_caller]
    pub(crate) fn cpu_time(&self) -> Duration {
        usage::cpu_time(self.pid())
    }

    /// Where it serves `/metrics`.
    #[track_caller]
    pub(crate) fn admin(&self) -> SocketAddr {
        self.admin.expect("the configuration has an admin.listen")
    }

    /// Gets a path of the admin address (`/ready`, `/live`), waiting for it to listen.
    #[track_caller]
    pub(crate) fn get(&self, path: &str) -> Answer {
        let address = self.admin();
        let look = || match http::get(address, path) {
            Ok(answer) => Some(Some(answer)),
            Err(_) if self.log.is_closed() => Some(None),
            Err(_) => None,
        };
        match wait::poll(wait::GENEROUS, look).flatten() {
            Some(answer) => answer,
            None => panic!("no answer from {address}{path}; log:\n{}", self.log.tail()),
        }
    }

    /// The metrics now.
    #[track_caller]
    pub(crate) fn metrics(&self) -> Metrics {
        let answer = self.get("/metrics");
        assert_eq!(answer.status, 200, "{}", answer.body);
        Metrics::parse(&answer.body)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail only where it has ended already.
        self.child.kill().ok();
        self.child.wait().ok();
        if std::thread::panicking() {
            eprintln!("--- log of process {}:\n{}", self.pid(), self.log.tail());
        }
    }
}
