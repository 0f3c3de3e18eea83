//! The window against a naive model, and what it tells of itself.

use std::collections::HashSet;

use proptest::prelude::*;

use super::*;

fn window(window_ms: u64, max_ids: usize) -> Window {
    Window::new(Config { window: Duration::from_millis(window_ms), max_ids }, 4)
}

/// A commit after so much running time, whatever the clock says.
fn at(ran_ms: u64) -> Dated {
    Dated { committed_ms: 77 - ran_ms as i64, ran_ms, received_ms: None }
}

fn seed(window: &mut Window, dated: Dated, first: u64, ids: std::ops::Range<u128>) {
    let ids: Vec<EventId> = ids.map(EventId).collect();
    window.seed(&Run { dated, first, ids: &ids });
}

/// Number, running time and ids of what is to be written.
fn written(window: &Window, dated: Dated) -> Vec<(u64, u64, Vec<u128>)> {
    let runs = window.to_write(dated);
    runs.map(|run| (run.first, run.dated.ran_ms, run.ids.iter().map(|id| id.0).collect())).collect()
}

#[test]
fn it_knows_up_to_when_ids_are_forgotten() {
    let mut window = window(1000, 3);
    let dated = |committed_ms: i64| Dated {
        committed_ms,
        ran_ms: committed_ms as u64,
        received_ms: Some(committed_ms - 50),
    };
    let check =
        |window: &mut Window, ids: std::ops::Range<u128>, committed_ms, expected: (i64, Option<i64>)| {
            ids.for_each(|id| assert!(window.insert(EventId(id))));
            let foretold = window.extent_after(dated(committed_ms));
            window.commit(dated(committed_ms));
            assert_eq!((foretold.since_ms, foretold.forgotten_ms), expected);
            assert_eq!(window.forgotten_ms, expected.1, "what was foretold happened");
        };
    check(&mut window, 0..2, 100, (100, None));
    check(&mut window, 2..3, 200, (100, None));
    check(&mut window, 3..4, 300, (100, Some(50)));
    check(&mut window, 4..5, 400, (200, Some(50)));
    check(&mut window, 5..6, 1301, (400, Some(250)));
    window.keep_old(true);
    check(&mut window, 6..7, 9999, (400, Some(250)));
    assert!(window.contains(EventId(4)) && !window.contains(EventId(3)));
}

#[test]
fn an_aborted_batch_is_new_again() {
    let mut window = window(1000, 100);
    assert!(window.insert(EventId(1)));
    window.commit(at(0));
    assert!(window.insert(EventId(2)));
    assert!(!window.insert(EventId(2)), "a repeat within the batch");
    window.rollback();
    assert!(!window.insert(EventId(1)), "what was committed stays");
    assert!(window.insert(EventId(2)));
    assert_eq!(written(&window, at(5)), [(1, 5, vec![2])], "its number is that of the aborted one");
}

#[test]
fn a_step_of_the_clock_makes_no_id_older() {
    let mut window = window(1000, 100);
    let day_ms = 86_400_000;
    assert!(window.insert(EventId(1)));
    window.commit(Dated { committed_ms: 5, ran_ms: 0, received_ms: None });
    for committed_ms in [day_ms, -day_ms, 5] {
        window.commit(Dated { committed_ms, ran_ms: 1000, received_ms: None });
        assert!(!window.insert(EventId(1)), "at {committed_ms}");
    }
}

#[test]
fn ids_are_numbered_in_the_order_of_their_commits() {
    let mut window = window(1000, 3);
    seed(&mut window, at(0), 40, 0..2);
    window.number_from(42);
    (2..4).for_each(|id| assert!(window.insert(EventId(id))));
    assert_eq!(written(&window, at(10)), [(42, 10, vec![2, 3])], "only what is new");
    let extent = window.extent_after(at(10));
    assert_eq!((extent.oldest, extent.next, extent.since_ms), (41, 44, 77), "one is too many");
    window.commit(at(10));
    assert_eq!(window.next(), 44);
    let extent = window.extent_after(at(1011));
    assert_eq!((extent.oldest, extent.next), (44, 44), "all too old: none is needed");
    window.commit(at(1011));
    assert!(window.is_empty());
}

#[test]
fn what_the_journal_lost_is_written_again_under_new_numbers() {
    let mut window = window(1000, 10);
    seed(&mut window, at(0), 40, 0..2);
    seed(&mut window, at(5), 42, 2..3);
    assert!(window.insert(EventId(9)));
    window.rewrite();
    let all = [(43, 0, vec![0, 1]), (45, 5, vec![2]), (46, 20, vec![9])];
    assert_eq!(written(&window, at(20)), all);
    window.rollback();
    assert!(window.is_unwritten(), "an abort writes nothing");
    assert!(window.insert(EventId(9)));
    let extent = window.extent_after(at(20));
    assert_eq!((extent.oldest, extent.next, extent.since_ms), (43, 47, at(20).committed_ms));
    window.commit(at(20));
    assert!(!window.is_unwritten());
    assert_eq!(window.extent_after(at(21)).since_ms, at(20).committed_ms, "it stands there now");
    assert_eq!(written(&window, at(21)), []);
}

#[test]
fn ids_that_were_written_twice_are_known_once() {
    let mut window = window(1000, 10);
    seed(&mut window, at(0), 0, 0..4);
    seed(&mut window, at(5), 2, 2..6);
    assert_eq!((window.len(), window.next()), (6, 6));
    assert!(window.extent_after(at(1004)).oldest <= 4, "never above what is needed");
}

#[test]
fn ids_expire_by_age() {
    let mut window = window(1000, 100);
    seed(&mut window, at(0), 0, 1..2);
    seed(&mut window, at(900), 1, 2..3);
    window.commit(at(1000));
    assert_eq!(window.len(), 2);
    window.commit(at(1001));
    assert!(window.insert(EventId(1)), "older than the window");
    assert!(!window.insert(EventId(2)));
}

#[test]
fn none_expires_while_ids_are_read_back() {
    let mut window = window(1000, 100);
    seed(&mut window, at(0), 0, 1..2);
    seed(&mut window, at(9000), 1, 2..3);
    window.keep_old(true);
    window.commit(at(9001));
    assert!(!window.insert(EventId(1)), "a replay needs it");
    window.keep_old(false);
    window.commit(at(9002));
    assert_eq!(window.len(), 1, "and no longer");
}

#[test]
fn ids_expire_by_number_oldest_first() {
    let mut window = window(1000, 3);
    seed(&mut window, at(0), 0, 0..5);
    assert_eq!(window.len(), 3);
    assert!(!window.insert(EventId(2)));
    assert!(window.insert(EventId(1)));
}

/// One thing that may happen to a window.
#[derive(Clone, Debug)]
enum Step {
    Insert(u8),
    Commit(u64),
    Rollback,
}

proptest! {
    /// Against a naive model, over many wraps of the ring.
    #[test]
    fn it_agrees_with_a_naive_model(steps in prop::collection::vec(prop_oneof![
        8 => any::<u8>().prop_map(Step::Insert),
        2 => (0u64..50).prop_map(Step::Commit),
        1 => Just(Step::Rollback),
    ], 0..400)) {
        let mut window = window(100, 20);
        window.first = u32::MAX - 5;
        let (mut now, mut kept, mut pending) = (0u64, Vec::<(u64, u8)>::new(), Vec::<u8>::new());
        for step in steps {
            match step {
                Step::Insert(id) => {
                    let known = pending.contains(&id) || kept.iter().any(|(_, known)| *known == id);
                    prop_assert_eq!(window.insert(EventId(id.into())), !known);
                    if !known { pending.push(id); }
                }
                Step::Commit(later) => {
                    now += later;
                    let ids: Vec<u128> = pending.iter().map(|id| u128::from(*id)).collect();
                    let runs = written(&window, at(now));
                    prop_assert_eq!(runs.iter().flat_map(|(_, _, ids)| ids.clone()).collect::<Vec<_>>(), ids);
                    for pair in runs.windows(2) {
                        prop_assert_eq!(pair[0].0 + pair[0].2.len() as u64, pair[1].0);
                    }
                    let extent = window.extent_after(at(now));
                    kept.extend(pending.drain(..).map(|id| (now, id)));
                    window.commit(at(now));
                    kept.retain(|(at, _)| *at >= now.saturating_sub(100));
                    let extra = kept.len().saturating_sub(20);
                    kept.drain(..extra);
                    prop_assert_eq!(extent.next - extent.oldest, kept.len() as u64);
                    prop_assert_eq!(window.next(), extent.next);
                }
                Step::Rollback => { pending.clear(); window.rollback(); }
            }
            let all: HashSet<u128> = kept.iter().map(|(_, id)| u128::from(*id)).chain(pending.iter().map(|id| u128::from(*id))).collect();
            prop_assert_eq!(window.ring.iter().map(|id| id.0).collect::<HashSet<_>>(), all);
            prop_assert_eq!(window.table.len(), window.ring.len());
        }
    }
}

/// As a journal record could have them that somebody else wrote.
#[test]
fn the_highest_numbers_are_survived() {
    let mut window = Window::new(Config::default(), 4);
    let ids = [EventId(1), EventId(2), EventId(3)];
    let dated = Dated { committed_ms: 0, ran_ms: 0, received_ms: None };
    window.seed(&Run { dated, first: u64::MAX, ids: &ids });
    assert_eq!(window.next(), u64::MAX);
    assert!(!window.insert(EventId(2)) && window.insert(EventId(4)));
    assert_eq!(window.extent_after(dated).next, u64::MAX);
    window.rewrite();
    assert_eq!(window.to_write(dated).map(|run| run.ids.len()).sum::<usize>(), 4);
    window.commit(dated);
    assert_eq!((window.len(), window.next()), (4, u64::MAX));
}

#[test]
fn a_window_is_as_large_as_its_ids_take() {
    let rooms = |window: &Window| (window.ring.capacity(), window.table.capacity());
    let few = |(ring, table)| ring <= FIRST_IDS && table < 2 * FIRST_IDS;
    let mut large = Window::new(Config::default(), 100);
    assert!(few(rooms(&large)), "{:?}", rooms(&large));
    // However many ids have come and gone.
    let mut small = window(1_000_000, 1_000);
    for number in 0..1_100_000 {
        assert!(small.insert(EventId(number)) && large.insert(EventId(number)));
        if number == 200_000 {
            let (ring, table) = rooms(&large);
            assert!(ring < 2 * 200_000 && table < 2 * 200_000, "{ring} {table}");
        }
        if number % 100 == 99 {
            small.commit(at(0));
            large.commit(at(0));
        }
    }
    assert!(few(rooms(&small)), "{:?}", rooms(&small));
    let ring = large.ring.capacity();
    assert!((1_000_100..1_001_000).contains(&ring), "{ring}: all that there may be, and little more");
    assert_eq!(large.len(), 1_000_000);
    assert!((100_000..1_100_000).all(|number| large.contains(EventId(number))));
}
