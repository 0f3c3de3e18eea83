//! The model as the search sees it: which steps there are, and what must hold.

use stateright::{Model, Property};

use super::{Action, END, Fate, KEPT, NO_MORE, ONCE, Phase, Position, Process, Replay, State};
use crate::broker::Coordinator;
use crate::search::Told;

impl State {
    /// Letters, delivered events and position that count.
    fn counted(&self) -> (Vec<u8>, Vec<u8>, Position) {
        let (mut letters, mut topic, mut position) =
            (self.letters.clone(), self.topic.clone(), self.position);
        if let Some(records) = self.coordinator.decided() {
            letters.extend(records.letter);
            topic.extend(records.event);
            position = records.position.unwrap_or(position);
        }
        (letters, topic, position)
    }

    /// How many letters of an event were not replayed.
    fn left_of(&self, event: u8) -> usize {
        let (letters, _, position) = self.counted();
        let is_left = |(letter, of): &(usize, &u8)| **of == event && position.done & (1 << letter) == 0;
        letters.iter().enumerate().filter(is_left).count()
    }
}

impl Model for Replay {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State {
            coordinator: Coordinator::default(),
            letters: self.letters.to_vec(),
            topic: Vec::new(),
            position: Position::default(),
            replays: Default::default(),
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        let may_fence = state.coordinator.epoch < self.epochs;
        for (it, replay) in state.replays.iter().enumerate() {
            match replay.phase {
                Phase::Down => {
                    actions.push(Action::Start(it));
                    continue;
                }
                Phase::ToFence if may_fence => actions.push(Action::Fence(it)),
                Phase::ToFence => {}
                Phase::ToRead => actions.push(Action::Read(it)),
                Phase::ToKnow => actions.push(Action::Know(it)),
                Phase::Runs if self.next(state, it).is_some() => {
                    actions.push(Action::Take(it, Fate::Carried));
                    if state.letters.len() < self.most {
                        actions.extend([true, false].map(|read| Action::Take(it, Fate::Fails(read))));
                    }
                }
                Phase::Runs => {}
                Phase::ToMove => actions.push(Action::Move(it)),
                Phase::Asked | Phase::AskedApart => actions.push(Action::TimeOut(it)),
            }
            actions.push(Action::Kill(it));
        }
        actions.extend((0..state.coordinator.requests.len()).map(Action::Arrive));
        if state.coordinator.decided().is_some() {
            actions.push(Action::Complete);
        }
        if state.coordinator.is_open() && may_fence {
            actions.push(Action::Expire);
        }
    }

    fn next_state(&self, before: &State, action: Action) -> Option<State> {
        let mut state = before.clone();
        self.step(&mut state, action)?;
        let State { coordinator, replays, .. } = &mut state;
        coordinator.forget(|epoch| replays.iter().any(|replay| replay.awaits(epoch)));
        (state != *before).then_some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            // docs/exactly-once.md: "If the oldest were forgotten instead, another letter of an event that was delivered would deliver it again."
            Property::<Self>::always(ONCE, |_, state| {
                let (_, mut topic, _) = state.counted();
                topic.sort_unstable();
                topic.windows(2).all(|pair| pair[0] != pair[1])
            }),
            // docs/exactly-once.md: "so a failure never passes for a delivery."
            Property::<Self>::always(KEPT, |model, state| {
                let (_, topic, _) = state.counted();
                model.letters.iter().all(|event| topic.contains(event) || state.left_of(*event) > 0)
            }),
            // ARCHITECTURE.md: "the same event path, the same sink, the same recovery"; src/supervisor/replay.rs: "What became of a letter and that
            // it was replayed are one transaction."
            Property::<Self>::always(NO_MORE, |model, state| {
                let at_first = |event: u8| model.letters.iter().filter(|of| **of == event).count();
                model.letters.iter().all(|event| state.left_of(*event) <= at_first(*event))
            }),
            // docs/exactly-once.md: "So it does not meet what it writes itself."
            Property::<Self>::always(END, |_, state| {
                let takes = |replay: &&Process| replay.awaits(replay.epoch);
                state.replays.iter().filter(takes).all(|replay| replay.letter < replay.end)
            }),
            Property::<Self>::sometimes("all events are delivered, and no letter is left", |model, state| {
                let all_delivered = model.letters.iter().all(|event| state.topic.contains(event));
                all_delivered && model.letters.iter().all(|event| state.left_of(*event) == 0)
            }),
            Property::<Self>::sometimes(
                "a letter that failed again is replayed by a later replay",
                |model, state| {
                    (model.letters.len()..state.letters.len())
                        .any(|letter| state.position.delivered & (1 << letter) != 0)
                },
            ),
            Property::<Self>::sometimes("letters are picked out of the middle", |_, state| {
                state.position.done == 0b10
            }),
            Property::<Self>::sometimes("a replay is fenced while its commit is under way", |_, state| {
                state.coordinator.requests.iter().any(|epoch| *epoch < state.coordinator.epoch)
            }),
            Property::<Self>::sometimes("another letter of a delivered event is dropped", |_, state| {
                let is_dropped = |it: &&Process| it.phase == Phase::Asked && it.records == Default::default();
                state.replays.iter().any(|it| is_dropped(&it))
            }),
        ]
    }

    fn format_action(&self, action: &Action) -> String {
        let name = |it: usize| if it == 0 { "the replay of all" } else { "the replay of letter 1" };
        match *action {
            Action::Start(it) => format!("{} starts", name(it)),
            Action::Kill(it) => format!("{} is killed", name(it)),
            Action::Fence(it) => format!("{} fences the one before", name(it)),
            Action::Read(it) => {
                format!("{} reads which letters were replayed, and where the topic ends", name(it))
            }
            Action::Know(it) => format!("{} makes known which events were delivered", name(it)),
            Action::Take(it, Fate::Carried) => {
                format!(
                    "{} takes its next letter, carries its event, and sends the commit, or is refused",
                    name(it)
                )
            }
            Action::Take(it, Fate::Fails(_)) => {
                format!(
                    "{} takes its next letter, which fails again, and sends the commit, or is refused",
                    name(it)
                )
            }
            Action::Move(it) => format!("{} writes its position, and sends the commit", name(it)),
            Action::TimeOut(it) => format!("{} waits no longer for the answer, and opens again", name(it)),
            Action::Arrive(_) => "a commit under way arrives at the broker".into(),
            Action::Complete => "the markers of the committed transaction are written".into(),
            Action::Expire => "the broker ends the open transaction".into(),
        }
    }
}

impl Told for Replay {
    fn outcome(&self, state: &State) -> String {
        let (letters, topic, position) = state.counted();
        let name = |(letter, event): (usize, &u8)| {
            let done = if position.done & (1 << letter) != 0 { ", replayed" } else { "" };
            format!("letter {letter} of e{event}{done}")
        };
        let letters: Vec<String> = letters.iter().enumerate().map(name).collect();
        let topic: Vec<String> = topic.iter().map(|event| format!("e{event}")).collect();
        format!("delivered: [{}]; {}", topic.join(" "), letters.join("; "))
    }
}
