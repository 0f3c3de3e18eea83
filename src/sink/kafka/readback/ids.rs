//! Reading the id journal back, and finding out from the journal itself whether it is complete.

use std::ops::{ControlFlow, Range};
use std::time::Duration;

use super::{OpenTransactions, Reader, TAIL, first_since};
use crate::failpoint;
use crate::model::checkpoint::Checkpoint;
use crate::model::types::{Dated, EventId};
use crate::sink::kafka::journal::{Audit, unpack};
use crate::sink::{Seed, SinkError};

/// Offsets by which the bound of a read back is too low where that rule is broken on purpose: a few commits.
const BROKEN_BOUND: i64 = 8;

/// Which ids are needed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Needed {
    /// When the oldest one was written: where they are looked for first.
    pub since_ms: i64,
    /// Their numbers; `None` for those of version 1, which have none.
    pub numbers: Option<Range<u64>>,
    /// How long the shard had run: the date of ids that have no other.
    pub ran_ms: u64,
}

impl Needed {
    /// Those of a shard that goes on from `checkpoint`. `window` is for checkpoints that do not say what is needed.
    pub(crate) fn of(checkpoint: &Checkpoint, window: Duration) -> Self {
        Self {
            since_ms: checkpoint.ids_since_ms(window),
            numbers: checkpoint.ids.map(|ids| ids.oldest..ids.written),
            ran_ms: checkpoint.ran_ms,
        }
    }
}

/// What of the needed ids the journal lacks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Lacks {
    /// None.
    Nothing,
    /// So many.
    Ids(u64),
    /// Those of its beginning, which was deleted; they have no numbers.
    Beginning,
}

impl Reader {
    /// Gives the needed ids of `key` to `seed`, oldest first. What is found without a number is of an older version, and
    /// was written again since if numbers are needed.
    pub(crate) fn ids(
        &self,
        topic: &str,
        partition: i32,
        key: &str,
        needed: &Needed,
        seed: Seed<'_>,
    ) -> Result<Lacks, SinkError> {
        let (low, mut high) = self.stable_end(topic, partition, OpenTransactions::WaitFor)?;
        if failpoint::is_broken("read_back") {
            high = low.max(high - BROKEN_BOUND);
        }
        let found = first_since(self.committed()?, topic, partition, needed.since_ms)?;
        let begin = found.map_or(high, |offset| offset.max(low));
        let Some(numbers) = &needed.numbers else {
            self.read_ids(topic, partition, key, begin..high, |dated, numbered, ids| {
                let ran_ms = numbered.map_or(needed.ran_ms, |(ran_ms, _)| ran_ms);
                seed(Dated { ran_ms, ..dated }, numbered.map(|(_, first)| first), ids);
                ControlFlow::Continue(())
            })?;
            // A record before the needed ones, or a partition of which nothing was ever deleted.
            return Ok(if begin > low || low == 0 { Lacks::Nothing } else { Lacks::Beginning });
        };
        let mut begin = begin;
        loop {
            let (mut audit, mut is_late) = (Audit::new(numbers.clone()), false);
            self.read_ids(topic, partition, key, begin..high, |dated, numbered, ids| {
                let Some((ran_ms, first)) = numbered else { return ControlFlow::Continue(()) };
                is_late = begin > low && audit.begins_late(first);
                if is_late {
                    return ControlFlow::Break(());
                }
                let older = audit.take(first, ids.len());
                if older < ids.len() {
                    seed(Dated { ran_ms, ..dated }, Some(first.saturating_add(older as u64)), &ids[older..]);
                }
                ControlFlow::Continue(())
            })?;
            if begin > low && (is_late || audit.found_nothing()) {
                // Clocks disagree: the time led to a place behind the needed ids.
                begin = low;
                continue;
            }
            return Ok(match audit.missing() {
                0 => Lacks::Nothing,
                count => Lacks::Ids(count),
            });
        }
    }

    /// The number behind the last id of `key`, 0 if none has a number; `None` where there is no record.
    pub(crate) fn next_id(&self, topic: &str, partition: i32, key: &str) -> Result<Option<u64>, SinkError> {
        let (low, high) = self.stable_end(topic, partition, OpenTransactions::WaitFor)?;
        for begin in [low.max(high - TAIL), low] {
            let mut next = None;
            self.read_ids(topic, partition, key, begin..high, |_, numbered, ids| {
                let behind = numbered.map_or(0, |(_, first)| first.saturating_add(ids.len() as u64));
                next = next.max(Some(behind));
                ControlFlow::Continue(())
            })?;
            if begin == low || next.is_some() {
                return Ok(next);
            }
        }
        Ok(None)
    }

    /// Gives each journal record of `key` to `each`, with running time and number of the first id where it has them.
    fn read_ids(
        &self,
        topic: &str,
        partition: i32,
        key: &str,
        offsets: Range<i64>,
        mut each: impl FnMut(Dated, Option<(u64, u64)>, &[EventId]) -> ControlFlow<()>,
    ) -> Result<(), SinkError> {
        let mut ids = Vec::new();
        self.read(topic, partition, offsets.start, offsets.end, |stored| {
            ids.clear();
            if stored.key != key.as_bytes() {
                return Ok(ControlFlow::Continue(()));
            }
            match unpack(stored.payload, &mut ids) {
                Ok(head) => {
                    let dated =
                        Dated { committed_ms: stored.timestamp_ms, ran_ms: 0, received_ms: head.received_ms };
                    Ok(each(dated, head.numbered, &ids))
                }
                Err(reason) => {
                    stored.skip(topic, partition, reason);
                    Ok(ControlFlow::Continue(()))
                }
            }
        })
    }
}
