//! `checkpoints set` and `reset`: one shard, or all of a stream, go on elsewhere.

use anyhow::{Context, bail};

use super::{How, find, names, rows};
use crate::clock::now_ms;
use crate::model::checkpoint::Checkpoint;
use crate::model::offset;
use crate::model::types::{Position, ShardId};
use crate::output;
use crate::plan::Plan;
use crate::sink::kafka::editing::Editor;

/// Has a shard go on after `position`.
pub(super) fn set(plan: &Plan, shard: &str, position: &str, how: How) -> anyhow::Result<()> {
    if !offset::is_usable(position.as_bytes()) {
        bail!("{position:?} can be no offset of the service");
    }
    let rows = rows(&plan.kafka)?;
    let row = find(&rows, shard)?;
    change(plan, std::slice::from_ref(&row.shard), how, &Position::offset(position).into())
}

/// Has a shard, or all of a stream, begin as the stream's `start` says.
pub(super) fn reset(plan: &Plan, shard: &str, how: How) -> anyhow::Result<()> {
    let rows = rows(&plan.kafka)?;
    let is_meant = |id: &ShardId| *id.stream == *shard || id.to_string() == shard;
    let shards: Vec<ShardId> = rows.iter().map(|row| row.shard.clone()).filter(is_meant).collect();
    if shards.is_empty() {
        bail!("there is no shard or stream {shard}; the shards that are known: {}", names(&rows));
    }
    change(plan, &shards, how, &None)
}

fn change(plan: &Plan, shards: &[ShardId], how: How, position: &Option<Position>) -> anyhow::Result<()> {
    for shard in shards {
        check_keeps_position(plan, shard)?;
    }
    let moved = |checkpoint: Checkpoint| {
        let moved = checkpoint.moved_to(position.clone(), now_ms());
        if how.forget_ids { moved.without_ids() } else { moved }
    };
    with_editor(plan, |editor| {
        // All of them, before anything is changed.
        for shard in shards {
            editor.check(shard, None, how.force)?;
        }
        for shard in shards {
            let edited = editor.edit(shard, None, how.force, moved)?;
            output::print(said(shard, &edited))?;
        }
        Ok(())
    })
}

/// Gives an editor to `work`, with a runtime below it.
pub(super) fn with_editor(
    plan: &Plan,
    work: impl FnOnce(&Editor) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let runtime = super::super::runtime().context("cannot start the runtime")?;
    let owner = crate::shard::new_name().to_string();
    let editor = Editor::new(&plan.kafka, owner, runtime.handle().clone());
    let done = editor.map_err(Into::into).and_then(|editor| work(&editor));
    runtime.shutdown_background();
    done
}

/// What is said of a shard that was changed.
pub(super) fn said(shard: &ShardId, edited: &Checkpoint) -> String {
    let position = edited.position.as_ref();
    let position = position.map_or_else(|| "as its start says".to_owned(), |at| format!("after {at}"));
    format!("{shard}: goes on {position} (sequence {})", edited.sequence)
}

/// Refuses a stream whose position the service keeps.
fn check_keeps_position(plan: &Plan, shard: &ShardId) -> anyhow::Result<()> {
    if !plan.streams.iter().any(|stream| *stream.name() == shard.stream) {
        bail!(
            "stream {} is not in this configuration, so it is not known what its positions are",
            shard.stream
        )
    }
    if service_keeps_position(plan, shard) {
        bail!(
            "the service keeps the position of stream {} and moves it itself; run --reset has it move back or forward",
            shard.stream
        );
    }
    Ok(())
}

/// Whether it is the service that keeps the position of the shard's stream.
pub(super) fn service_keeps_position(plan: &Plan, shard: &ShardId) -> bool {
    let own = plan.streams.iter().find(|stream| *stream.name() == shard.stream);
    own.is_some_and(|stream| stream.on_unclean().is_some())
}
