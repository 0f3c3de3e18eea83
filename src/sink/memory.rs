//! A sink in memory, for tests of what is above it: transactions that keep or drop their records, and faults.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use super::{Known, Opened, Reopened, Seed, Sink, SinkError};
use crate::model::checkpoint::Checkpoint;
use crate::model::types::{Dated, EventId, Headers, OutRecord, Run};

/// A record as it was kept.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Kept {
    /// Topic.
    pub topic: String,
    /// Key.
    pub key: Option<Vec<u8>>,
    /// Value.
    pub value: Vec<u8>,
    /// The dead letter's reason.
    pub reason: Option<&'static str>,
}

/// What is "in the cluster": shared by all sinks of a test.
#[derive(Debug, Default)]
pub struct Cluster {
    /// Committed records.
    pub records: Vec<Kept>,
    /// Records of aborted batches.
    pub aborted: usize,
    /// Committed ids with the number of the first, by commit.
    pub journal: Vec<(Dated, u64, Vec<EventId>)>,
    /// Whether the journal is lost at the next opening.
    pub loses_journal: bool,
    /// The latest checkpoint.
    pub checkpoint: Option<Checkpoint>,
    /// Faults of the commits to come, first first.
    pub faults: VecDeque<Fault>,
    /// Largest value taken.
    pub limit: Option<usize>,
    /// Batch sizes.
    pub commits: Vec<usize>,
}

/// What happens to a commit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// It works.
    None,
    /// It must be aborted.
    Abort,
    /// It took place, but the answer is lost.
    UnknownButLanded,
    /// It did not take place, and the answer is lost.
    UnknownAndLost,
    /// Another instance took over.
    Fenced,
}

/// A sink on a [`Cluster`].
pub struct MemorySink {
    cluster: Arc<Mutex<Cluster>>,
    batch: Vec<Kept>,
    open: bool,
}

impl MemorySink {
    /// On this cluster.
    pub fn new(cluster: Arc<Mutex<Cluster>>) -> Self {
        Self { cluster, batch: Vec::new(), open: false }
    }

    fn claim(&mut self) -> Checkpoint {
        self.open = false;
        self.batch.clear();
        let mut cluster = self.cluster.lock().unwrap();
        let claimed = match cluster.checkpoint.take() {
            Some(found) => found.claimed_by("memory"),
            None => Checkpoint::initial("memory", 1, 0),
        };
        cluster.checkpoint = Some(claimed.clone());
        claimed
    }
}

impl Sink for MemorySink {
    fn open(&mut self, seed: Seed<'_>) -> Result<Opened, SinkError> {
        let stopped_in_order = {
            let cluster = self.cluster.lock().unwrap();
            for (dated, first, ids) in &cluster.journal {
                seed(*dated, Some(*first), ids);
            }
            cluster.checkpoint.as_ref().map(|found| found.clean)
        };
        Ok(Opened {
            checkpoint: self.claim(),
            stopped_in_order,
            has_all_ids: true,
            checkpoint_missing: false,
        })
    }

    fn reopen(&mut self, _: Known<'_>) -> Result<Reopened, SinkError> {
        let checkpoint = self.claim();
        let mut cluster = self.cluster.lock().unwrap();
        let journal_lost = std::mem::take(&mut cluster.loses_journal);
        if journal_lost {
            cluster.journal.clear();
        }
        Ok(Reopened { checkpoint, journal_lost })
    }

    fn begin(&mut self) -> Result<(), SinkError> {
        assert!(!self.open, "begin inside a transaction");
        self.open = true;
        Ok(())
    }

    fn send(&mut self, record: &OutRecord<'_>) -> Result<(), SinkError> {
        assert!(self.open, "send outside a transaction");
        if let Some(limit) = self.cluster.lock().unwrap().limit.filter(|limit| record.value.len() > *limit) {
            return Err(SinkError::TooLarge { limit });
        }
        self.batch.push(Kept {
            topic: record.topic.to_owned(),
            key: record.key.map(<[u8]>::to_vec),
            value: record.value.to_vec(),
            reason: match record.headers {
                Headers::DeadLetter { reason, .. } => Some(reason.name()),
                Headers::Event { .. } => None,
            },
        });
        Ok(())
    }

    fn commit(
        &mut self,
        ids: &mut dyn Iterator<Item = Run<'_>>,
        checkpoint: &Checkpoint,
    ) -> Result<(), SinkError> {
        let mut cluster = self.cluster.lock().unwrap();
        let fault = cluster.faults.pop_front().unwrap_or(Fault::None);
        match fault {
            Fault::Abort => return Err(SinkError::Abortable("on demand".into())),
            Fault::UnknownAndLost => return Err(SinkError::OutcomeUnknown("on demand".into())),
            Fault::Fenced => return Err(SinkError::Fenced("on demand".into())),
            Fault::None | Fault::UnknownButLanded => {}
        }
        cluster.commits.push(self.batch.len());
        cluster.records.append(&mut self.batch);
        cluster.journal.extend(ids.map(|run| (run.dated, run.first, run.ids.to_vec())));
        cluster.checkpoint = Some(checkpoint.clone());
        self.open = false;
        if fault == Fault::UnknownButLanded {
            Err(SinkError::OutcomeUnknown("on demand".into()))
        } else {
            Ok(())
        }
    }

    fn abort(&mut self) -> Result<(), SinkError> {
        self.cluster.lock().unwrap().aborted += self.batch.len();
        self.batch.clear();
        self.open = false;
        Ok(())
    }
}
