//! A stream that is cut into another number of shards: the record changes in one step, new shards fence those before them, and begin
//! with what these left.
//!
//! What the model does is what `src/sink/kafka/inheriting.rs`, `src/model/legacy.rs` and `src/sink/kafka/placement/cutting.rs` do. Of each shard of
//! each cut there is a worker, which may stand still or be killed at any point, and open once more with a place that is out of date; of some
//! shards there are two, as where the group has moved one and the member that had it does not know yet. An event belongs to the shard that
//! its number chooses.
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
    /// Shards of which a second instance has a worker as well.
    pub twice: &'static [usize],
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
    /// What each shard of each cut has committed.
    pub left: Vec<Left>,
    /// Who works on them: the first of each, and then the second ones.
    pub workers: Vec<Worker>,
}

/// What works on a shard in one instance.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Worker {
    /// What it does next.
    pub phase: Phase,
    /// Whether its producer was fenced since it opened.
    pub is_fenced: bool,
    /// Where it goes on, and what it knows to be delivered.
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

/// One step of somebody; the first number is that of the worker, the second that of another shard.
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
        Self { fault: None, cuts, events, twice: &[] }
    }

    /// All that is searched: there and back, with the wrong variants; back alone, with two instances; and other numbers.
    pub fn subjects(size: Size) -> Vec<Subject<Self>> {
        let all: &[(&'static [u8], &'static [usize])] = match size {
            Size::Short => &[(&[1, 2, 1], &[]), (&[2, 1], &[2])],
            Size::Full => &[(&[1, 2, 1], &[]), (&[2, 1], &[0, 2]), (&[1, 2], &[0, 1]), (&[2, 3], &[])],
            Size::Deep => &[(&[1, 2, 1], &[1]), (&[2, 1], &[0, 2]), (&[1, 2], &[0, 1, 2]), (&[2, 3], &[])],
        };
        let subject = |&(cuts, twice): &(&'static [u8], &'static [usize])| {
            let numbers: Vec<String> = cuts.iter().map(ToString::to_string).collect();
            let shared = if twice.is_empty() { "" } else { ", run by two instances" };
            let name = format!("number of shards: {}{shared}", numbers.join(", then "));
            let wrong = if cuts.len() > 2 { Self::wrong() } else { Vec::new() };
            Subject { name, right: Self { twice, ..Self::right(cuts, size) }, wrong }
        };
        all.iter().map(subject).collect()
    }

    fn wrong() -> Vec<Wrong<Self>> {
        use Fault::*;
        let wrong = |fault, cuts, events, words, breaks| {
            let model = Self { fault: Some(fault), cuts, events, twice: &[] };
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

    /// How many shards there are in all cuts.
    fn count(&self) -> usize {
        self.cuts.iter().map(|shards| usize::from(*shards)).sum()
    }

    /// The shard of a worker.
    fn shard(&self, worker: usize) -> usize {
        worker.checked_sub(self.count()).map_or(worker, |second| self.twice[second])
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
        let workers = vec![Worker::default(); self.count() + self.twice.len()];
        let left = vec![Left::default(); self.count()];
        vec![State { record: Record::default(), decided: None, topic: Vec::new(), left, workers }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        match state.decided {
            Some(_) => actions.push(Action::Show),
            None if state.record.cut + 1 < self.cuts.len() => actions.push(Action::Cut),
            None => {}
        }
        // Whoever has announced a cut knows of it before others can read it.
        let known = state.decided.unwrap_or(state.record).cut;
        for (worker, it) in state.workers.iter().enumerate() {
            let next = match it.phase {
                Phase::Idle => {
                    if self.of(self.shard(worker)).0 <= known {
                        actions.push(Action::Open(worker));
                    }
                    continue;
                }
                Phase::Fenced => Some(Action::ReadRecord(worker)),
                Phase::ReadOwn => Some(Action::ReadOwn(worker)),
                Phase::FenceOld(old) => Some(Action::Fence(worker, old)),
                Phase::ReadOld(old) => Some(Action::Read(worker, old)),
                Phase::Claim | Phase::ClaimIds => Some(Action::Claim(worker)),
                Phase::Run => self.next_event(state, worker).map(|_| Action::Deliver(worker)),
            };
            actions.extend(next);
            actions.push(Action::Kill(worker));
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
        let who = |worker: usize| {
            let second = if worker < self.count() { "" } else { " (second instance)" };
            format!("{}{second}", name(self.shard(worker)))
        };
        match *action {
            Action::Cut => "a later configuration commits another number of shards to the record".into(),
            Action::Show => "its record becomes visible".into(),
            Action::Open(it) => format!("{} opens: it fences its own id", who(it)),
            Action::Kill(it) => format!("{} is killed", who(it)),
            Action::ReadRecord(it) => format!("{} reads the record", who(it)),
            Action::ReadOwn(it) => format!("{} reads its own checkpoint", who(it)),
            Action::Fence(it, old) => format!("{} fences {}", who(it), name(old)),
            Action::Read(it, old) => format!("{} reads what {} left", who(it), name(old)),
            Action::Claim(it) => format!("{} commits what it begins with, or is refused", who(it)),
            Action::Deliver(it) => format!("{} takes the next event and commits, or is refused", who(it)),
        }
    }
}

impl Told for Reshard {
    fn outcome(&self, state: &State) -> String {
        let events: Vec<String> = state.topic.iter().map(|event| format!("e{event}")).collect();
        let shards = state.left.iter().enumerate().map(|(shard, left)| {
            let (cut, index) = self.of(shard);
            let position = left.position.map_or("none".into(), |position| position.to_string());
            format!("cut {cut} shard {index}: {position}")
        });
        let shards: Vec<String> = shards.collect();
        format!("events that count: [{}]; positions: {}", events.join(" "), shards.join(", "))
    }
}
