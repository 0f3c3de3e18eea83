//! Checkpoints and placement records: what is stored is read as it was, and whatever is read instead is refused or is as good as what
//! we stored.

use std::collections::{BTreeMap, BTreeSet};

use super::Input;
use crate::model::checkpoint::{Checkpoint, Delta, Hold, Ids, LAST_SEQUENCE, Totals};
use crate::model::letters::{Partition, Replayed, Stamp};
use crate::model::ranges::Ranges;
use crate::model::types::{Position, ShardId, SourceId, Watermark};
use crate::sink::kafka::placement::record::{
    Cut, DecodeError, Instance, Record, StreamPlacement, Wanted, Who,
};

pub(super) fn check(data: &[u8]) {
    let mut input = Input::new(data);
    match input.byte() % 4 {
        0 => check_checkpoint_bytes(&mut input),
        1 => {
            let checkpoint = checkpoint(&mut input);
            let again = Checkpoint::decode(&checkpoint.encode());
            assert_eq!(again.ok().as_ref(), Some(&checkpoint));
            check_steps(&checkpoint, &delta(&mut input));
        }
        2 => check_record_bytes(&mut input),
        _ => {
            let record = record(&mut input);
            assert_eq!(Record::decode(&record.encode()).ok().as_ref(), Some(&record));
            check_announcement(&record, &mut input);
        }
    }
}

fn check_checkpoint_bytes(input: &mut Input<'_>) {
    let delta = delta(input);
    let Ok(read) = Checkpoint::decode(input.rest) else { return };
    check_steps(&read, &delta);
    // An older version says in other words who holds the shard, so what is read is written as the version that we write.
    let next = read.claimed_by("me", None);
    if next.sequence <= LAST_SEQUENCE {
        assert_eq!(Checkpoint::decode(&next.encode()).ok(), Some(next), "what was made of it is read again");
    }
}

/// No step breaks, whatever the numbers are, and each goes on from the one before.
fn check_steps(checkpoint: &Checkpoint, delta: &Delta) {
    let claim = checkpoint.clone().claimed_by("other", Some("one"));
    assert!(claim.sequence > checkpoint.sequence, "a claim is later");
    assert_eq!(
        (&claim.position, claim.totals, claim.ids),
        (&checkpoint.position, checkpoint.totals, checkpoint.ids)
    );
    let fits = Delta { from: checkpoint.sequence, ..delta.clone() };
    let next = checkpoint.after(&fits, 7).unwrap();
    assert!(next.sequence > checkpoint.sequence, "a commit is later");
    assert!(next.totals.received >= checkpoint.totals.received, "totals never fall");
    assert_eq!(checkpoint.after(delta, 7).is_ok(), delta.from == checkpoint.sequence);
    assert_eq!(next.clone().moved_to(checkpoint.position.clone(), 9).position, checkpoint.position);
    assert!(
        checkpoint.carries(checkpoint)
            && checkpoint.position_dated_ms().is_some() == checkpoint.position.is_some()
    );
    assert_eq!(next.without_ids().ids.map(|ids| ids.oldest), Some(delta.ids.written));
}

fn check_record_bytes(input: &mut Input<'_>) {
    let mut names = Input::new(&input.rest[..input.rest.len().min(40)]);
    let Ok(read) = Record::decode(input.rest) else { return };
    assert_eq!(Record::decode(&read.encode()).ok().as_ref(), Some(&read), "what was read is read again");
    check_announcement(&read, &mut names);
}

/// An announcement keeps what was there: no shard loses its partition, and nobody gets one that another has or had.
fn check_announcement(record: &Record, input: &mut Input<'_>) {
    let shards = u32::from(input.byte() % 5) + 1;
    let stream =
        record.streams.keys().nth(usize::from(input.byte() % 4)).cloned().unwrap_or_else(|| "new".to_owned());
    let known = record.streams.get(&stream);
    let source = match known.and_then(|known| known.source.clone()) {
        Some(source) if !input.flag() => source,
        _ => source(input),
    };
    let generation = known.map_or(0, |known| known.generation).wrapping_add(input.number() % 3);
    let start_anew = input.maybe(Input::text);
    let wanted =
        Wanted { stream: stream.clone(), shards, source, generation, start_anew, is_fixed: input.flag() };
    let instance = if input.flag() { Instance::Group } else { Instance::One("one".into()) };
    let who = Who { instance: &instance, process: "p", now_ms: input.signed() };
    let before: BTreeSet<i32> = record.streams.values().flat_map(|known| known.partitions.clone()).collect();
    let _ = record.is_new(&stream, who);
    let Ok(next) = record.announce(std::slice::from_ref(&wanted), who) else { return };
    match Record::decode(&next.encode()) {
        Ok(again) => assert_eq!(again, next),
        Err(error) => assert!(matches!(error, DecodeError::BeyondReach { .. }), "{error}"),
    }
    let announced = &next.streams[&stream];
    let is_same = known.is_some_and(|known| known.partitions == announced.partitions);
    let is_new = announced
        .partitions
        .iter()
        .all(|partition| !before.contains(partition) && !record.retired.contains(partition));
    assert!(is_same || is_new, "its partitions, or such as nobody has or had");
    for (name, placed) in &record.streams {
        assert!(*name == stream || next.streams.get(name) == Some(placed), "no other stream is touched");
    }
    let left = before.iter().all(|partition| {
        next.streams.values().any(|placed| placed.partitions.contains(partition)) || next.is_past(*partition)
    });
    assert!(left, "no partition is forgotten");
    for index in 0..announced.partitions.len() as u32 {
        let shard = ShardId { stream: stream.as_str().into(), index };
        assert!(next.partition(&shard).is_some_and(|partition| partition < next.partition_count()));
    }
}

fn totals(input: &mut Input<'_>) -> Totals {
    Totals {
        received: input.number(),
        delivered: input.number(),
        duplicates: input.number(),
        dead_letters: input.number(),
        filtered: input.number(),
    }
}

fn ids(input: &mut Input<'_>) -> Ids {
    Ids { oldest: input.number(), written: input.number(), since_ms: input.signed() }
}

fn hold(input: &mut Input<'_>) -> Hold {
    match input.byte() % 3 {
        0 => Hold::Held,
        1 => Hold::Released,
        _ => Hold::Drained,
    }
}

fn pairs(input: &mut Input<'_>) -> Vec<(i64, i64)> {
    input.some(6, |input| {
        (i64::from(input.byte()), if input.flag() { input.signed() } else { i64::from(input.byte()) })
    })
}

fn position(input: &mut Input<'_>) -> Position {
    match input.byte() % 3 {
        0 => Position::Offset { offset: input.text(), read: pairs(input).into() },
        1 => Position::Watermark(Watermark {
            received_ms: input.maybe(Input::signed),
            forgotten_ms: input.maybe(Input::signed),
            replayed_ms: input.maybe(Input::signed),
            ids_since_ms: input.maybe(Input::signed),
            owed_from_ms: input.maybe(Input::signed),
            replaying_until_ms: input.maybe(Input::signed),
        }),
        _ => Position::Letters(Replayed {
            partitions: input.some(3, |input| Partition {
                topic: input.text(),
                partition: i32::from(input.byte()),
                done: Ranges::from(pairs(input)),
                delivered: Ranges::from(pairs(input)),
                latest: input.maybe(|input| Stamp::of(input.signed(), input.signed(), input.bytes())),
            }),
        }),
    }
}

fn delta(input: &mut Input<'_>) -> Delta {
    Delta {
        from: input.number(),
        to: input.maybe(position),
        processed_ms: input.maybe(Input::signed),
        added: totals(input),
        ran_ms: input.number(),
        ids: ids(input),
        hold: hold(input),
    }
}

/// A checkpoint as this release writes one.
fn checkpoint(input: &mut Input<'_>) -> Checkpoint {
    let fresh = Checkpoint::initial(input.text(), u32::from(input.byte()), input.signed());
    let fresh = fresh.of_cut(u32::from(input.byte()), input.number());
    Checkpoint {
        // As many commits as nobody will see.
        sequence: input.number() >> 1,
        instance: input.maybe(Input::text),
        position: input.maybe(position),
        position_ms: input.maybe(Input::signed),
        processed_ms: input.maybe(Input::signed),
        hold: hold(input),
        totals: totals(input),
        ran_ms: input.number(),
        ids: input.maybe(ids),
        ..fresh
    }
}

fn source(input: &mut Input<'_>) -> SourceId {
    SourceId { kind: input.text(), name: input.text(), host: input.text() }
}

fn partitions(input: &mut Input<'_>) -> Vec<i32> {
    input.some(4, |input| i32::from(input.byte() % 32))
}

fn record(input: &mut Input<'_>) -> Record {
    let streams = input.some(4, |input| {
        let placed = StreamPlacement {
            partitions: partitions(input),
            instance: input.text(),
            placed_by: input.text(),
            placed_ms: input.signed(),
            source: input.maybe(source),
            started_anew: input.some(2, Input::text).into_iter().collect(),
            generation: input.number(),
            cut: u32::from(input.byte()),
            before: input
                .some(2, |input| Cut { number: u32::from(input.byte()), partitions: partitions(input) }),
        };
        (input.text(), placed)
    });
    Record {
        streams: BTreeMap::from_iter(streams),
        retired: partitions(input).into_iter().collect(),
        ..Record::default()
    }
}
