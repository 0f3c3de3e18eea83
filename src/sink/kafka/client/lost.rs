//! Whether a client knows any broker still, as its statistics tell.

use std::time::Duration;

use memchr::memmem;
use rdkafka::config::ClientConfig;

/// How often a client is asked. Its answers wait until its events are served.
const INTERVAL: Duration = Duration::from_secs(10);

/// How the statistics mark a broker that is one: from `bootstrap.servers`, or named by another. What a group's or a
/// transaction's coordinator is known by is marked otherwise, and lasts without a broker behind it.
const BROKERS: [&[u8]; 2] = [br#""source":"configured""#, br#""source":"learned""#];

/// Has a client tell about its brokers. Its events have to be served now and then, or they pile up.
pub(super) fn watch(config: &mut ClientConfig) {
    config.set("statistics.interval.ms", INTERVAL.as_millis().to_string());
}

/// Whether there is none in these statistics, which are JSON as librdkafka writes it.
pub(super) fn names_no_broker(statistics: &[u8]) -> bool {
    BROKERS.iter().all(|mark| memmem::find(statistics, mark).is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn coordinators_are_no_brokers() {
        let statistics = |sources: &[&str]| {
            let brokers =
                sources.iter().map(|source| format!(r#""n": {{ "name":"n", "source":"{source}", "rx":1}}"#));
            format!(r#"{{ "brokers":{{ {} }} }}"#, brokers.collect::<Vec<_>>().join(", "))
        };
        for some in [&["configured"][..], &["learned", "logical"], &["internal", "logical", "configured"]] {
            assert!(!names_no_broker(statistics(some).as_bytes()), "{some:?}");
        }
        for none in [&[][..], &["logical"], &["internal", "logical"]] {
            assert!(names_no_broker(statistics(none).as_bytes()), "{none:?}");
        }
    }
}
