//! How a batch is written: begin, records, ids, checkpoint, commit; and what an error of it means.
//!
//! Invariant: the checkpoint is the last record of its transaction.

use rdkafka::error::KafkaError;
use rdkafka::producer::{BaseRecord, Producer};
use rdkafka::types::RDKafkaErrorCode as Code;

use super::{KafkaSink, blocking};
use crate::failpoint;
use crate::model::checkpoint::Checkpoint;
use crate::model::errors::chain;
use crate::model::types::{OutRecord, Run};
use crate::sink::client::{BATCH_BYTES, explain, with_causes};
use crate::sink::topics::Wanted;
use crate::sink::{SinkError, TopicSpec};

/// Room for a record's framing in a batch, bytes, beyond key, value and headers.
const RECORD_OVERHEAD: usize = 128;

impl KafkaSink {
    /// Sends, waiting while the producer's queue is full. Waiting is bounded by the transaction's own limit.
    pub(super) fn enqueue(&self, record: BaseRecord<'_, [u8], [u8]>) -> Result<(), SinkError> {
        let topic = record.topic;
        match blocking::send(self.producer()?, record, self.settings.config.transaction_timeout) {
            Ok(()) => Ok(()),
            Err(KafkaError::MessageProduction(Code::QueueFull)) => {
                self.check_credentials()?;
                Err(SinkError::Abortable(self.unanswered("Kafka took no records for too long")))
            }
            Err(KafkaError::MessageProduction(Code::MessageSizeTooLarge)) => {
                Err(SinkError::TooLarge { limit: self.topics.smallest_limit().unwrap_or(BATCH_BYTES) })
            }
            Err(error) => Err(self.fatal_error().unwrap_or_else(|| {
                let denied = error.rdkafka_error_code() == Some(Code::TopicAuthorizationFailed);
                let right = if denied { "; it takes WRITE on the topic" } else { "" };
                SinkError::Abortable(format!("cannot write to {topic}: {error}{right}"))
            })),
        }
    }

    /// Sends a state record. It is dated as its checkpoint says, so that it is found again by that time.
    pub(super) fn send_state(
        &self,
        topic: &str,
        key: &str,
        payload: &[u8],
        committed_ms: i64,
    ) -> Result<(), SinkError> {
        let record: BaseRecord<'_, [u8], [u8]> = BaseRecord::to(topic);
        let record = record.key(key.as_bytes()).payload(payload).timestamp(committed_ms);
        self.enqueue(record.partition(self.settings.partition))
    }

    /// Waits until every record is acknowledged.
    pub(super) fn flush(&self) -> Result<(), SinkError> {
        if !blocking::flush(self.producer()?, self.settings.config.transaction_timeout) {
            self.check_credentials()?;
            return Err(SinkError::Abortable(
                self.unanswered("Kafka did not acknowledge the records in time"),
            ));
        }
        match self.context.failures().get() {
            None => {
                self.context.note_accepted();
                Ok(())
            }
            Some(code) if code == Code::MessageSizeTooLarge as i32 => {
                Err(SinkError::Abortable("a topic refused a batch as too large".into()))
            }
            Some(_) => Err(self
                .fatal_error()
                .unwrap_or_else(|| SinkError::Abortable(self.unanswered("records could not be delivered")))),
        }
    }

    /// To be asked where Kafka does not answer. A producer keeps the secrets that it was built with; only one that is
    /// opened anew reads those that were rotated since.
    pub(super) fn check_credentials(&self) -> Result<(), SinkError> {
        if self.context.was_refused() {
            let reason = "Kafka refused the producer's credentials, or TLS failed; secrets and files are now read again";
            return Err(SinkError::OutcomeUnknown(self.unanswered(reason)));
        }
        Ok(())
    }

    /// What did not happen in time, with the reason that librdkafka gave for it.
    fn unanswered(&self, what: &str) -> String {
        with_causes(what.to_owned(), &self.context)
    }

    pub(super) fn fatal_error(&self) -> Option<SinkError> {
        let (code, reason) = self.producer.as_ref()?.client().fatal_error()?;
        Some(self.diagnose(code, &reason))
    }

    pub(super) fn classify(&self, error: &KafkaError) -> SinkError {
        let reason = self.producer.as_ref().map_or_else(|| chain(error), |producer| explain(producer, error));
        let KafkaError::Transaction(error) = error else { return SinkError::OutcomeUnknown(reason) };
        if error.is_fatal() {
            self.diagnose(error.code(), &error.string())
        } else if error.txn_requires_abort() {
            SinkError::Abortable(reason)
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
        self.context.failures().reset();
        if self.transactional() {
            self.producer()?.begin_transaction().map_err(|error| self.classify(&error))?;
        }
        self.fail("after_begin")
    }

    pub(super) fn send_record(&mut self, record: &OutRecord<'_>) -> Result<(), SinkError> {
        let limit = match self.topics.limit(record.topic) {
            Some(limit) => limit,
            None => {
                let spec = if record.topic == self.settings.dead_letter_topic {
                    TopicSpec::default()
                } else {
                    self.settings.topic_spec
                };
                self.topics.ensure(&[Wanted::event(record.topic, spec)])?;
                self.topics.limit(record.topic).unwrap_or(BATCH_BYTES)
            }
        };
        let key_length = record.key.map_or(0, <[u8]>::len);
        if record.value.len() + key_length + self.headers.bytes(&record.headers) + RECORD_OVERHEAD > limit {
            return Err(SinkError::TooLarge { limit });
        }
        let out: BaseRecord<'_, [u8], [u8]> = BaseRecord::to(record.topic);
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
        self.send_ids(ids, checkpoint.committed_ms)?;
        self.fail("before_checkpoint")?;
        self.send_state(&state.checkpoints, &key, &checkpoint.encode(), checkpoint.committed_ms)?;
        self.fail("after_checkpoint")?;
        self.flush()?;
        self.fail("before_commit")?;
        if self.transactional() {
            blocking::commit(self.producer()?, self.settings.config.transaction_timeout)
                .map_err(|error| self.classify(&error))?;
        }
        // Whatever goes wrong from here on, the commit took place: only the checkpoint can tell.
        self.fail("after_commit").map_err(|error| SinkError::OutcomeUnknown(error.to_string()))
    }

    /// To be asked when records could not be written: librdkafka would try a topic that was deleted for ever, and only an
    /// opening makes it again.
    fn check_topics(&self) -> Result<(), SinkError> {
        // Where Kafka does not answer, it is not the topics.
        let mut missing = self.topics.missing().unwrap_or_default();
        if missing.is_empty() {
            return Ok(());
        }
        missing.sort_unstable();
        Err(SinkError::OutcomeUnknown(format!("topics are gone that were there: {}", missing.join(", "))))
    }

    pub(super) fn abort_batch(&mut self) -> Result<(), SinkError> {
        let failed = self.context.failures().get();
        let too_large = failed == Some(Code::MessageSizeTooLarge as i32);
        self.context.failures().reset();
        self.check_credentials()?;
        if failed.is_some() {
            self.check_topics()?;
        }
        if too_large {
            // A topic's limit was lowered, or may not be read: the limits and the size of batches have to be worked out again.
            self.learn_limit();
            return Err(SinkError::OutcomeUnknown(
                "a topic takes less than its max.message.bytes was".into(),
            ));
        }
        if !self.transactional() {
            return self.flush();
        }
        blocking::abort(self.producer()?, self.settings.config.transaction_timeout).map_err(|error| {
            match self.classify(&error) {
                // What cannot be aborted is not aborted again.
                SinkError::Abortable(reason) => SinkError::OutcomeUnknown(reason),
                other => other,
            }
        })
    }
}
