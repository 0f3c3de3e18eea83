//! What must hold when the number of shards changes.

use stateright::Property;

use super::{Phase, Reshard, State};

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
            let behind = |shard: usize| {
                (0..state.shards[shard].left.position.unwrap_or(0)).map(move |event| (shard, event))
            };
            (0..state.shards.len()).flat_map(behind).all(is_there)
        }),
        Property::<Reshard>::always(TWICE, |_, state| {
            let mut events = state.topic.clone();
            events.sort_unstable();
            events.windows(2).all(|pair| pair[0] != pair[1])
        }),
        // docs/records.md: order holds within what a shard selects, before and after.
        Property::<Reshard>::always("events of each shard stand in their order", |model, state| {
            let most = model.cuts.iter().copied().max().unwrap_or(1);
            (0..most).all(|class| {
                let own: Vec<u8> =
                    state.topic.iter().copied().filter(|event| event % most == class).collect();
                own.windows(2).all(|pair| pair[0] <= pair[1])
            })
        }),
        // docs/exactly-once.md: "with the recent ids of all". So a shard of the latest cut knows each event that may come again.
        Property::<Reshard>::always("a new shard knows what those before it delivered", |model, state| {
            let latest = state.shards.iter().enumerate().rev().find(|(_, it)| it.left.position.is_some());
            let cut = latest.map_or(0, |(shard, _)| model.of(shard).0);
            model.shards(cut).all(|shard| {
                let left = &state.shards[shard].left;
                let comes_again = |event: &&u8| left.position.is_some_and(|position| **event >= position);
                let own =
                    state.topic.iter().filter(comes_again).filter(|event| model.selects(shard, **event));
                own.into_iter().all(|event| left.ids & (1 << event) != 0)
            })
        }),
        // docs/exactly-once.md: "An old shard that opens once more reads the record after its fence, and does not go on."
        Property::<Reshard>::always(LETS_GO, |model, state| {
            let may_write =
                |shard: usize| state.shards[shard].phase == Phase::Run && !state.shards[shard].is_fenced;
            let begun = (0..state.shards.len()).filter(|shard| state.shards[*shard].left.position.is_some());
            let latest = begun.map(|shard| model.of(shard).0).max().unwrap_or(0);
            (0..state.shards.len()).all(|shard| model.of(shard).0 >= latest || !may_write(shard))
        }),
        Property::<Reshard>::sometimes(
            "all events are delivered, the last of them by the last cut",
            |model, state| {
                let is_last = |shard: usize| model.of(shard).0 + 1 == model.cuts.len();
                let at_end = |shard: usize| state.shards[shard].left.position == Some(model.events);
                state.topic.len() == usize::from(model.events)
                    && (0..state.shards.len()).any(|it| is_last(it) && at_end(it))
            },
        ),
        Property::<Reshard>::sometimes(
            "a shard of a cut before opens once more, and has to give up",
            |model, state| {
                let opens = |shard: usize| {
                    state.shards[shard].phase == Phase::Fenced && state.shards[shard].left.position.is_some()
                };
                (0..state.shards.len()).any(|shard| opens(shard) && model.of(shard).0 < state.record.cut)
            },
        ),
        Property::<Reshard>::sometimes(
            "what one shard delivered is ahead of where the next begins",
            |model, state| {
                let ahead = |shard: usize| {
                    let it = &state.shards[shard];
                    model.of(shard).0 > 0
                        && it.left.position.is_some_and(|position| it.left.ids >> position != 0)
                };
                (0..state.shards.len()).any(ahead)
            },
        ),
    ];
    if model.cuts.len() > 2 {
        all.push(Property::sometimes(
            "a shard reaches back beyond a cut that was not opened whole",
            reaches_back,
        ));
    }
    all
}

fn reaches_back(model: &Reshard, state: &State) -> bool {
    let reads = |shard: usize| match state.shards[shard].phase {
        Phase::ReadOld(old) => model.of(old).0 + 1 < model.of(shard).0,
        _ => false,
    };
    (0..state.shards.len()).any(reads)
}
