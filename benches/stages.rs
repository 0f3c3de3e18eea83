//! Each stage of the event path alone, and all of them into a sink that keeps nothing. Events are the mock's.
//!
//! `cargo bench --bench stages [-- FILTER]`; throughput is given in events and in bytes of text.
#![expect(clippy::expect_used, clippy::panic, reason = "what cannot be measured ends the benchmark")]
#![expect(clippy::print_stdout, reason = "a benchmark's figures are for the terminal")]

use std::hint::black_box;
use std::io::Write;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use criterion::{
    BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main, measurement::WallTime,
};
use flate2::Compression;
use flate2::write::GzEncoder;
use futures_util::stream;
use tributary::event::dedupe::{self, Window};
use tributary::event::extract::{Extractor, Line};
use tributary::event::route::Router;
use tributary::model::block::lines;
use tributary::model::types::{Dated, EventId};
use tributary::shard::pipeline::Pipeline;
use tributary::source::frame::Framer;
use tributary::source::http::body::{Body, Coding};

mod support;

/// Events of one iteration: about 6 MB, more than the caches hold.
const EVENTS: u64 = 10_000;

/// Bytes that arrive at a time.
const CHUNK: usize = 16 << 10;

/// Ids of the default window.
const MAX_IDS: usize = 1_000_000;

fn stages(criterion: &mut Criterion) {
    let text = support::text(EVENTS);
    println!("{EVENTS} events, {} bytes each", text.len() as u64 / EVENTS);
    let mut group = criterion.benchmark_group("stages");
    group.throughput(Throughput::ElementsAndBytes { elements: EVENTS, bytes: text.len() as u64 });
    group.measurement_time(Duration::from_secs(3)).warm_up_time(Duration::from_secs(1)).sample_size(20);
    inflate(&mut group, &text);
    frame(&mut group, &text);
    extract(&mut group, &text);
    dedupe(&mut group);
    route(&mut group, &text);
    pipeline(&mut group, &text);
    group.finish();
}

fn inflate(group: &mut BenchmarkGroup<'_, WallTime>, text: &[u8]) {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text).expect("memory");
    let compressed = Bytes::from(encoder.finish().expect("memory"));
    let chunks: Vec<Bytes> = (0..compressed.len())
        .step_by(CHUNK)
        .map(|at| compressed.slice(at..compressed.len().min(at + CHUNK)))
        .collect();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    group.bench_function("inflate", |bencher| {
        bencher.iter(|| {
            runtime.block_on(async {
                let arriving = stream::iter(chunks.clone().into_iter().map(Ok::<_, std::io::Error>));
                let mut body = Body::new(arriving, Coding::Gzip, Duration::from_secs(90), |_| {});
                let mut framer = Framer::new(16 << 20);
                let mut total = 0;
                loop {
                    // The framer's buffers, so that reads have the size that they have in a reader.
                    match body.read(framer.buffer()).await.expect("sound gzip") {
                        0 => break,
                        count => total += count,
                    }
                    framer.buffer().clear();
                }
                assert_eq!(total, text.len());
            });
        });
    });
}

fn frame(group: &mut BenchmarkGroup<'_, WallTime>, text: &[u8]) {
    group.bench_function("frame", |bencher| {
        bencher.iter(|| {
            let mut framer = Framer::new(16 << 20);
            let mut rest = text;
            while !rest.is_empty() {
                let buffer: &mut BytesMut = framer.buffer();
                let (read, left) = rest.split_at(rest.len().min(buffer.capacity() - buffer.len()));
                buffer.extend_from_slice(read);
                rest = left;
                framer.cut();
                while let Some(block) = framer.next_block() {
                    black_box(block);
                }
            }
        });
    });
}

fn extract(group: &mut BenchmarkGroup<'_, WallTime>, text: &[u8]) {
    let extractor = Extractor::new(&support::defaults().plan.streams[0].extract).expect("the default fields");
    group.bench_function("extract", |bencher| {
        bencher.iter(|| {
            for line in lines(text) {
                black_box(extractor.extract(line).expect("an event"));
            }
        });
    });
}

fn dedupe(group: &mut BenchmarkGroup<'_, WallTime>) {
    let mut window = Window::new(dedupe::Config { max_ids: MAX_IDS, ..Default::default() }, EVENTS as usize);
    let mut next = 0u64;
    let mut batch = |window: &mut Window| {
        for _ in 0..EVENTS {
            next += 1;
            // Far apart, as ids are.
            let half = next.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            assert!(window.insert(EventId::from_pair(half, half.rotate_left(32))));
        }
        window.commit(Dated { committed_ms: 0, ran_ms: 0, received_ms: None });
    };
    // Full, so that each batch also pushes as many ids out.
    (0..=MAX_IDS as u64 / EVENTS).for_each(|_| batch(&mut window));
    group.bench_function("dedupe", |bencher| bencher.iter(|| batch(&mut window)));
}

fn route(group: &mut BenchmarkGroup<'_, WallTime>, text: &[u8]) {
    let stream = support::defaults().plan.streams.remove(0);
    let extractor = Extractor::new(&stream.extract).expect("the default fields");
    let mut router = Router::new(stream.route);
    let records: Vec<_> = lines(text)
        .map(|line| match extractor.extract(line) {
            Ok(Line::Event(record)) => record,
            other => panic!("no event: {other:?}"),
        })
        .collect();
    group.bench_function("route", |bencher| {
        bencher.iter(|| {
            for record in &records {
                black_box(router.timestamp(record, |text| extractor.milliseconds(text), i64::MAX));
                let route = router.route(&record.topic_values).expect("a topic");
                black_box(router.name(route));
            }
        });
    });
}

/// Extract, dedupe, route and everything between them, on one thread as in a shard.
fn pipeline(group: &mut BenchmarkGroup<'_, WallTime>, text: &[u8]) {
    // With half of the ids forgotten after each half, every event is new again.
    whole(group, "pipeline", support::pipeline(EVENTS as usize / 3), text);
    whole(group, "pipeline_redacting", support::redacting_pipeline(EVENTS as usize / 3), text);
    whole(group, "pipeline_joining", support::joining_pipeline(EVENTS as usize / 3, &[]), text);
    whole(group, "pipeline_templating", support::templating_pipeline(EVENTS as usize / 3), text);
    let hits = support::hits(EVENTS, support::VISITORS[0], support::CONTAINERS);
    group.throughput(Throughput::ElementsAndBytes { elements: EVENTS, bytes: hits.len() as u64 });
    whole(group, "pipeline_adobe", support::adobe_pipeline(EVENTS as usize / 3), &hits);
    whole(group, "pipeline_adobe_templating", support::templating_adobe_pipeline(EVENTS as usize / 3), &hits);
    whole(group, "pipeline_adobe_redacting", support::redacting_adobe_pipeline(EVENTS as usize / 3), &hits);
}

fn whole(group: &mut BenchmarkGroup<'_, WallTime>, name: &str, mut pipeline: Pipeline, text: &[u8]) {
    let blocks = support::blocks(text);
    let (first, second) = blocks.split_at(blocks.len() / 2);
    let mut sink = support::NullSink::default();
    group.bench_function(name, |bencher| {
        bencher.iter(|| {
            support::batch(&mut pipeline, first, &mut sink);
            support::batch(&mut pipeline, second, &mut sink);
        });
    });
    assert_eq!(sink.records % EVENTS, 0, "duplicates were dropped");
}

criterion_group!(benches, stages);
criterion_main!(benches);
