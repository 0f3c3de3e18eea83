//! What a client's statistics tell: how its brokers answer, and whether it knows any of them still.

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::config::ClientConfig;
use serde::Deserialize;

/// How often a client is asked. Its answers wait until its events are served.
const INTERVAL: Duration = Duration::from_secs(10);

/// Has a client tell about its brokers. Its events have to be served now and then, or they pile up.
pub(super) fn watch(config: &mut ClientConfig) {
    config.set("statistics.interval.ms", INTERVAL.as_millis().to_string());
}

/// What is looked at of librdkafka's statistics (its `STATISTICS.md`). Counts are those since the client was made.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Statistics {
    /// Records that wait or are under way.
    pub(super) msg_cnt: i64,
    brokers: BTreeMap<String, Broker>,
}

/// A broker, or a place for one.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Broker {
    source: String,
    /// How long its answers took, microseconds.
    rtt: Window,
    /// How long it had the client wait, milliseconds.
    throttle: Window,
    /// Requests that could not be sent, answers that could not be read, and requests without an answer in time.
    txerrs: u64,
    rxerrs: u64,
    req_timeouts: u64,
    txretries: u64,
}

/// Values of the latest interval.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Window {
    avg: i64,
    cnt: i64,
}

/// What only grows while a client lives.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Counts {
    /// Requests that failed.
    pub(super) errors: u64,
    /// Requests that were sent once more.
    pub(super) retries: u64,
}

impl Statistics {
    /// Whether there is no broker in them: none from `bootstrap.servers`, and none that another one named. What a group's or a
    /// transaction's coordinator is known by is marked otherwise, and lasts without a broker behind it.
    pub(super) fn names_no_broker(&self) -> bool {
        !self.brokers.values().any(|broker| matches!(&*broker.source, "configured" | "learned"))
    }

    /// The longest of the brokers' mean answer times of the latest interval, seconds; `None` where none answered anything.
    pub(super) fn round_trip(&self) -> Option<f64> {
        let answered = self.brokers.values().filter(|broker| broker.rtt.cnt > 0);
        answered.map(|broker| broker.rtt.avg).max().map(|micros| micros as f64 / 1e6)
    }

    /// The same of the times for which brokers had the client wait; zero where none did.
    pub(super) fn throttle(&self) -> f64 {
        self.brokers.values().map(|broker| broker.throttle.avg).max().unwrap_or_default() as f64 / 1e3
    }

    /// All brokers' counts together.
    pub(super) fn counts(&self) -> Counts {
        self.brokers.values().fold(Counts::default(), |sum, broker| Counts {
            errors: sum.errors + broker.txerrs + broker.rxerrs + broker.req_timeouts,
            retries: sum.retries + broker.txretries,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(brokers: &[&str]) -> Statistics {
        let brokers = brokers.iter().enumerate().map(|(n, broker)| format!(r#""b{n}": {{ {broker} }}"#));
        let text = format!(
            r#"{{ "msg_cnt": 3, "x": [], "brokers":{{ {} }} }}"#,
            brokers.collect::<Vec<_>>().join(", ")
        );
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn coordinators_are_no_brokers() {
        let names_no_broker = |sources: &[&str]| {
            let brokers: Vec<String> =
                sources.iter().map(|source| format!(r#""source":"{source}", "rx":1"#)).collect();
            read(&brokers.iter().map(String::as_str).collect::<Vec<_>>()).names_no_broker()
        };
        for some in [&["configured"][..], &["learned", "logical"], &["internal", "logical", "configured"]] {
            assert!(!names_no_broker(some), "{some:?}");
        }
        for none in [&[][..], &["logical"], &["internal", "logical"]] {
            assert!(names_no_broker(none), "{none:?}");
        }
    }

    #[test]
    fn the_slowest_broker_counts_and_failures_are_added_up() {
        let statistics = read(&[
            r#""rtt": {"avg": 1500, "cnt": 9}, "throttle": {"avg": 0}, "txerrs": 1, "rxerrs": 2, "req_timeouts": 3, "txretries": 4"#,
            r#""rtt": {"avg": 250000, "cnt": 1}, "throttle": {"avg": 40}, "txerrs": 10"#,
            r#""rtt": {"avg": 900000, "cnt": 0}"#,
        ]);
        assert_eq!(
            (statistics.round_trip(), statistics.throttle(), statistics.msg_cnt),
            (Some(0.25), 0.04, 3)
        );
        assert_eq!(statistics.counts(), Counts { errors: 16, retries: 4 });
        assert_eq!((read(&[]).round_trip(), read(&[]).throttle()), (None, 0.0));
    }
}
