//! `tributary checkpoints`: what the state topics say of each shard, and how that is changed.

use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::{Configured, exit};
use crate::clock::now_ms;
use crate::model::checkpoint::{Checkpoint, Hold};
use crate::output;
use crate::sink::kafka::config::Config;
use crate::sink::kafka::placement::{Row, overview};

mod archive;
mod edit;

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
    /// Has a shard go on at another position
    ///
    /// For Airship streams; `run --reset` moves the position of an Adobe stream, which the service keeps.
    Set {
        /// Which one, as in mobile/0
        shard: String,
        /// The offset after which it goes on, as the service spells it
        #[arg(long, value_name = "OFFSET")]
        position: String,
        #[command(flatten)]
        how: How,
        #[command(flatten)]
        configured: Configured,
    },
    /// Has a shard, or all of a stream, begin as the stream's `start` says
    Reset {
        /// Which one, as in mobile/0, or mobile for all
        shard: String,
        #[command(flatten)]
        how: How,
        #[command(flatten)]
        configured: Configured,
    },
    /// Writes the checkpoints of all shards to standard output, for `import`
    ///
    /// Recent ids stay behind in Kafka. Nobody is disturbed.
    Export {
        #[command(flatten)]
        configured: Configured,
    },
    /// Has the shards go on where an export says
    ///
    /// Streams that this cluster does not know are placed first, as this configuration has them. Adobe streams are left out,
    /// since the service keeps their position. Ids are not part of an export: with another cluster or state.prefix, events
    /// that the service repeats may be delivered again.
    Import {
        /// The file that `export` wrote
        file: std::path::PathBuf,
        /// Also shards that are held: they are taken away from whoever is at work on them, which then goes on from there
        #[arg(long)]
        force: bool,
        #[command(flatten)]
        configured: Configured,
    },
}

/// How a checkpoint is changed.
#[derive(Clone, Copy, Debug, Args)]
struct How {
    /// Forget the recent ids too, so that what was delivered may be delivered again
    #[arg(long)]
    forget_ids: bool,
    /// Also a shard that is held: it is taken away from whoever is at work on it, which then goes on from there
    ///
    /// Without it, a shard whose last checkpoint is not that of a stop is refused (exit code 1). With delivery = "at_least_once"
    /// nothing fences a shard that is at work, which would go on as if nothing had happened: stop it first.
    #[arg(long)]
    force: bool,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let (What::List { configured, .. }
    | What::Show { configured, .. }
    | What::Set { configured, .. }
    | What::Reset { configured, .. }
    | What::Export { configured }
    | What::Import { configured, .. }) = &arguments.what;
    let config = match configured.load() {
        Ok(config) => config,
        Err(code) => return Ok(code),
    };
    let kafka = &config.plan.kafka;
    match &arguments.what {
        What::List { json: true, .. } => {
            let rows: Vec<Value> = rows(kafka)?.iter().map(described).collect();
            output::print(serde_json::to_string_pretty(&rows)?)?;
        }
        What::List { .. } => output::print(table(&rows(kafka)?, now_ms()).trim_end())?,
        What::Show { shard, .. } => {
            let rows = rows(kafka)?;
            let row = find(&rows, shard)?;
            output::print(serde_json::to_string_pretty(&described(row))?)?;
        }
        What::Set { shard, position, how, .. } => edit::set(&config.plan, shard, position, *how)?,
        What::Reset { shard, how, .. } => edit::reset(&config.plan, shard, *how)?,
        What::Export { .. } => archive::export(kafka)?,
        What::Import { file, force, .. } => archive::import(&config.plan, file, *force)?,
    }
    Ok(ExitCode::from(exit::OK))
}

/// The row of a shard that is named.
fn find<'a>(rows: &'a [Row], shard: &str) -> anyhow::Result<&'a Row> {
    let row = rows.iter().find(|row| row.shard.to_string() == shard);
    row.with_context(|| format!("there is no shard {shard}; those that are known: {}", names(rows)))
}

fn names(rows: &[Row]) -> String {
    rows.iter().map(|row| row.shard.to_string()).collect::<Vec<_>>().join(", ")
}

fn rows(kafka: &Config) -> anyhow::Result<Vec<Row>> {
    let runtime = super::runtime().context("cannot start the runtime")?;
    let found = overview(kafka, runtime.handle().clone());
    runtime.shutdown_background();
    let found = found.with_context(|| format!("cannot read the state under the prefix {}", kafka.prefix))?;
    found.with_context(|| format!("nothing was ever announced under the prefix {}", kafka.prefix))
}

fn described(row: &Row) -> Value {
    let Row { shard, partition, instance, generation, cut, checkpoint } = row;
    json!({
        "shard": shard.to_string(), "partition": partition, "announced": instance, "generation": generation, "cut": cut,
        "checkpoint": checkpoint,
    })
}

/// The table, its head included.
fn table(rows: &[Row], now_ms: i64) -> String {
    let head = [
        "SHARD",
        "PARTITION",
        "GENERATION",
        "INSTANCE",
        "HOLD",
        "SEQUENCE",
        "POSITION",
        "DELIVERED",
        "DUPLICATES",
        "DEAD",
        "AGE",
    ];
    let lines: Vec<[String; 11]> = rows.iter().map(|row| cells(row, now_ms)).collect();
    super::table::table(head, &lines)
}

fn cells(row: &Row, now_ms: i64) -> [String; 11] {
    let of = |value: fn(&Checkpoint) -> String| row.checkpoint.as_ref().map_or_else(|| "-".into(), value);
    let age = row.checkpoint.as_ref().map_or_else(|| "-".into(), |found| age(now_ms - found.committed_ms));
    [
        row.shard.to_string(),
        row.partition.to_string(),
        row.generation.to_string(),
        holder(row),
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

/// Who holds the shard, or had it last: the name of a process that is unlike any other's is cut to what tells instances apart.
fn holder(row: &Row) -> String {
    let instance = row.checkpoint.as_ref().and_then(|found| found.instance.as_deref()).unwrap_or("-");
    match uuid::Uuid::try_parse(instance) {
        Ok(_) => instance.chars().take(8).collect(),
        Err(_) => instance.to_owned(),
    }
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
        checkpoint.instance = Some("tributary-0".into());
        let row = |index, partition, checkpoint| Row {
            shard: shard(index),
            partition,
            instance: "group".into(),
            generation: 4,
            cut: 1,
            checkpoint,
        };
        let other = Checkpoint {
            instance: Some("67e55044-10b1-426f-9247-bb680e5fe0c8".into()),
            ..checkpoint.clone()
        };
        let rows = [row(0, 3, Some(checkpoint)), row(1, 4, Some(other)), row(2, 5, None)];
        let expected = "\
SHARD     PARTITION  GENERATION  INSTANCE     HOLD  SEQUENCE  POSITION       DELIVERED  DUPLICATES  DEAD  AGE
mobile/0  3          4           tributary-0  held  7         1000412926496  1234       0           0     2m 5s
mobile/1  4          4           67e55044     held  7         1000412926496  1234       0           0     2m 5s
mobile/2  5          4           -            -     -         -              -          -           -     -
";
        assert_eq!(table(&rows, 126_000), expected);
    }
}
