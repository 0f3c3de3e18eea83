//! How a shard begins where the number of shards was changed: with what the shards before it left.
//!
//! Invariant: all of them are fenced before any of them is read, and the placement record that put this shard in their place
//! was read before that. So what is read is the last that they committed: one that opens again finds the record changed.

use tracing::{debug, info, warn};

use super::KafkaSink;
use crate::clock::now_ms;
use crate::model::checkpoint::Checkpoint;
use crate::model::legacy::Legacy;
use crate::model::types::ShardId;
use crate::sink::kafka::client::{Sizes, explain};
use crate::sink::kafka::opening::INIT_TIMEOUT;
use crate::sink::kafka::placement::record::{Cut, transactional_id};
use crate::sink::kafka::readback::{Lacks, Needed, OpenTransactions, Reader};
use crate::sink::{Seed, SinkError};
use rdkafka::producer::Producer;

/// What a shard begins with.
pub(super) struct Inherited {
    pub(super) checkpoint: Checkpoint,
    pub(super) has_all_ids: bool,
    legacy: Legacy,
}

impl KafkaSink {
    /// What the shards of the cuts before left; `None` where there were none, or none of them was ever opened.
    pub(super) fn inherit(
        &mut self,
        reader: &Reader,
        seed: Seed<'_>,
    ) -> Result<Option<Inherited>, SinkError> {
        let before = self.settings.place.before.clone();
        if before.is_empty() {
            return Ok(None);
        }
        let (mut legacy, mut has_all_ids) = (Legacy::default(), true);
        for cut in &before {
            self.fence_cut(cut)?;
            let (left, complete) = self.read_cut(reader, cut, &mut legacy)?;
            has_all_ids &= complete;
            if left == cut.partitions.len() {
                // Each of them began with what those before it had left.
                break;
            }
        }
        if legacy.is_empty() {
            return Ok(None);
        }
        let shard = &self.settings.shard;
        let checkpoint = legacy.checkpoint(self.fresh(), shard.index == 0, self.settings.begins_at_oldest);
        self.report(&legacy, &checkpoint);
        for run in legacy.runs() {
            seed(run.dated, Some(run.first), run.ids);
        }
        Ok(Some(Inherited { checkpoint, has_all_ids, legacy }))
    }

    /// The first checkpoint, and with it the ids that it counts.
    pub(super) fn claim_inheritance(&mut self, inherited: &mut Inherited) -> Result<Checkpoint, SinkError> {
        self.begin_batch()?;
        let checkpoint = Checkpoint { committed_ms: now_ms(), ..inherited.checkpoint.clone() };
        self.commit_batch(&mut inherited.legacy.runs().into_iter(), &checkpoint)?;
        self.report_opened(&checkpoint);
        Ok(checkpoint)
    }

    /// Fences all shards of an earlier cut. A transaction that one of them left open is aborted by it.
    fn fence_cut(&self, cut: &Cut) -> Result<(), SinkError> {
        let ShardId { stream, .. } = &self.settings.shard;
        for (index, _) in (0..).zip(&cut.partitions) {
            let shard = ShardId { stream: stream.clone(), index };
            let id = transactional_id(&self.settings.config.prefix, &shard, cut.number);
            let producer = self.clients.fencing().producer(&id, Sizes::default())?;
            producer.init_transactions(INIT_TIMEOUT).map_err(|error| {
                let reason = explain(&producer, &error);
                SinkError::Unusable(format!(
                    "cannot fence shard {shard}, as it was before the number of shards was changed: {reason}"
                ))
            })?;
        }
        Ok(())
    }

    /// Takes what the shards of an earlier cut left. Tells how many of them were opened, and whether all ids were there.
    fn read_cut(&self, reader: &Reader, cut: &Cut, legacy: &mut Legacy) -> Result<(usize, bool), SinkError> {
        let (state, stream) = (self.state(), &self.settings.shard.stream);
        let (mut opened, mut complete) = (0, true);
        for (index, partition) in (0..).zip(&cut.partitions) {
            let shard = ShardId { stream: stream.clone(), index };
            let key = Checkpoint::key(&shard);
            let open = OpenTransactions::WaitFor;
            let Some(left) = reader.checkpoint(&state.checkpoints, *partition, &key, open)? else {
                debug!(shard = key, partition, "was never opened");
                continue;
            };
            opened += 1;
            let needed = Needed::of(&left, self.settings.window);
            let lacks = reader.ids(&state.ids, *partition, &key, &needed, &mut |dated, _, ids| {
                legacy.add_ids(left.ran_ms, dated, ids);
            })?;
            if lacks != Lacks::Nothing {
                complete = false;
                warn!(
                    shard = key,
                    partition,
                    topic = state.ids,
                    "ids that are still needed are missing from the journal of a shard from before the number of shards was \
                     changed: events that the service repeats may be delivered again"
                );
            }
            legacy.add(left);
        }
        Ok((opened, complete))
    }

    fn report(&self, legacy: &Legacy, checkpoint: &Checkpoint) {
        let shard = self.key();
        info!(
            shard,
            position = checkpoint.position.as_ref().map(tracing::field::display),
            ids = legacy.ids(),
            cut = self.settings.place.cut,
            "the number of shards was changed: it begins at the least advanced position of the shards before, with the recent \
             ids of all of them"
        );
        let window_ms = i64::try_from(self.settings.window.as_millis()).unwrap_or(i64::MAX);
        if legacy.apart_ms() > window_ms {
            warn!(
                shard,
                apart_s = legacy.apart_ms() / 1000,
                window_s = window_ms / 1000,
                "the shards before were further apart than dedupe.window reaches back: events that the more advanced ones \
                 delivered may come again"
            );
        }
        if legacy.without_position() > 0 {
            warn!(
                shard,
                shards = legacy.without_position(),
                "shards before had never received anything; what the service held for them before the position of the others \
                 comes only where the stream begins with its oldest event (start = \"earliest\"), and then that of the \
                 others comes again as far as its ids are forgotten"
            );
        }
    }
}
