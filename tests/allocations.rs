//! The event path allocates nothing per event. A test binary of its own, since it counts every allocation.
#![cfg(test)]

use std::alloc::System;

use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use tributary::model::block::Block;
use tributary::shard::pipeline::Pipeline;

#[path = "../benches/support.rs"]
mod support;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const EVENTS: u64 = 10_000;

/// Half of the ids are forgotten after each half, so that every event is new again.
const WINDOW: usize = EVENTS as usize / 3;

/// A checkpoint is cloned for each commit; that is not per event.
const PER_BATCH: usize = 20;

#[test]
fn the_event_path_allocates_nothing_per_event() {
    let airship = || support::pipeline(WINDOW);
    assert!(allocations(airship(), &flat_lines()) <= PER_BATCH);
    // What is left: serde_json keeps a stack, a few bytes, for skipping what is nested twice in a skipped member.
    let mocked = allocations(airship(), &support::text(EVENTS));
    assert!(mocked <= EVENTS as usize + PER_BATCH, "{mocked} allocations for {EVENTS} events");
    for (n, visitor) in support::VISITORS.iter().enumerate() {
        let flat = allocations(support::adobe_pipeline(WINDOW), &support::hits(EVENTS, visitor, ""));
        assert!(flat <= PER_BATCH, "{flat} allocations for {EVENTS} hits with visitor {n}");
    }
    let redacted = allocations(support::redacting_pipeline(WINDOW), &flat_lines());
    assert!(redacted <= PER_BATCH, "{redacted} allocations for {EVENTS} redacted events");
    for (n, visitor) in support::VISITORS.iter().enumerate() {
        let redacted =
            allocations(support::redacting_adobe_pipeline(WINDOW), &support::hits(EVENTS, visitor, ""));
        assert!(redacted <= PER_BATCH, "{redacted} allocations for {EVENTS} redacted hits with visitor {n}");
    }
    let templated = allocations(support::templating_pipeline(WINDOW), &flat_lines());
    assert!(
        templated <= PER_BATCH,
        "{templated} allocations for {EVENTS} events with a template of two fields"
    );
    let hits = support::hits(EVENTS, support::VISITORS[0], "");
    let templated = allocations(support::templating_adobe_pipeline(WINDOW), &hits);
    assert!(
        templated <= PER_BATCH,
        "{templated} allocations for {EVENTS} hits with a template of two fields"
    );
    let redact = r#"[{ path = "device.attributes", action = "drop" }]"#;
    for more in [&[][..], &[("redact", redact), ("key_from", "received")]] {
        let joined = allocations(support::joining_pipeline(WINDOW, more), &flat_lines());
        assert!(
            joined <= PER_BATCH,
            "{joined} allocations for {EVENTS} events with a joined key and fields in headers, {more:?}"
        );
    }
    let nested = support::hits(EVENTS, support::VISITORS[0], support::CONTAINERS);
    let nested = allocations(support::adobe_pipeline(WINDOW), &nested);
    assert!(nested <= EVENTS as usize + PER_BATCH, "{nested} allocations for {EVENTS} hits");
}

/// Allocations and reallocations of one batch in two halves, after as much of a warm-up.
fn allocations(mut pipeline: Pipeline, text: &[u8]) -> usize {
    let blocks: Vec<Block> = support::blocks(text);
    let (first, second) = blocks.split_at(blocks.len() / 2);
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
    change.allocations + change.reallocations
}

/// Events with every kind of field, but nothing nested deeply beside them.
fn flat_lines() -> Vec<u8> {
    let event = |n: u64| {
        format!(
            "{{\"id\":\"{n:08x}-91b6-11f0-9b57-0242ac120002\",\"type\":\"SEND\",\"offset\":\"{n}\",\
             \"occurred\":\"2026-03-02T07:39:58.623Z\",\"processed\":\"2026-03-02T07:39:59.964Z\",\
             \"device\":{{\"channel\":\"4139e16a-c955-4a39-82e2-{n:012x}\",\"attributes\":{{\"os\":\"15\"}}}},\
             \"body\":{{\"ip\":\"198.51.100.24\",\"push_id\":\"x\",\"trimmed\":true,\"count\":{n}}}}}\n"
        )
    };
    (0..EVENTS).map(event).collect::<String>().into_bytes()
}
