//! `tributary dead-letters`: what could not be delivered as an event, why, and its bytes.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io::{self, Write};
use std::ops::ControlFlow;
use std::process::ExitCode;
use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context, bail};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use super::{Configured, exit};
use crate::clock::now_ms;
use crate::model::types::DeadLetterReason;
use crate::output::{self, OutputError};
use crate::plan::Plan;
use crate::sink::kafka::readback::{Letter, Place, letter_at, letters};

/// Longest detail in a line of the table, characters.
const DETAIL: usize = 60;

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
    /// Takes the right to read the dead-letter topics and no other; nobody is disturbed. Without --since the whole topic is read.
    /// Times are those at which dead letters were written, not those of the events. To replay dead letters is not supported yet.
    List {
        #[command(flatten)]
        chosen: Chosen,
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
}

/// Which dead letters.
#[derive(Debug, Args)]
struct Chosen {
    /// Those of this stream
    #[arg(long)]
    stream: Option<String>,
    /// Those with this reason: `not_an_object`, `no_id`, `line_too_long`, `too_large_for_topic`, `unroutable`, `too_many_topics` or
    /// `refused_by_topic`
    #[arg(long, value_parser = reason)]
    reason: Option<DeadLetterReason>,
    /// Those written since then: a time as in 2026-11-26T08:00:00Z, or how long ago, as in 2h. Without it the whole topic is read
    #[arg(long, value_name = "TIME")]
    since: Option<When>,
    /// Those written before then, in the same forms
    #[arg(long, value_name = "TIME")]
    until: Option<When>,
}

/// A time, or how long ago.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum When {
    At(i64),
    Ago(Duration),
}

impl FromStr for When {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(time) = text.parse::<jiff::Timestamp>() {
            return Ok(Self::At(time.as_millisecond()));
        }
        humantime::parse_duration(text).map(Self::Ago).map_err(|_| {
            format!(
                "expected a time as in 2026-11-26T08:00:00Z, or how long ago as in 90m or 2d, not {text:?}"
            )
        })
    }
}

impl When {
    fn millis(self, now_ms: i64) -> i64 {
        match self {
            Self::At(ms) => ms,
            Self::Ago(ago) => now_ms.saturating_sub(i64::try_from(ago.as_millis()).unwrap_or(i64::MAX)),
        }
    }
}

/// A reason by its name.
fn reason(name: &str) -> Result<DeadLetterReason, String> {
    let found = DeadLetterReason::ALL.into_iter().find(|reason| reason.name() == name);
    found.ok_or_else(|| {
        let known = DeadLetterReason::ALL.map(DeadLetterReason::name);
        format!("there is no reason {name:?}; there are: {}", known.join(", "))
    })
}

/// What is kept of a dead letter for the list.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Row {
    place: Place,
    timestamp_ms: i64,
    shard: String,
    reason: String,
    detail: String,
    length: String,
}

/// What a list has found.
#[derive(Debug, Default)]
struct Found {
    /// The latest, oldest first.
    rows: VecDeque<Row>,
    /// How many of each stream and reason.
    counts: BTreeMap<(String, String), u64>,
}

impl Found {
    /// Takes a dead letter in; `limit` are kept.
    fn add(&mut self, letter: &Letter<'_>, limit: usize) {
        let (stream, reason) = (letter.header("tributary-stream"), letter.header("tributary-reason"));
        let count = self.counts.entry((stream.to_string(), reason.to_string())).or_default();
        *count += 1;
        let place = self.rows.partition_point(|row| row.timestamp_ms <= letter.timestamp_ms);
        if limit == 0 || (place == 0 && self.rows.len() >= limit) {
            return;
        }
        let row = Row {
            place: letter.place(),
            timestamp_ms: letter.timestamp_ms,
            shard: format!("{stream}/{}", letter.header("tributary-shard")),
            reason: reason.into_owned(),
            detail: letter.header("tributary-detail").into_owned(),
            length: letter.header("tributary-length").into_owned(),
        };
        self.rows.insert(place, row);
        if self.rows.len() > limit {
            self.rows.pop_front();
        }
    }

    /// How many there are, in words.
    fn summary(&self) -> String {
        let all: u64 = self.counts.values().sum();
        let each = self.counts.iter().map(|((stream, reason), count)| format!("{stream} {reason} {count}"));
        format!("{all} dead letters, {} shown: {}", self.rows.len(), each.collect::<Vec<_>>().join(", "))
    }
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let (What::List { configured, .. } | What::Show { configured, .. }) = &arguments.what;
    let config = match configured.load() {
        Ok(config) => config,
        Err(code) => return Ok(code),
    };
    match &arguments.what {
        What::List { chosen, limit, json, .. } => list(&config.plan, chosen, *limit, *json)?,
        What::Show { letter, value, json, .. } => show(&config.plan, letter, *value, *json)?,
    }
    Ok(ExitCode::from(exit::OK))
}

/// The topics that dead letters of these streams go to.
fn topics<'p>(plan: &'p Plan, stream: Option<&str>) -> anyhow::Result<BTreeSet<&'p str>> {
    let is_meant = |name: &str| stream.is_none_or(|stream| stream == name);
    let meant = plan.streams.iter().filter(|stream| is_meant(stream.name()));
    let topics: BTreeSet<&str> = meant.map(|stream| stream.dead_letter_topic.as_str()).collect();
    if topics.is_empty() {
        let names: Vec<&str> = plan.streams.iter().map(|stream| stream.name().as_ref()).collect();
        bail!("no stream is called {}; there are: {}", stream.unwrap_or_default(), names.join(", "));
    }
    Ok(topics)
}

fn list(plan: &Plan, chosen: &Chosen, limit: usize, as_json: bool) -> anyhow::Result<()> {
    let topics = topics(plan, chosen.stream.as_deref())?;
    let now_ms = now_ms();
    let (since, until) =
        (chosen.since.map(|when| when.millis(now_ms)), chosen.until.map(|when| when.millis(now_ms)));
    let runtime = super::runtime().context("cannot start the runtime")?;
    let mut found = Found::default();
    for topic in &topics {
        let there = letters(&plan.kafka, runtime.handle().clone(), topic, since, |letter| {
            let is_meant =
                chosen.stream.as_ref().is_none_or(|stream| letter.header("tributary-stream") == **stream)
                    && chosen.reason.is_none_or(|reason| letter.header("tributary-reason") == reason.name())
                    && since.is_none_or(|since| letter.timestamp_ms >= since)
                    && until.is_none_or(|until| letter.timestamp_ms < until);
            if is_meant {
                found.add(letter, limit);
            }
            ControlFlow::Continue(())
        })?;
        if there.is_none() {
            output::remark(format_args!("there is no topic {topic} yet"));
        }
    }
    runtime.shutdown_background();
    if as_json {
        let rows: Vec<Value> = found.rows.iter().map(described).collect();
        output::print(serde_json::to_string_pretty(&rows)?)?;
        return Ok(());
    }
    let one_topic = topics.len() == 1;
    let rows: Vec<[String; 6]> = found.rows.iter().map(|row| cells(row, one_topic)).collect();
    let head = ["LETTER", "TIME", "SHARD", "REASON", "BYTES", "DETAIL"];
    output::print(super::table::table(head, &rows) + &found.summary())?;
    Ok(())
}

fn described(row: &Row) -> Value {
    let Row { place: Place { topic, partition, offset }, timestamp_ms, shard, reason, detail, length } = row;
    json!({
        "topic": topic, "partition": partition, "offset": offset, "time": time(*timestamp_ms), "shard": shard,
        "reason": reason, "detail": detail, "length": length.parse::<u64>().ok(),
    })
}

fn cells(row: &Row, one_topic: bool) -> [String; 6] {
    let Place { topic, partition, offset } = &row.place;
    let mut detail: String = row.detail.chars().take(DETAIL).collect();
    if detail.len() < row.detail.len() {
        detail.push('…');
    }
    let name =
        if one_topic { format!("{partition}/{offset}") } else { format!("{topic}/{partition}/{offset}") };
    // What services and topics say is not to command the terminal.
    let shown = |text: &str| text.replace(char::is_control, " ");
    [name, time(row.timestamp_ms), shown(&row.shard), shown(&row.reason), shown(&row.length), shown(&detail)]
}

fn time(ms: i64) -> String {
    jiff::Timestamp::from_millisecond(ms).map_or_else(|_| ms.to_string(), |time| time.to_string())
}

/// The place that `name` means, where these are the topics of dead letters.
fn place(name: &str, topics: &BTreeSet<&str>) -> anyhow::Result<Place> {
    let form = || {
        format!(
            "{name:?} is no dead letter: expected [TOPIC/]PARTITION/OFFSET, as `dead-letters list` has it"
        )
    };
    let (rest, offset) = name.rsplit_once('/').with_context(form)?;
    let (topic, partition) = match rest.rsplit_once('/') {
        Some((topic, partition)) => (topic, partition),
        None => match topics.iter().copied().collect::<Vec<_>>().as_slice() {
            [only] => (*only, rest),
            several => bail!("say of which topic {name} is, as in {}/{name}", several.join(" or ")),
        },
    };
    if !topics.contains(topic) {
        bail!("{topic} is no dead-letter topic of this configuration; there are: {}", names(topics));
    }
    let (partition, offset) = (partition.parse().with_context(form)?, offset.parse().with_context(form)?);
    Ok(Place { topic: topic.to_owned(), partition, offset })
}

fn names(topics: &BTreeSet<&str>) -> String {
    topics.iter().copied().collect::<Vec<_>>().join(", ")
}

fn show(plan: &Plan, name: &str, value_alone: bool, as_json: bool) -> anyhow::Result<()> {
    let place = place(name, &topics(plan, None)?)?;
    let runtime = super::runtime().context("cannot start the runtime")?;
    let printed = letter_at(&plan.kafka, runtime.handle().clone(), &place, |letter| {
        if as_json {
            return output::print(format_args!("{:#}", whole(letter)));
        }
        let mut out = io::stdout().lock();
        if !value_alone {
            writeln!(out, "time: {}", time(letter.timestamp_ms))?;
            for (name, value) in &letter.headers {
                writeln!(out, "{name}: {}", String::from_utf8_lossy(value))?;
            }
            writeln!(out)?;
        }
        out.write_all(letter.value)?;
        if !value_alone {
            writeln!(out)?;
        }
        Ok::<(), OutputError>(out.flush()?)
    })?;
    runtime.shutdown_background();
    let printed = printed.with_context(|| {
        format!("there is no dead letter {name} (any more): the topic's retention may have deleted it")
    })?;
    Ok(printed?)
}

/// All of a dead letter as JSON.
fn whole(letter: &Letter<'_>) -> Value {
    let headers: Map<String, Value> = letter
        .headers
        .iter()
        .map(|(name, value)| ((*name).to_owned(), String::from_utf8_lossy(value).into()))
        .collect();
    let (form, value) = match std::str::from_utf8(letter.value) {
        Ok(text) => ("value", text.to_owned()),
        Err(_) => ("value_base64", BASE64_STANDARD.encode(letter.value)),
    };
    let Letter { topic, partition, offset, timestamp_ms, .. } = letter;
    json!({
        "topic": topic, "partition": partition, "offset": offset, "time": time(*timestamp_ms), "headers": headers,
        (form): value,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn letter<'a>(offset: i64, timestamp_ms: i64, reason: &'a str, value: &'a [u8]) -> Letter<'a> {
        let headers: Vec<(&str, &[u8])> = vec![
            ("tributary-stream", b"mobile"),
            ("tributary-shard", b"0"),
            ("tributary-reason", reason.as_bytes()),
            ("tributary-detail", b"expected value\x1b[2J at line 1"),
            ("tributary-length", b"7"),
        ];
        Letter { topic: "t.dead-letters", partition: 0, offset, timestamp_ms, headers, value }
    }

    #[test]
    fn the_latest_are_shown_and_all_are_counted() {
        let mut found = Found::default();
        for (offset, time) in [(0, 3_000), (1, 1_000), (2, 2_000), (3, 3_000)] {
            found.add(&letter(offset, time, if offset == 1 { "no_id" } else { "not_an_object" }, b"x"), 2);
        }
        let offsets: Vec<i64> = found.rows.iter().map(|row| row.place.offset).collect();
        assert_eq!(offsets, [0, 3]);
        assert_eq!(found.summary(), "4 dead letters, 2 shown: mobile no_id 1, mobile not_an_object 3");
        let cells = cells(&found.rows[0], true);
        let expected =
            ["0/0", "1970-01-01T00:00:03Z", "mobile/0", "not_an_object", "7", "expected value [2J at line 1"];
        assert_eq!(cells, expected.map(str::to_owned));
        let mut none = Found::default();
        none.add(&letter(0, 1, "no_id", b""), 0);
        assert_eq!((none.rows.len(), none.counts.len()), (0, 1));
    }

    #[test]
    fn a_time_is_one_or_so_long_ago() {
        let millis = |text: &str| text.parse::<When>().map(|when| when.millis(10_000_000));
        assert_eq!(millis("1970-01-01T00:00:05Z"), Ok(5_000));
        assert_eq!(millis("2h"), Ok(10_000_000 - 7_200_000));
        assert!(millis("yesterday").unwrap_err().contains("how long ago"));
    }

    #[test]
    fn a_letter_is_named_by_its_place() {
        let one = BTreeSet::from(["a"]);
        let two = BTreeSet::from(["a", "b/c"]);
        let at = |topic: &str| Place { topic: topic.into(), partition: 1, offset: 23 };
        assert_eq!(place("1/23", &one).unwrap(), at("a"));
        assert_eq!(place("b/c/1/23", &two).unwrap(), at("b/c"));
        for (name, topics, said) in [
            ("1/23", &two, "say of which topic"),
            ("x/1/23", &one, "no dead-letter topic"),
            ("23", &one, "expected"),
        ] {
            assert!(place(name, topics).unwrap_err().to_string().contains(said), "{name}");
        }
    }

    #[test]
    fn bytes_that_are_no_text_are_base64() {
        assert_eq!(whole(&letter(0, 0, "no_id", b"{}"))["value"], "{}");
        assert_eq!(whole(&letter(0, 0, "no_id", b"\xff\x00"))["value_base64"], "/wA=");
    }
}
