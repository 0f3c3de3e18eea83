//! Positions, shares, slots and ghosts, without a network.

use super::*;
use crate::adobe::options::LogOptions;

const WINDOW: std::ops::Range<u64> = 0..10_000;

fn rules() -> Rules {
    Rules {
        rebalance_pause: Duration::from_millis(100),
        rebalance_replay: 2,
        ..Rules::new(&Config::default())
    }
}

fn group(rules: Rules, partitions: u64) -> Group {
    Group::new(rules, Log::new(LogOptions { partitions, ..LogOptions::default() }))
}

fn wanted(max_connections: u64) -> Wanted {
    Wanted { max_connections, reset: None }
}

fn reset(reset: Reset) -> Wanted {
    Wanted { max_connections: 4, reset: Some(reset) }
}

/// No blocks, no end.
fn single(hits: u64) -> Limits {
    Limits { hits, below: u64::MAX, blocks: false }
}

fn hits(claimed: &Claimed) -> Vec<u64> {
    match &claimed.claim {
        Claim::Hits(hits) => hits.clone(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn one_connection_gets_everything_in_order() {
    let mut group = group(rules(), 16);
    let now = Instant::now();
    assert_eq!(group.join(1, wanted(1), &WINDOW, now), Ok(Effects::default()));
    assert_eq!(hits(&group.claim(1, single(100), &WINDOW, now)), (0..100).collect::<Vec<_>>());
    assert_eq!(hits(&group.claim(1, single(10), &(0..105), now)), (100..105).collect::<Vec<_>>());
    assert_eq!(group.claim(1, single(10), &(0..105), now).claim, Claim::Nothing);
    // What expired is skipped.
    assert_eq!(hits(&group.claim(1, single(1), &(700..800), now)), [700]);
    let limits = Limits { below: 703, ..single(50) };
    assert_eq!(hits(&group.claim(1, limits, &WINDOW, now)), [701, 702]);
}

#[tokio::test(start_paused = true)]
async fn a_rebalance_pauses_all_and_repeats_what_moved() {
    let mut group = group(rules(), 4);
    let now = Instant::now();
    group.join(1, wanted(2), &WINDOW, now).unwrap();
    group.claim(1, single(200), &WINDOW, now);
    let effects = group.join(2, wanted(2), &WINDOW, now).unwrap();
    // Partitions 1 and 3 moved, two hits each.
    assert_eq!(effects, Effects { rebalanced: true, rewound: 4, ..Effects::default() });
    let until = now + Duration::from_millis(100);
    for number in [1, 2] {
        assert_eq!(group.claim(number, single(1), &WINDOW, now).claim, Claim::Paused(until));
    }
    let claimed = group.claim(2, single(4), &WINDOW, until);
    assert_eq!((hits(&claimed).len(), claimed.duplicates), (4, 4));
    assert!(hits(&claimed).iter().all(|hit| *hit < 200 && group.log.partition(*hit) % 2 == 1));
    let (first, second) = (
        hits(&group.claim(1, single(50), &WINDOW, until)),
        hits(&group.claim(2, single(50), &WINDOW, until)),
    );
    assert!(first.iter().all(|hit| *hit >= 200 && group.log.partition(*hit).is_multiple_of(2)));
    assert!(second.iter().all(|hit| *hit >= 200 && group.log.partition(*hit) % 2 == 1));
}

#[tokio::test(start_paused = true)]
async fn whoever_stays_takes_over() {
    let mut group = group(rules(), 4);
    let now = Instant::now();
    group.join(1, wanted(2), &WINDOW, now).unwrap();
    group.join(2, wanted(2), &WINDOW, now).unwrap();
    let effects = group.leave(1, End::Orderly, now);
    assert!(effects.rebalanced && !effects.ghost);
    let later = now + Duration::from_secs(1);
    assert_eq!(hits(&group.claim(2, single(10), &WINDOW, later)), (0..10).collect::<Vec<_>>());
    // The last one leaves to nobody, and the next one takes over from nobody.
    assert_eq!(group.leave(2, End::Client, later), Effects::default());
    assert_eq!(group.join(3, wanted(1), &WINDOW, later), Ok(Effects::default()));
    assert_eq!(hits(&group.claim(3, single(1), &WINDOW, later)), [10]);
    assert_eq!(group.leave(9, End::Client, later), Effects::default());
}

#[tokio::test(start_paused = true)]
async fn blocks_and_parts_are_claimed_whole() {
    let mut group = group(Rules { rebalance_replay: 0, rebalance_pause: Duration::ZERO, ..rules() }, 4);
    let now = Instant::now();
    let limits = Limits { blocks: true, ..single(u64::MAX) };
    group.join(1, wanted(2), &WINDOW, now).unwrap();
    assert_eq!(group.claim(1, limits, &WINDOW, now).claim, Claim::Block(0));
    // Off the border, until the next one.
    let mut position = BLOCK;
    group.claim(1, single(1), &WINDOW, now);
    while let Claim::Hits(hits) = group.claim(1, limits, &WINDOW, now).claim {
        position = hits.last().unwrap() + 1;
    }
    assert_eq!((position, group.positions()), (2 * BLOCK, vec![3 * BLOCK; 4]));
    group.join(2, wanted(2), &WINDOW, now).unwrap();
    let claim = |group: &mut Group, number| group.claim(number, limits, &WINDOW, now).claim;
    assert_eq!(claim(&mut group, 1), Claim::Part(3, 0));
    assert_eq!(claim(&mut group, 2), Claim::Part(3, 1));
    assert_eq!(claim(&mut group, 1), Claim::Part(3, 2));
    // There is no block 4 yet: 10,000 is in the midst of it.
    assert!(matches!(claim(&mut group, 1), Claim::Hits(_)));
    // Sent again, a block has duplicates.
    group.leave(1, End::Orderly, now);
    group.leave(2, End::Orderly, now);
    group.join(3, reset(Reset::Oldest), &WINDOW, now).unwrap();
    assert_eq!(group.claim(3, limits, &WINDOW, now), Claimed { claim: Claim::Block(0), duplicates: BLOCK });
}

#[tokio::test(start_paused = true)]
async fn slots_maxima_and_haste() {
    let rules =
        Rules { ghost_linger: Duration::from_secs(60), min_reconnect: Duration::from_secs(5), ..rules() };
    let mut group = group(rules, 4);
    let now = Instant::now();
    group.join(1, wanted(2), &WINDOW, now).unwrap();
    group.join(2, wanted(2), &WINDOW, now).unwrap();
    assert_eq!(group.join(3, wanted(2), &WINDOW, now), Err(Refused::TooMany));
    assert_eq!(group.join(3, wanted(3), &WINDOW, now), Err(Refused::OtherMaximum));
    assert!(group.leave(1, End::Client, now).ghost);
    assert!(!group.leave(2, End::Fault, now).ghost);
    let soon = now + Duration::from_secs(4);
    assert_eq!(group.join(3, wanted(1), &WINDOW, soon), Err(Refused::OtherMaximum));
    assert_eq!(group.join(3, wanted(2), &WINDOW, soon), Err(Refused::TooSoon));
    let later = now + Duration::from_secs(5);
    assert_eq!((group.ghosts(later), group.open()), (1, vec![]));
    group.join(3, wanted(2), &WINDOW, later).unwrap();
    assert_eq!(group.join(4, wanted(2), &WINDOW, later), Err(Refused::TooMany));
    let gone = now + Duration::from_secs(60);
    assert_eq!(group.ghosts(gone), 0);
    group.join(4, wanted(2), &WINDOW, gone).unwrap();
}

#[tokio::test(start_paused = true)]
async fn reset_is_heeded_only_without_connections_and_ghosts() {
    let rules = Rules { ghost_linger: Duration::from_secs(60), ..rules() };
    let mut group = group(rules, 4);
    let now = Instant::now();
    let joined = group.join(1, reset(Reset::Newest), &WINDOW, now).unwrap();
    assert_eq!((joined.reset, group.positions()), (Some(true), vec![10_000; 4]));
    assert_eq!(group.join(2, reset(Reset::Oldest), &WINDOW, now).unwrap().reset, Some(false));
    group.leave(1, End::Orderly, now);
    group.leave(2, End::Client, now);
    assert_eq!(group.join(3, reset(Reset::Oldest), &WINDOW, now).unwrap().reset, Some(false));
    group.leave(3, End::Orderly, now);
    let later = now + Duration::from_secs(60);
    assert_eq!(group.join(4, reset(Reset::Oldest), &(50..10_000), later).unwrap().reset, Some(true));
    assert_eq!(group.positions(), [50; 4]);
}

#[tokio::test(start_paused = true)]
async fn a_break_may_move_the_position_back() {
    for (break_replay, end, rewound) in
        [(0, End::Client, 0), (5, End::Client, 20), (5, End::Fault, 20), (5, End::Orderly, 0)]
    {
        let mut group = group(Rules { break_replay, ..rules() }, 4);
        let now = Instant::now();
        group.join(1, wanted(1), &WINDOW, now).unwrap();
        group.claim(1, single(200), &WINDOW, now);
        assert_eq!(group.leave(1, end, now).rewound, rewound);
        group.join(2, wanted(1), &WINDOW, now).unwrap();
        assert_eq!(group.claim(2, single(200), &WINDOW, now).duplicates, rewound);
    }
}

#[tokio::test(start_paused = true)]
async fn where_a_connection_begins() {
    let now = Instant::now();
    let rules = Rules { from_start: false, ..rules() };
    let mut group = group(rules, 1);
    group.join(1, wanted(1), &(0..100), now).unwrap();
    assert_eq!(group.positions(), [100]);
    group.leave(1, End::Client, now);
    let later = now + Duration::from_secs(3_600);
    group.join(2, wanted(1), &(0..200), later).unwrap();
    assert_eq!(group.positions(), [100]);
}
