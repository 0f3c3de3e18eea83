//! Where batches go: the [`Sink`] trait and its error classes. Knows nothing of HTTP or of extraction.
//!
//! A batch is `begin`, `send` for each record, `commit` with its new ids and its checkpoint. What happened to a
//! batch whose commit failed is said by the error's kind, and each kind has one way on:
//!
//! | kind | what is known | what the shard does |
//! |---|---|---|
//! | [`SinkError::Abortable`] | nothing of the batch counts | `abort`, then the same batch again |
//! | [`SinkError::OutcomeUnknown`] | the batch may count or not | `reopen`; its checkpoint tells |
//! | [`SinkError::Fenced`] | a later instance announced itself | give up all shards of this process |
//! | [`SinkError::Overtaken`] | another opening wrote since | open afresh: nothing in memory counts |
//! | [`SinkError::Held`] | another instance may be at work | give up |
//! | [`SinkError::Misconfigured`] | it can never work as it is configured | end the process |
//! | [`SinkError::TooSlow`] | the time was not enough | as its field says, twice in a row `reopen`; then half of the batch |
//! | [`SinkError::Undelivered`] | nothing counts; Kafka refused records | as its field says, then the batch again, without them |
//! | [`SinkError::Outgrown`] | nothing failed; the producer does not fit | `reopen`, then the same batch |
//! | [`SinkError::TooLarge`] | this record cannot be written | dead letter |
//! | [`SinkError::Unusable`] | the cluster refuses or lacks something | report, `reopen` after a pause |

use std::collections::BTreeSet;

use crate::model::checkpoint::{Checkpoint, Hold};
use crate::model::types::{Dated, EventId, OutRecord, Run};

pub mod kafka;
#[cfg(test)]
pub(crate) mod memory;

/// What is known of a topic.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Topic<'a> {
    /// Nothing: [`Sink::prepare`] looks it up.
    Unknown,
    /// It is there.
    Takes(Accepts),
    /// None exists, and none may be made; why.
    Missing(&'a str),
    /// Kafka does not take the name; why.
    Refused(&'a str),
}

/// What a topic takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Accepts {
    /// `max.message.bytes`.
    pub max_bytes: usize,
    /// Whether it refuses records without a key, as a compacted one does.
    pub needs_key: bool,
}

/// A record that its topic refuses for itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refused {
    /// Its line in the batch.
    pub ordinal: usize,
    /// Where it was to go.
    pub topic: String,
    /// Which topic refused it, and why.
    pub detail: String,
    /// Bytes of its key and value, where they are too many.
    pub too_many: Option<usize>,
    /// Whether it is at fault only if its time is an old one: otherwise our clock may be wrong.
    pub if_old: bool,
}

/// Why something could not be written. Its text names the topic or shard where there is one.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SinkError {
    /// The transaction can only be aborted; the same batch may then be written again.
    #[error("the transaction must be aborted: {0}")]
    Abortable(String),
    /// Whether the commit took place cannot be known from this producer.
    #[error("the outcome of the commit is unknown: {0}")]
    OutcomeUnknown(String),
    /// A later instance announced itself for this stream.
    #[error("fenced: another instance has taken over this shard ({0})")]
    Fenced(String),
    /// This instance is the rightful one, but another opening wrote in between: what is in memory is no longer what
    /// Kafka holds.
    #[error("another opening of this shard has written since: {0}")]
    Overtaken(String),
    /// What is configured does not fit what Kafka holds, and waiting does not mend it.
    #[error("{0}")]
    Misconfigured(String),
    /// The record exceeds what its topic accepts.
    #[error("the record is too large for its topic, which takes {limit} bytes")]
    TooLarge {
        /// The topic's `max.message.bytes`.
        limit: usize,
        /// Bytes that the value might have, beside this key and these headers.
        room: usize,
    },
    /// The batch was not written in the time that a transaction has. A smaller one may be.
    #[error("{}not written in time: {reason}", if *.outcome_unknown { "the outcome of the commit is unknown: " } else { "" })]
    TooSlow {
        /// What was not done in time.
        reason: String,
        /// Whether the commit may have taken place, so that the sink must be reopened; otherwise an abort will do.
        outcome_unknown: bool,
    },
    /// Kafka did not take records of the batch. [`Sink::refused`] tells which of them are at fault themselves.
    #[error("Kafka did not take records: {reason}")]
    Undelivered {
        /// Topic, partition, Kafka's word and what can be done.
        reason: String,
        /// Kafka's word as a metric's label.
        code: String,
        /// Whether the producer has to be opened anew before the batch is tried again.
        reopen: bool,
    },
    /// Nothing has failed, but the producer is too small, or its batches are too large, for what is to be written.
    #[error("{0}; the producer is opened anew")]
    Outgrown(String),
    /// Another instance may hold the shard, and it was asked for only if none does.
    #[error("{0}")]
    Held(String),
    /// Kafka cannot be reached, refuses, or lacks a topic that may not be created.
    #[error("{0}")]
    Unusable(String),
}

impl SinkError {
    /// A label for metrics: Kafka's word where there is one.
    pub fn code(&self) -> &str {
        match self {
            Self::Undelivered { code, .. } => code,
            other => other.class(),
        }
    }

    /// Its kind as a label: one of a small, closed set.
    pub fn class(&self) -> &'static str {
        match self {
            Self::Abortable(_) => "aborted",
            Self::OutcomeUnknown(_) => "outcome_unknown",
            Self::Fenced(_) => "fenced",
            Self::Overtaken(_) => "overtaken",
            Self::Misconfigured(_) => "misconfigured",
            Self::Held(_) => "held",
            Self::TooLarge { .. } => "too_large",
            Self::TooSlow { .. } => "timed_out",
            Self::Undelivered { .. } => "undelivered",
            Self::Outgrown(_) => "outgrown",
            Self::Unusable(_) => "unusable",
        }
    }

    /// Whether nothing of the batch counts once it is aborted; otherwise the sink must be reopened.
    pub fn can_be_aborted(&self) -> bool {
        match self {
            Self::Abortable(_) => true,
            Self::TooSlow { outcome_unknown, .. } => !outcome_unknown,
            Self::Undelivered { reopen, .. } => !reopen,
            _ => false,
        }
    }
}

/// Takes the ids of the journal on opening: when they were committed, the number of the first one (`None` in records of
/// older versions), and which they are.
pub type Seed<'a> = &'a mut dyn FnMut(Dated, Option<u64>, &[EventId]);

/// What a shard knows of itself when its sink is opened again.
#[derive(Clone, Copy, Debug)]
pub struct Known<'a> {
    /// The last checkpoint that is known to be committed.
    pub last: &'a Checkpoint,
    /// The one whose commit has an unknown outcome.
    pub attempted: Option<&'a Checkpoint>,
}

/// A shard whose sink was opened again.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reopened {
    /// The claim; it tells whether the last batch counts.
    pub checkpoint: Checkpoint,
    /// Whether the journal lost the ids that were in it, so that all that are still known have to be written again.
    pub journal_lost: bool,
}

/// A shard that was taken over.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Opened {
    /// Whether the placement record knows the shard and Kafka has no checkpoint of it.
    pub checkpoint_missing: bool,
    /// The claim: everything in it is as it was found, but for the owner.
    pub checkpoint: Checkpoint,
    /// How the shard had been left; `None` for a first start.
    pub left: Option<Hold>,
    /// Whether every id that is still needed was given to the seed; otherwise the journal has lost some.
    pub has_all_ids: bool,
}

/// Where one shard's batches go. Calls block.
pub trait Sink {
    /// Takes the shard over: fences whoever had it, then reads back its checkpoint and ids, then claims it.
    fn open(&mut self, seed: Seed<'_>) -> Result<Opened, SinkError>;

    /// Opens again after [`SinkError::OutcomeUnknown`] or [`SinkError::Unusable`], unless another instance took
    /// over since. What the cluster has lost of the shard's state is made again from what is known.
    fn reopen(&mut self, known: Known<'_>) -> Result<Reopened, SinkError>;

    /// What is known of a topic.
    fn topic(&self, name: &str) -> Topic<'_>;

    /// Finds or creates topics that are not known, all at once. To be called while no batch is begun. Afterwards none of
    /// them is unknown.
    fn prepare(&mut self, names: &BTreeSet<String>) -> Result<(), SinkError>;

    /// Begins a batch.
    fn begin(&mut self) -> Result<(), SinkError>;

    /// Adds a record to a topic that takes records. The bytes are copied.
    fn send(&mut self, record: &OutRecord<'_>) -> Result<(), SinkError>;

    /// Adds the new ids and the checkpoint, and commits.
    fn commit(
        &mut self,
        ids: &mut dyn Iterator<Item = Run<'_>>,
        checkpoint: &Checkpoint,
    ) -> Result<(), SinkError>;

    /// Whether what was committed is still there: state topics may be deleted under way. To be asked now and then while no
    /// batch is begun. An error says that something was lost, and the sink must be reopened; where Kafka does not answer,
    /// nothing is said.
    fn check(&mut self) -> Result<(), SinkError>;

    /// Records of the last batch that their topics refuse for themselves, as far as that came out; to be asked after the
    /// batch was aborted or the sink reopened. They are forgotten here.
    fn refused(&mut self) -> Vec<Refused>;

    /// Gives a batch up. An error means that the sink must be reopened.
    fn abort(&mut self) -> Result<(), SinkError>;
}
