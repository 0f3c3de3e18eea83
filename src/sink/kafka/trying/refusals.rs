//! Records that Kafka is to refuse, sent for the sake of its answer. Whoever sends them sees to it that they are always refused.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rdkafka::message::{DeliveryResult, Message};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer, ProducerContext};
use rdkafka::types::RDKafkaErrorCode as Code;
use tokio::time::Instant;

use crate::sink::SinkError;
use crate::sink::kafka::client::beside::{Beside, Hears};
use crate::sink::kafka::client::{Clients, LONGEST_WAIT, with_causes};

/// The partition that all of them are for.
pub(super) const PARTITION: i32 = 0;

/// One wait for an answer.
const POLL: Duration = Duration::from_millis(20);

/// The first part of the limit, in which all records of a produce batch must have been handed over.
const HANDED_OVER: u32 = 2;

/// What Kafka answered to one record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Answer {
    /// It refused it.
    Refused(Code),
    /// It took it, against all expectation, at this offset.
    Taken(i64),
    /// Nothing within the limit.
    None,
}

/// A record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Probe<'a> {
    /// Its topic.
    pub topic: &'a str,
    /// Its key.
    pub key: Option<&'a str>,
    /// Its value.
    pub value: Option<&'a [u8]>,
    /// Its time, milliseconds since the Unix epoch; `None` is now.
    pub timestamp_ms: Option<i64>,
}

/// Sends such records.
pub(super) struct Prober {
    producer: BaseProducer<Beside<Reports>>,
    /// How long answers are waited for.
    limit: Duration,
}

/// What became of records, with the number of each.
#[derive(Debug, Default)]
struct Reports(Mutex<Vec<(usize, Answer)>>);

impl Hears for Reports {}

impl ProducerContext for Beside<Reports> {
    /// The record's number among those that were sent with it.
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, number: usize) {
        let answer = match result {
            Ok(message) => Answer::Taken(message.offset()),
            Err((error, _)) => Answer::Refused(error.rdkafka_error_code().unwrap_or(Code::Unknown)),
        };
        self.hears.0.lock().unwrap_or_else(PoisonError::into_inner).push((number, answer));
    }
}

impl Prober {
    /// One that sends `together` records of a topic in one produce batch, or none of them.
    pub(super) fn new(clients: &Clients, together: usize, limit: Duration) -> Result<Self, SinkError> {
        let context = |own| Beside { own, hears: Reports::default() };
        let producer = clients.probing_producer(together, context)?;
        Ok(Self { producer, limit: limit.min(LONGEST_WAIT) })
    }

    /// Sends them all and waits for the answers, which come in the order of `probes`. An error says that one could not be handed
    /// over; then what of a produce batch was handed over before it is never sent.
    pub(super) fn ask(&self, probes: &[Probe<'_>]) -> Result<Vec<Answer>, SinkError> {
        let began = Instant::now();
        for (number, probe) in probes.iter().enumerate() {
            if began.elapsed() > self.limit / HANDED_OVER {
                return Err(SinkError::Unusable("this machine is too busy to try it".into()));
            }
            let mut record: BaseRecord<'_, str, [u8], usize> =
                BaseRecord::with_opaque_to(probe.topic, number);
            record = record.partition(PARTITION);
            (record.key, record.payload, record.timestamp) = (probe.key, probe.value, probe.timestamp_ms);
            self.producer.send(record).map_err(|(error, _)| {
                SinkError::Unusable(format!("cannot send to topic {}: {error}", probe.topic))
            })?;
        }
        let mut answers = vec![Answer::None; probes.len()];
        let mut left = probes.len();
        while left > 0 && began.elapsed() < self.limit {
            self.producer.poll(POLL);
            let context = self.producer.client().context();
            let mut reports = context.hears.0.lock().unwrap_or_else(PoisonError::into_inner);
            for (number, answer) in reports.drain(..) {
                if let Some(known) = answers.get_mut(number).filter(|known| **known == Answer::None) {
                    *known = answer;
                    left -= 1;
                }
            }
        }
        Ok(answers)
    }

    /// What is said where nothing was answered.
    pub(super) fn why_none(&self) -> String {
        let said = format!("no answer within {} s", self.limit.as_secs_f64());
        with_causes(said, &self.producer.client().context().own)
    }
}
