//! `tributary status`: shows how a running connector is, by what its admin address says of it.

use std::io::{self, IsTerminal as _};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::Args;
use futures_util::StreamExt as _;
use indicatif::HumanCount;
use jiff::Timestamp;
use serde::Deserialize;

use super::Configured;
use super::exit;
use super::probe::{Asked, asked, shown};
use super::table::table;
use crate::output;

/// Limit for a connection, and for the next snapshot: one comes each second.
const TIMEOUT: Duration = Duration::from_secs(10);

/// More than the snapshot of any configuration has.
const MAX_EVENT: usize = 64 << 20;

/// Moves to the upper left corner of a terminal and clears what is below.
const REDRAW: &str = "\x1b[H\x1b[J";

/// Arguments of `status`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Where it is asked, as in http://10.0.0.7:9464 [default: admin.listen of the configuration]
    url: Option<String>,
    /// Show it again each second, in place on a terminal, until Ctrl-C
    #[arg(short, long)]
    watch: bool,
    #[command(flatten)]
    configured: Configured,
}

/// What is read of a snapshot; the rest is not shown here.
#[derive(Debug, Deserialize)]
struct Snapshot {
    time: Option<String>,
    ready: bool,
    kafka: Kafka,
    shards: Vec<Shard>,
}

#[derive(Debug, Deserialize)]
struct Kafka {
    answers: bool,
    reason: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Shard {
    shard: String,
    ready: bool,
    state: String,
    reason: Option<String>,
    events_per_second: Option<u64>,
    delivered: u64,
    duplicates: u64,
    dead_letters: u64,
    connections: i64,
    reconnects: u64,
    lag_seconds: Option<f64>,
    last_commit: Option<String>,
    last_error: Option<LastError>,
}

#[derive(Debug, Deserialize)]
struct LastError {
    class: String,
    reason: String,
    time: Option<String>,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let url = match asked(arguments.url.as_deref(), &arguments.configured, "/")? {
        Asked::Url(url) => format!("{}/api/status/events", url.trim_end_matches('/')),
        Asked::Nobody(code) => return Ok(code),
    };
    super::runtime()?.block_on(show(&url, arguments.watch))?;
    Ok(ExitCode::from(exit::OK))
}

/// Shows the second snapshot, the first one with rates, or all until the connection ends.
async fn show(url: &str, watch: bool) -> anyhow::Result<()> {
    let silent =
        || format!("{} does not answer; is the connector running there, with admin.enabled?", shown(url));
    let client =
        reqwest::Client::builder().connect_timeout(TIMEOUT).read_timeout(TIMEOUT).no_proxy().build()?;
    let response = client.get(url).send().await.with_context(silent)?;
    if !response.status().is_success() {
        bail!(
            "{} answers {}; expected the admin address of a connector of this version",
            shown(url),
            response.status()
        );
    }
    let (mut chunks, mut events) = (response.bytes_stream(), Events::default());
    while let Some(chunk) = chunks.next().await {
        events.push(&chunk.with_context(silent)?)?;
        while let Some(event) = events.next()? {
            let has_rates = event.shards.iter().any(|shard| shard.events_per_second.is_some());
            if watch {
                draw(&describe(&event))?;
            } else if has_rates || event.shards.is_empty() {
                return Ok(output::print(describe(&event).trim_end())?);
            }
        }
    }
    bail!("{} does not answer any more", shown(url))
}

/// In place on a terminal, else one block below the other.
fn draw(text: &str) -> anyhow::Result<()> {
    let begin = if io::stdout().is_terminal() { REDRAW } else { "" };
    Ok(output::print(format_args!("{begin}{text}"))?)
}

/// Cuts a body into snapshots.
#[derive(Debug, Default)]
struct Events {
    text: Vec<u8>,
}

impl Events {
    fn push(&mut self, chunk: &[u8]) -> anyhow::Result<()> {
        self.text.extend_from_slice(chunk);
        if self.text.len() > MAX_EVENT {
            bail!("what answers is no status: an event of more than {MAX_EVENT} bytes");
        }
        Ok(())
    }

    /// The next one that is complete.
    fn next(&mut self) -> anyhow::Result<Option<Snapshot>> {
        let Some(end) = memchr::memmem::find(&self.text, b"\n\n") else { return Ok(None) };
        let event: Vec<u8> = self.text.drain(..end + 2).collect();
        let event = event.strip_prefix(b"data:").context("what answers is no status: expected \"data:\"")?;
        let snapshot = serde_json::from_slice(event).context("what answers is no status of a connector")?;
        Ok(Some(snapshot))
    }
}

/// A snapshot as text, which ends with a line.
fn describe(snapshot: &Snapshot) -> String {
    let Snapshot { time, ready, kafka, shards } = snapshot;
    let now = at(time.as_deref()).unwrap_or_else(Timestamp::now);
    let head = if *ready { "ready" } else { "not ready" };
    let mut text =
        format!("{now:.0}  {head}; Kafka {}", if kafka.answers { "answers" } else { "does not answer" });
    text.extend(kafka.reason.as_ref().map(|reason| format!(": {}", plain(reason))));
    text.push_str("\n\n");
    let rows: Vec<_> = shards.iter().map(|shard| shard.row(now)).collect();
    text += &table(
        [
            "SHARD",
            "READY",
            "STATE",
            "EVENTS/S",
            "DELIVERED",
            "LAG",
            "DUP",
            "DEAD",
            "CONN",
            "RECONN",
            "COMMIT",
        ],
        &rows,
    );
    for shard in shards {
        text.extend(shard.reason.iter().map(|reason| format!("\n{} now: {}\n", shard.shard, plain(reason))));
        let error = shard.last_error.as_ref().filter(|error| Some(&error.reason) != shard.reason.as_ref());
        text.extend(error.map(|LastError { class, reason, time }| {
            format!(
                "\n{} last error, {class}, {} ago: {}\n",
                shard.shard,
                age(now, time.as_deref()),
                plain(reason)
            )
        }));
    }
    text
}

impl Shard {
    fn row(&self, now: Timestamp) -> [String; 11] {
        let count = |count: u64| HumanCount(count).to_string();
        [
            self.shard.clone(),
            if self.ready { "yes" } else { "NO" }.to_owned(),
            plain(&self.state),
            self.events_per_second.map_or("-".to_owned(), count),
            count(self.delivered),
            self.lag_seconds.map_or("-".to_owned(), |seconds| format!("{seconds:.1} s")),
            count(self.duplicates),
            count(self.dead_letters),
            self.connections.to_string(),
            count(self.reconnects),
            age(now, self.last_commit.as_deref()),
        ]
    }
}

/// A time in RFC 3339.
fn at(time: Option<&str>) -> Option<Timestamp> {
    time?.parse().ok()
}

/// How long ago something was.
fn age(now: Timestamp, then: Option<&str>) -> String {
    let ms = at(then).map(|then| (now.as_millisecond() - then.as_millisecond()).max(0));
    ms.map_or("-".to_owned(), |ms| format!("{:.1} s", ms as f64 / 1000.0))
}

/// A text that moves no cursor and ends no line: services and brokers have a say in it.
fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVENT: &str = r#"data: {"time":"2026-01-01T00:00:10.4Z","ready":false,"kafka":{"answers":true},"new":1,"shards":[
        {"shard":"web/0","ready":false,"state":"needs an operator","reason":"401","delivered":1200,"duplicates":3,"dead_letters":0,
        "connections":0,"reconnects":7,"lag_seconds":2.5,"events_per_second":4,"last_commit":"2026-01-01T00:00:05.4Z",
        "last_error":{"class":"unusable","reason":"\u001b[2Jgone","time":"2026-01-01T00:00:09.4Z"}}]}"#;

    #[test]
    fn a_snapshot_is_shown_however_it_is_cut() {
        let body = format!("{}\n\n{}\n\ndata", EVENT.replace('\n', ""), EVENT.replace('\n', ""));
        let mut events = Events::default();
        let mut seen = Vec::new();
        for chunk in body.as_bytes().chunks(7) {
            events.push(chunk).unwrap();
            seen.extend(events.next().unwrap());
        }
        assert_eq!(seen.len(), 2);
        let lines = [
            "2026-01-01T00:00:10Z  not ready; Kafka answers",
            "",
            "SHARD  READY  STATE              EVENTS/S  DELIVERED  LAG    DUP  DEAD  CONN  RECONN  COMMIT",
            "web/0  NO     needs an operator  4         1,200      2.5 s  3    0     0     7       5.0 s",
            "",
            "web/0 now: 401",
            "",
            "web/0 last error, unusable, 1.0 s ago: \u{fffd}[2Jgone",
            "",
        ];
        assert_eq!(describe(&seen[0]), lines.join("\n"));
    }

    #[test]
    fn what_is_no_status_is_said() {
        let mut events = Events::default();
        events.push(b"hello\n\n").unwrap();
        assert!(events.next().unwrap_err().to_string().contains("no status"));
        events.push(b"data: {}\n\n").unwrap();
        assert!(events.next().unwrap_err().to_string().contains("no status"));
    }
}
