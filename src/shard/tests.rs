//! The whole event path on a sink in memory, with a fault at every commit.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use proptest::prelude::*;

use super::pipeline::redaction::Redaction;
use super::run::Closing;
use super::*;
use crate::clock::now_ms;
use crate::event::dedupe::{self, Window};
use crate::event::extract::{self, Condition, EventType, Extractor, Filters, Id, Key, Rule, TimeFormat};
use crate::event::paths::Spelling;
use crate::event::route::{self, Router, Template};
use crate::model::checkpoint::Hold;
use crate::model::types::Position;
use crate::sink::memory::{Cluster, Fault, Kept, MemorySink};
use crate::source::queue::Item;
use crate::source::queue::queue;

fn pipeline(max_ids: usize) -> Pipeline {
    pipeline_with(max_ids, None)
}

fn pipeline_with(max_ids: usize, redaction: Option<Redaction>) -> Pipeline {
    let fields = extract::Config {
        id: Id::Field("id".into()),
        key: Key::Fields(vec!["key".into()]),
        event_type: EventType::Field("type".into()),
        topic_fields: vec!["type".into()],
        occurred: "occurred".into(),
        processed: "processed".into(),
        times: TimeFormat::Rfc3339,
        time: None,
        header_fields: Vec::new(),
        offset: Some("offset".into()),
        position_only_type: Some("OFFSET_UPDATE".into()),
        spelling: Spelling::default(),
        filters: Filters {
            drop: vec![Rule {
                name: "bot".into(),
                when: Condition { field: "bot".into(), values: vec!["<Bot>".into()], ignore_case: false },
            }],
            only: Vec::new(),
        },
    };
    let routes = route::Config {
        topic: Template::parse("t.{type}").unwrap(),
        topics: Default::default(),
        by: None,
        default_topic: None,
        max_topics: 1000,
        timestamp: Default::default(),
        bounds: route::Bounds { past_ms: i64::MAX, future_ms: 0 },
        reserved: Vec::new(),
    };
    let window = Window::new(dedupe::Config { max_ids, ..Default::default() }, 10);
    Pipeline::new(Extractor::new(&fields).unwrap(), Router::new(routes), window, redaction, "dead".into())
}

fn event(n: usize) -> String {
    format!("{{\"id\":\"{n}\",\"type\":\"T\",\"offset\":\"{n}\",\"key\":\"k{}\"}}\n", n % 3)
}

fn lines(text: &str) -> Block {
    Block::Lines(Bytes::copy_from_slice(text.as_bytes()))
}

/// Runs a shard over these blocks until they end. It does not pause.
fn run(cluster: &Arc<Mutex<Cluster>>, max_events: usize, blocks: Vec<Block>) -> Exit {
    run_with_pauses((Duration::ZERO, Duration::ZERO), cluster, max_events, blocks)
}

fn run_with_pauses(
    pauses: (Duration, Duration),
    cluster: &Arc<Mutex<Cluster>>,
    max_events: usize,
    blocks: Vec<Block>,
) -> Exit {
    let mut shard = open(cluster, max_events);
    shard.pauses = pauses;
    let (input, output) = queue(1 << 20, Default::default(), Default::default());
    for block in blocks {
        let sent = futures_util::FutureExt::now_or_never(input.send(Item::Block {
            block,
            resumed: false,
            connection: None,
        }));
        sent.unwrap().unwrap();
    }
    drop(input);
    shard.run(&output)
}

fn open(cluster: &Arc<Mutex<Cluster>>, max_events: usize) -> Shard<MemorySink> {
    open_with(pipeline(1000), cluster, max_events)
}

fn open_with(pipeline: Pipeline, cluster: &Arc<Mutex<Cluster>>, max_events: usize) -> Shard<MemorySink> {
    let config = Config {
        id: ShardId { stream: "s".into(), index: 0 },
        batch: batch::Config { max_events, ..batch::Config::default() },
        retention: Duration::from_secs(7 * 86_400),
        on_unclean: None,
    };
    let sink = MemorySink::new(Arc::clone(cluster));
    let never = CancellationToken::new();
    Shard::open(config, sink, pipeline, Metrics::default(), never.clone(), &never).unwrap()
}

fn values(cluster: &Mutex<Cluster>) -> Vec<String> {
    let cluster = cluster.lock().unwrap();
    cluster.records.iter().map(|kept| String::from_utf8(kept.value.clone()).unwrap()).collect()
}

#[test]
fn what_waits_when_a_batch_is_due_is_part_of_it() {
    let cluster = Arc::<Mutex<Cluster>>::default();
    let mut shard = open(&cluster, 1000);
    // Each batch is due at once.
    shard.batch = batch::Batch::new(batch::Config { interval: Duration::ZERO, ..batch::Config::default() });
    let (input, output) = queue(1 << 20, Default::default(), Default::default());
    for n in 0..5 {
        let item = Item::Block { block: lines(&event(n)), resumed: false, connection: None };
        futures_util::FutureExt::now_or_never(input.send(item)).unwrap().unwrap();
    }
    drop(input);
    assert_eq!(shard.run(&output), Exit::Stopped);
    assert_eq!(cluster.lock().unwrap().commits.first(), Some(&5));
}

#[test]
fn events_dead_letters_and_position_are_committed_together() {
    let cluster = Arc::<Mutex<Cluster>>::default();
    let text = format!(
        "{}\r\n\ngarbage\n{{\"offset\":\"7\"}}\n{}{{\"id\":\"x\",\"offset\":\"8\"}}\n{{\"type\":\"OFFSET_UPDATE\",\"offset\":\"9\"}}\n",
        event(1).trim_end(),
        event(1),
    );
    let blocks = vec![lines(&text), Block::Oversize { head: "{\"id".into(), length: 999 }];
    assert_eq!(run(&cluster, 100, blocks), Exit::Stopped);
    let cluster = cluster.lock().unwrap();
    let kept = |topic: &str, key: Option<&str>, value: &str, reason| Kept {
        topic: topic.into(),
        key: key.map(|key| key.as_bytes().to_vec()),
        value: value.as_bytes().to_vec(),
        reason,
    };
    assert_eq!(
        cluster.records,
        [
            kept("t.T", Some("k1"), event(1).trim_end(), None),
            kept("dead", None, "garbage", Some("not_an_object")),
            kept("dead", None, "{\"offset\":\"7\"}", Some("no_id")),
            kept("dead", None, "{\"id\":\"x\",\"offset\":\"8\"}", Some("unroutable")),
            kept("dead", None, "{\"id", Some("line_too_long")),
        ]
    );
    let checkpoint = cluster.checkpoint.as_ref().unwrap();
    assert_eq!(checkpoint.position, Some(Position::offset("9")));
    assert_eq!(checkpoint.hold, Hold::Drained);
    let totals = checkpoint.totals;
    assert_eq!((totals.received, totals.delivered, totals.duplicates, totals.dead_letters), (6, 1, 1, 4));
}

#[test]
fn what_is_left_out_is_counted_and_neither_sent_nor_remembered() {
    let cluster = Arc::<Mutex<Cluster>>::default();
    let bot = event(1).replace("\"type\"", "\"bot\":\"<Bot>\",\"type\"");
    assert_eq!(run(&cluster, 100, vec![lines(&bot), lines(&event(1))]), Exit::Stopped);
    assert_eq!(values(&cluster), [event(1).trim_end()]);
    let totals = cluster.lock().unwrap().checkpoint.as_ref().unwrap().totals;
    assert_eq!((totals.received, totals.delivered, totals.duplicates, totals.filtered), (2, 1, 0, 1));
    let last = event(2).replace("\"type\"", "\"bot\":\"<Bot>\",\"type\"");
    assert_eq!(run(&cluster, 100, vec![lines(&last)]), Exit::Stopped);
    let checkpoint = cluster.lock().unwrap().checkpoint.clone().unwrap();
    assert_eq!(checkpoint.position, Some(Position::offset("2")), "it moves the position by itself");
    assert_eq!((checkpoint.totals.received, checkpoint.totals.filtered), (3, 2));
}

#[test]
fn what_is_too_large_is_a_dead_letter() {
    let cluster = Arc::new(Mutex::new(Cluster { limit: Some(70_000), ..Cluster::default() }));
    let big = format!("{{\"id\":\"1\",\"type\":\"T\",\"offset\":\"1\",\"x\":\"{}\"}}\n", "y".repeat(80_000));
    assert_eq!(run(&cluster, 100, vec![lines(&big), lines(&event(2))]), Exit::Stopped);
    let cluster = cluster.lock().unwrap();
    assert_eq!(cluster.records[0].reason, Some("too_large_for_topic"));
    assert_eq!(cluster.records[0].value.len(), 64 << 10, "its head");
    assert_eq!(cluster.records[1].topic, "t.T");
    assert_eq!(cluster.checkpoint.as_ref().unwrap().position, Some(Position::offset("2")));
}

/// A stream that brings nothing: the shard only waits.
#[test]
fn a_quiet_shard_notices_that_its_state_is_gone_and_writes_it_again() {
    let cluster = Arc::<Mutex<Cluster>>::default();
    let (input, output) = queue(1 << 20, Default::default(), Default::default());
    let mut shard = open(&cluster, 100);
    shard.take(lines(&(0..3).map(event).collect::<String>()), false, &output).unwrap();
    shard.close(Closing::Now).unwrap();
    let ids = |cluster: &Mutex<Cluster>| {
        cluster.lock().unwrap().journal.iter().map(|(_, first, ids)| (*first, ids.len())).collect::<Vec<_>>()
    };
    assert_eq!(ids(&cluster), [(0, 3)]);
    assert_eq!(cluster.lock().unwrap().checks, 1, "after the first commit");
    {
        let mut cluster = cluster.lock().unwrap();
        (cluster.loses_journal, cluster.check_fails) = (true, true);
    }
    shard.check().unwrap();
    assert_eq!(cluster.lock().unwrap().checks, 1, "not at every turn");
    shard.last_check = shard.last_check.map(|last| last - checking::CHECK_INTERVAL);
    shard.check().unwrap();
    assert_eq!(cluster.lock().unwrap().checks, 2);
    assert_eq!(ids(&cluster), [(3, 3)], "all of them again, with numbers of their own");
    drop(input);
    assert_eq!(shard.run(&output), Exit::Stopped);
    assert_eq!(cluster.lock().unwrap().checkpoint.as_ref().unwrap().totals.delivered, 3);
}

#[test]
fn a_batch_closes_inside_a_block() {
    let cluster = Arc::<Mutex<Cluster>>::default();
    let text: String = (0..25).map(event).collect();
    assert_eq!(run(&cluster, 10, vec![lines(&text)]), Exit::Stopped);
    assert_eq!(cluster.lock().unwrap().commits[..3], [10, 10, 5]);
    assert_eq!(values(&cluster).len(), 25);
}

#[test]
fn duplicates_are_known_after_a_restart() {
    let cluster = Arc::<Mutex<Cluster>>::default();
    assert_eq!(run(&cluster, 10, vec![lines(&(0..20).map(event).collect::<String>())]), Exit::Stopped);
    assert_eq!(run(&cluster, 10, vec![lines(&(10..30).map(event).collect::<String>())]), Exit::Stopped);
    assert_eq!(values(&cluster), (0..30).map(|n| event(n).trim_end().to_owned()).collect::<Vec<_>>());
    assert_eq!(cluster.lock().unwrap().checkpoint.as_ref().unwrap().totals.duplicates, 10);
}

#[test]
fn a_position_that_moves_without_events_is_as_old_as_its_commit() {
    let cluster = Arc::<Mutex<Cluster>>::default();
    let dated = event(1).replace("\"type\"", "\"processed\":\"1970-01-01T00:00:07Z\",\"type\"");
    run(&cluster, 10, vec![lines(&dated)]);
    let before_ms = now_ms();
    run(&cluster, 10, vec![lines("{\"type\":\"OFFSET_UPDATE\",\"offset\":\"9\"}\n")]);
    let checkpoint = cluster.lock().unwrap().checkpoint.clone().unwrap();
    assert_eq!(checkpoint.position, Some(Position::offset("9")));
    assert!(checkpoint.position_dated_ms() >= Some(before_ms), "{checkpoint:?}");
    assert_eq!(checkpoint.processed_ms, Some(7_000), "that of the last event");
}

#[test]
fn the_position_is_as_old_as_its_last_event() {
    let cluster = Arc::<Mutex<Cluster>>::default();
    let dated = event(1).replace("\"type\"", "\"processed\":\"1970-01-01T00:00:07Z\",\"type\"");
    for (block, dated_ms) in [(None, None), (Some(dated), Some(7_000))] {
        run(&cluster, 10, block.map(|text| lines(&text)).into_iter().collect());
        let never = CancellationToken::new();
        let config = Config {
            id: ShardId { stream: "s".into(), index: 0 },
            batch: batch::Config::default(),
            retention: Duration::from_secs(1),
            on_unclean: None,
        };
        let sink = MemorySink::new(Arc::clone(&cluster));
        let opened = Shard::open(config, sink, pipeline(10), Metrics::default(), never.clone(), &never);
        assert_eq!(opened.unwrap_or_else(|exit| panic!("{exit:?}")).resume().dated_ms, dated_ms);
    }
}

#[test]
fn ids_that_the_journal_lost_are_written_again() {
    for fault in [Fault::UnknownAndLost, Fault::UnknownButLanded] {
        let faults = [Fault::None, Fault::None, fault].into();
        let cluster = Arc::new(Mutex::new(Cluster { faults, loses_journal: true, ..Cluster::default() }));
        assert_eq!(run(&cluster, 10, vec![lines(&(0..50).map(event).collect::<String>())]), Exit::Stopped);
        assert!(!cluster.lock().unwrap().loses_journal, "it was lost");
        let held: usize = cluster.lock().unwrap().journal.iter().map(|(_, _, ids)| ids.len()).sum();
        assert_eq!(held, 50, "{fault:?}: all of them are there again, each once");
        assert_eq!(run(&cluster, 10, vec![lines(&(0..60).map(event).collect::<String>())]), Exit::Stopped);
        assert_eq!(values(&cluster).len(), 60, "{fault:?}: none came twice");
    }
}

#[test]
fn a_fenced_shard_stops_and_writes_nothing_more() {
    let cluster =
        Arc::new(Mutex::new(Cluster { faults: [Fault::None, Fault::Fenced].into(), ..Default::default() }));
    assert_eq!(run(&cluster, 10, vec![lines(&(0..30).map(event).collect::<String>())]), Exit::Fenced);
    assert_eq!(values(&cluster).len(), 10);
}

#[test]
fn an_orderly_stop_whose_answer_was_lost_stays_one() {
    for last in [Fault::UnknownButLanded, Fault::UnknownAndLost, Fault::Abort] {
        let faults = [last].into();
        let cluster = Arc::new(Mutex::new(Cluster { faults, ..Default::default() }));
        assert_eq!(run(&cluster, 10, vec![lines(&event(1))]), Exit::Stopped);
        let cluster = cluster.lock().unwrap();
        assert!(cluster.faults.is_empty(), "the fault hit");
        let checkpoint = cluster.checkpoint.as_ref().unwrap();
        assert_eq!(checkpoint.hold, Hold::Drained, "{last:?}: {checkpoint:?}");
        assert_eq!(checkpoint.totals.delivered, 1);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]
    #[test]
    fn whatever_commits_do_nothing_is_lost_or_repeated(
        faults in prop::collection::vec(prop::sample::select(vec![Fault::None, Fault::Abort, Fault::UnknownButLanded, Fault::UnknownAndLost]), 0..6),
        max_events in 1usize..40,
        cuts in prop::collection::vec(1usize..20, 1..8),
    ) {
        let cluster = Arc::new(Mutex::new(Cluster { faults: faults.into(), ..Cluster::default() }));
        let mut next = 0;
        let blocks = cuts.iter().map(|count| {
            let text: String = (next..next + count).map(event).collect();
            next += count;
            lines(&text)
        }).collect();
        prop_assert_eq!(run(&cluster, max_events, blocks), Exit::Stopped);
        prop_assert_eq!(values(&cluster), (0..next).map(|n| event(n).trim_end().to_owned()).collect::<Vec<_>>());
        let cluster = cluster.lock().unwrap();
        let checkpoint = cluster.checkpoint.as_ref().unwrap();
        prop_assert_eq!(checkpoint.totals.delivered, next as u64);
        prop_assert_eq!(checkpoint.position.clone(), Some(Position::offset((next - 1).to_string())));
        prop_assert_eq!(cluster.journal.iter().map(|(_, _, ids)| ids.len()).sum::<usize>(), next);
    }
}

mod letters;
mod records;
mod replay;
mod unknown;
mod writing;
