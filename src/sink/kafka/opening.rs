//! How a shard is taken over: fence, then read back, then claim, in this order, in one call.
//!
//! Invariant: the position that comes out was read after the fence, so nobody resumes unfenced; and the claim bears this
//! opening's name, so whoever is fenced can tell a takeover from a transaction that timed out.

use std::time::Duration;

use rdkafka::producer::Producer;
use rdkafka::types::RDKafkaErrorCode as Code;
use tracing::{debug, info};

use super::KafkaSink;
use crate::clock::now_ms;
use crate::model::checkpoint::Checkpoint;
use crate::model::types::ShardId;
use crate::sink::client::{BATCH_BYTES, explain};
use crate::sink::progress::{Open, Reader};
use crate::sink::topics::Wanted;
use crate::sink::{Opened, Seed, SinkError, TopicSpec};

/// Limit of `init_transactions`: long enough for a broker to finish a dead producer's transaction.
const INIT_TIMEOUT: Duration = Duration::from_secs(30);

impl KafkaSink {
    pub(super) fn key(&self) -> String {
        Checkpoint::key(&self.settings.shard)
    }

    /// Fences whoever had the shard.
    pub(super) fn fence(&mut self) -> Result<(), SinkError> {
        self.producer = None;
        self.ensure_topics()?;
        let ShardId { stream, index } = &self.settings.shard;
        let id = format!("{}.{stream}.{index}", self.settings.config.prefix);
        let batch_bytes = self.topics.smallest_limit().map_or(BATCH_BYTES, |limit| limit.min(BATCH_BYTES));
        let producer = self.clients.producer(&id, batch_bytes)?;
        self.context = producer.client().context().as_ref().clone();
        if self.transactional() {
            producer.init_transactions(INIT_TIMEOUT).map_err(|error| {
                let reason = explain(&producer, &error);
                SinkError::Unusable(format!("cannot open the transactional id {id}: {reason}"))
            })?;
        }
        self.producer = Some(producer);
        Ok(())
    }

    pub(super) fn ensure_topics(&mut self) -> Result<(), SinkError> {
        let state = self.state().wanted(&self.settings.config, self.settings.partition + 1);
        let spec = self.settings.topic_spec;
        let events = self.settings.topics.iter().map(|name| Wanted::event(name, spec));
        let dead_letters = Wanted::event(&self.settings.dead_letter_topic, TopicSpec::default());
        let wanted: Vec<Wanted> = state.into_iter().chain(events).chain([dead_letters]).collect();
        self.topics.ensure(&wanted)
    }

    pub(super) fn reader(&self) -> Result<Reader, SinkError> {
        Reader::new(&self.clients, self.settings.config.transaction_timeout + INIT_TIMEOUT)
    }

    pub(super) fn read_back(&self, open: Open) -> Result<Option<Checkpoint>, SinkError> {
        self.reader()?.checkpoint(&self.state().checkpoints, self.settings.partition, &self.key(), open)
    }

    /// Gives the ids that a shard at `found` still needs; tells whether the journal held all of them.
    pub(super) fn read_ids(
        &self,
        reader: &Reader,
        found: &Checkpoint,
        seed: Seed<'_>,
    ) -> Result<bool, SinkError> {
        let (key, since_ms) = (self.key(), found.ids_since_ms(self.settings.window));
        let count = reader.ids(&self.state().ids, self.settings.partition, &key, since_ms, seed)?;
        debug!(shard = key, ids = count, "journal read back");
        let retention = self.settings.config.journal_retention.as_millis();
        let kept_ms = now_ms() - i64::try_from(retention).unwrap_or(i64::MAX / 2);
        Ok(since_ms >= kept_ms)
    }

    /// Refuses a shard that did not stop, since another instance may still be at work on it.
    pub(super) fn check_held(&mut self) -> Result<(), SinkError> {
        self.topics.ensure(&self.state().wanted(&self.settings.config, self.settings.partition + 1))?;
        match self.read_back(Open::Leave)? {
            Some(found) if !(found.clean || found.released) => Err(SinkError::Held(format!(
                "another instance may hold shard {}: its last checkpoint (sequence {}) is not that of a stop. \
                 Stop that instance; if there is none, start this one without --reset and stop it, then try again",
                self.settings.shard, found.sequence
            ))),
            _ => Ok(()),
        }
    }

    /// Writes a checkpoint under this owner's name, so that whoever was fenced can see by whom.
    pub(super) fn claim(&mut self, found: Option<Checkpoint>) -> Result<Checkpoint, SinkError> {
        let shards = self.settings.shards;
        let claimed = match found {
            None => Checkpoint::initial(&self.owner, shards, now_ms()),
            Some(found) if found.shards != shards => {
                return Err(SinkError::Unusable(format!(
                    "stream {} was cut into {} shards and is now configured with {shards}; changing the number is \
                     not supported yet, set it back",
                    self.settings.shard.stream, found.shards
                )));
            }
            Some(found) => found.claimed_by(&self.owner),
        };
        self.begin_batch()?;
        self.commit_batch(&mut std::iter::empty(), &claimed)?;
        info!(
            shard = self.key(),
            sequence = claimed.sequence,
            position = claimed.position.as_ref().map(tracing::field::display),
            "opened"
        );
        Ok(claimed)
    }

    /// A fenced producer is one of two things: taken over by another instance, or timed out by the broker. The latest
    /// claim tells which; only if nobody else claimed the shard may it be opened again.
    pub(super) fn diagnose(&self, code: Code, reason: &str) -> SinkError {
        if !matches!(code, Code::Fenced | Code::ProducerFenced | Code::InvalidProducerEpoch) {
            return SinkError::OutcomeUnknown(format!("the producer failed: {reason}"));
        }
        match self.read_back(Open::Await) {
            Ok(Some(checkpoint)) if checkpoint.owner != self.owner => SinkError::Fenced(reason.to_owned()),
            Ok(_) => SinkError::OutcomeUnknown(format!("the broker ended the transaction: {reason}")),
            Err(error) => SinkError::OutcomeUnknown(format!("{reason}; {error}")),
        }
    }

    pub(super) fn open_shard(&mut self, seed: Seed<'_>) -> Result<Opened, SinkError> {
        if self.settings.only_if_free {
            self.check_held()?;
        }
        self.fence()?;
        // From the fence on it is this instance that holds the shard.
        self.settings.only_if_free = false;
        let reader = self.reader()?;
        let (state, partition) = (self.state(), self.settings.partition);
        let found = reader.checkpoint(&state.checkpoints, partition, &self.key(), Open::Await)?;
        let has_all_ids = found.as_ref().map_or(Ok(true), |found| self.read_ids(&reader, found, seed))?;
        let stopped_in_order = found.as_ref().map(|found| found.clean);
        Ok(Opened { checkpoint: self.claim(found)?, stopped_in_order, has_all_ids })
    }

    pub(super) fn reopen_shard(&mut self) -> Result<Checkpoint, SinkError> {
        self.producer = None;
        self.topics.forget();
        let ours = |found: &Option<Checkpoint>| found.as_ref().is_none_or(|found| found.owner == self.owner);
        let taken = || SinkError::Fenced("its checkpoint bears another owner".into());
        // Asked before fencing, so that a late comer does not throw out its rightful successor.
        self.topics.ensure(&self.state().wanted(&self.settings.config, self.settings.partition + 1))?;
        // Our own transaction may still be open, and is ended by fencing only.
        if !ours(&self.read_back(Open::Leave)?) {
            return Err(taken());
        }
        self.fence()?;
        let found = self.read_back(Open::Await)?;
        if found.as_ref().is_some_and(|found| found.owner != self.owner) {
            self.producer = None;
            return Err(taken());
        }
        self.claim(found)
    }
}
