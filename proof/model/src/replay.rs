//! Dead letters, once more: two replays of one stream, the second of which is started while the first is at work.
//!
//! What the model does is what `src/supervisor/replay.rs` and its `feeding.rs` do, with `src/model/letters.rs`: fence, read which letters were
//! replayed, make known the events of those that were delivered, and take the others up to the end as of then. Whether an event is
//! delivered or fails again is open each time, and so is whether its id is known when it fails. A replay may stand still or be killed at
//! any point; a commit may arrive late and its answer be lost. One replay asks for all letters, the other for the second only.

use crate::broker::{Arrival, Coordinator};
use crate::search::{Size, Subject, Wrong};

mod searching;

const ONCE: &str = "an event is delivered once, however many letters it has";
const KEPT: &str = "an event is delivered, or a letter of it is left to replay";
const NO_MORE: &str = "a letter that fails again leaves one letter";
const END: &str = "a replay does not meet what it writes itself";

/// What is done wrongly.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Fault {
    /// What was replayed is read before the fence.
    ReadBeforeFence,
    /// What became of a letter is committed in one transaction, and that it was replayed in the next.
    PositionApart,
    /// The position is the last letter, and not the set of those that were replayed.
    PositionIsNumber,
    /// Which letters were delivered is not made known to a later replay.
    DeliveredNotKnown,
    /// A letter that failed again counts as delivered.
    FailureIsDelivery,
    /// The end moves while the replay is at work.
    EndMoves,
}

/// The model, and how far it goes.
#[derive(Clone, Debug)]
pub struct Replay {
    /// What is done wrongly, if anything is.
    pub fault: Option<Fault>,
    /// The event of each letter at the beginning.
    pub letters: &'static [u8],
    /// Letters that there may be in the end.
    pub most: usize,
    /// Epochs of the replay's transactional id.
    pub epochs: u8,
}

/// Which letters were replayed, one bit each.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Position {
    /// All of them.
    pub done: u8,
    /// Those whose event was delivered by it.
    pub delivered: u8,
}

/// What one transaction writes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Records {
    /// An event that is delivered.
    pub event: Option<u8>,
    /// The event of a new letter.
    pub letter: Option<u8>,
    /// Which letters were replayed.
    pub position: Option<Position>,
}

/// Everything there is.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct State {
    /// The replay's transactional id.
    pub coordinator: Coordinator<Records>,
    /// The event of each letter in the dead-letter topic.
    pub letters: Vec<u8>,
    /// Events that were delivered.
    pub topic: Vec<u8>,
    /// Which letters were replayed.
    pub position: Position,
    /// Two processes.
    pub replays: [Process; 2],
}

/// One replay.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Process {
    /// What it does next.
    pub phase: Phase,
    /// The epoch of its producer.
    pub epoch: u8,
    /// Which letters were replayed, as far as it knows.
    pub position: Position,
    /// How many letters there were when it began.
    pub end: usize,
    /// Events whose ids it knows, one bit each.
    pub window: u8,
    /// The letter at hand.
    pub letter: usize,
    /// What is to be committed for it.
    pub records: Records,
}

/// Where a replay stands.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Phase {
    /// It does not run.
    #[default]
    Down,
    /// To fence.
    ToFence,
    /// To read which letters were replayed, and where the topic ends.
    ToRead,
    /// To make known which events were delivered.
    ToKnow,
    /// It takes letters.
    Runs,
    /// It waits for the answer.
    Asked,
    /// The same, of what became of the letter alone: only with [`Fault::PositionApart`].
    AskedApart,
    /// To write the position, by itself.
    ToMove,
}

/// What becomes of a letter.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fate {
    /// It is delivered, or dropped as one that was.
    Carried,
    /// It fails again; whether its id was read before that.
    Fails(bool),
}

/// One step; a number is that of the replay.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Action {
    /// It starts.
    Start(usize),
    /// It is killed, or ends.
    Kill(usize),
    /// It fences the one before.
    Fence(usize),
    /// It reads which letters were replayed, and where the topic ends.
    Read(usize),
    /// It reads the letters that were delivered.
    Know(usize),
    /// It takes its next letter, writes, and sends the commit.
    Take(usize, Fate),
    /// It writes the position by itself.
    Move(usize),
    /// It waits no longer for the answer: it opens again.
    TimeOut(usize),
    /// A commit under way arrives.
    Arrive(usize),
    /// The markers of a decided transaction are written.
    Complete,
    /// The broker ends an open transaction.
    Expire,
}

impl Replay {
    /// The model with its wrong variants.
    pub fn subject(size: Size) -> Subject<Self> {
        use Fault::*;
        let (most, epochs) = match size {
            Size::Short => (5, 3),
            Size::Full => (6, 4),
            Size::Deep => (7, 5),
        };
        // The last two are of one event.
        let letters = &[0, 1, 1];
        let wrong = |fault, words, breaks| {
            let model = Self { fault: Some(fault), letters, most: 5, epochs: 3 };
            Wrong { model, fault: words, breaks }
        };
        let wrong = vec![
            wrong(ReadBeforeFence, "what was replayed is read before the fence", ONCE),
            wrong(PositionApart, "the position is not in the transaction", ONCE),
            wrong(PositionIsNumber, "the position is the last letter, not a set", KEPT),
            wrong(DeliveredNotKnown, "what was delivered is not made known", ONCE),
            wrong(FailureIsDelivery, "a letter that failed again counts as delivered", KEPT),
            wrong(EndMoves, "the end moves while it reads", END),
        ];
        let right = Self { fault: None, letters, most, epochs };
        Subject { name: "replay of dead letters".into(), right, wrong }
    }

    fn has(&self, fault: Fault) -> bool {
        self.fault == Some(fault)
    }

    /// Where a replay begins, and begins again.
    fn first(&self) -> Process {
        let phase = if self.has(Fault::ReadBeforeFence) { Phase::ToRead } else { Phase::ToFence };
        Process { phase, ..Process::default() }
    }

    /// The letter that comes next. The second replay asks for the second letter alone.
    fn next(&self, state: &State, it: usize) -> Option<usize> {
        let replay = &state.replays[it];
        let end = if self.has(Fault::EndMoves) { state.letters.len() } else { replay.end };
        let is_chosen = |letter: &usize| it == 0 || *letter == 1;
        (0..end).filter(is_chosen).find(|letter| replay.position.done & (1 << letter) == 0)
    }

    fn step(&self, state: &mut State, action: Action) -> Option<()> {
        let next = match action {
            Action::Take(it, _) => self.next(state, it),
            _ => None,
        };
        let State { coordinator, letters, topic, position, replays } = state;
        match action {
            Action::Start(it) => replays[it] = self.first(),
            Action::Kill(it) => replays[it] = Process::default(),
            Action::Fence(it) => {
                replays[it].epoch = coordinator.fence()?;
                let has_read = self.has(Fault::ReadBeforeFence);
                replays[it].phase = if has_read { Phase::ToKnow } else { Phase::ToRead };
            }
            Action::Read(it) => {
                if coordinator.transaction.is_some() {
                    return None;
                }
                (replays[it].position, replays[it].end) = (*position, letters.len());
                let is_to_fence = self.has(Fault::ReadBeforeFence);
                replays[it].phase = if is_to_fence { Phase::ToFence } else { Phase::ToKnow };
            }
            Action::Know(it) => {
                let delivered = replays[it].position.delivered;
                if !self.has(Fault::DeliveredNotKnown) {
                    let events =
                        letters.iter().enumerate().filter(|(letter, _)| delivered & (1 << letter) != 0);
                    replays[it].window = events.fold(0, |known, (_, event)| known | 1 << event);
                }
                replays[it].phase = Phase::Runs;
            }
            Action::Take(it, fate) => {
                let letter = next?;
                self.judge(&mut replays[it], letter, letters[letter], fate);
                return self.write(state, it);
            }
            Action::Move(it) => return self.write(state, it),
            Action::TimeOut(it) => replays[it] = self.first(),
            Action::Arrive(request) => {
                let (epoch, counts) = match coordinator.arrive(request) {
                    Arrival::Committed(epoch) => (epoch, true),
                    Arrival::Refused(epoch) => (epoch, false),
                    Arrival::Void => return Some(()),
                };
                for replay in replays.iter_mut().filter(|replay| replay.awaits(epoch)) {
                    match replay.phase {
                        _ if !counts => *replay = self.first(),
                        Phase::AskedApart => replay.phase = Phase::ToMove,
                        _ => {
                            (replay.phase, replay.records, replay.letter) =
                                (Phase::Runs, Records::default(), 0)
                        }
                    }
                }
            }
            Action::Complete => {
                let records = coordinator.complete()?;
                topic.extend(records.event);
                letters.extend(records.letter);
                *position = records.position.unwrap_or(*position);
            }
            Action::Expire => coordinator.expire(),
        }
        Some(())
    }

    /// What becomes of a letter, and what is noted of it.
    fn judge(&self, replay: &mut Process, letter: usize, event: u8, fate: Fate) {
        let known = replay.window & (1 << event) != 0;
        let (mut records, mut is_delivered) = (Records::default(), false);
        match fate {
            Fate::Carried if known => {}
            Fate::Carried => {
                (records.event, is_delivered) = (Some(event), true);
                replay.window |= 1 << event;
            }
            Fate::Fails(id_was_read) => {
                // One that is known is dropped before its topic could refuse it.
                if !(id_was_read && known) {
                    records.letter = Some(event);
                    is_delivered = self.has(Fault::FailureIsDelivery);
                }
                replay.window |= u8::from(id_was_read) << event;
            }
        }
        let done = if self.has(Fault::PositionIsNumber) { (1 << (letter + 1)) - 1 } else { 1 << letter };
        replay.position.done |= done;
        replay.position.delivered |= u8::from(is_delivered) << letter;
        (replay.letter, replay.records) = (letter, records);
    }

    fn write(&self, state: &mut State, it: usize) -> Option<()> {
        let replay = &mut state.replays[it];
        let position = Some(replay.position);
        let (records, asked) = match replay.phase {
            Phase::ToMove => (Records { position, ..Records::default() }, Phase::Asked),
            _ if self.has(Fault::PositionApart) => (replay.records, Phase::AskedApart),
            _ => (Records { position, ..replay.records }, Phase::Asked),
        };
        let written = state.coordinator.write(replay.epoch, records)?;
        if written {
            replay.phase = asked
        } else {
            *replay = self.first()
        }
        Some(())
    }
}

impl Process {
    fn awaits(&self, epoch: u8) -> bool {
        self.epoch == epoch && matches!(self.phase, Phase::Asked | Phase::AskedApart)
    }
}
