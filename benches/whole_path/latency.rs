//! From the service's write to the arrival at a `read_committed` consumer, at a moderate rate.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

use crate::Arguments;
use crate::broker::Broker;
use crate::connector::{Headers, Job, Service};
use crate::{connector, mock, running};

/// Events of the start, which wait for the connector, are not counted.
const SETTLING: Duration = Duration::from_secs(5);

/// Prints the percentiles.
pub(crate) fn measure(arguments: &Arguments, broker: &Broker) {
    let rate = arguments.rate;
    let skipped = SETTLING.as_secs() * rate;
    let events = skipped + arguments.latency_time.as_secs() * rate;
    // One partition, so that what arrives is in the order of the mock's log.
    let topic = broker.new_topic(1);
    let consumer = broker.consumer(&topic, 1);
    let mock = mock::start(&["--events", &events.to_string(), "--rate", &rate.to_string(), "--epoch", "now"]);
    let settings = running::get(&mock.address, "/_mock/config").expect("the mock's settings");
    let (epoch_ms, step_us) = (number(&settings, "epoch_ms"), number(&settings, "step_us"));
    let service = Service::Airship(1);
    let job = Job { mock: &mock, service, topic: &topic, headers: Headers::None, more: "" };
    let started = Instant::now();
    let connector = connector::start(arguments, broker, job);
    let mut latencies = Vec::with_capacity(events as usize);
    let mut position = 0;
    while position < events {
        let message = consumer.poll(Duration::from_secs(30)).expect("an event").expect("an event");
        drop(message);
        let now_us = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock").as_micros() as f64;
        position += 1;
        // An event becomes readable at the end of its step.
        let written_us = epoch_ms * 1000.0 + position as f64 * step_us;
        if position > skipped {
            latencies.push((now_us - written_us) / 1000.0);
        }
    }
    latencies.sort_by(f64::total_cmp);
    let at = |share: f64| latencies[((latencies.len() - 1) as f64 * share) as usize];
    let (p50, p90, p99, max) = (at(0.5), at(0.9), at(0.99), at(1.0));
    println!(
        "latency at {rate} events/s, write to read_committed arrival, {} events: p50 {p50:.0} ms, p90 {p90:.0}, \
         p99 {p99:.0}, max {max:.0}",
        latencies.len()
    );
    let seconds = started.elapsed().as_secs_f64();
    println!(
        "there: {:.1} % of a core, peak {:.1} MiB",
        connector.process.cpu_seconds() / seconds * 100.0,
        connector.process.peak_mib()
    );
    connector.process.terminate();
    broker.remove(&topic);
}

/// The number that follows that member's name in a JSON text.
fn number(json: &str, name: &str) -> f64 {
    let rest = json.split_once(&format!("\"{name}\":")).expect("the member").1;
    let end = rest.find([',', '}', '\n']).unwrap_or(rest.len());
    rest[..end].trim().parse().expect("a number")
}
