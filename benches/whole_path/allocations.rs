//! Counts Rust's allocations an event, with the supervisor in this process.

use std::alloc::System;
use std::sync::Arc;
use std::time::Duration;

use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use tokio_util::sync::CancellationToken;
use tributary::config::{self, Sources};
use tributary::supervisor;
use tributary::task;

use crate::Arguments;
use crate::broker::Broker;
use crate::connector::{Headers, Job, Service};
use crate::{connector, mock};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Enough for what is allocated once to vanish.
const EVENTS: u64 = 300_000;

/// Events after which buffers have grown.
const WARM_UP: u64 = 50_000;

/// Prints the figure.
pub(crate) fn measure(arguments: &Arguments, broker: &Broker) {
    let mock = mock::start(&["--prepare", "--events", &EVENTS.to_string()]);
    let topic = broker.new_topic(arguments.partitions);
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("tributary.toml");
    let service = Service::Airship(1);
    let job = Job { mock: &mock, service, topic: &topic, headers: Headers::None, more: "" };
    std::fs::write(&file, connector::configuration(broker, job, "127.0.0.1:1")).expect("a file");
    let pairs = arguments.overrides.iter().filter_map(|pair| pair.split_once('='));
    let overrides = pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
    let sources = Sources { file: Some(file), overrides, ..Sources::default() };
    let plan = Arc::new(config::load(&sources).expect("a sound configuration").plan);
    let figures = tributary::supervisor::figures(&plan);
    let delivered = figures[0].shard.delivered.clone();
    let stop = CancellationToken::new();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let running = {
        let (plan, figures, stop) = (Arc::clone(&plan), figures.clone(), stop.clone());
        task::spawn(runtime.handle(), "supervisor", async move {
            supervisor::run(plan, &figures, None, &CancellationToken::new(), stop, supervisor::no_changes())
                .await
        })
    };
    let wait = |events: u64| {
        while delivered.get() < events {
            std::thread::sleep(Duration::from_millis(1));
        }
        delivered.get()
    };
    let before = wait(WARM_UP);
    let region = Region::new(ALLOCATOR);
    let events = wait(EVENTS) - before;
    let change = region.change();
    stop.cancel();
    drop(runtime.block_on(running));
    broker.remove(&topic);
    println!(
        "allocations of Rust code per event: {:.4} ({} and {} reallocations for {events} events)",
        (change.allocations + change.reallocations) as f64 / events as f64,
        change.allocations,
        change.reallocations
    );
}
