//! The event path allocates nothing per event. A test binary of its own, since it counts every allocation.
#![cfg(test)]

use std::alloc::System;

use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[path = "../benches/support.rs"]
mod support;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const EVENTS: u64 = 10_000;

/// A checkpoint is cloned for each commit, and the clock read for each block; neither is per event.
const PER_BATCH: usize = 20;

#[test]
fn the_event_path_allocates_nothing_per_event() {
    let blocks = support::blocks(&support::text(EVENTS));
    let (first, second) = blocks.split_at(blocks.len() / 2);
    let mut pipeline = support::pipeline(EVENTS as usize / 3);
    let mut sink = support::NullSink::default();
    let mut once = || {
        support::batch(&mut pipeline, first, &mut sink);
        support::batch(&mut pipeline, second, &mut sink);
    };
    once();
    let region = Region::new(ALLOCATOR);
    once();
    let change = region.change();
    assert_eq!(sink.records, 2 * EVENTS, "every event was new, and none was a dead letter");
    assert_eq!(sink.ids, 2 * EVENTS);
    assert!(
        change.allocations + change.reallocations <= PER_BATCH,
        "{} allocations and {} reallocations for {EVENTS} events",
        change.allocations,
        change.reallocations
    );
}
