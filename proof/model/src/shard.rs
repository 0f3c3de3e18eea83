//! One shard, two instances: fence, read back, claim, batches, takeover.
//!
//! What the model does is what `src/sink/kafka/opening.rs`, `writing.rs` and `recall.rs` do, with `src/shard/recovery.rs` above them. Each
//! instance may stand still for as long as it likes (a zombie), be killed, and start again; the broker may end a transaction; a commit may
//! arrive late and its answer be lost; and the service may repeat an event on a connection.

use stateright::{Model, Property};

use crate::broker::{Arrival, Coordinator};
use crate::search::{Size, Subject, Told, Wrong};

mod properties;
mod steps;

/// Lines that one batch takes at most.
const BATCH: u8 = 2;

/// How the instances share the shard.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Ownership {
    /// Each announces itself under a name of its own before it fences: the one that did it last is the rightful one.
    Static,
    /// They have announced themselves under one name: a claim tells a takeover.
    Group,
}

/// What is done wrongly.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Fault {
    /// The checkpoint and the ids are read before the fence.
    ReadBeforeFence,
    /// Whoever is fenced takes any name but its own for that of a successor, also the one that stood there when it opened.
    OwnNameOnly,
    /// The events are committed in one transaction, and their ids and checkpoint in the next.
    CheckpointApart,
    /// Ids are not written to the journal.
    NoJournal,
    /// The journal is not read back.
    WindowNotReadBack,
    /// After an unknown outcome the shard is fenced, and goes on from what is in memory.
    ReopenBlind,
    /// Whether a batch landed is told by the sequence that is found.
    LandedBySequence,
    /// A producer is used again although the outcome of its commit is unknown.
    ProducerReused,
    /// The placement record is not read after the fence.
    NotAskedAfterFence,
    /// Whoever finds another opening's checkpoint goes on all the same.
    OvertakenIgnored,
}

/// The model, and how far it goes.
#[derive(Clone, Debug)]
pub struct Shard {
    /// How the instances share the shard.
    pub ownership: Ownership,
    /// What is done wrongly, if anything is.
    pub fault: Option<Fault>,
    /// Events that the service has.
    pub events: u8,
    /// Epochs of the transactional id: each fence and each transaction that the broker ends takes one.
    pub epochs: u8,
    /// How often the service repeats an event.
    pub repeats: u8,
}

/// A checkpoint.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Checkpoint {
    /// One more than that of the checkpoint before it.
    pub sequence: u8,
    /// The opening that wrote it.
    pub owner: u8,
    /// The name of its instance; all have the same in a group.
    pub name: u8,
    /// How many of the service's events are behind it.
    pub position: u8,
    /// Lines that were taken, repeated ones included: the totals.
    pub lines: u8,
}

impl Checkpoint {
    /// `Checkpoint::carries`: whether this one stands where the other does. Its sequence does not tell.
    fn carries(self, other: Self) -> bool {
        (self.position, self.lines) == (other.position, other.lines)
    }
}

/// What one transaction writes.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Records {
    /// Events, in their order.
    pub events: Vec<u8>,
    /// Ids of new events, one bit each.
    pub ids: u8,
    /// The last record of all.
    pub checkpoint: Option<Checkpoint>,
}

/// Everything there is.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct State {
    /// The shard's transactional id.
    pub coordinator: Coordinator<Records>,
    /// What a `read_committed` consumer of the events has read.
    pub topic: Vec<u8>,
    /// The ids in the journal.
    pub journal: u8,
    /// The latest two checkpoints; the topic is compacted.
    pub checkpoints: Vec<Checkpoint>,
    /// The name that stands in the placement record: how many have announced themselves.
    pub record: u8,
    /// How often the service may still repeat an event.
    pub repeats: u8,
    /// Both instances.
    pub instances: [Instance; 2],
}

/// One process, as far as this shard goes.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Instance {
    /// What it does next.
    pub phase: Phase,
    /// The name under which it announced itself.
    pub name: u8,
    /// The name of its opening: the epoch of the first fence of it, since no other has that; 0 before.
    pub owner: u8,
    /// The epoch of its producer.
    pub epoch: u8,
    /// The checkpoint that was read back.
    pub found: Option<Checkpoint>,
    /// A foreign claim counts as a takeover from this sequence on.
    pub claims_from: u8,
    /// The last checkpoint that is known to be committed; `None` before the first claim.
    pub last: Option<Checkpoint>,
    /// The one whose commit has an unknown outcome.
    pub attempted: Option<Checkpoint>,
    /// The ids that it knows to be delivered.
    pub window: u8,
    /// New events of the batch.
    pub batch: Vec<u8>,
}

/// Where an instance stands.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Phase {
    /// It does not run.
    #[default]
    Down,
    /// To fence.
    Open,
    /// It has fenced; to ask the placement record once more.
    Fenced,
    /// To read the checkpoint.
    ReadCheckpoint,
    /// To read the ids.
    ReadIds,
    /// To commit a checkpoint of its own name.
    Claim(Commit),
    /// It takes lines.
    Run,
    /// To commit the events by themselves: only with [`Fault::CheckpointApart`].
    Events(Commit),
    /// To commit the batch.
    Batch(Commit),
    /// The producer was fenced, by whomever.
    Diagnose,
    /// It has given the shard up as taken over.
    GaveUp,
}

/// How far a transaction is, as its producer sees it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Commit {
    /// Nothing of it is written.
    ToWrite,
    /// The commit is on its way. Its answer is there when it arrives; one that is lost is a wait that ended before.
    Asked,
}

/// One step of somebody; the first number is that of the instance.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Action {
    /// It starts; with `Static`, it announces itself.
    Start(usize),
    /// `kill -9`.
    Kill(usize),
    /// `init_transactions`.
    Fence(usize),
    /// It looks into the placement record.
    Ask(usize),
    /// It reads the checkpoint `read_committed` to the end, waiting for open transactions.
    ReadCheckpoint(usize),
    /// It reads the ids back.
    ReadIds(usize),
    /// It takes so many lines, of which the service repeats the first or not, writes them and sends the commit.
    Take(usize, u8, bool),
    /// It writes its transaction and sends the commit.
    Write(usize),
    /// It waits no longer for the answer: the outcome is unknown.
    TimeOut(usize),
    /// It asks who has fenced it.
    Diagnose(usize),
    /// A commit under way arrives at the broker.
    Arrive(usize),
    /// The markers of a decided transaction are written.
    Complete,
    /// The broker ends an open transaction.
    Expire,
}

impl Shard {
    /// As the connector does it.
    pub fn right(ownership: Ownership, size: Size) -> Self {
        let (events, epochs, repeats) = match size {
            Size::Short => (2, 3, 1),
            Size::Full => (2, 4, 1),
            Size::Deep => (3, 4, 1),
        };
        Self { ownership, fault: None, events, epochs, repeats }
    }

    /// The model with its wrong variants.
    pub fn subject(ownership: Ownership, size: Size) -> Subject<Self> {
        use Fault::*;
        let at = |size, fault, words, breaks| {
            let model = Self { fault: Some(fault), ..Self::right(ownership, size) };
            Wrong { model, fault: words, breaks }
        };
        let wrong = |fault, words, breaks| at(Size::Short, fault, words, breaks);
        let mut all = vec![
            wrong(ReadBeforeFence, "read before fence", properties::TWICE),
            wrong(
                CheckpointApart,
                "the checkpoint is not in the transaction of its events",
                properties::TWICE,
            ),
            wrong(NoJournal, "the journal is not written", properties::TWICE),
            wrong(WindowNotReadBack, "the journal is not read back", properties::TWICE),
            wrong(ReopenBlind, "no read back after an unknown outcome", properties::TWICE),
            wrong(ProducerReused, "a producer with an unknown outcome is used again", properties::TWICE),
        ];
        match ownership {
            Ownership::Static => {
                let words = "the placement record is not read after the fence";
                all.push(wrong(NotAskedAfterFence, words, properties::LAST_WINS));
            }
            Ownership::Group => {
                let words = "a foreign name is compared with one's own only";
                all.push(wrong(OwnNameOnly, words, properties::GIVES_UP));
                // These take a fence more.
                let words = "whether a batch landed is told by its sequence alone";
                all.push(at(Size::Full, LandedBySequence, words, properties::LOST));
                let words = "a foreign checkpoint is passed over when the shard is opened again";
                all.push(at(Size::Full, OvertakenIgnored, words, properties::TWICE));
            }
        }
        let name = format!("shard, ownership = {ownership:?}").to_lowercase();
        Subject { name, right: Self::right(ownership, size), wrong: all }
    }

    fn has(&self, fault: Fault) -> bool {
        self.fault == Some(fault)
    }
}

impl Model for Shard {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State {
            coordinator: Coordinator::default(),
            topic: Vec::new(),
            journal: 0,
            checkpoints: Vec::new(),
            record: 0,
            repeats: self.repeats,
            instances: Default::default(),
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        for (number, instance) in state.instances.iter().enumerate() {
            self.choices(state, number, instance, actions);
        }
        actions.extend((0..state.coordinator.requests.len()).map(Action::Arrive));
        if state.coordinator.decided().is_some() {
            actions.push(Action::Complete);
        }
        if state.coordinator.is_open() && state.coordinator.epoch < self.epochs {
            actions.push(Action::Expire);
        }
    }

    fn next_state(&self, before: &State, action: Action) -> Option<State> {
        let mut state = before.clone();
        match action {
            Action::Arrive(request) => {
                let answer = match state.coordinator.arrive(request) {
                    Arrival::Committed(epoch) => Some((epoch, true)),
                    Arrival::Refused(epoch) => Some((epoch, false)),
                    Arrival::Void => None,
                };
                if let Some((epoch, counts)) = answer {
                    state.instances.iter_mut().for_each(|instance| self.hear(instance, epoch, counts));
                }
            }
            Action::Complete => {
                if let Some(records) = state.coordinator.complete() {
                    state.show(records);
                }
            }
            Action::Expire => state.coordinator.expire(),
            own => self.step(&mut state, own)?,
        }
        let State { coordinator, instances, .. } = &mut state;
        coordinator.forget(|epoch| instances.iter().any(|instance| instance.awaits(epoch)));
        (state != *before).then_some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        properties::all(self)
    }

    fn format_action(&self, action: &Action) -> String {
        steps::words(*action)
    }
}

impl Told for Shard {
    fn outcome(&self, state: &State) -> String {
        let counted: Vec<String> = state.counted_events().iter().map(|event| format!("e{event}")).collect();
        let checkpoint = state.counted_checkpoints().last().map_or("no checkpoint".into(), |last| {
            format!("checkpoint {} of opening {} at position {}", last.sequence, last.owner, last.position)
        });
        format!("events that count: [{}]; {checkpoint}", counted.join(" "))
    }
}
