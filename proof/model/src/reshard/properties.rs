//! What must hold when the number of shards changes.

use stateright::Property;

use super::{Left, Phase, Reshard, State};

pub(super) const LOST: &str = "nothing is lost";
pub(super) const TWICE: &str = "nothing comes twice";
pub(super) const LETS_GO: &str = "shards before let go";

/// All properties of this model.
pub(super) fn all(model: &Reshard) -> Vec<Property<Reshard>> {
    let mut all = vec![
        // docs/exactly-once.md: "it begins at the least advanced of their positions". So what is behind the position of a shard, old or new,
        // is there.
        Property::<Reshard>::always(LOST, |model, state| {
            let is_there =
                |(shard, event): (usize, u8)| !model.selects(shard, event) || state.topic.contains(&event);
            let behind =
                |shard: usize| (0..state.left[shard].position.unwrap_or(0)).map(move |event| (shard, event));
            (0..state.left.len()).flat_map(behind).all(is_there)
        }),
        Property::<Reshard>::always(TWICE, |_, state| {
            let mut events = state.topic.clone();
            events.sort_unstable();
            events.windows(2).all(|pair| pair[0] != pair[1])
        }),
        // docs/records.md promises no order among several shards. What there is of it: events that are in one shard together, in each cut.
        Property::<Reshard>::always(
            "events that are always in one shard stand in their order",
            |model, state| {
                let together =
                    |one: u8, other: u8| model.cuts.iter().all(|shards| one % shards == other % shards);
                state.topic.iter().enumerate().all(|(at, event)| {
                    let later = state.topic[at + 1..].iter();
                    later.into_iter().all(|later| later >= event || !together(*event, *later))
                })
            },
        ),
        // docs/exactly-once.md: "with the recent ids of all". So a shard of the latest cut knows each event that may come again.
        Property::<Reshard>::always("a new shard knows what those before it delivered", |model, state| {
            let latest = state.left.iter().enumerate().rev().find(|(_, left)| left.position.is_some());
            let cut = latest.map_or(0, |(shard, _)| model.of(shard).0);
            model.shards(cut).all(|shard| {
                let left = &state.left[shard];
                let comes_again = |event: &&u8| left.position.is_some_and(|position| **event >= position);
                let own =
                    state.topic.iter().filter(comes_again).filter(|event| model.selects(shard, **event));
                own.into_iter().all(|event| left.ids & (1 << event) != 0)
            })
        }),
        // docs/exactly-once.md: "An old shard that opens once more reads the record after its fence, and does not go on."
        Property::<Reshard>::always(LETS_GO, |model, state| {
            let cut = |worker: usize| model.of(model.shard(worker)).0;
            let begun = (0..state.left.len()).filter(|shard| state.left[*shard].position.is_some());
            let latest = begun.map(|shard| model.of(shard).0).max().unwrap_or(0);
            let writes = |worker: usize| {
                let it = &state.workers[worker];
                it.phase == Phase::Run && !it.is_fenced
            };
            (0..state.workers.len()).all(|worker| cut(worker) >= latest || !writes(worker))
        }),
        Property::<Reshard>::sometimes(
            "all events are delivered, the last of them by the last cut",
            |model, state| {
                let is_last = |shard: usize| model.of(shard).0 + 1 == model.cuts.len();
                let at_end = |shard: usize| state.left[shard].position == Some(model.events);
                state.topic.len() == usize::from(model.events)
                    && (0..state.left.len()).any(|it| is_last(it) && at_end(it))
            },
        ),
        Property::<Reshard>::sometimes(
            "a shard of a cut before opens once more, and has to give up",
            |model, state| {
                let opens = |worker: usize| {
                    let shard = model.shard(worker);
                    let is_old = model.of(shard).0 < state.record.cut && state.left[shard].position.is_some();
                    is_old && state.workers[worker].phase == Phase::Fenced
                };
                (0..state.workers.len()).any(opens)
            },
        ),
    ];
    let (_, before) = model.cuts.split_last().unwrap_or((&0, &[]));
    if before.iter().any(|shards| *shards > 1) {
        let words = "what one shard delivered is ahead of where the next begins";
        all.push(Property::<Reshard>::sometimes(words, |model, state| {
            let ahead = |shard: usize| {
                let Left { position, ids } = state.left[shard];
                model.of(shard).0 > 0 && position.is_some_and(|position| ids >> position != 0)
            };
            (0..state.left.len()).any(ahead)
        }));
    }
    if model.cuts.len() > 2 {
        let words = "a shard reaches back beyond a cut that was not opened whole";
        all.push(Property::sometimes(words, reaches_back));
    }
    if !model.twice.is_empty() {
        let words = "a worker that was fenced goes on reading what is before it";
        all.push(Property::<Reshard>::sometimes(words, |_, state| {
            state.workers.iter().any(|it| it.is_fenced && matches!(it.phase, Phase::ReadOld(_)))
        }));
    }
    all
}

fn reaches_back(model: &Reshard, state: &State) -> bool {
    let reads = |worker: usize| match state.workers[worker].phase {
        Phase::ReadOld(old) => model.of(old).0 + 1 < model.of(model.shard(worker)).0,
        _ => false,
    };
    (0..state.workers.len()).any(reads)
}
