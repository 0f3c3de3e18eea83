//! A trickle, each event flushed by itself, wakes the connector's threads for each batch and not for each event.

use crate::harness::airship::oracle::Found;
use crate::harness::airship::{Mock, Setup, service, stop};
use crate::harness::process::Process;
use tributary_mock::airship::{self, Epoch};

/// Events, one each millisecond. Enough that many are to come when the connector has started on a busy machine.
const EVENTS: u64 = 30_000;

/// What there was so far.
struct Counted {
    events: f64,
    batches: f64,
    reading: u64,
    shard: u64,
}

fn counted(process: &Process) -> Counted {
    let metrics = process.metrics();
    Counted {
        events: metrics.sum("tributary_events_delivered_total", &[]),
        batches: metrics.sum("tributary_commits_total", &[]),
        reading: process.waits_of("read-"),
        shard: process.waits_of("shard-"),
    }
}

#[test]
fn a_trickle_wakes_threads_for_each_batch_and_not_for_each_event() {
    let mock = Mock::start(airship::Config { epoch: Epoch::Now, rate: 1000.0, ..service(EVENTS) });
    let mut setup = Setup::new("wakeups", &mock);
    (setup.commit_interval, setup.max_events) = ("1s", 50_000);
    let mut process = setup.start();
    let mut progress = setup.progress();
    // What had come before the start is in the first batch.
    progress.wait_received(1);
    let before = counted(&process);
    progress.wait_received(EVENTS);
    let after = counted(&process);
    stop(&mut process);
    assert_eq!(setup.expectation(&mock).check(), Found { records: EVENTS as usize, repeats: 0 });

    let (events, batches) = (after.events - before.events, after.batches - before.batches);
    let (reading, shard) = (after.reading - before.reading, after.shard - before.shard);
    println!(
        "{events} events in {batches} batches: the reader's thread waited {reading} times, the shard's {shard}"
    );
    assert!(batches >= 2.0 && reading >= 2 && shard >= 2, "they are at work");
    // By the clock it is some 40 and 20 a batch, however many events are in it. Woken by events each would wait once for each.
    assert!((reading.max(shard) as f64) < events / 4.0, "{reading} and {shard} waits for {events} events");
}
