//! What the receiver counts, and how it is.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;

use super::answer::Answer;
use crate::model::figure::Figure;

/// What is counted. Clones count together.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    /// Requests by their answer, in the order of [`Answer::ALL`].
    answers: [Counter; Answer::ALL.len()],
    /// Events that were stored.
    pub(super) events: Counter,
    /// Bytes of bodies, inflated.
    pub(super) bytes: Counter,
    /// Requests that are looked at.
    pub(super) in_flight: Gauge,
    /// Connections that are open.
    pub(super) connections: Gauge,
    /// Bytes of bodies that are held.
    pub(super) buffered: Gauge,
    /// When the certificate expires, seconds since the Unix epoch; 0 where there is none, or nobody knows.
    certificate_expires: Arc<AtomicI64>,
    health: Arc<Mutex<Health>>,
}

/// A gauge counts one more while this is there.
pub(super) struct Counted(Gauge);

impl Counted {
    pub(super) fn by(gauge: &Gauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// Whether what is received can be stored.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum Health {
    /// Not yet, or not now; why.
    Away(String),
    /// It can.
    #[default]
    Ready,
    /// It is told to stop: it answers what is in flight, and takes nothing new.
    Draining,
}

impl Metrics {
    /// A request was answered.
    pub(super) fn answered(&self, answer: Answer) {
        let status = answer.status().as_u16();
        if let Some(index) = Answer::ALL.iter().position(|known| *known == status) {
            self.answers[index].inc();
        }
    }

    /// A certificate is shown that expires then, seconds since the Unix epoch.
    pub(super) fn shows_certificate(&self, expires: Option<i64>) {
        self.certificate_expires.store(expires.unwrap_or(0), Ordering::Relaxed);
    }

    /// How the receiver is.
    pub fn health(&self) -> Health {
        self.health.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Says how it is. Once it drains it stays so.
    pub(super) fn set_health(&self, health: Health) {
        let mut known = self.health.lock().unwrap_or_else(PoisonError::into_inner);
        if *known != Health::Draining {
            *known = health;
        }
    }

    /// Everything that is counted.
    pub fn figures(&self) -> Vec<Figure> {
        let answers = Answer::ALL.iter().zip(&self.answers);
        vec![
            Figure::counters(
                "tributary_webhook_requests",
                "Requests that were answered, by status",
                "status",
                answers.map(|(status, counter)| (status.to_string(), counter.get())),
            ),
            Figure::counter(
                "tributary_webhook_events",
                "Events received by webhooks and acknowledged by Kafka, copies included",
                &self.events,
            ),
            Figure::counter("tributary_webhook_bytes", "Bytes of bodies, inflated", &self.bytes),
            Figure::gauge(
                "tributary_webhook_requests_in_flight",
                "Requests that are looked at",
                self.in_flight.get(),
            ),
            Figure::bytes(
                "tributary_webhook_buffered",
                "Bytes of bodies that are held, as they came and inflated",
                &self.buffered,
            ),
            Figure::gauge(
                "tributary_webhook_connections",
                "Connections of senders that are open",
                self.connections.get(),
            ),
            Figure::timestamp(
                "tributary_webhook_certificate_expiry_timestamp",
                "When the certificate of the webhook expires, seconds since 1970",
                Some(self.certificate_expires.load(Ordering::Relaxed)).filter(|at| *at != 0),
            ),
        ]
    }
}
