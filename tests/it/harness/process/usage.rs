//! What a process uses of the machine, from Linux's `/proc`.

use std::fs;
use std::time::Duration;

/// The unit of CPU times in `/proc`: fixed in Linux's interface, whatever the kernel's own clock.
const TICKS_PER_SECOND: u32 = 100;

/// A field of `/proc/PID/status` that is given in kB.
#[track_caller]
pub(super) fn memory(pid: u32, field: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("the process lives");
    let line = status.lines().find_map(|line| line.strip_prefix(field));
    let kib: u64 = line
        .and_then(|value| value.trim().strip_suffix(" kB")?.parse().ok())
        .unwrap_or_else(|| panic!("no {field} of process {pid}: has it ended?"));
    kib * 1024
}

/// User and system time.
#[track_caller]
pub(super) fn cpu_time(pid: u32) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("the process lives");
    // The name, in parentheses, may contain anything; behind it come fields 3 and on, of which 14 and 15 are the times.
    let (_, fields) = stat.rsplit_once(')').expect("a name");
    let ticks: u32 =
        fields.split_whitespace().skip(11).take(2).map(|n| n.parse::<u32>().expect("a number")).sum();
    Duration::from_secs(1) * ticks / TICKS_PER_SECOND
}

/// How often threads of these names have given up a core to wait. Those that are over do not count.
#[track_caller]
pub(super) fn waits(pid: u32, name: &str) -> u64 {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).expect("the process lives").flatten();
    let statuses = tasks.filter_map(|task| fs::read_to_string(task.path().join("status")).ok());
    let of = |status: &String, field: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(field));
        line.expect("the field").trim().to_owned()
    };
    let meant = statuses.filter(|status| of(status, "Name:").starts_with(name));
    meant.map(|status| of(&status, "voluntary_ctxt_switches:").parse::<u64>().expect("a number")).sum()
}
