//! Child processes and what `/proc` says of them.

use std::fs;
use std::process::{Child, Command};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// The unit of CPU times in `/proc`, fixed in Linux's interface.
const TICKS_PER_SECOND: f64 = 100.0;

/// A child that is killed when this is dropped.
pub(crate) struct Killed(pub(crate) Child);

impl Killed {
    /// Starts it.
    pub(crate) fn spawn(command: &mut Command) -> Self {
        Self(command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}")))
    }

    /// User and system time so far, seconds.
    pub(crate) fn cpu_seconds(&self) -> f64 {
        let stat = self.read("stat");
        // The name, in parentheses, may hold anything; fields 14 and 15 are the times.
        let (_, fields) = stat.rsplit_once(')').expect("a name");
        let ticks = fields.split_whitespace().skip(11).take(2).map(|n| n.parse::<f64>().expect("a number"));
        ticks.sum::<f64>() / TICKS_PER_SECOND
    }

    /// The most resident memory so far, MiB.
    pub(crate) fn peak_mib(&self) -> f64 {
        let status = self.read("status");
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("VmHWM");
        line.trim().trim_end_matches(" kB").parse::<f64>().expect("a number") / 1024.0
    }

    /// CPU seconds by thread name.
    pub(crate) fn threads(&self) -> Vec<(String, f64)> {
        let mut threads: Vec<(String, f64)> = Vec::new();
        for task in fs::read_dir(format!("/proc/{}/task", self.0.id())).expect("it runs").flatten() {
            let Ok(stat) = fs::read_to_string(task.path().join("stat")) else { continue };
            let (name, fields) = stat.rsplit_once(')').expect("a name");
            let name = name.split_once('(').expect("a name").1.to_owned();
            let ticks =
                fields.split_whitespace().skip(11).take(2).map(|n| n.parse::<f64>().expect("a number"));
            let seconds = ticks.sum::<f64>() / TICKS_PER_SECOND;
            match threads.iter_mut().find(|(known, _)| *known == name) {
                Some((_, sum)) => *sum += seconds,
                None => threads.push((name, seconds)),
            }
        }
        threads.sort_by(|a, b| b.1.total_cmp(&a.1));
        threads
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.0.id() as i32), signal).expect("it runs");
    }

    /// Asks it to stop, and waits for that.
    pub(crate) fn terminate(mut self) {
        self.signal(Signal::SIGTERM);
        let status = self.0.wait().expect("it ends");
        assert!(status.success(), "{status}");
    }

    fn read(&self, file: &str) -> String {
        fs::read_to_string(format!("/proc/{}/{file}", self.0.id())).expect("it runs")
    }
}

impl Drop for Killed {
    fn drop(&mut self) {
        // Both fail only where it has ended already.
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// The machine's load, for judging the figures.
pub(crate) fn load() -> String {
    fs::read_to_string("/proc/loadavg")
        .map_or("?".into(), |text| text.split(' ').take(3).collect::<Vec<_>>().join(" "))
}
