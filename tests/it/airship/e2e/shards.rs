//! Several shards of one stream, and several streams, in one process.

use crate::harness::airship::oracle::{Expectation, Found};
use crate::harness::airship::progress::Progress;
use crate::harness::airship::{Mock, STREAM, Setup, Stream, service, stop};
use crate::harness::broker::broker;
use crate::harness::reader::{Isolation, read_all};
use tributary_mock::airship;

const EVENTS: u64 = 5_000;

#[test]
fn two_shards_share_a_stream() {
    let mock = Mock::start(airship::Config { duplicate_every: 5, ..service(EVENTS) });
    let mut setup = Setup::new("shards", &mock);
    (setup.streams[0].shards, setup.partitions) = (2, 6);
    let mut process = setup.start();
    let expectation = setup.expectation(&mock);
    let (mut zero, mut one) =
        (Progress::of(broker(), &setup, STREAM, 0), Progress::of(broker(), &setup, STREAM, 1));
    let lines = |shard| expectation.lines_of(shard);
    assert!(lines(0) > 1_000 && lines(1) > 1_000);
    assert_eq!(lines(0) + lines(1), expectation.len());
    for (progress, shard) in [(&mut zero, 0), (&mut one, 1)] {
        progress
            .wait_for("all events of the shard", |checkpoint| checkpoint.delivered >= lines(shard) as u64);
    }
    stop(&mut process);
    assert_eq!(expectation.check(), Found { records: expectation.len(), repeats: 0 });
    let received: u64 = [&mut zero, &mut one]
        .map(|progress| {
            progress.wait_for("a drained checkpoint", |checkpoint| checkpoint.is_drained()).received
        })
        .iter()
        .sum();
    assert!(received <= EVENTS, "each line is asked for by one shard");
    // Partition i of the state topics belongs to shard i alone.
    for message in read_all(broker(), &setup.checkpoints(), Isolation::Committed) {
        assert_eq!(message.key, Some(format!("{STREAM}/{}", message.partition).into_bytes()));
    }
}

#[test]
fn two_streams_share_a_process() {
    let mocks = [Mock::start(service(EVENTS)), Mock::start(service(EVENTS))];
    let mut setup = Setup::new("streams", &mocks[0]);
    setup.streams.push(Stream {
        name: "other".to_owned(),
        url: format!("{}/api/events/", mocks[1].url()),
        topic: format!("{}.others", setup.prefix),
        shards: 1,
    });
    let mut process = setup.start();
    for stream in &setup.streams {
        Progress::of(broker(), &setup, &stream.name, 0).wait_received(EVENTS);
    }
    stop(&mut process);
    for (stream, mock) in setup.streams.iter().zip(&mocks) {
        let found = Expectation::distinct(&setup, stream, mock.log()).check();
        assert_eq!(found, Found { records: EVENTS as usize, repeats: 0 }, "{}", stream.name);
    }
}
