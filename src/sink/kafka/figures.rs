//! What the Kafka clients of one shard count, one after the other: a client that is made anew goes on where the one before it was.

use std::sync::{Arc, Mutex, PoisonError};

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Unit;

use crate::model::figure::{Figure, Value};

/// What is counted. Clones count together.
#[derive(Clone, Debug)]
pub struct KafkaFigures {
    pub(super) errors: Counter,
    pub(super) retries: Counter,
    pub(super) tls_failures: Counter,
    /// Partitions of events that a transaction touched.
    partitions: Histogram,
    latest: Arc<Mutex<Latest>>,
}

impl Default for KafkaFigures {
    fn default() -> Self {
        Self {
            errors: Counter::default(),
            retries: Counter::default(),
            tls_failures: Counter::default(),
            // From one topic with few of them to a topic for each type with many.
            partitions: Histogram::new([1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1e3, 3e3]),
            latest: Arc::default(),
        }
    }
}

/// What the producer said last.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub(super) struct Latest {
    /// Seconds; `None` where no broker answered anything lately.
    pub(super) round_trip: Option<f64>,
    /// Seconds; `None` before a producer has said anything.
    pub(super) throttle: Option<f64>,
    /// Records.
    pub(super) queued: i64,
}

impl KafkaFigures {
    pub(super) fn note(&self, latest: Latest) {
        *self.latest.lock().unwrap_or_else(PoisonError::into_inner) = latest;
    }

    /// A transaction is committed that touched so many partitions of events. One without events counts for nothing.
    pub(super) fn partitions(&self, touched: usize) {
        if touched > 0 {
            self.partitions.observe(touched as f64);
        }
    }

    /// Everything that is counted.
    pub fn figures(&self) -> Vec<Figure> {
        let Latest { round_trip, throttle, queued } =
            *self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        let seconds = |name, help, value| Figure {
            name,
            help,
            unit: Some(Unit::Seconds),
            value: Value::Seconds(value),
        };
        vec![
            seconds(
                "tributary_kafka_round_trip",
                "Mean time of Kafka's answers to the shard's producer in the last 10 s, of the slowest broker",
                round_trip,
            ),
            seconds(
                "tributary_kafka_throttle",
                "Mean time for which a quota had the shard's producer wait in the last 10 s, of the strictest broker",
                throttle,
            ),
            Figure::gauge(
                "tributary_kafka_queued_records",
                "Records that the shard's producer holds until they are acknowledged, as of its last statistics",
                queued,
            ),
            Figure::counter(
                "tributary_kafka_request_errors",
                "Requests to Kafka that failed or had no answer in time",
                &self.errors,
            ),
            Figure::counter(
                "tributary_kafka_request_retries",
                "Requests to Kafka that were sent once more",
                &self.retries,
            ),
            Figure::counter(
                "tributary_kafka_tls_failures",
                "Connections to Kafka that failed by TLS, as with a certificate that has expired",
                &self.tls_failures,
            ),
            Figure::histogram(
                "tributary_transaction_partitions",
                "Partitions that a transaction wrote events and dead letters to",
                None,
                &self.partitions,
            ),
        ]
    }
}
