//! What a producer reports of records that it could not deliver.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rdkafka::message::{DeliveryResult, Message};
use rdkafka::producer::ProducerContext;

use super::Context;
use crate::sink::kafka::delivery::{Failure, Report, STATE, failure_code};

/// Records that the producer could not deliver, since the last look.
#[derive(Debug, Default)]
pub(crate) struct Failures {
    are_some: AtomicBool,
    report: Mutex<Report>,
    /// Limit of a produce batch.
    batch_bytes: usize,
}

impl Failures {
    pub(super) fn new(batch_bytes: usize) -> Self {
        Self { batch_bytes, ..Self::default() }
    }

    /// Whether there is any since the last look.
    pub(crate) fn are_some(&self) -> bool {
        self.are_some.load(Ordering::Acquire)
    }

    /// Whether what was reported says why, and is not only a consequence.
    pub(crate) fn have_cause(&self) -> bool {
        self.report().has_cause()
    }

    /// What was reported since the last look, which this is one of.
    pub(crate) fn take(&self) -> Report {
        let report = std::mem::take(&mut *self.report());
        self.are_some.store(false, Ordering::Release);
        report
    }

    fn note(&self, failure: &Failure<'_>) {
        self.report().note(failure, self.batch_bytes);
        self.are_some.store(true, Ordering::Release);
    }

    fn report(&self) -> MutexGuard<'_, Report> {
        self.report.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ProducerContext for Context {
    /// The line of the record in its batch.
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, ordinal: usize) {
        let (Ok(message) | Err((_, message))) = result;
        let Some(code) = failure_code(result) else {
            if ordinal != STATE {
                self.touched().note(message.topic(), message.partition());
            }
            return;
        };
        self.failures.note(&Failure {
            ordinal,
            topic: message.topic(),
            partition: message.partition(),
            code,
            bytes: message.payload().map_or(0, <[u8]>::len) + message.key().map_or(0, <[u8]>::len),
        });
    }
}
