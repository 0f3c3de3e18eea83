//! `tributary checkpoints`: what the state topics say of each shard.

use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::{Configured, exit};
use crate::clock::now_ms;
use crate::model::checkpoint::{Checkpoint, Hold};
use crate::output;
use crate::sink::kafka::config::Config;
use crate::sink::kafka::placement::{Row, overview};

/// Arguments of `checkpoints`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// One line for each shard: who has it, where it is, what it has delivered, how old that is
    ///
    /// Takes the right to read the state topics and no other; nobody is disturbed.
    List {
        /// As JSON, one object for each shard
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        configured: Configured,
    },
    /// The whole checkpoint of one shard, as JSON
    Show {
        /// Which one, as in mobile/0
        shard: String,
        #[command(flatten)]
        configured: Configured,
    },
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let (What::List { configured, .. } | What::Show { configured, .. }) = &arguments.what;
    let config = match configured.load() {
        Ok(config) => config,
        Err(code) => return Ok(code),
    };
    let rows = rows(&config.plan.kafka)?;
    match &arguments.what {
        What::List { json: true, .. } => {
            let rows: Vec<Value> = rows.iter().map(described).collect();
            output::print(serde_json::to_string_pretty(&rows)?)?;
        }
        What::List { .. } => output::print(table(&rows, now_ms()).trim_end())?,
        What::Show { shard, .. } => {
            let row = rows.iter().find(|row| row.shard.to_string() == *shard);
            let Some(row) = row else {
                let known: Vec<String> = rows.iter().map(|row| row.shard.to_string()).collect();
                bail!("there is no shard {shard}; those that are known: {}", known.join(", "))
            };
            output::print(serde_json::to_string_pretty(&described(row))?)?;
        }
    }
    Ok(ExitCode::from(exit::OK))
}

fn rows(kafka: &Config) -> anyhow::Result<Vec<Row>> {
    let runtime = super::runtime().context("cannot start the runtime")?;
    let found = overview(kafka, runtime.handle().clone());
    runtime.shutdown_background();
    let found = found.with_context(|| format!("cannot read the state under the prefix {}", kafka.prefix))?;
    found.with_context(|| format!("nothing was ever announced under the prefix {}", kafka.prefix))
}

fn described(row: &Row) -> Value {
    let Row { shard, partition, instance, checkpoint } = row;
    json!({ "shard": shard.to_string(), "partition": partition, "announced": instance, "checkpoint": checkpoint })
}

/// The table, its head included.
fn table(rows: &[Row], now_ms: i64) -> String {
    let head = [
        "SHARD",
        "PARTITION",
        "ANNOUNCED",
        "STATE",
        "SEQUENCE",
        "POSITION",
        "DELIVERED",
        "DUPLICATES",
        "DEAD",
        "AGE",
    ];
    let lines: Vec<[String; 10]> = rows.iter().map(|row| cells(row, now_ms)).collect();
    let width = |column: usize| {
        let longest = lines.iter().map(|line| line[column].chars().count()).max().unwrap_or_default();
        longest.max(head[column].len())
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let padded = |cells: &[String]| {
        let cells = cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned() + "\n"
    };
    let head = padded(&head.map(str::to_owned));
    lines.iter().fold(head, |text, line| text + &padded(line))
}

fn cells(row: &Row, now_ms: i64) -> [String; 10] {
    let of = |value: fn(&Checkpoint) -> String| row.checkpoint.as_ref().map_or_else(|| "-".into(), value);
    let age = row.checkpoint.as_ref().map_or_else(|| "-".into(), |found| age(now_ms - found.committed_ms));
    [
        row.shard.to_string(),
        row.partition.to_string(),
        // The first part of a name that is unlike any other's is enough to tell instances apart.
        row.instance.chars().take(8).collect(),
        of(|found| match found.hold {
            Hold::Held => "held".into(),
            Hold::Released => "released".into(),
            Hold::Drained => "drained".into(),
        }),
        of(|found| found.sequence.to_string()),
        of(|found| found.position.as_ref().map_or_else(|| "-".into(), ToString::to_string)),
        of(|found| found.totals.delivered.to_string()),
        of(|found| found.totals.duplicates.to_string()),
        of(|found| found.totals.dead_letters.to_string()),
        age,
    ]
}

/// Milliseconds in whole seconds, as in `2m 5s`.
fn age(ms: i64) -> String {
    let seconds = u64::try_from(ms / 1000).unwrap_or_default();
    humantime::format_duration(std::time::Duration::from_secs(seconds)).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::types::{Position, ShardId};

    #[test]
    fn the_table_has_a_line_for_each_shard() {
        let shard = |index| ShardId { stream: "mobile".into(), index };
        let mut checkpoint = Checkpoint::initial("opening", 2, 1_000);
        (checkpoint.sequence, checkpoint.position) = (7, Some(Position::offset("1000412926496")));
        checkpoint.totals.delivered = 1_234;
        let instance = "0b8a1d9c-1234".to_owned();
        let rows = [
            Row { shard: shard(0), partition: 3, instance: instance.clone(), checkpoint: Some(checkpoint) },
            Row { shard: shard(1), partition: 4, instance, checkpoint: None },
        ];
        let expected = "\
SHARD     PARTITION  ANNOUNCED  STATE  SEQUENCE  POSITION       DELIVERED  DUPLICATES  DEAD  AGE
mobile/0  3          0b8a1d9c   held   7         1000412926496  1234       0           0     2m 5s
mobile/1  4          0b8a1d9c   -      -         -              -          -           -     -
";
        assert_eq!(table(&rows, 126_000), expected);
    }
}
