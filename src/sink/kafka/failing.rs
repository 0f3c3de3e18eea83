//! What a failed write means, and what is learnt from it for the next attempt.

use std::time::Duration;

use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaErrorCode as Code;

use super::{KafkaSink, blocking};
use crate::model::errors::chain;
use crate::sink::Refused;
use crate::sink::SinkError;
use crate::sink::kafka::delivery::{Meaning, Report, meaning, name};

/// What to do about a dead-letter topic that refuses dead letters.
const DEAD_LETTER_ADVICE: &str = "; dead letters have no key, and may be as old as the events: the topic must take that \
                                  (cleanup.policy = delete)";

impl KafkaSink {
    /// What is left of the time that the batch's transaction may take.
    pub(super) fn time_left(&self) -> Duration {
        self.settings.config.transaction_timeout.saturating_sub(self.begun.elapsed())
    }

    /// Turns `Abortable` and `OutcomeUnknown` into `TooSlow` once the transaction's time is over.
    pub(super) fn timed(&self, error: SinkError) -> SinkError {
        match error {
            SinkError::Abortable(reason) if self.time_left().is_zero() => {
                SinkError::TooSlow { reason, outcome_unknown: false }
            }
            SinkError::OutcomeUnknown(reason) if self.time_left().is_zero() => {
                SinkError::TooSlow { reason, outcome_unknown: true }
            }
            other => other,
        }
    }

    /// What it means that a record was not even taken by the producer.
    pub(super) fn not_taken(&mut self, topic: &str, error: &KafkaError) -> SinkError {
        if let Some(fatal) = self.fatal_error() {
            return fatal;
        }
        // A transaction that has failed takes no records; why it failed stands in the reports.
        if let (Some(producer), Some(Code::State)) = (&self.producer, error.rdkafka_error_code()) {
            blocking::await_cause(producer);
        }
        if self.context.failures().are_some() {
            return self.undelivered();
        }
        match error.rdkafka_error_code() {
            Some(code) if meaning(code) == Meaning::NoTopic => {
                self.topics.forget(topic);
                let reason = format!("topic {topic}: {code}");
                SinkError::Undelivered { reason, code: name(code), reopen: true }
            }
            Some(code) if let Meaning::Operator(advice) = meaning(code) => {
                let reason = format!("topic {topic}: {code}; {advice}");
                SinkError::Undelivered { reason, code: name(code), reopen: false }
            }
            _ => SinkError::Abortable(format!("cannot write to {topic}: {}", chain(error))),
        }
    }

    /// What it means that Kafka did not take the batch in time. Where librdkafka has said why, nobody else is asked: it may be
    /// that Kafka does not answer at all.
    pub(super) fn too_slow(&mut self, reason: String) -> SinkError {
        if self.context.causes().is_none()
            && let Ok(Some(reason)) = self.topics.short_of_replicas()
        {
            return SinkError::Undelivered { reason, code: name(Code::NotEnoughReplicas), reopen: false };
        }
        SinkError::TooSlow { reason, outcome_unknown: false }
    }

    /// What it means that records of the batch were not delivered.
    pub(super) fn undelivered(&mut self) -> SinkError {
        if let Some(producer) = &self.producer {
            blocking::await_cause(producer);
        }
        let report = self.context.failures().take();
        let reopen = self.learn(&report);
        let Some(cause) = report.cause else {
            return SinkError::Abortable("records could not be delivered".into());
        };
        if meaning(cause.code) == Meaning::Slow {
            return self.too_slow(cause.to_string());
        }
        // One that is too large is cut.
        let has_advice =
            cause.topic == self.settings.dead_letter_topic && meaning(cause.code) != Meaning::TooLarge;
        let advice = if has_advice { DEAD_LETTER_ADVICE } else { "" };
        SinkError::Undelivered { reason: format!("{cause}{advice}"), code: name(cause.code), reopen }
    }

    /// What it means that a call for the transaction failed and it has to be aborted.
    pub(super) fn must_be_aborted(&mut self, code: Code, reason: String) -> SinkError {
        if self.context.failures().are_some() {
            return self.undelivered();
        }
        let (meaning, code, reopen) = (meaning(code), name(code), false);
        match meaning {
            Meaning::NoTopic => {
                // Which one it is is not said.
                self.topics.forget_all();
                SinkError::Undelivered { reason, code, reopen: true }
            }
            Meaning::Operator(advice) => {
                SinkError::Undelivered { reason: format!("{reason}; {advice}"), code, reopen }
            }
            Meaning::Slow => self.too_slow(reason),
            _ => SinkError::Abortable(reason),
        }
    }

    /// Notes what has been reported since, as by an abort; tells whether that needs a new producer.
    pub(super) fn learn_late(&mut self) -> bool {
        let report = self.context.failures().take();
        self.learn(&report)
    }

    /// Takes out of a report what the next attempt has to do otherwise; tells whether that needs a new producer.
    fn learn(&mut self, report: &Report) -> bool {
        self.delivery_failed |= report.cause.is_some();
        for topic in report.gone.iter().chain(&report.too_large) {
            self.topics.forget(topic);
        }
        if !report.too_large.is_empty() {
            // Its limit was lowered, or may not be asked for.
            self.learn_limit();
        }
        // A record of our own, or a dead letter, cannot be made a dead letter instead.
        let of_events =
            |topic: &String| *topic != self.settings.dead_letter_topic && !self.state().has(topic);
        let is_unclear = report.unclear.iter().chain(&report.too_large).any(of_events);
        let (refused, ours): (Vec<Refused>, Vec<Refused>) =
            report.refused.iter().cloned().partition(|refused| of_events(&refused.topic));
        for letter in ours {
            if let Some(bytes) = letter.too_many {
                self.topics.lower_limit(&letter.topic, bytes / 2);
            }
        }
        self.isolating |= is_unclear;
        for refused in refused {
            if self.refused.iter().all(|known| known.ordinal != refused.ordinal) {
                self.refused.push(refused);
            }
        }
        is_unclear || !(report.gone.is_empty() && report.too_large.is_empty())
    }
}
