//! When events arrive at a `read_committed` consumer in this process.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rdkafka::Message as _;
use rdkafka::consumer::BaseConsumer;
use serde::Deserialize;

use crate::broker::Broker;
use crate::sender::{Job, Summary};

/// Without an event for so long the measurement has failed.
const STALLED: Duration = Duration::from_secs(60);

/// Seconds of the start, in which connections are made, and which are not counted.
const SETTLING: u64 = 2;

/// Of the mock's offsets: that of its first event, and the distance between two.
const OFFSETS: (u64, u64) = (1_000_412_900_004, 4);

/// A consumer of one topic.
pub(crate) struct Arrivals(BaseConsumer);

/// Places of events in the sender's log, each with the time of its arrival in microseconds since 1970.
pub(crate) struct Arrived(Vec<(u64, f64)>);

/// Milliseconds.
pub(crate) struct Latencies {
    pub(crate) p50: f64,
    pub(crate) p99: f64,
}

/// What of an event says where it stands.
#[derive(Deserialize)]
struct Event<'e> {
    offset: &'e str,
}

impl Arrivals {
    /// Of that topic, from its beginning.
    pub(crate) fn of(broker: &Broker, topic: &str, partitions: i32) -> Self {
        Self(broker.consumer(topic, partitions))
    }

    /// Waits for so many events.
    pub(crate) fn collect(self, events: u64) -> Arrived {
        let mut arrived = Vec::with_capacity(events as usize);
        while (arrived.len() as u64) < events {
            let message = self.0.poll(STALLED).expect("an event").expect("an event");
            let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock").as_micros() as f64;
            let event: Event<'_> =
                serde_json::from_slice(message.payload().expect("a value")).expect("an event");
            let offset: u64 = event.offset.parse().expect("a decimal offset");
            arrived.push(((offset - OFFSETS.0) / OFFSETS.1, now));
        }
        Arrived(arrived)
    }
}

impl Arrived {
    /// From the moment that its request was due, of each event.
    pub(crate) fn latencies(&self, summary: &Summary, job: Job) -> Latencies {
        let request_us = 1e6 / job.rate as f64;
        let settled = self.0.iter().map(|(position, at)| (position / job.batch, at));
        let settled = settled.filter(|(request, _)| *request >= SETTLING * job.rate);
        let mut ms: Vec<f64> = settled
            .map(|(request, at)| {
                let due = summary.epoch_ms as f64 * 1000.0 + (request + 1) as f64 * request_us;
                (at - due) / 1000.0
            })
            .collect();
        ms.sort_by(f64::total_cmp);
        assert!(!ms.is_empty(), "the latency part is to take longer than {SETTLING} s");
        let at = |share: f64| ms[((ms.len() - 1) as f64 * share) as usize];
        Latencies { p50: at(0.5), p99: at(0.99) }
    }
}
