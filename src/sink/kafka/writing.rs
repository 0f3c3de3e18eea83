//! How a batch is written: begin, records, ids, checkpoint, commit; and what an error of it means.
//!
//! Invariant: the checkpoint is the last record of its transaction.

use rdkafka::error::KafkaError;
use rdkafka::producer::{BaseRecord, Producer};
use rdkafka::types::RDKafkaErrorCode as Code;
use tokio::time::Instant;
use tracing::warn;

use super::{KafkaSink, blocking};
use crate::failpoint;
use crate::model::checkpoint::Checkpoint;
use crate::model::errors::chain;
use crate::model::types::{OutRecord, Run};
use crate::sink::SinkError;
use crate::sink::kafka::blocking::Unflushed;
use crate::sink::kafka::client::{MESSAGE_MAX_BYTES, explain, with_causes};
use crate::sink::kafka::delivery::STATE;

/// Room for a record's framing in a batch, bytes, beyond key, value and headers.
pub(super) const RECORD_OVERHEAD: usize = 128;

impl KafkaSink {
    /// Sends, waiting while the producer's queue is full. Waiting is bounded by the transaction's own limit.
    pub(super) fn enqueue(&mut self, record: BaseRecord<'_, [u8], [u8], usize>) -> Result<(), SinkError> {
        let topic = record.topic;
        match blocking::send(self.producer()?, record, self.time_left()) {
            Ok(()) => Ok(()),
            Err(KafkaError::MessageProduction(Code::QueueFull)) => {
                self.check_client()?;
                let reason = self.unanswered("Kafka took no records for too long");
                Err(self.too_slow(reason))
            }
            Err(KafkaError::MessageProduction(Code::MessageSizeTooLarge)) => {
                Err(SinkError::TooLarge { limit: MESSAGE_MAX_BYTES, room: MESSAGE_MAX_BYTES / 2 })
            }
            Err(error) => Err(self.not_taken(topic, &error)),
        }
    }

    /// Sends a state record. It is dated as its checkpoint says, so that it is found again by that time.
    pub(super) fn send_state(
        &mut self,
        topic: &str,
        key: &str,
        payload: &[u8],
        committed_ms: i64,
    ) -> Result<(), SinkError> {
        let record: BaseRecord<'_, [u8], [u8], usize> = BaseRecord::with_opaque_to(topic, STATE);
        let record = record.key(key.as_bytes()).payload(payload).timestamp(committed_ms);
        self.enqueue(record.partition(self.settings.place.partition))
    }

    /// Waits until every record is acknowledged.
    pub(super) fn flush(&mut self) -> Result<(), SinkError> {
        match blocking::flush(self.producer()?, self.time_left()) {
            Ok(()) => {
                self.context.note_accepted();
                Ok(())
            }
            Err(Unflushed::Failed) => Err(self.fatal_error().unwrap_or_else(|| self.undelivered())),
            Err(Unflushed::TimedOut) => {
                self.check_client()?;
                let reason = self.unanswered("Kafka did not acknowledge the records");
                Err(self.too_slow(reason))
            }
        }
    }

    /// To be asked where Kafka does not answer: there are failures after which only a producer that is opened anew can go on. It
    /// keeps the secrets that it was built with, for one, and would not read those that were rotated since.
    pub(super) fn check_client(&self) -> Result<(), SinkError> {
        if let Some(producer) = &self.producer {
            // What it has to say may be waiting.
            blocking::serve(producer);
        }
        match self.context.why_useless() {
            Some(reason) => Err(SinkError::OutcomeUnknown(self.unanswered(reason))),
            None => Ok(()),
        }
    }

    /// What did not happen in time, with the reason that librdkafka gave for it.
    fn unanswered(&self, what: &str) -> String {
        with_causes(what.to_owned(), &self.context)
    }

    pub(super) fn fatal_error(&self) -> Option<SinkError> {
        let (code, reason) = self.producer.as_ref()?.client().fatal_error()?;
        Some(self.diagnose(code, &reason))
    }

    pub(super) fn classify(&mut self, error: &KafkaError) -> SinkError {
        let reason = self.producer.as_ref().map_or_else(|| chain(error), |producer| explain(producer, error));
        let KafkaError::Transaction(error) = error else { return SinkError::OutcomeUnknown(reason) };
        // It may come before the event that says the same.
        self.context.note_code(error.code());
        if error.is_fatal() {
            self.diagnose(error.code(), &error.string())
        } else if let Err(useless) = self.check_client() {
            useless
        } else if error.txn_requires_abort() {
            self.must_be_aborted(error.code(), reason)
        } else if error.is_retriable() {
            SinkError::TooSlow { reason, outcome_unknown: true }
        } else {
            SinkError::OutcomeUnknown(reason)
        }
    }

    pub(super) fn fail(&self, failpoint: &'static str) -> Result<(), SinkError> {
        match failpoint::pass(failpoint) {
            None => Ok(()),
            Some(failpoint::Action::Abort) => Err(SinkError::Abortable(format!("failpoint {failpoint}"))),
            Some(failpoint::Action::Error) => {
                Err(SinkError::OutcomeUnknown(format!("failpoint {failpoint}")))
            }
        }
    }

    pub(super) fn begin_batch(&mut self) -> Result<(), SinkError> {
        if self.sizes.batch_bytes < self.fitting_sizes().batch_bytes {
            return Err(SinkError::Outgrown("produce batches may be larger again".into()));
        }
        drop(self.context.failures().take());
        self.context.touched().begin();
        self.delivery_failed = false;
        self.begun = Instant::now();
        if self.transactional() {
            self.begin_transaction()?;
        }
        self.fail("after_begin")
    }

    pub(super) fn send_record(&mut self, record: &OutRecord<'_>) -> Result<(), SinkError> {
        let value = record.value.len();
        let beside =
            record.key.map_or(0, <[u8]>::len) + self.headers.bytes(&record.headers) + RECORD_OVERHEAD;
        if value + beside > record.limit {
            let room = record.limit.saturating_sub(beside);
            return Err(SinkError::TooLarge { limit: record.limit, room });
        }
        if value + beside > self.sizes.queue_bytes {
            self.learnt.queue_bytes = value + beside;
            return Err(SinkError::Outgrown(format!(
                "a record of {value} bytes exceeds the producer's queue"
            )));
        }
        let out: BaseRecord<'_, [u8], [u8], usize> = BaseRecord::with_opaque_to(record.topic, record.ordinal);
        let mut out = out.payload(record.value).timestamp(record.timestamp_ms);
        out.key = record.key;
        out.headers = self.headers.of(record.headers);
        self.enqueue(out)
    }

    pub(super) fn commit_batch(
        &mut self,
        ids: &mut dyn Iterator<Item = Run<'_>>,
        checkpoint: &Checkpoint,
    ) -> Result<(), SinkError> {
        let (state, key) = (self.state(), self.key());
        if !self.transactional() {
            // Without transactions the order is what counts: first the events, then that they were written.
            self.flush()?;
        }
        let checkpoint = &*self.check_release(checkpoint)?;
        if failpoint::is_broken("one_transaction") {
            self.flush()?;
            self.commit_transaction()?;
            self.begin_transaction()?;
        }
        let ids = self.send_ids(ids, checkpoint.committed_ms)?;
        self.fail("before_checkpoint")?;
        if failpoint::is_broken("checkpoint_order") {
            self.write_ahead(checkpoint)?;
        } else {
            self.send_state(&state.checkpoints, &key, &checkpoint.encode(), checkpoint.committed_ms)?;
        }
        self.fail("after_checkpoint")?;
        self.flush()?;
        self.fail("before_commit")?;
        if self.transactional() {
            self.commit_transaction()?;
            self.count_partitions();
        }
        self.seen.committed(ids, self.transactional());
        // Whatever goes wrong from here on, the commit took place: only the checkpoint can tell.
        self.fail("after_commit").map_err(|error| SinkError::OutcomeUnknown(error.to_string()))
    }

    fn begin_transaction(&mut self) -> Result<(), SinkError> {
        let begun = self.producer()?.begin_transaction();
        begun.map_err(|error| self.classify(&error))
    }

    fn commit_transaction(&mut self) -> Result<(), SinkError> {
        let committed = blocking::commit(self.producer()?, self.settings.config.transaction_timeout);
        committed.map_err(|error| self.classify(&error))
    }

    /// A transaction is committed: counts its partitions of events, and says now and then if they are many.
    fn count_partitions(&mut self) {
        let partitions = self.context.touched().count();
        self.settings.figures.partitions(partitions);
        if self.warned.is_due(partitions, Instant::now()) {
            warn!(
                shard = %self.settings.shard, partitions,
                "a transaction touched many partitions, and each costs the brokers a marker: raise commit.interval, or give the \
                 topics fewer partitions"
            );
        }
    }

    /// To be asked when records could not be written: librdkafka would try a topic that was deleted for ever, and only an
    /// opening makes it again.
    fn check_topics(&mut self) -> Result<(), SinkError> {
        // Where Kafka does not answer, it is not the topics.
        let gone = self.topics.gone().unwrap_or_default();
        if gone.is_empty() {
            return Ok(());
        }
        Err(SinkError::OutcomeUnknown(format!("topics are gone that were there: {}", gone.join(", "))))
    }

    pub(super) fn abort_batch(&mut self) -> Result<(), SinkError> {
        let mut does_not_fit = self.learn_late();
        self.check_client()?;
        if self.delivery_failed {
            self.check_topics()?;
        }
        // What cannot be aborted is not aborted again.
        let not_again = |error: SinkError| {
            if error.can_be_aborted() { SinkError::OutcomeUnknown(error.to_string()) } else { error }
        };
        if !self.transactional() {
            self.begun = Instant::now();
            return self.flush().map_err(not_again);
        }
        let aborted = blocking::abort(self.producer()?, self.settings.config.transaction_timeout);
        does_not_fit |= self.learn_late();
        aborted.map_err(|error| not_again(self.classify(&error)))?;
        if does_not_fit {
            return Err(SinkError::Outgrown("records have to be sent in smaller batches".into()));
        }
        Ok(())
    }
}
