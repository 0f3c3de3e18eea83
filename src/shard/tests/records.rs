//! Records of a partition, each one event, on a sink in memory: every one is there once, and the position is the offset after
//! the last of them, whatever is in it.

use super::*;
use crate::model::block::RecordsBuilder;
use crate::model::trail::{RecordMark, Trail};

fn of(records: &[(&str, u64, i64)]) -> Block {
    let mut builder = RecordsBuilder::default();
    for (text, length, next) in records {
        builder.push(text.as_bytes(), *length, before(*next));
    }
    Block::Records(builder.build())
}

/// The record before this offset.
fn before(next: i64) -> RecordMark {
    RecordMark { offset: next - 1, timestamp_ms: 2 * next }
}

/// The position after all of these were read.
fn after(nexts: impl IntoIterator<Item = i64>) -> Option<Position> {
    let mut read = Trail::default();
    let last = nexts.into_iter().inspect(|next| read.pass(before(*next))).last();
    last.map(|next| Position::Offset { offset: next.to_string(), read })
}

#[test]
fn events_dead_letters_and_the_offset_after_them_are_committed_together() {
    let cluster = Arc::<Mutex<Cluster>>::default();
    let event = "{\n \"id\":\"1\",\r\n\"type\":\"T\",\n\"offset\":\"700\"}";
    let length = event.len() as u64;
    let records = [(event, length, 3), ("", 0, 4), ("[1]", 3, 6), (event, length, 7), ("{\"id", 999, 11)];
    assert_eq!(run(&cluster, 100, vec![of(&records)]), Exit::Stopped);
    let cluster = cluster.lock().unwrap();
    let found: Vec<_> =
        cluster.records.iter().map(|kept| (std::str::from_utf8(&kept.value).unwrap(), kept.reason)).collect();
    let no_object = Some("not_an_object");
    assert_eq!(
        found,
        [(event, None), ("", no_object), ("[1]", no_object), ("{\"id", Some("line_too_long"))],
        "with the bytes and line ends as they came"
    );
    let checkpoint = cluster.checkpoint.as_ref().unwrap();
    assert_eq!(checkpoint.position, after([3, 4, 6, 7, 11]));
    let totals = checkpoint.totals;
    assert_eq!((totals.received, totals.delivered, totals.duplicates, totals.dead_letters), (5, 1, 1, 3));
}

#[test]
fn topics_that_records_name_are_prepared_before_them() {
    let cluster = Arc::new(Mutex::new(Cluster { unknown: Some("t."), ..Cluster::default() }));
    let texts: Vec<String> = (0..4).map(|n| format!("{{\"id\":\"{n}\",\"type\":\"T{n}\"}}")).collect();
    let mut records = vec![("", 0, 1)];
    records.extend(texts.iter().zip(2..).map(|(text, next)| (&**text, text.len() as u64, next)));
    assert_eq!(run(&cluster, 100, vec![of(&records)]), Exit::Stopped);
    let cluster = cluster.lock().unwrap();
    assert_eq!((cluster.prepared.len(), cluster.prepared[0].len(), cluster.records.len()), (1, 4, 5));
    assert_eq!(cluster.checkpoint.as_ref().unwrap().position, after(1..=5));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]
    #[test]
    fn whatever_commits_do_no_record_is_lost_or_repeated(
        faults in prop::collection::vec(prop::sample::select(vec![Fault::None, Fault::Abort, Fault::UnknownButLanded, Fault::UnknownAndLost]), 0..6),
        max_events in 1usize..40,
        cuts in prop::collection::vec(1usize..20, 1..8),
    ) {
        let cluster = Arc::new(Mutex::new(Cluster { faults: faults.into(), ..Cluster::default() }));
        let mut next = 0;
        let blocks = cuts.iter().map(|count| {
            let mut builder = RecordsBuilder::default();
            for n in next..next + count {
                let text = event(n);
                builder.push(text.as_bytes(), text.len() as u64, before(n as i64 + 101));
            }
            next += count;
            Block::Records(builder.build())
        }).collect();
        prop_assert_eq!(run(&cluster, max_events, blocks), Exit::Stopped);
        prop_assert_eq!(values(&cluster), (0..next).map(event).collect::<Vec<_>>());
        let cluster = cluster.lock().unwrap();
        let checkpoint = cluster.checkpoint.as_ref().unwrap();
        prop_assert_eq!(checkpoint.totals.delivered, next as u64);
        prop_assert_eq!(checkpoint.position.clone(), after((0..next as i64).map(|n| n + 101)));
    }
}
