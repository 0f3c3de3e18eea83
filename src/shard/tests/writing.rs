//! Writes that fail in every way, on a sink in memory: each event is there once at the end, as itself or as a dead letter, in
//! its order; and topics are prepared together.

use std::collections::BTreeSet;
use tokio::time::Instant;

use super::*;

fn event(n: usize, types: usize) -> String {
    format!("{{\"id\":\"{n}\",\"type\":\"T{}\",\"offset\":\"{n}\"}}\n", n % types)
}

fn blocks(cuts: &[usize], types: usize) -> Vec<Block> {
    let mut next = 0;
    let block = |count: &usize| {
        let text: String = (next..next + count).map(|n| event(n, types)).collect();
        next += count;
        lines(&text)
    };
    cuts.iter().map(block).collect()
}

fn topic(n: usize, types: usize) -> String {
    format!("t.T{}", n % types)
}

#[test]
fn topics_of_all_that_is_at_hand_are_prepared_together() {
    let cluster = Arc::new(Mutex::new(Cluster { unknown: Some("t."), ..Cluster::default() }));
    assert_eq!(run(&cluster, 1000, blocks(&[1, 10, 50, 100], 43)), Exit::Stopped);
    let cluster = cluster.lock().unwrap();
    let all: BTreeSet<String> = (0..43).map(|n| topic(n, 43)).collect();
    assert_eq!(cluster.prepared, [all]);
    assert_eq!((cluster.records.len(), cluster.aborted), (161, 0));
}

#[test]
fn a_batch_is_committed_before_topics_are_prepared() {
    let cluster = Arc::new(Mutex::new(Cluster { unknown: Some("t.T1"), ..Cluster::default() }));
    assert_eq!(run(&cluster, 1000, blocks(&[4], 2)), Exit::Stopped);
    let cluster = cluster.lock().unwrap();
    assert_eq!(cluster.commits[..2], [1, 3], "the first event, then those of both topics");
}

#[test]
fn what_has_no_topic_is_a_dead_letter() {
    let cluster = Arc::new(Mutex::new(Cluster {
        unknown: Some("t."),
        missing: [topic(1, 2)].into(),
        ..Cluster::default()
    }));
    assert_eq!(run(&cluster, 1000, blocks(&[4], 2)), Exit::Stopped);
    let found: Vec<_> =
        cluster.lock().unwrap().records.iter().map(|kept| (kept.topic.clone(), kept.reason)).collect();
    let letter = ("dead".to_owned(), Some("unroutable"));
    let event = ("t.T0".to_owned(), None);
    assert_eq!(found, [event.clone(), letter.clone(), event, letter]);
}

#[test]
fn pauses_grow_until_a_commit_succeeds() {
    let faults = std::iter::repeat_n(Fault::Abort, 8).collect();
    let cluster = Arc::new(Mutex::new(Cluster { faults, ..Cluster::default() }));
    let (started, first) = (Instant::now(), Duration::from_millis(1));
    let exit = run_with_pauses((first, Duration::from_secs(1)), &cluster, 10, blocks(&[1], 1));
    assert_eq!(exit, Exit::Stopped);
    // From the second failure in a row on: 2 + 4 + … + 128.
    assert!(started.elapsed() >= first * 254, "{:?}", started.elapsed());
}

#[test]
fn a_batch_that_landed_is_not_written_again_when_the_claim_after_it_fails() {
    for claim in [Fault::Abort, Fault::Slow, Fault::UnknownAndLost] {
        let cluster = Arc::new(Mutex::new(Cluster {
            faults: [Fault::UnknownButLanded].into(),
            claim_faults: [claim].into(),
            ..Cluster::default()
        }));
        assert_eq!(run(&cluster, 10, blocks(&[5], 1)), Exit::Stopped);
        let cluster = cluster.lock().unwrap();
        assert!(cluster.claim_faults.is_empty(), "it failed");
        assert_eq!(values_of(&cluster), (0..5).collect::<Vec<_>>(), "{claim:?}");
    }
}

#[test]
fn a_batch_that_is_too_slow_is_halved_until_it_fits() {
    let cluster = Arc::new(Mutex::new(Cluster { most: Some(3), ..Cluster::default() }));
    assert_eq!(run(&cluster, 16, blocks(&[40], 1)), Exit::Stopped);
    let cluster = cluster.lock().unwrap();
    assert_eq!(values_of(&cluster), (0..40).collect::<Vec<_>>());
    assert!(cluster.commits.iter().all(|records| *records <= 3), "{:?}", cluster.commits);
    assert_eq!(
        cluster.checkpoint.as_ref().unwrap().hold,
        Hold::Drained,
        "the last of them says that the shard stopped"
    );
    assert_eq!(cluster.checkpoint.as_ref().unwrap().totals.delivered, 40);
}

#[test]
fn a_producer_that_is_too_slow_twice_in_a_row_is_opened_anew() {
    use Fault::{Abort, None, Slow};
    for (faults, reopenings) in [
        (vec![Slow, None, Slow], 0),
        (vec![Slow, Abort, Slow], 0),
        (vec![Slow, Slow], 1),
        (vec![Slow, Slow, None, Slow], 1),
        (vec![Slow, Slow, Slow], 1),
        (vec![Slow, Slow, Slow, Slow], 2),
    ] {
        let cluster = Arc::new(Mutex::new(Cluster { faults: faults.clone().into(), ..Cluster::default() }));
        assert_eq!(run(&cluster, 16, blocks(&[40], 1)), Exit::Stopped);
        let cluster = cluster.lock().unwrap();
        assert!(cluster.faults.is_empty(), "they hit: {faults:?}");
        assert_eq!(values_of(&cluster), (0..40).collect::<Vec<_>>(), "{faults:?}");
        assert_eq!(cluster.reopenings, reopenings, "{faults:?}");
    }
}

fn values_of(cluster: &Cluster) -> Vec<usize> {
    let number = |kept: &Kept| {
        let value: serde_json::Value = serde_json::from_slice(&kept.value).unwrap();
        value["id"].as_str().unwrap().parse().unwrap()
    };
    cluster.records.iter().map(number).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn whatever_becomes_of_writes_each_event_is_there_once_in_its_order(
        faults in prop::collection::vec(prop::sample::select(vec![
            Fault::None, Fault::Abort, Fault::UnknownButLanded, Fault::UnknownAndLost, Fault::Slow, Fault::TopicsGone,
        ]), 0..8),
        max_events in 1usize..40,
        cuts in prop::collection::vec(1usize..20, 1..8),
        types in 1usize..6,
        most in prop::option::of(1usize..12),
        slow_is_unknown: bool,
        unknown in prop::sample::select(vec![None, Some("t."), Some("t.T1")]),
        refused in prop::collection::btree_set(0usize..60, 0..6),
        missing in prop::collection::btree_set(0usize..6, 0..3),
        prepare_fails in 0usize..3,
        claim_faults in prop::collection::vec(prop::sample::select(vec![
            Fault::None, Fault::Abort, Fault::Slow, Fault::UnknownAndLost,
        ]), 0..4),
    ) {
        let total: usize = cuts.iter().sum();
        let cluster = Arc::new(Mutex::new(Cluster {
            faults: faults.into(),
            most,
            slow_is_unknown,
            unknown,
            refused: refused.iter().map(|n| event(*n, types).trim_end().as_bytes().to_vec()).collect(),
            missing: missing.iter().map(|n| format!("t.T{n}")).collect(),
            prepare_fails,
            claim_faults: claim_faults.into(),
            ..Cluster::default()
        }));
        prop_assert_eq!(run(&cluster, max_events, blocks(&cuts, types)), Exit::Stopped);
        let cluster = cluster.lock().unwrap();
        prop_assert_eq!(values_of(&cluster), (0..total).collect::<Vec<_>>());
        for (n, kept) in cluster.records.iter().enumerate() {
            let topic = topic(n, types);
            let is_missing = cluster.missing.contains(&topic) && unknown.is_some_and(|start| topic.starts_with(start));
            let expected = if is_missing { Some("unroutable") } else if refused.contains(&n) {
                Some("refused_by_topic")
            } else {
                None
            };
            prop_assert_eq!(kept.reason, expected, "event {}", n);
            prop_assert_eq!(&kept.topic, if expected.is_some() { "dead" } else { topic.as_str() });
        }
        let checkpoint = cluster.checkpoint.as_ref().unwrap();
        let letters = cluster.records.iter().filter(|kept| kept.reason.is_some()).count();
        prop_assert_eq!(checkpoint.totals.received, total as u64);
        prop_assert_eq!(checkpoint.totals.delivered, (total - letters) as u64);
        prop_assert_eq!(checkpoint.totals.dead_letters, letters as u64);
        prop_assert_eq!(checkpoint.position.clone(), Some(Position::offset((total - 1).to_string())));
        prop_assert_eq!(cluster.journal.iter().map(|(_, _, ids)| ids.len()).sum::<usize>(), total);
    }
}
