//! Runs a command that prepares something, for a limited time.

use crate::harness::wait;
use std::io::{Read as _, Seek as _};
use std::process::{Command, Stdio};
use std::time::Duration;

/// As much of a command's or a broker's output as goes into a message.
const TAIL_LINES: usize = 25;

/// Its output if it ends well within `limit`, else what went wrong.
pub(super) fn run(command: &mut Command, limit: Duration) -> Result<String, String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let fail = |error| format!("{name}: {error}");
    // A file, since nobody would empty a pipe while this waits.
    let mut file = tempfile::tempfile().map_err(fail)?;
    let (out, err) = (file.try_clone().map_err(fail)?, file.try_clone().map_err(fail)?);
    let mut child = command.stdin(Stdio::null()).stdout(out).stderr(err).spawn().map_err(fail)?;
    let Some(status) = wait::poll(limit, || child.try_wait().transpose()).transpose().map_err(fail)? else {
        child.kill().map_err(fail)?;
        child.wait().map_err(fail)?;
        return Err(format!("{name} did not end in {limit:?}"));
    };
    let mut output = String::new();
    file.rewind().and_then(|()| file.read_to_string(&mut output)).map_err(fail)?;
    if status.success() { Ok(output) } else { Err(format!("{name}: {status}: {}", tail(&output))) }
}

/// The last lines of `text`.
pub(super) fn tail(text: &str) -> String {
    let lines: Vec<&str> = text.trim().lines().collect();
    lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n")
}
