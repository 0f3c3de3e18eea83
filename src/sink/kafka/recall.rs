//! What the cluster is to remember of a shard: its ids written and read back, and what is made good when a state topic was
//! lost under way. What is in this process's memory is then the only copy.

use tracing::{debug, error, warn};

use super::KafkaSink;
use super::preparing::LEAST_BATCH_BYTES;
use crate::failpoint;
use crate::model::checkpoint::{Checkpoint, Ids};
use crate::model::types::Run;
use crate::sink::kafka::journal::{HEAD_BYTES, ID_BYTES, IDS_PER_RECORD, pack};
use crate::sink::kafka::readback::{Lacks, Needed, Reader};
use crate::sink::{Known, Seed, SinkError};

/// What Kafka puts around one record in a batch of its own, generously.
const FRAMING_BYTES: usize = 256;

/// What a shard that is opened again finds of its own state.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Standing {
    /// Where it goes on.
    checkpoint: Checkpoint,
    lost: Lost,
}

/// What Kafka has lost of a shard's state.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Lost {
    /// Whether the checkpoint is known from memory alone.
    checkpoint: bool,
    /// Whether the journal lacks ids that are needed.
    pub(super) journal: bool,
}

impl Lost {
    /// Whether anything is.
    pub(super) fn any(self) -> bool {
        self.checkpoint || self.journal
    }
}

impl KafkaSink {
    /// Writes the ids of a batch to the journal; tells how many records they take.
    pub(super) fn send_ids(
        &mut self,
        runs: &mut dyn Iterator<Item = Run<'_>>,
        committed_ms: i64,
    ) -> Result<usize, SinkError> {
        if self.is_replay() || failpoint::is_broken("journal") {
            // The letters themselves tell what was delivered.
            return Ok(0);
        }
        let mut records = 0;
        let (topic, key) = (self.state().ids, self.key());
        let mut packed = std::mem::take(&mut self.packed);
        for run in runs {
            let mut first = run.first;
            for ids in run.ids.chunks(ids_per_record(self.whole_batch_bytes(), key.len())) {
                pack(&Run { first, ids, ..run }, &mut packed);
                first += ids.len() as u64;
                self.send_state(&topic, &key, &packed, committed_ms)?;
                records += 1;
            }
        }
        self.packed = packed;
        Ok(records)
    }

    /// A topic refused a batch as too large: smaller ones are made from the next opening on.
    pub(super) fn learn_limit(&mut self) {
        if self.whole_batch_bytes() < self.sizes.batch_bytes {
            // Learnt from another record of the same batch.
            return;
        }
        self.learnt.batch_bytes = (self.whole_batch_bytes() / 2).max(LEAST_BATCH_BYTES);
        warn!(
            shard = self.key(),
            bytes = self.learnt.batch_bytes,
            "a topic takes less at once than its max.message.bytes was, or than kafka.max_message_bytes says; batches \
             are cut. DESCRIBE_CONFIGS on the topics lets their limits be read"
        );
    }

    /// Gives the ids that a shard at `found` still needs; tells whether the journal held all of them.
    pub(super) fn read_ids(
        &self,
        reader: &Reader,
        found: &Checkpoint,
        seed: Seed<'_>,
    ) -> Result<bool, SinkError> {
        if self.is_replay() {
            return Ok(true);
        }
        let (topic, partition) = (self.state().ids, self.settings.place.partition);
        let needed = Needed::of(found, self.settings.window);
        let mut count = 0;
        let lacks = reader.ids(&topic, partition, &self.key(), &needed, &mut |dated, first, ids| {
            count += ids.len();
            seed(dated, first, ids);
        })?;
        debug!(shard = self.key(), ids = count, "journal read back");
        let missing = match lacks {
            Lacks::Nothing => return Ok(true),
            Lacks::Ids(missing) => Some(missing),
            Lacks::Beginning => None,
        };
        warn!(
            shard = self.key(),
            topic,
            partition,
            missing,
            found = count,
            "ids that are still needed are missing from the journal: events that the service repeats may be delivered \
             again. Its retention (retention.ms, retention.bytes) was too short, or records were deleted"
        );
        Ok(false)
    }

    /// Refuses to begin anew a shard of which the journal knows ids: its checkpoint is lost, and with it the place to go on.
    pub(super) fn check_is_new(&self, reader: &Reader) -> Result<(), SinkError> {
        let (state, partition) = (self.state(), self.settings.place.partition);
        if self.is_replay() || reader.next_id(&state.ids, partition, &self.key())?.is_none() {
            return Ok(());
        }
        Err(SinkError::Unusable(format!(
            "shard {} has no checkpoint in {} partition {partition}, although its ids are in {}: the checkpoint was \
             deleted or has expired, and beginning anew would lose events or deliver them twice. Restore the topic; or begin \
             anew on purpose, with run --start-anew {}=WORD",
            self.settings.shard, state.checkpoints, state.ids, self.settings.shard.stream
        )))
    }

    /// Where a reopened shard goes on, and what Kafka lost of its state. Lost ids have to be written again.
    pub(super) fn make_good(
        &self,
        reader: &Reader,
        found: Option<Checkpoint>,
        known: Known<'_>,
    ) -> Result<(Checkpoint, Lost), SinkError> {
        let (state, partition) = (self.state(), self.settings.place.partition);
        let next_id = match self.is_replay() {
            true => None,
            false => reader.next_id(&state.ids, partition, &self.key())?,
        };
        let mut stands = standing(found, known, next_id);
        stands.lost.journal = !self.is_replay() && (stands.lost.journal || self.seen.ids_lost);
        if stands.lost.checkpoint {
            error!(
                shard = self.key(),
                topic = state.checkpoints,
                partition,
                sequence = stands.checkpoint.sequence,
                "the shard's checkpoint was lost, as when its topic is deleted; it is written again from memory. The \
                 checkpoints of streams that are not running now are lost with the topic"
            );
            let is_untold =
                |attempted| self.is_replay() || !tells(known.last, attempted) || stands.lost.journal;
            if known.attempted.is_some_and(is_untold) {
                error!(
                    shard = self.key(),
                    "whether the last batch was committed cannot be told any more; if it was, its records come twice"
                );
            }
        }
        if stands.lost.journal {
            error!(
                shard = self.key(),
                topic = state.ids,
                partition,
                "the shard's ids were lost from the journal, as when its topic is deleted; those in memory are written \
                 again with the next commit. Until then a crash makes events come twice that the service repeats. The ids \
                 of streams that are not running now are lost with the topic"
            );
        }
        Ok((stands.checkpoint, stands.lost))
    }
}

/// How many ids go into one record where a batch may have so many bytes.
fn ids_per_record(batch_bytes: usize, key_bytes: usize) -> usize {
    let room = batch_bytes.saturating_sub(HEAD_BYTES + key_bytes + FRAMING_BYTES);
    (room / ID_BYTES).clamp(1, IDS_PER_RECORD)
}

/// Whether the journal can tell that `attempted` was committed after `last`: it brought ids.
fn tells(last: &Checkpoint, attempted: &Checkpoint) -> bool {
    written(attempted) > written(last)
}

fn written(checkpoint: &Checkpoint) -> u64 {
    checkpoint.ids.map_or(0, |ids| ids.written)
}

/// What stands, given the checkpoint that was found and the number behind the last id in the journal. What is known to be
/// committed cannot have become undone, so less than that means that something was lost.
fn standing(found: Option<Checkpoint>, known: Known<'_>, next_id: Option<u64>) -> Standing {
    let Known { last, attempted } = known;
    let is_needed = |ids: &Ids| ids.oldest < ids.written;
    let next_id = next_id.unwrap_or(0);
    let journal_lost = last.ids.filter(is_needed).is_some_and(|ids| next_id < ids.written);
    match found {
        Some(found) if found.sequence >= last.sequence => {
            Standing { checkpoint: found, lost: Lost { checkpoint: false, journal: journal_lost } }
        }
        _ => {
            let landed =
                attempted.filter(|attempted| tells(last, attempted) && next_id >= written(attempted));
            let checkpoint = landed.unwrap_or(last).clone();
            Standing { checkpoint, lost: Lost { checkpoint: true, journal: journal_lost } }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::checkpoint::{Delta, Hold, Totals};

    fn after(from: &Checkpoint, oldest: u64, written: u64) -> Checkpoint {
        let delta = Delta {
            from: from.sequence,
            to: None,
            processed_ms: None,
            added: Totals::default(),
            ran_ms: 0,
            ids: Ids { oldest, written, since_ms: 0 },
            hold: Hold::Held,
        };
        from.after(&delta, from.committed_ms + 1).unwrap()
    }

    #[test]
    fn what_was_lost_is_made_good_from_memory() {
        let first = Checkpoint::initial("me", 1, 0);
        let last = after(&first, 0, 10);
        let attempted = after(&last, 0, 20);
        let stand = |found: Option<&Checkpoint>, attempted: Option<&Checkpoint>, next_id| {
            let standing = standing(found.cloned(), Known { last: &last, attempted }, next_id);
            (standing.checkpoint, standing.lost.checkpoint, standing.lost.journal)
        };
        let attempt = Some(&attempted);
        assert_eq!(stand(Some(&last), attempt, Some(10)), (last.clone(), false, false), "nothing was lost");
        assert_eq!(stand(Some(&attempted), attempt, Some(20)), (attempted.clone(), false, false));
        assert_eq!(stand(Some(&last), None, None), (last.clone(), false, true), "the ids are gone");
        assert_eq!(stand(Some(&last), None, Some(9)), (last.clone(), false, true), "the latest are gone");
        assert_eq!(stand(None, attempt, Some(10)), (last.clone(), true, false), "the batch did not count");
        assert_eq!(
            stand(None, attempt, Some(20)),
            (attempted.clone(), true, false),
            "the journal has its ids"
        );
        assert_eq!(stand(None, attempt, None), (last.clone(), true, true), "both are gone");
        assert_eq!(
            stand(Some(&first), None, Some(10)),
            (last.clone(), true, false),
            "only an older one is left"
        );
    }

    #[test]
    fn records_are_cut_to_what_a_batch_may_have() {
        assert_eq!(ids_per_record(1_000_000, 8), IDS_PER_RECORD);
        assert_eq!(ids_per_record(20_000, 8), 1_231);
        assert_eq!(ids_per_record(100, 200), 1, "never none");
    }

    #[test]
    fn ids_that_nobody_needs_are_not_missed() {
        let last = after(&Checkpoint::initial("me", 1, 0), 10, 10);
        let known = Known { last: &last, attempted: None };
        assert!(!standing(Some(last.clone()), known, None).lost.journal, "all are forgotten");
        let old = Checkpoint { ids: None, ..last.clone() };
        let known = Known { last: &old, attempted: None };
        assert!(
            !standing(Some(old.clone()), known, Some(0)).lost.journal,
            "of version 1: written anew anyway"
        );
    }
}
