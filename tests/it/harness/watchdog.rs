//! Cleans up after a test process that was itself killed: statics are not dropped and destructors do not run then.
//!
//! A watchdog is a shell that reads from a pipe whose other end only this process holds. The kernel closes that end
//! however the process ends, and the shell then does its work. It must not know what it guards.

use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// Kills process `$0` and removes directory `$1`, which may be empty. Again where a dying thread still made a file; not
/// after waiting for the process to be gone, which takes seconds where the first process is slow to collect orphans.
const KILL_AND_REMOVE: &str = r#"read -r _
kill -9 "$0" 2>/dev/null
i=0
until rm -rf "$1" 2>/dev/null || [ $i -ge 50 ]; do i=$((i + 1)); sleep 0.1; done"#;

/// Runs the command that it was given.
const RUN: &str = r#"read -r _; exec "$0" "$@""#;

/// Acts when this process dies. Dropping it calls it off, for the case that the guarded thing is already gone.
#[derive(Debug)]
pub(crate) struct Watchdog {
    shell: Child,
}

impl Watchdog {
    /// Kills `pid` and removes `dir` when the test process dies.
    pub(crate) fn kill(pid: u32, dir: Option<&Path>) -> io::Result<Self> {
        let dir = dir.unwrap_or(Path::new(""));
        Self::start(Command::new("sh").args(["-c", KILL_AND_REMOVE, &pid.to_string()]).arg(dir))
    }

    /// Runs `command` when the test process dies.
    pub(crate) fn run(command: &[&str]) -> io::Result<Self> {
        Self::start(Command::new("sh").args(["-c", RUN]).args(command))
    }

    fn start(command: &mut Command) -> io::Result<Self> {
        // A process group of its own, so that Ctrl-C at the terminal does not end it before its work. No output, so
        // that it does not hold the pipe of `cargo test | tail` open.
        command.process_group(0).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        Ok(Self { shell: command.spawn()? })
    }

    /// Does now what would be done at the end of the process.
    pub(crate) fn act(mut self) {
        drop(self.shell.stdin.take());
        self.shell.wait().expect("the watchdog's shell ends");
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        // Both fail only where it has ended already.
        self.shell.kill().ok();
        self.shell.wait().ok();
    }
}
