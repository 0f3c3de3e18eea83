//! A sink in memory, for tests of what is above it: transactions that keep or drop their records, and faults.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Mutex};

use super::Refused;
use super::{Accepts, Known, Opened, Reopened, Seed, Sink, SinkError, Topic};
use crate::model::checkpoint::Checkpoint;
use crate::model::types::{Dated, EventId, Headers, OutRecord, Run};

/// A record as it was kept.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Kept {
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
pub(crate) struct Cluster {
    /// Committed records.
    pub records: Vec<Kept>,
    /// Records of aborted batches.
    pub aborted: usize,
    /// Committed ids with the number of the first, by commit.
    pub journal: Vec<(Dated, u64, Vec<EventId>)>,
    /// Faults of the claims with which a sink is opened again, first first.
    pub claim_faults: VecDeque<Fault>,
    /// How often a sink was opened again.
    pub reopenings: usize,
    /// Whether the journal is lost at the next opening.
    pub loses_journal: bool,
    /// Whether the next look finds that something was lost.
    pub check_fails: bool,
    /// How often the state was looked at.
    pub checks: usize,
    /// The latest checkpoint.
    pub checkpoint: Option<Checkpoint>,
    /// Faults of the commits to come, first first.
    pub faults: VecDeque<Fault>,
    /// Largest value taken.
    pub limit: Option<usize>,
    /// Batch sizes.
    pub commits: Vec<usize>,
    /// Batches with more records than this are too slow.
    pub most: Option<usize>,
    /// Whether a slow batch's outcome is unknown, too.
    pub slow_is_unknown: bool,
    /// Values that their topic refuses.
    pub refused: BTreeSet<Vec<u8>>,
    /// Topics that are known only when they were prepared: those that begin so.
    pub unknown: Option<&'static str>,
    /// Topics that were prepared, by call.
    pub prepared: Vec<BTreeSet<String>>,
    /// Topics that cannot be had, though they were prepared.
    pub missing: BTreeSet<String>,
    /// Whether preparing makes no topic known.
    pub prepares_nothing: bool,
    /// Failures of preparing to come.
    pub prepare_fails: usize,
}

/// What happens to a commit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fault {
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
    /// Its topics are forgotten, and it must be made again by a producer opened anew.
    TopicsGone,
    /// It was too slow, whatever its size.
    Slow,
}

/// A sink on a [`Cluster`].
pub(crate) struct MemorySink {
    cluster: Arc<Mutex<Cluster>>,
    batch: Vec<Kept>,
    /// The lines of its records.
    ordinals: Vec<usize>,
    open: bool,
    known: BTreeSet<String>,
    missing: BTreeSet<String>,
    refused: Vec<Refused>,
}

impl MemorySink {
    /// On this cluster.
    pub(crate) fn new(cluster: Arc<Mutex<Cluster>>) -> Self {
        Self {
            cluster,
            batch: Vec::new(),
            ordinals: Vec::new(),
            open: false,
            known: BTreeSet::new(),
            missing: BTreeSet::new(),
            refused: Vec::new(),
        }
    }

    fn claim(&mut self) -> Checkpoint {
        self.open = false;
        self.batch.clear();
        self.ordinals.clear();
        let mut cluster = self.cluster.lock().unwrap();
        let claimed = match cluster.checkpoint.take() {
            Some(found) => found.claimed_by("memory", None),
            None => Checkpoint::initial("memory", 1, 0),
        };
        cluster.checkpoint = Some(claimed.clone());
        claimed
    }
}

impl Sink for MemorySink {
    fn open(&mut self, seed: Seed<'_>) -> Result<Opened, SinkError> {
        let left = {
            let cluster = self.cluster.lock().unwrap();
            for (dated, first, ids) in &cluster.journal {
                seed(*dated, Some(*first), ids);
            }
            cluster.checkpoint.as_ref().map(|found| found.hold)
        };
        Ok(Opened { checkpoint: self.claim(), left, has_all_ids: true, checkpoint_missing: false })
    }

    fn reopen(&mut self, _: Known<'_>) -> Result<Reopened, SinkError> {
        let mut cluster = self.cluster.lock().unwrap();
        cluster.reopenings += 1;
        let fault = cluster.claim_faults.pop_front();
        drop(cluster);
        match fault {
            Some(Fault::Abort) => return Err(SinkError::Abortable("claim on demand".into())),
            Some(Fault::Slow) => return Err(too_slow(false)),
            Some(Fault::UnknownAndLost) => return Err(SinkError::OutcomeUnknown("claim on demand".into())),
            _ => {}
        }
        let checkpoint = self.claim();
        let mut cluster = self.cluster.lock().unwrap();
        let journal_lost = std::mem::take(&mut cluster.loses_journal);
        if journal_lost {
            cluster.journal.clear();
        }
        Ok(Reopened { checkpoint, journal_lost })
    }

    fn topic(&self, name: &str) -> Topic<'_> {
        let cluster = self.cluster.lock().unwrap();
        let must_be_known = cluster.unknown.is_some_and(|beginning| name.starts_with(beginning));
        if self.missing.contains(name) {
            return Topic::Missing("on demand");
        }
        if must_be_known && !self.known.contains(name) {
            return Topic::Unknown;
        }
        Topic::Takes(Accepts { max_bytes: cluster.limit.unwrap_or(usize::MAX), needs_key: false })
    }

    fn prepare(&mut self, names: &BTreeSet<String>) -> Result<(), SinkError> {
        assert!(!self.open, "topics are prepared inside a transaction");
        let mut cluster = self.cluster.lock().unwrap();
        if cluster.prepare_fails > 0 {
            cluster.prepare_fails -= 1;
            return Err(SinkError::Unusable("on demand".into()));
        }
        cluster.prepared.push(names.clone());
        let is_missing = |name: &&String| cluster.missing.contains(*name);
        self.missing.extend(names.iter().filter(is_missing).cloned());
        if !cluster.prepares_nothing {
            self.known.extend(names.iter().cloned());
        }
        Ok(())
    }

    fn begin(&mut self) -> Result<(), SinkError> {
        assert!(!self.open, "begin inside a transaction");
        self.refused.clear();
        self.open = true;
        Ok(())
    }

    fn send(&mut self, record: &OutRecord<'_>) -> Result<(), SinkError> {
        assert!(self.open, "send outside a transaction");
        if let Some(limit) = self.cluster.lock().unwrap().limit.filter(|limit| record.value.len() > *limit) {
            return Err(SinkError::TooLarge { limit, room: limit });
        }
        self.ordinals.push(record.ordinal);
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
            Fault::Slow => return Err(too_slow(cluster.slow_is_unknown)),
            Fault::TopicsGone => {
                self.known.clear();
                let (reason, code) = ("on demand".into(), "unknown_topic".into());
                return Err(SinkError::Undelivered { reason, code, reopen: true });
            }
            Fault::None | Fault::UnknownButLanded => {}
        }
        if cluster.most.is_some_and(|most| self.batch.len() > most) {
            return Err(too_slow(cluster.slow_is_unknown));
        }
        let is_refused = |(kept, ordinal): (&Kept, &usize)| {
            let is_refused = kept.reason.is_none() && cluster.refused.contains(&kept.value);
            let detail = format!("{} refuses it", kept.topic);
            is_refused.then(|| Refused {
                ordinal: *ordinal,
                topic: kept.topic.clone(),
                detail,
                too_many: None,
                if_old: false,
            })
        };
        self.refused = self.batch.iter().zip(&self.ordinals).filter_map(is_refused).collect();
        if !self.refused.is_empty() {
            let (reason, code) = ("on demand".into(), "invalid_record".into());
            return Err(SinkError::Undelivered { reason, code, reopen: false });
        }
        cluster.commits.push(self.batch.len());
        cluster.records.append(&mut self.batch);
        self.ordinals.clear();
        cluster.journal.extend(ids.map(|run| (run.dated, run.first, run.ids.to_vec())));
        cluster.checkpoint = Some(checkpoint.clone());
        self.open = false;
        if fault == Fault::UnknownButLanded {
            Err(SinkError::OutcomeUnknown("on demand".into()))
        } else {
            Ok(())
        }
    }

    fn check(&mut self) -> Result<(), SinkError> {
        assert!(!self.open, "state is checked inside a transaction");
        let mut cluster = self.cluster.lock().unwrap();
        cluster.checks += 1;
        if std::mem::take(&mut cluster.check_fails) {
            Err(SinkError::OutcomeUnknown("lost on demand".into()))
        } else {
            Ok(())
        }
    }

    fn refused(&mut self) -> Vec<Refused> {
        std::mem::take(&mut self.refused)
    }

    fn abort(&mut self) -> Result<(), SinkError> {
        self.cluster.lock().unwrap().aborted += self.batch.len();
        self.batch.clear();
        self.ordinals.clear();
        self.open = false;
        Ok(())
    }
}

fn too_slow(outcome_unknown: bool) -> SinkError {
    SinkError::TooSlow { reason: "on demand".into(), outcome_unknown }
}
