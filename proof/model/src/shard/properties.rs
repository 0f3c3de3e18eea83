//! What must hold of a shard, in the words of `ARCHITECTURE.md` and `docs/exactly-once.md`, and what the search must have seen.

use stateright::Property;

use super::{Checkpoint, Commit, Ownership, Phase, Shard, State};

pub(super) const LOST: &str = "nothing is lost";
pub(super) const TWICE: &str = "nothing comes twice";
pub(super) const ORDER: &str = "events stand in their order";
pub(super) const GOES_ON: &str = "each commit goes on from the one before";
pub(super) const KNOWS: &str = "nobody resumes unfenced";
pub(super) const GIVES_UP: &str = "whoever gives up was taken over";
pub(super) const LAST_WINS: &str = "the last that announced itself wins";

/// All properties of this model.
pub(super) fn all(shard: &Shard) -> Vec<Property<Shard>> {
    let mut all: Vec<Property<Shard>> = vec![
        // ARCHITECTURE.md: "Ids, totals and position count only with their commit." So what is behind a position that counts is there.
        Property::<Shard>::always(LOST, |_, state| {
            let events = state.counted_events();
            let position = state.counted_checkpoints().last().map_or(0, |last| last.position);
            (0..position).all(|event| events.contains(&event))
        }),
        // docs/exactly-once.md: "How Tributary loses nothing and repeats nothing".
        Property::<Shard>::always(TWICE, |_, state| {
            let mut events = state.counted_events();
            events.sort_unstable();
            events.windows(2).all(|pair| pair[0] != pair[1])
        }),
        // ARCHITECTURE.md: "After an abort the same blocks make the same batch."
        Property::<Shard>::always(ORDER, |_, state| {
            let events = state.counted_events();
            events.windows(2).all(|pair| pair[0] <= pair[1])
        }),
        // ARCHITECTURE.md: "This fences the earlier owner: Kafka refuses whatever it still writes." So no two commits count that go on
        // from the same checkpoint, and the sequence only grows.
        Property::<Shard>::always(GOES_ON, |_, state| {
            let checkpoints = state.counted_checkpoints();
            checkpoints.windows(2).all(|pair| pair[1].sequence == pair[0].sequence + 1)
        }),
        // ARCHITECTURE.md: "So nobody resumes unfenced, and whoever is fenced can tell a takeover from a timeout."
        Property::<Shard>::always(KNOWS, |_, state| {
            let stands = state.counted_checkpoints().last().copied();
            state.instances.iter().all(|instance| {
                let is_at_work = matches!(instance.phase, Phase::Run | Phase::Batch(Commit::ToWrite));
                !is_at_work || instance.epoch != state.coordinator.epoch || instance.last == stands
            })
        }),
        Property::<Shard>::always(GIVES_UP, was_taken_over),
        Property::<Shard>::sometimes("all events are delivered", |shard, state| {
            state.topic.len() == usize::from(shard.events)
        }),
        Property::<Shard>::sometimes("an opening takes over from another one", |_, state| {
            state.checkpoints.windows(2).any(|pair| pair[0].owner != pair[1].owner)
        }),
        Property::<Shard>::sometimes("a commit with an unknown outcome had landed", |_, state| {
            reopened(state).any(|(found, attempted)| found.carries(attempted))
        }),
        Property::<Shard>::sometimes("a commit with an unknown outcome had not landed", |_, state| {
            reopened(state).any(|(found, attempted)| !found.carries(attempted))
        }),
        Property::<Shard>::sometimes("a batch is refused, since its producer is fenced", |_, state| {
            state.instances.iter().any(|it| it.phase == Phase::Diagnose && it.attempted.is_some())
        }),
        Property::<Shard>::sometimes("a commit is under way whose producer is fenced", |_, state| {
            state.coordinator.requests.iter().any(|epoch| *epoch < state.coordinator.epoch)
        }),
        Property::<Shard>::sometimes("a shard goes on whose transaction the broker ended", |_, state| {
            let goes_on = |phase| matches!(phase, Phase::Batch(_) | Phase::Run);
            state.instances.iter().any(|it| goes_on(it.phase) && it.owner != it.epoch && !it.batch.is_empty())
        }),
        Property::<Shard>::sometimes(
            "the service repeats an event to another opening, which knows its id",
            |_, state| {
                let is_repeat = |it: &super::Instance| {
                    it.attempted.is_some_and(|attempted| {
                        it.last.is_some_and(|last| {
                            it.claims_from == last.sequence + 1
                                && attempted.lines > last.lines + it.batch.len() as u8
                        })
                    })
                };
                state.instances.iter().any(is_repeat)
            },
        ),
        Property::<Shard>::sometimes("a fenced instance gives up", |_, state| {
            state.instances.iter().any(|instance| instance.phase == Phase::GaveUp)
        }),
    ];
    if shard.ownership == Ownership::Static {
        // docs/exactly-once.md: "of two instances that fence each other, the one that announced itself last wins, each time".
        all.push(Property::<Shard>::always(LAST_WINS, |_, state| {
            let checkpoints = state.counted_checkpoints();
            checkpoints.windows(2).all(|pair| pair[0].name <= pair[1].name)
        }));
    }
    all
}

/// docs/exactly-once.md: "Without one the broker had ended the transaction, and the shard goes on with its batch. With one the shard ends".
fn was_taken_over(shard: &Shard, state: &State) -> bool {
    let latest = state.counted_checkpoints().last().copied();
    state.instances.iter().filter(|instance| instance.phase == Phase::GaveUp).all(|instance| {
        match shard.ownership {
            Ownership::Static => instance.name != state.record,
            Ownership::Group => latest.is_some_and(|latest| {
                latest.sequence >= instance.claims_from && latest.owner != instance.owner
            }),
        }
    })
}

/// Who is about to claim again: what was found, and what was attempted.
fn reopened(state: &State) -> impl Iterator<Item = (Checkpoint, Checkpoint)> {
    let claiming = state.instances.iter().filter(|it| it.phase == Phase::Claim(Commit::ToWrite));
    claiming.filter_map(|instance| Some((instance.found?, instance.attempted?)))
}

impl State {
    /// Events that count, whether or not readers see them yet.
    pub(super) fn counted_events(&self) -> Vec<u8> {
        let decided = self.coordinator.decided().map(|records| records.events.as_slice());
        self.topic.iter().chain(decided.unwrap_or_default()).copied().collect()
    }

    /// Checkpoints that count.
    pub(super) fn counted_checkpoints(&self) -> Vec<Checkpoint> {
        let decided = self.coordinator.decided().and_then(|records| records.checkpoint);
        self.checkpoints.iter().copied().chain(decided).collect()
    }
}
