//! What is recorded, and what is refused.

use proptest::prelude::*;

use super::*;
use crate::model::checkpoint::Checkpoint;

fn source(name: &str) -> SourceId {
    SourceId { kind: "airship".into(), name: name.into(), host: "connect.urbanairship.com".into() }
}

fn wanted(stream: &str, shards: u32) -> Wanted {
    let source = source("app");
    Wanted { stream: stream.into(), shards, source, generation: 0, start_anew: None, is_fixed: false }
}

fn who(instance: &str) -> Who<'_> {
    let named = if instance == GROUP { Instance::Group } else { Instance::One(instance.into()) };
    // For as long as the test runs.
    Who { instance: Box::leak(Box::new(named)), process: instance, now_ms: 1_000_000 }
}

fn existing(key: &str, partition: i32, shards: u32, committed_ms: i64) -> Existing {
    let checkpoint = Checkpoint::initial("old", shards, committed_ms);
    Existing { key: key.into(), partition, checkpoint }
}

fn partition(record: &Record, stream: &str, index: u32) -> Option<i32> {
    record.partition(&ShardId { stream: stream.into(), index })
}

#[test]
fn known_shards_stay_and_new_ones_take_what_is_free() {
    let found = [existing("a/0", 0, 1, 5), existing("b/0", 2, 1, 5), existing("gone/0", 1, 1, 5)];
    let record = Record::of_checkpoints(&found).unwrap();
    assert_eq!(record.instance("a"), None, "nobody announced itself");
    let record = record.announce(&[wanted("new", 2), wanted("b", 1), wanted("a", 1)], who("me")).unwrap();
    assert_eq!((partition(&record, "a", 0), partition(&record, "b", 0)), (Some(0), Some(2)));
    assert_eq!(partition(&record, "new", 0), Some(3), "also the partition of a removed stream is left alone");
    assert_eq!(partition(&record, "new", 1), Some(4));
    assert_eq!((record.instance("new"), record.instance("gone")), (Some("me"), None));
    assert_eq!(record.partition_count(), 5);
    assert_eq!(record.partition(&ShardId { stream: "new".into(), index: 2 }), None);
}

#[test]
fn the_number_of_shards_is_judged_for_the_stream_as_a_whole() {
    let record = Record::default().announce(&[wanted("a", 1)], who("me")).unwrap();
    let refused = record.announce(&[wanted("b", 1), wanted("a", 2)], who("you")).unwrap_err();
    assert_eq!(refused, PlacementError::ShardsChanged { stream: "a".into(), was: 1, now: 2, generation: 0 });
    assert!(refused.to_string().contains("Set a higher generation"), "{refused}");
    // An earlier release left a second shard behind that its stream no longer has.
    let found = [existing("a/0", 0, 1, 9), existing("a/1", 1, 2, 5)];
    let record = Record::of_checkpoints(&found).unwrap();
    assert_eq!(record.streams["a"].partitions, [0], "the latest one says how many there are");
    assert_eq!(record.retired, BTreeSet::from([1]));
    assert!(record.announce(&[wanted("a", 2)], who("me")).is_err());
}

#[test]
fn a_stream_belongs_to_its_source() {
    let record = Record::default().announce(&[wanted("a", 1)], who("me")).unwrap();
    let other = Wanted { source: source("other"), ..wanted("a", 1) };
    let refused = record.announce(std::slice::from_ref(&other), who("you")).unwrap_err();
    let text = refused.to_string();
    assert!(text.contains("app key app") && text.contains("app key other"), "{text}");
    let elsewhere = SourceId { host: "connect.asnapieu.com".into(), ..source("app") };
    let moved =
        record.announce(&[Wanted { source: elsewhere.clone(), ..wanted("a", 1) }], who("you")).unwrap();
    assert_eq!(moved.streams["a"].source, Some(elsewhere), "another host is the same source");
    let other = Wanted { start_anew: Some("once".into()), ..other };
    let anew = record.announce(std::slice::from_ref(&other), who("you")).unwrap();
    assert_eq!(partition(&anew, "a", 0), Some(1), "what was known is left behind");
    assert_eq!(anew.retired, BTreeSet::from([0]));
    assert_eq!(
        anew.announce(&[other], who("you")).unwrap(),
        anew,
        "a restart with the same words changes nothing"
    );
    let more = anew.announce(&[wanted("b", 1)], who("you")).unwrap();
    assert_eq!(partition(&more, "b", 0), Some(2), "a retired partition is nobody's");
}

/// A first start may bear a word already, where restarts repeat the arguments.
#[test]
fn a_word_counts_once_whatever_was_known_of_the_stream() {
    let anew = Wanted { start_anew: Some("once".into()), ..wanted("a", 1) };
    let announce =
        |record: &Record, wanted: &Wanted| record.announce(std::slice::from_ref(wanted), who("me")).unwrap();
    let first = announce(&Record::default(), &anew);
    assert_eq!(partition(&first, "a", 0), Some(0), "there was nothing to leave behind");
    assert_eq!(announce(&first, &anew), first, "a restart with the same words changes nothing");
    let plain = announce(&first, &wanted("a", 1));
    assert_eq!(announce(&plain, &anew), first, "nor after a start without it");
    let again = announce(&first, &Wanted { start_anew: Some("twice".into()), ..anew });
    assert_eq!(partition(&again, "a", 0), Some(1), "another word has its effect");
}

#[test]
fn a_record_that_was_lost_is_put_together_by_those_who_announced_themselves() {
    let anew = Wanted { start_anew: Some("once".into()), ..wanted("a", 2) };
    let first = Record::default().announce(&[wanted("gone", 1), anew.clone()], who("old")).unwrap();
    let mine = first.announce(std::slice::from_ref(&anew), who("me")).unwrap();
    let yours = mine.announce(&[wanted("b", 1)], who("you")).unwrap();
    let none = Record::default();
    let restored = none.restore(&mine, "me").unwrap().restore(&yours, "you").unwrap();
    assert_eq!(restored.streams["a"], mine.streams["a"], "with its words");
    assert_eq!(restored.streams["b"], yours.streams["b"]);
    assert_eq!(restored.streams.len(), 2, "what others announced is for them to say");
    assert_eq!(restored.restore(&mine, "me").unwrap(), restored, "once is enough");
    assert!(!restored.starts_anew(&anew), "a restart leaves nothing behind");
    // Checkpoints tell where shards are, and not who runs them.
    let found = Record::of_checkpoints(&[existing("a/0", 1, 2, 5), existing("a/1", 2, 2, 5)]).unwrap();
    assert_eq!(found.restore(&mine, "me").unwrap().streams["a"], mine.streams["a"]);
    let taken_over = none.announce(&[wanted("a", 2)], who("later")).unwrap();
    assert_eq!(taken_over.restore(&mine, "me").unwrap(), taken_over, "a later instance is the rightful one");
    let in_the_way = none.announce(&[wanted("c", 2)], who("other")).unwrap();
    assert!(matches!(in_the_way.restore(&mine, "me"), Err(PlacementError::Shared { partition: 1, .. })));
}

#[test]
fn two_shards_on_one_partition_are_an_error() {
    let shared = Record::of_checkpoints(&[existing("a/0", 0, 1, 5), existing("b/0", 0, 1, 5)]);
    assert!(matches!(shared, Err(PlacementError::Shared { partition: 0, .. })));
    // One of them has moved away since; what it left behind does no harm.
    let found = [existing("a/0", 0, 1, 5), existing("b/0", 0, 1, 5), existing("a/0", 1, 1, 6)];
    let record = Record::of_checkpoints(&found).unwrap();
    assert_eq!((partition(&record, "a", 0), partition(&record, "b", 0)), (Some(1), Some(0)));
}

/// The same, by a later configuration.
fn later(generation: u64, shards: u32) -> Wanted {
    Wanted { generation, ..wanted("a", shards) }
}

fn announce(record: &Record, wanted: &Wanted, instance: &str) -> Result<Record, PlacementError> {
    record.announce(std::slice::from_ref(wanted), who(instance))
}

#[test]
fn a_later_configuration_cuts_the_stream_anew() {
    let two = announce(&Record::default(), &wanted("a", 2), GROUP).unwrap();
    assert_eq!((two.version, two.streams["a"].cut), (1, 0), "an older release reads it");
    let five = announce(&two, &later(3, 5), GROUP).unwrap();
    assert_eq!(five.streams["a"].partitions, [2, 3, 4, 5, 6], "nobody's so far");
    assert_eq!(five.streams["a"].before, [Cut { number: 0, partitions: vec![0, 1] }]);
    assert_eq!((five.version, five.streams["a"].cut, five.streams["a"].generation), (2, 1, 3));
    assert_eq!(announce(&five, &later(3, 5), GROUP).unwrap(), five, "it is one step");
    let one = announce(&five, &later(4, 1), GROUP).unwrap();
    assert_eq!(one.streams["a"].before.len(), 2, "whether each of the five was opened is not known here");
    assert_eq!(one.streams["a"].before[0], Cut { number: 1, partitions: vec![2, 3, 4, 5, 6] });
    assert_eq!(one.partition_count(), 8);
    let mut opened = one.clone();
    opened.forget_cuts("a", 1);
    assert_eq!((opened.streams["a"].before.len(), &opened.retired), (1, &BTreeSet::from([0, 1])));
    assert!(opened.is_past(0) && opened.is_past(2) && !opened.is_past(7));
    let back = announce(&opened, &later(5, 2), GROUP).unwrap();
    assert_eq!(back.streams["a"].partitions, [8, 9], "not those of the same number before");
}

#[test]
fn streams_that_are_cut_together_share_nothing() {
    let both = |generation, shards| ["a", "b"].map(|stream| Wanted { generation, ..wanted(stream, shards) });
    let two = Record::default().announce(&both(0, 2), who(GROUP)).unwrap();
    let new_first = [&[wanted("0", 1)][..], &both(1, 3)].concat();
    let three = two.announce(&new_first, who(GROUP)).unwrap();
    let partitions = |stream: &str| three.streams[stream].partitions.clone();
    assert_eq!([partitions("0"), partitions("a"), partitions("b")], [vec![4], vec![5, 6, 7], vec![8, 9, 10]]);
}

#[test]
fn an_earlier_configuration_waits_or_agrees() {
    let two = announce(&Record::default(), &later(2, 2), GROUP).unwrap();
    let agrees = announce(&two, &later(1, 2), GROUP).unwrap();
    assert_eq!(agrees, two, "side by side until the rollout is over");
    assert_eq!(announce(&two, &later(7, 2), GROUP).unwrap().streams["a"].generation, 7);
    let five = announce(&two, &later(3, 5), GROUP).unwrap();
    let mut both = vec![later(2, 2), wanted("b", 1)];
    let rest = five.announce(&both, who(GROUP)).unwrap();
    assert_eq!(rest.streams["a"], five.streams["a"], "it waits with this stream");
    assert_eq!(rest.streams["b"].partitions, [7], "and has the others");
    let shard = ShardId { stream: "a".into(), index: 0 };
    assert_eq!(rest.place_of(&shard, 2), None);
    assert_eq!(rest.place_of(&shard, 5).map(|place| (place.partition, place.cut)), Some((2, 1)));
    let why = rest.why_superseded(&both.remove(0)).unwrap().to_string();
    assert!(why.contains("5 shards by configuration generation 3; this one is of generation 2"), "{why}");
    assert_eq!(rest.why_superseded(&later(3, 5)), None);
    let alone = announce(&five, &later(2, 2), "me").unwrap_err();
    assert!(matches!(alone, PlacementError::Superseded { by: 3, ours: 2, .. }), "{alone}");
    let contradicts = announce(&five, &later(3, 4), GROUP).unwrap_err();
    assert!(matches!(contradicts, PlacementError::ShardsChanged { generation: 3, .. }), "{contradicts}");
    let other = Wanted { source: source("other"), ..later(4, 1) };
    assert!(matches!(announce(&five, &other, GROUP), Err(PlacementError::SourceChanged { .. })));
}

#[test]
fn transactional_ids_of_two_cuts_are_unlike() {
    let id = |cut| transactional_id("t", &ShardId { stream: "a".into(), index: 1 }, cut);
    assert_eq!([id(0), id(1), id(10)], ["t.a.1", "t.a.1~1", "t.a.1~10"]);
}

#[test]
fn checkpoints_tell_which_cut_they_are_of() {
    let of = |key: &str, partition, shards, cut, committed_ms| {
        let mut found = existing(key, partition, shards, committed_ms);
        found.checkpoint.cut = cut;
        found
    };
    // The old ones were used last: only the cut tells.
    let found = [of("a/0", 0, 2, 0, 90), of("a/1", 1, 2, 0, 95), of("a/2", 4, 3, 1, 50)];
    let record = Record::of_checkpoints(&found).unwrap();
    let placed = &record.streams["a"];
    assert_eq!((placed.cut, placed.partitions[2], placed.partitions.len()), (1, 4, 3));
    assert_eq!(
        placed.before,
        [Cut { number: 0, partitions: vec![0, 1] }],
        "two of the three begin with them"
    );
    assert!(placed.partitions[..2].iter().all(|partition| ![0, 1, 4].contains(partition)));
}

#[test]
fn what_is_out_of_date_is_not_brought_back() {
    let two = announce(&Record::default(), &wanted("a", 2), GROUP).unwrap();
    let five = announce(&two, &later(3, 5), GROUP).unwrap();
    let lost = Record::default();
    let stale = lost.restore(&two, GROUP).unwrap();
    assert_eq!(stale.restore(&five, GROUP).unwrap().streams["a"], five.streams["a"], "whoever is first");
    assert_eq!(five.restore(&two, GROUP).unwrap(), five);
    let anew = Wanted { start_anew: Some("w".into()), ..wanted("a", 2) };
    let anew = two.announce(&[anew], Who { now_ms: 2_000_000, ..who(GROUP) }).unwrap();
    assert_eq!(stale.restore(&anew, GROUP).unwrap().streams["a"], anew.streams["a"], "started anew since");
}

proptest! {
    #[test]
    fn no_partition_is_ever_shared(
        steps in prop::collection::vec((0u8..5, 1u32..4, prop::option::of(0u8..3), 0u64..9), 1..30),
    ) {
        let mut record = Record::default();
        let mut given: BTreeMap<i32, (String, u32, usize)> = BTreeMap::new();
        let mut epochs: BTreeMap<String, usize> = BTreeMap::new();
        let mut said: BTreeSet<(String, u8)> = BTreeSet::new();
        for step in steps.chunks(2) {
            // Both in one announcement, as long as they are two.
            let [first, second] = [step[0], *step.last().unwrap()];
            let both = [second, first].map(|(name, shards, _, generation)| {
                Wanted { generation, ..wanted(&format!("s{name}"), shards) }
            });
            if first.0 != second.0
                && let Ok(next) = record.announce(&both, who("me"))
            {
                let mut all: Vec<i32> = next.streams.values().flat_map(|placed| placed.partitions.clone()).collect();
                let count = all.len();
                all.sort_unstable();
                all.dedup();
                prop_assert_eq!(all.len(), count, "{:?}", next);
            }
        }
        for (name, shards, word, generation) in steps {
            let stream = format!("s{name}");
            let start_anew = word.map(|word| word.to_string());
            let wanted = Wanted { start_anew, generation, ..wanted(&stream, shards) };
            let announced = record.announce(std::slice::from_ref(&wanted), who("me"));
            let Ok(next) = announced else { continue };
            // A word has its effect once: what is announced again stays.
            prop_assert_eq!(&next.announce(&[wanted], who("me")).unwrap(), &next);
            if word.is_some_and(|word| said.insert((stream.clone(), word))) {
                *epochs.entry(stream.clone()).or_default() += 1;
            }
            if record.streams.get(&stream).is_some_and(|was| was.cut < next.streams[&stream].cut) {
                *epochs.entry(stream.clone()).or_default() += 1;
            }
            for (index, partition) in next.streams[&stream].partitions.iter().enumerate() {
                let epoch = epochs.get(&stream).copied().unwrap_or_default();
                let holder = (stream.clone(), index as u32, epoch);
                prop_assert_eq!(given.entry(*partition).or_insert_with(|| holder.clone()), &holder);
            }
            record = next;
            prop_assert_eq!(&serde_json::from_slice::<Record>(&serde_json::to_vec(&record).unwrap()).unwrap(), &record);
        }
    }
}

#[test]
fn a_stream_that_was_cut_more_often_than_anybody_could_is_refused() {
    let mut record = Record::default().announce(&[wanted("a", 1)], who("me")).unwrap();
    record.streams.get_mut("a").unwrap().cut = u32::MAX;
    let error = Record::decode(&record.encode()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "it says that stream a was cut 4294967295 times, and none of ours was cut more than 2147483647 times"
    );
    record.streams.get_mut("a").unwrap().cut = LAST_CUT;
    assert_eq!(Record::decode(&record.encode()).unwrap(), record);
}

#[test]
fn a_stream_that_is_pushed_keeps_its_number_of_shards() {
    let fixed = |generation, shards, start_anew: Option<&str>| Wanted {
        is_fixed: true,
        start_anew: start_anew.map(Into::into),
        ..later(generation, shards)
    };
    let two = announce(&Record::default(), &fixed(0, 2, None), GROUP).unwrap();
    for other in [fixed(0, 3, None), fixed(9, 3, None), fixed(9, 1, None), fixed(9, 3, Some("anew"))] {
        for instance in [GROUP, "me"] {
            let refused = announce(&two, &other, instance);
            assert!(
                matches!(refused, Err(PlacementError::ShardsFixed { was: 2, .. })),
                "{other:?}: {refused:?}"
            );
        }
    }
    assert!(announce(&two, &fixed(9, 2, None), "me").is_ok());
    assert!(announce(&two, &fixed(9, 2, Some("anew")), "me").is_ok());
}
