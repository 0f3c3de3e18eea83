//! A stream that is cut into another number of shards: the record changes in one step, new shards fence those before them, and begin
//! with what these left.
//!
//! What the model does is what `src/sink/kafka/inheriting.rs`, `src/model/legacy.rs` and `src/sink/kafka/placement/cutting.rs` do. Of each shard of
//! each cut there is one worker, which may stand still or be killed at any point, and open once more with a place that is out of date. An
//! event belongs to the shard that its number chooses.
//!
//! A commit counts at once, or is refused since somebody else has fenced the worker. What lies in between matters to the shard itself,
//! and is in [`crate::shard`]. Openings are not counted, so there may be any number of them.

use stateright::{Model, Property};

use crate::search::{Size, Subject, Told, Wrong};

mod properties;
mod steps;

/// What is done wrongly.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Fault {
    /// New shards begin at the most advanced position of those before.
    MostAdvanced,
    /// New shards take over the ids of the least advanced shard only.
    WindowsApart,
    /// The shards before are read and not fenced.
    OldNotFenced,
    /// The shards before are read first, and then fenced.
    ReadBeforeFence,
    /// A shard that opens does not read the record after its fence.
    NotAskedAfterFence,
    /// The first checkpoint of a new shard and the ids it takes over are two transactions.
    IdsApart,
    /// The record forgets all cuts but the last one, whether or not its shards were opened.
    ForgetsTooSoon,
}

/// The model, and how far it goes.
#[derive(Clone, Debug)]
pub struct Reshard {
    /// What is done wrongly, if anything is.
    pub fault: Option<Fault>,
    /// Into how many shards the stream is cut, time after time; three times at most.
    pub cuts: &'static [u8],
    /// Events that the service has.
    pub events: u8,
}

/// What a shard has in the state topics.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Left {
    /// The position in its checkpoint; `None` where it has none.
    pub position: Option<u8>,
    /// The ids in its journal, one bit each.
    pub ids: u8,
}

/// The placement record.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Record {
    /// Which cut stands.
    pub cut: usize,
    /// How many cuts before it are kept.
    pub kept: usize,
}

/// Everything there is.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct State {
    /// The record as readers see it.
    pub record: Record,
    /// One that counts, whose markers are not written yet.
    pub decided: Option<Record>,
    /// Events, as a `read_committed` consumer has them.
    pub topic: Vec<u8>,
    /// All shards of all cuts.
    pub shards: Vec<ShardState>,
}

/// One shard of one cut: its state in Kafka, and its worker.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct ShardState {
    /// What it has committed.
    pub left: Left,
    /// What its worker does next.
    pub phase: Phase,
    /// Whether the worker's producer was fenced since it opened.
    pub is_fenced: bool,
    /// Where the worker goes on, and what it knows to be delivered.
    pub own: Left,
    /// What it found of the shards before.
    pub legacy: Legacy,
}

/// What was read of the shards before, so far.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Legacy {
    /// What each of them left.
    pub left: Vec<Left>,
    /// How many of the cut at hand have no checkpoint.
    pub never_opened: u8,
}

/// Where a worker stands.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Phase {
    /// It does not run, or was fenced, or has given up: it may open at any time.
    #[default]
    Idle,
    /// It has fenced its own id; to read the record.
    Fenced,
    /// To read its own checkpoint.
    ReadOwn,
    /// To fence the shard of this number, of a cut before.
    FenceOld(usize),
    /// To read it.
    ReadOld(usize),
    /// To commit its first checkpoint.
    Claim,
    /// To commit what it takes over, by itself: only with [`Fault::IdsApart`].
    ClaimIds,
    /// It takes events.
    Run,
}

/// One step of somebody; a number is that of the shard.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Action {
    /// A later configuration announces itself.
    Cut,
    /// Its record becomes visible.
    Show,
    /// A worker opens: it fences its own id.
    Open(usize),
    /// `kill -9`.
    Kill(usize),
    /// It reads the record.
    ReadRecord(usize),
    /// It reads its own checkpoint.
    ReadOwn(usize),
    /// It fences another shard.
    Fence(usize, usize),
    /// It reads what another shard left.
    Read(usize, usize),
    /// It commits its first checkpoint.
    Claim(usize),
    /// It commits its next event.
    Deliver(usize),
}

impl Reshard {
    /// As the connector does it.
    pub fn right(cuts: &'static [u8], size: Size) -> Self {
        let events = match size {
            Size::Short => 2,
            Size::Full => 3,
            Size::Deep => 4,
        };
        Self { fault: None, cuts, events }
    }

    /// All that is searched: there and back, with the wrong variants, and other numbers.
    pub fn subjects(size: Size) -> Vec<Subject<Self>> {
        let mut all: Vec<&'static [u8]> = vec![&[1, 2, 1], &[2, 1]];
        if size != Size::Short {
            all.push(&[2, 3]);
        }
        let subject = |cuts: &'static [u8]| {
            let numbers: Vec<String> = cuts.iter().map(ToString::to_string).collect();
            let name = format!("number of shards: {}", numbers.join(", then "));
            let wrong = if cuts.len() > 2 { Self::wrong() } else { Vec::new() };
            Subject { name, right: Self::right(cuts, size), wrong }
        };
        all.into_iter().map(subject).collect()
    }

    fn wrong() -> Vec<Wrong<Self>> {
        use Fault::*;
        let wrong = |fault, cuts, events, words, breaks| {
            let model = Self { fault: Some(fault), cuts, events };
            Wrong { model, fault: words, breaks }
        };
        let (there, back): (&[u8], &[u8]) = (&[1, 2], &[2, 1]);
        vec![
            wrong(MostAdvanced, back, 2, "new shards begin at the most advanced position", properties::LOST),
            wrong(WindowsApart, back, 2, "the windows are not united", properties::TWICE),
            wrong(OldNotFenced, there, 2, "the shards before are not fenced", properties::TWICE),
            wrong(
                ReadBeforeFence,
                there,
                2,
                "the shards before are read before they are fenced",
                properties::TWICE,
            ),
            wrong(
                NotAskedAfterFence,
                there,
                2,
                "the record is not read after the fence",
                properties::LETS_GO,
            ),
            wrong(
                IdsApart,
                back,
                2,
                "what is taken over is committed after the checkpoint",
                properties::TWICE,
            ),
            wrong(
                ForgetsTooSoon,
                &[1, 2, 1],
                1,
                "a cut is forgotten although shards of the one after it were never opened",
                properties::TWICE,
            ),
        ]
    }

    fn has(&self, fault: Fault) -> bool {
        self.fault == Some(fault)
    }

    /// The cut of a shard, and its index there.
    fn of(&self, shard: usize) -> (usize, u8) {
        let mut first = 0;
        for (cut, shards) in self.cuts.iter().enumerate() {
            let next = first + usize::from(*shards);
            if shard < next {
                return (cut, (shard - first) as u8);
            }
            first = next;
        }
        (self.cuts.len(), 0)
    }

    /// The shards of a cut.
    fn shards(&self, cut: usize) -> std::ops::Range<usize> {
        let first = self.cuts[..cut].iter().map(|shards| usize::from(*shards)).sum();
        first..first + usize::from(self.cuts[cut])
    }

    /// Whether an event is one of this shard.
    fn selects(&self, shard: usize, event: u8) -> bool {
        let (cut, index) = self.of(shard);
        event % self.cuts[cut] == index
    }
}

impl Model for Reshard {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let shards = self.cuts.iter().map(|shards| usize::from(*shards)).sum();
        let shards = vec![ShardState::default(); shards];
        vec![State { record: Record::default(), decided: None, topic: Vec::new(), shards }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        match state.decided {
            Some(_) => actions.push(Action::Show),
            None if state.record.cut + 1 < self.cuts.len() => actions.push(Action::Cut),
            None => {}
        }
        // Whoever has announced a cut knows of it before others can read it.
        let known = state.decided.unwrap_or(state.record).cut;
        for (shard, it) in state.shards.iter().enumerate() {
            let next = match it.phase {
                Phase::Idle => {
                    if self.of(shard).0 <= known {
                        actions.push(Action::Open(shard));
                    }
                    continue;
                }
                Phase::Fenced => Some(Action::ReadRecord(shard)),
                Phase::ReadOwn => Some(Action::ReadOwn(shard)),
                Phase::FenceOld(old) => Some(Action::Fence(shard, old)),
                Phase::ReadOld(old) => Some(Action::Read(shard, old)),
                Phase::Claim | Phase::ClaimIds => Some(Action::Claim(shard)),
                Phase::Run => self.next_event(state, shard).map(|_| Action::Deliver(shard)),
            };
            actions.extend(next);
            actions.push(Action::Kill(shard));
        }
    }

    fn next_state(&self, before: &State, action: Action) -> Option<State> {
        let mut state = before.clone();
        self.take(&mut state, action)?;
        (state != *before).then_some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        properties::all(self)
    }

    fn format_action(&self, action: &Action) -> String {
        let name = |shard: usize| {
            let (cut, index) = self.of(shard);
            format!("shard {index} of cut {cut}")
        };
        match *action {
            Action::Cut => "a later configuration commits another number of shards to the record".into(),
            Action::Show => "its record becomes visible".into(),
            Action::Open(shard) => format!("{} opens: it fences its own id", name(shard)),
            Action::Kill(shard) => format!("{} is killed", name(shard)),
            Action::ReadRecord(shard) => format!("{} reads the record", name(shard)),
            Action::ReadOwn(shard) => format!("{} reads its own checkpoint", name(shard)),
            Action::Fence(shard, old) => format!("{} fences {}", name(shard), name(old)),
            Action::Read(shard, old) => format!("{} reads what {} left", name(shard), name(old)),
            Action::Claim(shard) => format!("{} commits what it begins with, or is refused", name(shard)),
            Action::Deliver(shard) => {
                format!("{} takes the next event and commits, or is refused", name(shard))
            }
        }
    }
}

impl Told for Reshard {
    fn outcome(&self, state: &State) -> String {
        let events: Vec<String> = state.topic.iter().map(|event| format!("e{event}")).collect();
        let shards = state.shards.iter().enumerate().map(|(shard, it)| {
            let (cut, index) = self.of(shard);
            let position = it.left.position.map_or("none".into(), |position| position.to_string());
            format!("cut {cut} shard {index}: {position}")
        });
        let shards: Vec<String> = shards.collect();
        format!("events that count: [{}]; positions: {}", events.join(" "), shards.join(", "))
    }
}
