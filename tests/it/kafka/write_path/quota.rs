//! A producer quota under which a transaction cannot take what waits: smaller ones can.

use crate::harness::airship::oracle::{Found, Repeats};
use crate::harness::airship::progress::Progress;
use crate::harness::airship::{Mock, STREAM, Setup, count_log, service, stop};
use crate::harness::broker::private_broker;
use crate::harness::wait::{GENEROUS, wait_until};

const EVENTS: u64 = 10_000;

#[test]
fn a_batch_that_takes_too_long_is_halved() {
    let broker = private_broker();
    // The events that wait take 15 s and more at this pace, three times what a transaction may take.
    broker.limit_producer("tributary", 100_000);
    let mock = Mock::start(service(EVENTS));
    let mut setup = Setup::at(&broker, "quota", &mock);
    setup.transaction_timeout = "4s";
    setup.commit_interval = "2s";
    setup.max_events = 50_000;
    let mut process = setup.start();
    // While it waits for the quota, the producer's statistics say so.
    let figure = |name: &str| process.metrics().sum(name, &[]);
    wait_until(GENEROUS, "the quota to show in the metrics", || {
        figure("tributary_kafka_throttle_seconds") > 0.0 && figure("tributary_kafka_queued_records") > 0.0
    });
    assert!(figure("tributary_kafka_round_trip_seconds") > 0.0);
    Progress::of(&broker, &setup, STREAM, 0).wait_received(EVENTS);
    assert!(count_log(&process, "the batch is halved") > 0, "{}", process.log().join("\n"));
    stop(&mut process);
    let found = setup.expectation(&mock).check_at(&broker, Repeats::Forbidden);
    assert_eq!(found, Found { records: EVENTS as usize, repeats: 0 });
}
