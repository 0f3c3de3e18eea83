//! `tributary dead-letters list`: the latest dead letters, and how many there are.

use std::collections::{BTreeMap, VecDeque};
use std::ops::ControlFlow;
use std::sync::Arc;

use anyhow::Context;
use serde_json::{Value, json};
use tokio::runtime::Handle;

use super::chosen::Chosen;
use super::{time, topics};
use crate::cli::table::table;
use crate::clock::now_ms;
use crate::model::letters::Replayed;
use crate::model::types::ShardId;
use crate::output;
use crate::plan::Plan;
use crate::sink::kafka::readback::{Letter, Letters, Place};
use crate::sink::kafka::replaying::replayed;
use crate::supervisor::replay::was_replayed;

/// Longest detail in a line of the table, characters.
const DETAIL: usize = 60;

/// What is kept of a dead letter for the list.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Row {
    place: Place,
    timestamp_ms: i64,
    shard: String,
    reason: String,
    /// How often the event has failed.
    attempts: u32,
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
            attempts: letter.header("tributary-attempts").parse().unwrap_or(1),
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

/// What was replayed of each stream.
type Done = BTreeMap<String, Replayed>;

/// Prints the chosen dead letters, `limit` of them at most; where only those are asked for that are `open`, without those that were
/// replayed.
pub(super) fn list(
    plan: &Plan,
    chosen: &Chosen,
    open: bool,
    limit: usize,
    as_json: bool,
) -> anyhow::Result<()> {
    let topics = topics(plan, chosen.stream.as_deref())?;
    let now_ms = now_ms();
    let (since, until) =
        (chosen.since.map(|when| when.millis(now_ms)), chosen.until.map(|when| when.millis(now_ms)));
    let runtime = super::super::runtime().context("cannot start the runtime")?;
    let done = if open { done(plan, chosen, runtime.handle())? } else { Done::new() };
    let mut found = Found::default();
    for topic in &topics {
        let Some(letters) = Letters::open(&plan.kafka, runtime.handle().clone(), topic)? else {
            output::remark(format_args!("there is no topic {topic} yet"));
            continue;
        };
        for span in letters.spans(since)? {
            letters.read(&span, |letter| {
                if chosen.takes(letter, since, until) && !is_done(&done, letter) {
                    found.add(letter, limit);
                }
                ControlFlow::Continue(())
            })?;
        }
    }
    runtime.shutdown_background();
    if as_json {
        let rows: Vec<Value> = found.rows.iter().map(described).collect();
        output::print(serde_json::to_string_pretty(&rows)?)?;
        return Ok(());
    }
    let one_topic = topics.len() == 1;
    let rows: Vec<[String; 7]> = found.rows.iter().map(|row| cells(row, one_topic)).collect();
    let head = ["LETTER", "TIME", "SHARD", "REASON", "ATTEMPTS", "BYTES", "DETAIL"];
    output::print(table(head, &rows) + &found.summary())?;
    Ok(())
}

fn done(plan: &Plan, chosen: &Chosen, runtime: &Handle) -> anyhow::Result<Done> {
    let is_meant = |name: &&Arc<str>| chosen.stream.as_ref().is_none_or(|stream| ***name == **stream);
    let of = |name: &Arc<str>| {
        let found = replayed(&plan.kafka, &ShardId::replay(name.clone()), runtime.clone())?;
        Ok((name.to_string(), found.unwrap_or_default()))
    };
    plan.streams.iter().map(|stream| stream.name()).filter(is_meant).map(of).collect()
}

fn is_done(done: &Done, letter: &Letter<'_>) -> bool {
    let replayed = done.get(&*letter.header("tributary-stream"));
    let known = replayed.and_then(|replayed| replayed.of(letter.topic, letter.partition));
    was_replayed(letter, known)
}

fn described(row: &Row) -> Value {
    let Row {
        place: Place { topic, partition, offset },
        timestamp_ms,
        shard,
        reason,
        attempts,
        detail,
        length,
    } = row;
    json!({
        "topic": topic, "partition": partition, "offset": offset, "time": time(*timestamp_ms), "shard": shard,
        "reason": reason, "attempts": attempts, "detail": detail, "length": length.parse::<u64>().ok(),
    })
}

fn cells(row: &Row, one_topic: bool) -> [String; 7] {
    let Place { topic, partition, offset } = &row.place;
    let mut detail: String = row.detail.chars().take(DETAIL).collect();
    if detail.len() < row.detail.len() {
        detail.push('…');
    }
    let name =
        if one_topic { format!("{partition}/{offset}") } else { format!("{topic}/{partition}/{offset}") };
    // What services and topics say is not to command the terminal.
    let shown = |text: &str| text.replace(char::is_control, " ");
    [
        name,
        time(row.timestamp_ms),
        shown(&row.shard),
        shown(&row.reason),
        row.attempts.to_string(),
        shown(&row.length),
        shown(&detail),
    ]
}

#[cfg(test)]
mod tests {
    use super::super::tests::letter;
    use super::*;

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
        let expected = [
            "0/0",
            "1970-01-01T00:00:03.000Z",
            "mobile/0",
            "not_an_object",
            "1",
            "7",
            "expected value [2J at line 1",
        ];
        assert_eq!(cells, expected.map(str::to_owned));
        let mut none = Found::default();
        none.add(&letter(0, 1, "no_id", b""), 0);
        assert_eq!((none.rows.len(), none.counts.len()), (0, 1));
    }
}
