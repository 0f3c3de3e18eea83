//! `checkpoints export` and `import`: all positions and totals in a file.

use std::path::Path;

use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use super::edit::{said, service_keeps_position, with_editor};
use super::rows;
use crate::clock::now_ms;
use crate::model::checkpoint::{self, Checkpoint};
use crate::model::file::read;
use crate::model::offset;
use crate::model::types::{Position, ShardId};
use crate::output;
use crate::plan::Plan;
use crate::sink::kafka::config::Config;
use crate::supervisor::{self, Names};

/// The version of the file.
const VERSION: u32 = 1;

/// The largest file that is read: some hundred thousand shards.
const MAX_BYTES: u64 = 64 << 20;

/// What `export` writes.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Archive {
    version: u32,
    /// The `state.prefix` that it was read from.
    prefix: String,
    /// When, milliseconds since the Unix epoch.
    exported_ms: i64,
    shards: Vec<Entry>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    stream: String,
    index: u32,
    /// How many shards the stream has.
    shards: u32,
    checkpoint: Checkpoint,
}

impl Entry {
    fn id(&self) -> ShardId {
        ShardId { stream: self.stream.as_str().into(), index: self.index }
    }
}

/// Writes everything that is committed to standard output.
pub(super) fn export(kafka: &Config) -> anyhow::Result<()> {
    let rows = rows(kafka)?;
    let of_stream = |stream: &str| rows.iter().filter(|row| *row.shard.stream == *stream).count();
    let entries = rows.iter().filter_map(|row| {
        let ShardId { stream, index } = &row.shard;
        let shards = u32::try_from(of_stream(stream)).ok()?;
        let checkpoint = row.checkpoint.clone()?;
        Some(Entry { stream: stream.to_string(), index: *index, shards, checkpoint })
    });
    let shards = entries.collect();
    let archive = Archive { version: VERSION, prefix: kafka.prefix.clone(), exported_ms: now_ms(), shards };
    Ok(output::print(serde_json::to_string_pretty(&archive)?)?)
}

/// Has the shards of the file go on where it says. All of it is checked before anything is changed.
pub(super) fn import(plan: &Plan, file: &Path, force: bool) -> anyhow::Result<()> {
    let text = read(file, MAX_BYTES).with_context(|| format!("cannot read {}", file.display()))?;
    let archive: Archive = serde_json::from_slice(&text)
        .with_context(|| format!("{} is no export of checkpoints", file.display()))?;
    if archive.version != VERSION {
        bail!("{} is of version {}; this release reads {VERSION}", file.display(), archive.version);
    }
    if archive.shards.is_empty() {
        bail!("{} holds no checkpoint", file.display());
    }
    let (moved, left_out): (Vec<&Entry>, Vec<&Entry>) =
        archive.shards.iter().partition(|entry| !service_keeps_position(plan, &entry.id()));
    for entry in left_out {
        output::print(format!("{}: left out, since the service keeps the position", entry.id()))?;
    }
    for entry in &moved {
        let checkpoint = &entry.checkpoint;
        let is_usable = match &checkpoint.position {
            Some(Position::Offset { offset, .. }) => offset::is_usable(offset.as_bytes()),
            Some(Position::Watermark(_) | Position::Letters(_)) => false,
            None => true,
        };
        if checkpoint.version > checkpoint::VERSION || !is_usable {
            bail!(
                "{}: its checkpoint was written by a later release, or its position can be no offset",
                entry.id()
            );
        }
        let shards =
            plan.streams.iter().find(|stream| **stream.name() == *entry.stream).map(|stream| stream.shards);
        if shards != Some(entry.shards) || entry.index >= entry.shards {
            bail!(
                "shard {} is one of {} in the file, and the stream has {} in this configuration",
                entry.id(),
                entry.shards,
                shards.unwrap_or_default()
            );
        }
    }
    place(plan)?;
    with_editor(plan, |editor| {
        for entry in &moved {
            editor.check(&entry.id(), Some(entry.shards), force)?;
        }
        for entry in &moved {
            let shard = entry.id();
            let edited =
                editor.edit(&shard, Some(entry.shards), force, |found| imported(found, &entry.checkpoint))?;
            output::print(said(&shard, &edited))?;
        }
        Ok(())
    })
}

/// Has streams placed that the cluster does not know.
fn place(plan: &Plan) -> anyhow::Result<()> {
    let runtime = super::super::runtime().context("cannot start the runtime")?;
    let names = Names::new(plan);
    let placed = supervisor::place_unknown(plan, &names, &CancellationToken::new(), runtime.handle());
    runtime.shutdown_background();
    Ok(placed?)
}

/// What is found, with position, times and totals of the file. The ids are those of this cluster's journal.
fn imported(found: Checkpoint, from: &Checkpoint) -> Checkpoint {
    Checkpoint {
        position: from.position.clone(),
        position_ms: from.position_ms,
        processed_ms: from.processed_ms,
        committed_ms: from.committed_ms,
        totals: from.totals,
        ..found
    }
}
