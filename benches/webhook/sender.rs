//! The mock's sender in a process of its own.

use std::process::{Command, Stdio};

use serde::Deserialize;

use crate::proc::Killed;
use crate::running::TRIBUTARY;

/// The header that lets requests in.
pub(crate) const KEY: (&str, &str) = ("X-Key", "open sesame");

/// What is sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Job {
    /// Events of a request.
    pub(crate) batch: u64,
    pub(crate) requests: u64,
    /// Requests that are under way at once.
    pub(crate) parallel: u64,
    /// Requests a second; 0 for as many as are answered.
    pub(crate) rate: u64,
}

/// What the sender says at its end.
#[derive(Debug, Deserialize)]
pub(crate) struct Summary {
    pub(crate) begun: u64,
    pub(crate) events: u64,
    pub(crate) retries: u64,
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
    pub(crate) seconds: f64,
    pub(crate) epoch_ms: u64,
}

/// A sender at work.
pub(crate) struct Sending(Killed);

/// Starts one.
pub(crate) fn start(to: &str, job: Job) -> Sending {
    let Job { batch, requests, parallel, rate } = job;
    let flags = [
        ("--to", to.to_owned()),
        ("--batch", batch.to_string()),
        ("--events", (batch * requests).to_string()),
        ("--rate", (batch * rate).to_string()),
        ("--parallel", parallel.to_string()),
    ];
    Sending(Killed::spawn(
        Command::new(TRIBUTARY)
            .args(["mock", "webhook", "--json"])
            .args(flags.iter().flat_map(|(flag, value)| [*flag, value]))
            .env("MOCK_WEBHOOK_HEADER", format!("{}: {}", KEY.0, KEY.1))
            .stdout(Stdio::piped())
            .stderr(Stdio::null()),
    ))
}

impl Sending {
    /// Waits for its end.
    pub(crate) fn end(mut self) -> Summary {
        let output = self.0.0.stdout.take().expect("a pipe");
        let summary = std::io::read_to_string(output).expect("text");
        let status = self.0.0.wait().expect("it ends");
        assert!(status.success(), "not everything was acknowledged: {summary}");
        serde_json::from_str(&summary).expect("a summary")
    }
}
