//! Who runs a shard: starts at the same moment, takeovers, changed streams, and shards that end unasked.

mod campaign;
mod cluster;
mod cuts;
mod deliveries;
mod endings;
mod group;
mod lost;
mod placement;
mod records;
mod sharing;
mod takeovers;

use crate::harness::airship::oracle::{Expectation, Found};
use crate::harness::airship::{Mock, Setup, Stream};
use crate::harness::process::Process;
use tributary_mock::airship;

/// The documented exit codes.
const MISCONFIGURED: i32 = 3;
const TAKEN_OVER: i32 = 4;

/// Several streams, each with a service and a topic of its own.
struct Scene {
    mocks: Vec<Mock>,
    setup: Setup,
}

impl Scene {
    /// So many streams, each from a service of its own.
    #[track_caller]
    fn new(test: &str, streams: usize, service: airship::Config) -> Self {
        Self::of(test, std::iter::repeat_n(service, streams))
    }

    /// One stream from each of these services.
    #[track_caller]
    fn of(test: &str, services: impl IntoIterator<Item = airship::Config>) -> Self {
        // Each with ids of its own.
        let service = |(number, service): (u64, airship::Config)| airship::Config {
            seed: service.seed + number,
            ..service
        };
        let mocks: Vec<_> = (0..).zip(services).map(service).map(Mock::start).collect();
        let mut setup = Setup::new(test, &mocks[0]);
        setup.streams = mocks.iter().enumerate().map(|(number, mock)| stream(&setup, number, mock)).collect();
        Self { mocks, setup }
    }

    /// Every event of every stream lies in its topic once.
    #[track_caller]
    fn assert_each_once(&self) {
        for (stream, mock) in self.setup.streams.iter().zip(&self.mocks) {
            let events = mock.log().len() as usize;
            let found = Expectation::distinct(&self.setup, stream, mock.log()).check();
            assert_eq!(found, Found { records: events, repeats: 0 }, "{}", stream.name);
        }
    }
}

/// `events` events, made at `rate` a second.
fn service(events: u64, rate: f64) -> airship::Config {
    airship::Config { rate, ..crate::harness::airship::service(events) }
}

fn stream(setup: &Setup, number: usize, mock: &Mock) -> Stream {
    Stream {
        name: format!("s{number}"),
        url: format!("{}/api/events/", mock.url()),
        topic: format!("{}.events-{number}", setup.prefix),
        shards: 1,
    }
}

/// Starts the connector with a configuration that was changed as text.
#[track_caller]
fn start_changed(setup: &Setup, change: impl Fn(String) -> String, arguments: &[&str]) -> Process {
    crate::harness::process::tributary_with(&change(setup.toml()), arguments, &[])
}
