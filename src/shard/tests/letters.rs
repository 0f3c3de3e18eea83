//! Dead letters that are replayed, on a sink in memory, where the record of replays has room for no more pieces.

use super::*;
use crate::model::block::RecordsBuilder;
use crate::model::letters::{Letter, LetterBytes, MAX_RANGES, Partition, Replayed, Stamp};
use crate::model::ranges::Ranges;

const TOPIC: &str = "dead";

/// The first offset after all letters that were delivered before, which are as many pieces as there may be.
const NEXT: i64 = 2 * MAX_RANGES as i64 - 1;

fn full() -> Replayed {
    let ranges = Ranges::from((0..MAX_RANGES as i64).map(|n| (2 * n, 2 * n + 1)).collect::<Vec<_>>());
    assert_eq!(ranges.bounds(), Some(0..NEXT));
    let (topic, delivered) = (TOPIC.to_owned(), ranges.clone());
    Replayed { partitions: vec![Partition { topic, delivered, done: ranges, ..Partition::default() }] }
}

fn letter(text: &str, offset: i64) -> Letter {
    Letter {
        partition: 0,
        from: offset,
        stamp: Stamp::of(offset, 0, text.as_bytes()),
        attempts: 1,
        length: text.len() as u64,
        bytes: LetterBytes::Whole,
        rules: None,
        shard: "0".into(),
        position: String::new(),
    }
}

/// Replays these letters, the first at [`NEXT`], each behind the one before it, in blocks of `most`. Tells how it ended, and up to
/// which offset all letters count as replayed.
fn replay(cluster: &Arc<Mutex<Cluster>>, texts: &[String], most: usize) -> (Exit, i64) {
    let mut shard = open(cluster, 1000);
    shard.pauses = (Duration::ZERO, Duration::ZERO);
    shard.keep_letters(TOPIC, full());
    let (input, output) = queue(1 << 20, Default::default(), Default::default());
    let mut offsets = NEXT..;
    for texts in texts.chunks(most) {
        let mut builder = RecordsBuilder::default();
        for (text, offset) in texts.iter().zip(&mut offsets) {
            builder.push_letter(text.as_bytes(), letter(text, offset));
        }
        let item = Item::Block { block: Block::Records(builder.build()), resumed: false, connection: None };
        futures_util::FutureExt::now_or_never(input.send(item)).unwrap().unwrap();
    }
    drop(input);
    let exit = shard.run(&output);
    let position = cluster.lock().unwrap().checkpoint.as_ref().and_then(|found| found.position.clone());
    let end = match position {
        Some(Position::Letters(replayed)) => replayed.of(TOPIC, 0).unwrap().done.bounds().unwrap().end,
        _ => NEXT,
    };
    (exit, end)
}

fn event(n: usize) -> String {
    super::event(n).trim_end().to_owned()
}

fn kept(cluster: &Mutex<Cluster>) -> Vec<(String, Option<&'static str>)> {
    let values = values(cluster);
    let reasons = cluster.lock().unwrap().records.iter().map(|kept| kept.reason).collect::<Vec<_>>();
    values.into_iter().zip(reasons).collect()
}

#[test]
fn what_comes_before_a_letter_without_room_is_replayed() {
    // The first is of the last piece; what is no event fails again, which takes no room.
    let texts = [event(1), "[1]".into(), "[2]".into(), event(2), event(3)];
    let no_object = Some("not_an_object");
    let expected = [(event(1), None), ("[1]".into(), no_object), ("[2]".into(), no_object)];
    let faults = [Fault::Abort, Fault::UnknownAndLost, Fault::UnknownButLanded, Fault::Abort];
    for (most, faults) in
        [(1, 0), (2, 0), (5, 0), (1, 4), (2, 4), (5, 4)].map(|(most, count)| (most, &faults[..count]))
    {
        let faults = faults.iter().copied().collect();
        let cluster = Arc::new(Mutex::new(Cluster { faults, ..Cluster::default() }));
        let end = replay(&cluster, &texts, most);
        assert_eq!(end, (Exit::Misconfigured, NEXT + 3), "in blocks of {most}");
        assert_eq!(kept(&cluster), expected, "in blocks of {most}");
    }
}

/// The second letter has room only beside the first.
#[test]
fn a_letter_that_loses_its_room_takes_none_before_it_along() {
    let refused = event(1).into_bytes();
    for most in [1, 2] {
        let cluster =
            Arc::new(Mutex::new(Cluster { refused: [refused.clone()].into(), ..Cluster::default() }));
        let end = replay(&cluster, &[event(1), event(2)], most);
        assert_eq!(end, (Exit::Misconfigured, NEXT + 1), "in blocks of {most}");
        assert_eq!(kept(&cluster), [(event(1), Some("refused_by_topic"))], "in blocks of {most}");
    }
}
