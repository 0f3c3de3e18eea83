//! How a shard begins where the number of shards was changed: with what the shards before it left.
//!
//! Invariant: all of them are fenced before any of them is read, and the placement record that put this shard in their place
//! was read before that. So what is read is the last that they committed: one that opens again finds the record changed.

use tracing::{debug, info, warn};

use super::{KafkaSink, blocking};
use crate::clock::now_ms;
use crate::model::checkpoint::Checkpoint;
use crate::model::legacy::Legacy;
use crate::model::types::ShardId;
use crate::sink::kafka::client::{Sizes, explain};
use crate::sink::kafka::opening::INIT_TIMEOUT;
use crate::sink::kafka::placement::record::{Cut, transactional_id};
use crate::sink::kafka::readback::{Lacks, Needed, OpenTransactions, Reader};
use crate::sink::{Seed, SinkError};

/// What a shard begins with.
pub(super) struct Inherited {
    pub(super) checkpoint: Checkpoint,
    pub(super) has_all_ids: bool,
    legacy: Legacy,
}

/// What is being read.
struct Reading {
    legacy: Legacy,
    has_all_ids: bool,
    /// Whether the totals of all cuts further back are in those that were read.
    has_totals: bool,
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
        let mut reading = Reading { legacy: Legacy::default(), has_all_ids: true, has_totals: false };
        let mut never_opened = 0;
        for cut in &before {
            self.fence_cut(cut)?;
            never_opened = self.read_cut(reader, cut, &mut reading)?;
            if never_opened == 0 {
                // Each of them began with what those before it had left.
                break;
            }
        }
        let Reading { mut legacy, has_all_ids, .. } = reading;
        if legacy.is_empty() {
            return Ok(None);
        }
        // There is nothing before these, so they have delivered nothing.
        (0..never_opened).for_each(|_| legacy.add(self.fresh(), false));
        let too_many = legacy.keep_youngest(self.settings.max_ids);
        let shard = &self.settings.shard;
        let checkpoint = legacy.checkpoint(self.fresh(), shard.index == 0, self.settings.begins_at_oldest);
        self.report(&legacy, &checkpoint, too_many);
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
        (self.claim.sequence, self.claims_from) = (checkpoint.sequence, checkpoint.sequence + 1);
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
            blocking::init(&producer, &self.state().checkpoints, INIT_TIMEOUT).map_err(|error| {
                let reason = explain(&producer, &error);
                SinkError::Unusable(format!(
                    "cannot fence shard {shard}, as it was before the number of shards was changed: {reason}"
                ))
            })?;
        }
        Ok(())
    }

    /// Takes what the shards of an earlier cut left. Tells how many of them were never opened.
    fn read_cut(&self, reader: &Reader, cut: &Cut, reading: &mut Reading) -> Result<usize, SinkError> {
        let (state, stream) = (self.state(), &self.settings.shard.stream);
        let (mut never_opened, mut has_totals) = (0, false);
        for (index, partition) in (0..).zip(&cut.partitions) {
            let shard = ShardId { stream: stream.clone(), index };
            let key = Checkpoint::key(&shard);
            let open = OpenTransactions::WaitFor;
            let Some(left) = reader.checkpoint(&state.checkpoints, *partition, &key, open)? else {
                self.check_never_opened(reader, cut, &shard, *partition)?;
                never_opened += 1;
                continue;
            };
            let needed = Needed::of(&left, self.settings.window);
            let lacks = reader.ids(&state.ids, *partition, &key, &needed, &mut |dated, _, ids| {
                reading.legacy.add_ids(left.ran_ms, dated, ids);
            })?;
            if lacks != Lacks::Nothing {
                reading.has_all_ids = false;
                warn!(
                    shard = key,
                    partition,
                    topic = state.ids,
                    "ids that are still needed are missing from the journal of a shard from before the number of shards was \
                     changed: events that the service repeats may be delivered again"
                );
            }
            // The first shard of a cut has the totals of all before it.
            has_totals |= index == 0;
            reading.legacy.add(left, !reading.has_totals);
        }
        reading.has_totals |= has_totals;
        Ok(never_opened)
    }

    /// Refuses to take a shard for one that was never opened where its ids say otherwise: its checkpoint is lost, and with it the
    /// place to go on.
    fn check_never_opened(
        &self,
        reader: &Reader,
        cut: &Cut,
        shard: &ShardId,
        partition: i32,
    ) -> Result<(), SinkError> {
        // Without transactions the ids of a first checkpoint after a cut may be there and the checkpoint not.
        let is_sure = self.transactional() || cut.number == 0;
        let state = self.state();
        if !is_sure || reader.next_id(&state.ids, partition, &Checkpoint::key(shard))?.is_none() {
            debug!(shard = %shard, partition, cut = cut.number, "was never opened");
            return Ok(());
        }
        Err(SinkError::Unusable(format!(
            "shard {shard}, as it was before the number of shards was changed, has no checkpoint in {} partition {partition}, \
             although its ids are in {}: the checkpoint was deleted or has expired. Restore the topic; or begin anew on purpose, \
             with run --start-anew {}=WORD",
            state.checkpoints, state.ids, shard.stream
        )))
    }

    fn report(&self, legacy: &Legacy, checkpoint: &Checkpoint, too_many: usize) {
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
        if too_many > 0 {
            warn!(
                shard,
                too_many,
                max_ids = self.settings.max_ids,
                "the shards before knew more recent ids than dedupe.max_ids: the oldest are forgotten, and events that the service \
                 repeats may be delivered again. Raise it before the number of shards is lowered"
            );
        }
        if legacy.is_unsure() {
            warn!(
                shard,
                "the offsets of the shards before are no numbers, so they were compared by time: events may be missing that were \
                 processed within seconds of that position. checkpoints set has the shards go back"
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
