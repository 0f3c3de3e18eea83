//! Traces: what a collector gets of batches and connects, by both protocols, and what it does to the streams when it is dead.

use crate::harness::airship::scenes::{Ended, Expected, Scene, Setup, all_at_once};
use crate::harness::broker::{broker, free_port};
use crate::harness::collector::{Collector, Span};
use crate::harness::listener::Listener;
use crate::harness::reader::{Isolation, read_all};
use crate::harness::wait::{GENEROUS, wait_until};
use std::collections::BTreeSet;

const EVENTS: u64 = 1_000;
const KEY: &str = "collector-key-91c4";
const TOKEN: &str = "token-of-the-stream-5d1c";

fn setup(name: &str) -> Setup {
    Setup::new(name, all_at_once(EVENTS))
        .top("commit = { interval = \"50ms\", max_events = 100 }")
        .stream(&format!("auth = {{ bearer = {{ value = \"{TOKEN}\" }} }}\nheaders = [\"traceparent\"]"))
}

/// The number that the spans of batches say they delivered.
fn delivered(spans: &[Span]) -> u64 {
    let batches = spans.iter().filter(|span| span.name == "batch");
    batches.map(|span| span.said("tributary.delivered").parse::<u64>().unwrap()).sum()
}

/// Everything that a collector must have got of a scene in which everything is traced.
#[track_caller]
fn check(mut scene: Scene, collector: &Collector) {
    let distinct = scene.mock_log().distinct(EVENTS);
    scene.wait_delivered(distinct);
    collector.wait_for("all batches", |spans| delivered(spans) == distinct);
    let records = read_all(broker(), &scene.events(), Isolation::Committed);
    scene.stop();
    assert_eq!(delivered(&collector.spans()), distinct, "each once");

    let connects = collector.named("connect");
    assert!(!connects.is_empty());
    for connect in &connects {
        assert_eq!(connect.kind, 3, "a client");
        assert_eq!(connect.said("server.address"), "127.0.0.1");
        assert!(connect.parent.is_empty() && connect.status.is_none(), "{connect:?}");
    }
    let connected: BTreeSet<_> = connects.iter().map(|connect| connect.ids.clone()).collect();
    let batches = collector.named("batch");
    for batch in &batches {
        assert_eq!((batch.said("tributary.stream"), batch.said("tributary.shard")), ("s", "0"));
        assert!(batch.parent.is_empty() && batch.flags & 1 == 1, "{batch:?}");
        assert_eq!((batch.ids.0.len(), batch.ids.1.len()), (16, 8));
        assert!(
            !batch.links.is_empty() && batch.links.iter().all(|link| connected.contains(link)),
            "{batch:?}"
        );
        let parts: Vec<_> = collector.spans().into_iter().filter(|span| span.parent == batch.ids.1).collect();
        let names: BTreeSet<_> = parts.iter().map(|part| part.name.as_str()).collect();
        assert_eq!(names.into_iter().collect::<Vec<_>>(), ["commit", "read"]);
        for part in &parts {
            assert_eq!(part.ids.0, batch.ids.0);
            assert!(part.start_ns >= batch.start_ns, "{part:?}");
            assert!(part.end_ns <= batch.end_ns, "{part:?}");
        }
    }
    // Each record names the batch that wrote it.
    let written: BTreeSet<String> =
        batches.iter().map(|batch| format!("00-{}-{}-01", hex(&batch.ids.0), hex(&batch.ids.1))).collect();
    assert_eq!(records.len() as u64, distinct);
    for record in &records {
        let [(name, value)] = &record.headers[..] else { panic!("{:?}", record.headers) };
        assert_eq!(name, "traceparent");
        assert!(written.contains(&String::from_utf8_lossy(value).into_owned()), "{record:?}");
    }
    let text = collector.text();
    assert!(!text.contains("5d1c") && !text.contains("91c4"), "a secret is in it");
    let log = scene.process.log().join("\n");
    assert!(!log.contains("91c4"), "{log}");
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn batches_and_connects_are_told_by_http_as_the_keys_say() {
    let collector = Collector::http();
    let keys = format!(
        "traces = {{ endpoint = \"{}\", sample_ratio = 1.0, headers = {{ x-key = {{ value = \"{KEY}\" }} }} }}",
        collector.url()
    );
    let scene = setup("traces-http").top(&keys).start(broker());
    check(scene, &collector);
    assert!(collector.keys().iter().all(|key| key == KEY) && !collector.keys().is_empty());
    assert!(collector.resource().contains(&("service.name".into(), "tributary".into())));
}

#[test]
fn the_same_by_grpc_as_the_variables_say() {
    let collector = Collector::grpc();
    let scene = setup("traces-grpc")
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.url())
        .env("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
        .env("OTEL_EXPORTER_OTLP_HEADERS", &format!("x-key={KEY}"))
        .env("OTEL_SERVICE_NAME", "mine")
        .env("OTEL_RESOURCE_ATTRIBUTES", "team=data%20flow")
        .env("OTEL_TRACES_SAMPLER", "always_on")
        .start(broker());
    check(scene, &collector);
    assert!(collector.keys().iter().all(|key| key == KEY) && !collector.keys().is_empty());
    let resource = collector.resource();
    for (key, value) in [("service.name", "mine"), ("team", "data flow")] {
        assert!(resource.contains(&(key.into(), value.into())), "{resource:?}");
    }
}

#[test]
fn a_connect_that_failed_says_how() {
    let collector = Collector::http();
    let keys = format!("traces = {{ endpoint = \"{}\", sample_ratio = 1.0 }}", collector.url());
    let url = format!("url = \"http://127.0.0.1:{}/\"", free_port());
    let mut scene = setup("traces-refused").top(&keys).stream(&url).start(broker());
    collector.wait_for("a failed connect", |spans| spans.iter().any(|span| span.name == "connect"));
    scene.stop();
    let connect = &collector.named("connect")[0];
    assert_eq!(connect.said("error.type"), "network");
    assert_eq!(connect.status, Some((2, "network".to_owned())));
    assert!(connect.attributes.iter().all(|(_, value)| !value.contains("5d1c")));
}

/// One is not there, the other takes connections and says nothing.
#[test]
fn a_dead_collector_stops_nothing() {
    let silent = Listener::answering(|_, _| None);
    for (name, url) in
        [("traces-gone", format!("http://127.0.0.1:{}", free_port())), ("traces-silent", silent.url())]
    {
        // A batch of one event each, so that there are more spans than the queue holds.
        let scene = setup(name)
            .top("commit = { interval = \"50ms\", max_events = 1 }")
            .stream("headers = \"cloudevents\"")
            .top(&format!("traces = {{ endpoint = \"{url}\", sample_ratio = 1.0 }}"))
            .env("OTEL_EXPORTER_OTLP_TIMEOUT", "60000")
            .start(broker());
        let distinct = scene.mock_log().distinct(EVENTS);
        scene.wait_delivered(distinct);
        let metrics = || scene.process.metrics();
        wait_until(GENEROUS, "dropped spans", || {
            metrics().sum("tributary_trace_spans_dropped_total", &[]) > 0.0
        });
        assert_eq!(metrics().sum("tributary_trace_spans_sent_total", &[]), 0.0);
        let expected = Expected::from(&scene.mock_log());
        let Ended { log, .. } = scene.finish(broker(), &expected);
        // The request would take a minute, which the end of the process does not wait for.
        let given_up = log.iter().any(|line| line.contains("the last spans were not sent"));
        assert_eq!(given_up, name == "traces-silent", "{log:#?}");
        let complaints = log.iter().filter(|line| line.contains("spans cannot be sent")).count();
        assert!(complaints <= 1, "{log:#?}");
    }
}
