//! The mock service in a process of its own.

use std::io::{BufRead as _, BufReader};
use std::process::{ChildStdout, Command, Stdio};

use crate::broker::free_port;
use crate::proc::Killed;
use crate::running::TRIBUTARY;

/// A mock service that serves.
pub(crate) struct Mock {
    /// `HOST:PORT`
    pub(crate) address: String,
    _process: Killed,
    /// Open, so that it may say more.
    _output: BufReader<ChildStdout>,
}

/// Starts one that serves from the earliest event to whoever asks, and waits until it is ready.
pub(crate) fn start(arguments: &[&str]) -> Mock {
    let address = format!("127.0.0.1:{}", free_port());
    let mut process = Killed::spawn(
        Command::new(TRIBUTARY)
            .args(["mock", "--no-auth", "--listen", &address])
            .args(arguments)
            .stdout(Stdio::piped()),
    );
    let mut line = String::new();
    let mut output = BufReader::new(process.0.stdout.take().expect("a pipe"));
    output.read_line(&mut line).expect("text");
    assert!(line.contains(&address), "the mock does not serve: {line}");
    Mock { address, _process: process, _output: output }
}
