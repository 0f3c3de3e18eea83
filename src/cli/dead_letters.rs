//! `tributary dead-letters`: what could not be delivered as an event, why, and its bytes.

use std::collections::BTreeSet;
use std::process::ExitCode;

use anyhow::bail;
use clap::{Args, Subcommand};

use super::{Configured, exit};
use crate::plan::Plan;

mod chosen;
mod list;
mod replay;
mod show;

use chosen::Chosen;

/// Arguments of `dead-letters`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// The latest dead letters, one line each, and how many there are of each stream and reason
    ///
    /// Takes the right to read the dead-letter topics, and with --open `<prefix>.replays`; nobody is disturbed. Without --since the
    /// whole topic is read. Times are those at which dead letters were written, not those of the events.
    List {
        #[command(flatten)]
        chosen: Chosen,
        /// Only those that were not replayed. What failed again is a new dead letter, and open
        #[arg(long)]
        open: bool,
        /// Show so many at most, the latest; all are counted
        #[arg(long, default_value_t = 100, value_name = "NUMBER")]
        limit: usize,
        /// As JSON: one array, with an object for each that is shown
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        configured: Configured,
    },
    /// One dead letter: its headers and its bytes
    Show {
        /// Which one, as `list` names it: [TOPIC/]PARTITION/OFFSET
        letter: String,
        /// Its bytes alone, as they are
        #[arg(long, conflicts_with = "json")]
        value: bool,
        /// As JSON; bytes that are no text are in base64
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        configured: Configured,
    },
    /// Take dead letters of one stream once more through its event path, as this configuration has it, exactly once
    ///
    /// It may run while the stream runs. What was replayed is remembered, so another replay, and one after a crash, goes on with the
    /// rest. What fails again becomes a new dead letter that says how often it has failed. Letters whose bytes redaction withheld, or
    /// other rules hashed, or of which only the head was kept, are left as they are. Exit code 4: a later replay of the same stream
    /// was started.
    Replay(Box<replay::Arguments>),
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let configured = match &arguments.what {
        What::List { configured, .. } | What::Show { configured, .. } => configured,
        What::Replay(arguments) => &arguments.configured,
    };
    let config = match configured.load() {
        Ok(config) => config,
        Err(code) => return Ok(code),
    };
    match &arguments.what {
        What::List { chosen, open, limit, json, .. } => {
            list::list(&config.plan, chosen, *open, *limit, *json)?;
        }
        What::Show { letter, value, json, .. } => show::show(&config.plan, letter, *value, *json)?,
        What::Replay(arguments) => return replay::replay(&config, arguments),
    }
    Ok(ExitCode::from(exit::OK))
}

/// The topics that dead letters of these streams go to.
fn topics<'p>(plan: &'p Plan, stream: Option<&str>) -> anyhow::Result<BTreeSet<&'p str>> {
    let is_meant = |name: &str| stream.is_none_or(|stream| stream == name);
    let meant = plan.streams.iter().filter(|stream| is_meant(stream.name()));
    let topics: BTreeSet<&str> = meant.map(|stream| stream.dead_letter_topic.as_str()).collect();
    if topics.is_empty() {
        bail!("no stream is called {}; there are: {}", stream.unwrap_or_default(), stream_names(plan));
    }
    Ok(topics)
}

/// The names of the configured streams.
fn stream_names(plan: &Plan) -> String {
    let names: Vec<&str> = plan.streams.iter().map(|stream| stream.name().as_ref()).collect();
    names.join(", ")
}

/// A time in milliseconds since the Unix epoch, in words.
fn time(ms: i64) -> String {
    jiff::Timestamp::from_millisecond(ms).map_or_else(|_| ms.to_string(), |time| format!("{time:.3}"))
}

#[cfg(test)]
mod tests {
    use crate::sink::kafka::readback::Letter;

    /// A dead letter of a stream.
    pub(super) fn letter<'a>(offset: i64, timestamp_ms: i64, reason: &'a str, value: &'a [u8]) -> Letter<'a> {
        let headers: Vec<(&str, &[u8])> = vec![
            ("tributary-stream", b"mobile"),
            ("tributary-shard", b"0"),
            ("tributary-reason", reason.as_bytes()),
            ("tributary-detail", b"expected value\x1b[2J at line 1"),
            ("tributary-length", b"7"),
        ];
        Letter { topic: "t.dead-letters", partition: 0, offset, timestamp_ms, headers, value }
    }
}
