//! Steps, claims and the stored form, older versions included.

use proptest::prelude::*;

use super::*;
use crate::model::trail::Trail;

fn delta(from: u64, to: &str) -> Delta {
    let added = Totals { received: 3, delivered: 2, duplicates: 1, ..Totals::default() };
    Delta {
        from,
        to: Some(Position::offset(to)),
        processed_ms: Some(5),
        added,
        hold: Hold::Held,
        ran_ms: 70,
        ids: Ids { oldest: 1, written: 3, since_ms: 4 },
    }
}

#[test]
fn a_delta_moves_only_the_checkpoint_it_was_built_on() {
    let start = Checkpoint::initial("me", 1, 0);
    let one = start.after(&delta(0, "a"), 10).unwrap();
    assert_eq!((one.sequence, one.committed_ms, one.totals.received), (1, 10, 3));
    assert_eq!(one.position, Some(Position::offset("a")));
    assert_eq!(one.after(&delta(0, "b"), 11), Err(Misfit { from: 0, current: 1 }));
    let idle = Delta { to: None, processed_ms: None, added: Totals::default(), ..delta(1, "") };
    let two = one.after(&idle, 12).unwrap();
    assert_eq!((two.position, two.processed_ms), (one.position, Some(5)), "an empty delta moves nothing");
}

#[test]
fn totals_of_an_earlier_release_are_read() {
    let totals: Totals = serde_json::from_str(r#"{"received":3,"delivered":2}"#).unwrap();
    assert_eq!(totals, Totals { received: 3, delivered: 2, ..Totals::default() });
}

#[test]
fn numbers_at_their_end_break_nothing() {
    // Nobody counts so far, but what is stored may be anything.
    let most = Totals { received: u64::MAX, delivered: 3, ..Totals::default() };
    assert_eq!(most.plus(most), Totals { received: u64::MAX, delivered: 6, ..Totals::default() });
    let beyond = Checkpoint { sequence: u64::MAX, ..Checkpoint::initial("me", 1, 0) };
    assert_eq!(
        Checkpoint::decode(&beyond.encode()).unwrap_err().to_string(),
        "its sequence is 18446744073709551615, and none of ours is above 9223372036854775807"
    );
    let last = Checkpoint { sequence: LAST_SEQUENCE, ..beyond };
    assert_eq!(Checkpoint::decode(&last.encode()).unwrap(), last);
    assert_eq!(last.claimed_by("you", None).sequence, LAST_SEQUENCE + 1);
}

#[test]
fn a_later_release_is_refused_and_said() {
    let later = br#"{"version":9,"sequence":1,"owner":"x","anything":1}"#;
    assert_eq!(
        Checkpoint::decode(later).unwrap_err().to_string(),
        "checkpoint version 9 was written by a later release; this one reads up to 4"
    );
    for other in ["{}", r#"{"version":9,"id":"an event"}"#] {
        let error = Checkpoint::decode(other.as_bytes());
        assert!(matches!(error, Err(DecodeError::Malformed(_))), "{other}");
    }
}

#[test]
fn a_checkpoint_of_version_1_is_read() {
    let old = r#"{"version":1,"sequence":7,"owner":"x","shards":1,"position":null,"processed_ms":null,
        "committed_ms":5000,"clean":false,"totals":{}}"#;
    let old = Checkpoint::decode(old.as_bytes()).unwrap();
    assert_eq!((old.ran_ms, old.ids), (0, None));
    assert_eq!(old.ids_since_ms(Duration::from_secs(2)), 3000, "counted back from the checkpoint");
    let new = old.after(&delta(7, "a"), 6000).unwrap();
    assert_eq!((new.ran_ms, new.ids_since_ms(Duration::from_secs(2))), (70, 4), "as it says itself");
}

#[test]
fn the_flags_of_older_versions_are_one_state() {
    let hold = |flags: &str| {
        let old = format!(
            r#"{{"version":2,"sequence":7,"owner":"x","shards":1,"position":null,"processed_ms":null,
            "committed_ms":5000,{flags},"totals":{{}}}}"#
        );
        Checkpoint::decode(old.as_bytes()).unwrap().hold
    };
    assert_eq!(hold(r#""clean":true,"released":true"#), Hold::Drained);
    assert_eq!(hold(r#""clean":true"#), Hold::Drained, "version 1 knew no other stop");
    assert_eq!(hold(r#""clean":false,"released":true"#), Hold::Released);
    assert_eq!(hold(r#""clean":false,"released":false"#), Hold::Held);
    assert_eq!(hold(r#""clean":false"#), Hold::Held);
    assert_eq!(hold(r#""ids":null"#), Hold::Held, "without any");
    let new = Checkpoint { hold: Hold::Drained, ..Checkpoint::initial("x", 1, 0) };
    assert!(String::from_utf8(new.encode()).unwrap().contains(r#""hold":"drained""#));
}

#[test]
fn a_claim_on_an_older_version_is_read_back() {
    for (version, flags) in [(1, r#""clean":true"#), (2, r#""clean":true,"released":true"#)] {
        let old = format!(
            r#"{{"version":{version},"sequence":7,"owner":"old","shards":1,"position":null,"processed_ms":null,
            "committed_ms":5000,{flags},"totals":{{}}}}"#
        );
        let claim = Checkpoint::decode(old.as_bytes()).unwrap().claimed_by("new", None);
        let read = Checkpoint::decode(&claim.encode()).unwrap();
        assert_eq!(
            (read.hold, read.owner.as_str(), read.sequence),
            (Hold::Held, "new", 8),
            "version {version}"
        );
        assert_eq!(read, claim);
    }
}

#[test]
fn what_was_read_before_an_offset_is_a_member_that_other_releases_lack_and_pass_over() {
    let stored = |position: &str| {
        let text = format!(
            r#"{{"version":3,"sequence":7,"owner":"x","shards":1,"position":{position},"processed_ms":null,
            "committed_ms":5000,"totals":{{}}}}"#
        );
        Checkpoint::decode(text.as_bytes()).unwrap().position
    };
    assert_eq!(
        stored(r#"{"kind":"offset","offset":"9"}"#),
        Some(Position::offset("9")),
        "of an older release"
    );
    let read = Trail::from(vec![(5, 70), (8, 90)]);
    let with = Position::Offset { offset: "9".into(), read };
    let text = r#"{"kind":"offset","offset":"9","read":[[5,70],[8,90]]}"#;
    assert_eq!(serde_json::to_string(&with).unwrap(), text);
    assert_eq!(stored(text), Some(with.clone()));
    let later = r#"{"kind":"offset","offset":"9","read":[[5,70],[8,90]],"another":[1]}"#;
    assert_eq!(stored(later), Some(with), "as an older release does with what it does not know");
    assert_eq!(serde_json::to_string(&Position::offset("9")).unwrap(), r#"{"kind":"offset","offset":"9"}"#);
}

#[test]
fn a_claim_carries_the_progress_it_found_and_no_other() {
    let old = Checkpoint::initial("me", 1, 0);
    let attempted = old.after(&delta(0, "a"), 10).unwrap();
    assert!(attempted.clone().claimed_by("me", None).carries(&attempted), "it landed");
    let lost = old.claimed_by("me", None);
    assert_eq!(lost.sequence, attempted.sequence);
    assert!(!lost.carries(&attempted), "it was lost, although a claim has its sequence now");
    assert!(!lost.claimed_by("me", None).carries(&attempted));
}

proptest! {
    #[test]
    fn the_codec_keeps_everything(
        sequence in 0..=LAST_SEQUENCE, owner: String, shards: u32, offset in prop::option::of(any::<String>()),
        position_ms: Option<i64>, processed_ms: Option<i64>, committed_ms: i64, hold in prop::sample::select(vec![Hold::Held, Hold::Released, Hold::Drained]),
        counts: [u64; 5], cut: u32, generation: u64, ran_ms: u64, ids: Option<(u64, u64, i64)>, read: Vec<(i64, i64)>,
    ) {
        let [received, delivered, duplicates, dead_letters, filtered] = counts;
        let checkpoint = Checkpoint {
            version: VERSION, sequence, owner, instance: None, shards, cut, generation,
            position: offset.map(|offset| Position::Offset { offset, read: Trail::from(read) }), position_ms, processed_ms, committed_ms, hold,
            totals: Totals { received, delivered, duplicates, dead_letters, filtered }, ran_ms,
            ids: ids.map(|(oldest, written, since_ms)| Ids { oldest, written, since_ms }),
        };
        prop_assert_eq!(Checkpoint::decode(&checkpoint.encode()).unwrap(), checkpoint);
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
        drop(Checkpoint::decode(&bytes));
    }
}
