//! The placement record: processes that start at once put their streams into it.
//!
//! What the model does is what `src/sink/kafka/placement.rs` and `placement/record.rs` do: fence the record's own transactional id, read, decide,
//! commit. A member of a group first looks without a fence, and changes nothing where its stream stands there already. A process may
//! stand still or be killed at any point; a commit may arrive late and its answer be lost; the process then announces itself again.

use stateright::{Model, Property};

use crate::broker::{Arrival, Coordinator};
use crate::search::{Size, Subject, Told, Wrong};

const APART: &str = "no two streams in one partition";
const KEPT: &str = "what a process was told stands";

/// What is done wrongly.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Fault {
    /// Nobody is fenced: the record is read, and written without a transaction.
    NoFence,
    /// The record is read first, and then others are fenced.
    ReadBeforeFence,
    /// A commit without an answer is taken to have landed.
    UnknownIsDone,
}

/// The model, and how far it goes.
#[derive(Clone, Debug)]
pub struct Placement {
    /// What is done wrongly, if anything is.
    pub fault: Option<Fault>,
    /// The stream that each process wants.
    pub wants: &'static [usize],
    /// Epochs of the record's transactional id.
    pub epochs: u8,
}

/// The partition of each stream; `None` where it was never placed.
pub type Record = Vec<Option<u8>>;

/// Everything there is.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct State {
    /// The record's transactional id.
    pub coordinator: Coordinator<Record>,
    /// The record as readers see it.
    pub record: Record,
    /// The processes.
    pub processes: Vec<Process>,
}

/// One process.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Process {
    /// What it does next.
    pub phase: Phase,
    /// The epoch of its producer.
    pub epoch: u8,
    /// What it read or, later, what it writes and goes by.
    pub record: Record,
}

/// Where a process stands.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Phase {
    /// To begin.
    #[default]
    Begin,
    /// To fence.
    ToFence,
    /// To read the record.
    ToRead,
    /// To write it, with its own stream.
    ToWrite,
    /// It waits for the answer.
    Asked,
    /// It runs its stream where the record says.
    Runs,
}

/// One step; a number is that of the process.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Action {
    /// It looks into the record, before it fences anybody.
    Look(usize),
    /// It fences the other announcers.
    Fence(usize),
    /// It reads the record.
    Read(usize),
    /// It writes the record and sends the commit.
    Write(usize),
    /// It waits no longer for the answer.
    TimeOut(usize),
    /// It is killed, and starts again.
    Kill(usize),
    /// A commit under way arrives.
    Arrive(usize),
    /// The markers of a decided transaction are written.
    Complete,
    /// The broker ends an open transaction.
    Expire,
}

impl Placement {
    /// The model with its wrong variants.
    pub fn subject(size: Size) -> Subject<Self> {
        let epochs = match size {
            Size::Short => 4,
            Size::Full => 6,
            Size::Deep => 8,
        };
        // The third one is another member for the first one's stream.
        let right = Self { fault: None, wants: &[0, 1, 0], epochs };
        let wrong = |fault, words, breaks| {
            let model = Self { fault: Some(fault), wants: &[0, 1], epochs: 4 };
            Wrong { model, fault: words, breaks }
        };
        let wrong = vec![
            wrong(Fault::NoFence, "placement without a fence", APART),
            wrong(Fault::ReadBeforeFence, "the record is read before the fence", APART),
            wrong(Fault::UnknownIsDone, "a commit without an answer is taken to have landed", APART),
        ];
        Subject { name: "placement record".into(), right, wrong }
    }

    fn has(&self, fault: Fault) -> bool {
        self.fault == Some(fault)
    }

    /// `Record::announce`: a stream that is known keeps its partition, another one gets the lowest that is free.
    fn announce(&self, process: usize, record: &Record) -> Record {
        let mut record = record.clone();
        let stream = self.wants[process];
        if record[stream].is_none() {
            let free = (0..).find(|partition| !record.contains(&Some(*partition)));
            record[stream] = free;
        }
        record
    }

    fn step(&self, state: &mut State, action: Action) -> Option<()> {
        let State { coordinator, record, processes } = state;
        match action {
            Action::Look(it) => {
                if coordinator.transaction.is_some() {
                    // It waits for the end of the announcement that is under way.
                    return None;
                }
                let is_known = record[self.wants[it]].is_some();
                let process = &mut processes[it];
                if is_known {
                    (process.phase, process.record) = (Phase::Runs, record.clone());
                } else {
                    process.phase = self.first();
                }
            }
            Action::Fence(it) => {
                processes[it].epoch = coordinator.fence()?;
                let has_read = self.has(Fault::ReadBeforeFence);
                processes[it].phase = if has_read { Phase::ToWrite } else { Phase::ToRead };
            }
            Action::Read(it) => {
                if coordinator.transaction.is_some() {
                    return None;
                }
                processes[it].record = record.clone();
                let is_to_fence = self.has(Fault::ReadBeforeFence);
                processes[it].phase = if is_to_fence { Phase::ToFence } else { Phase::ToWrite };
            }
            Action::Write(it) => {
                let after = self.announce(it, &processes[it].record);
                if self.has(Fault::NoFence) {
                    *record = after.clone();
                    (processes[it].phase, processes[it].record) = (Phase::Runs, after);
                    return Some(());
                }
                let written = coordinator.write(processes[it].epoch, after.clone())?;
                match written {
                    true => (processes[it].phase, processes[it].record) = (Phase::Asked, after),
                    false => processes[it] = self.again(),
                }
            }
            Action::TimeOut(it) => match self.has(Fault::UnknownIsDone) {
                true => processes[it].phase = Phase::Runs,
                false => processes[it] = self.again(),
            },
            Action::Kill(it) => processes[it] = Process::default(),
            Action::Arrive(request) => {
                let (epoch, counts) = match coordinator.arrive(request) {
                    Arrival::Committed(epoch) => (epoch, true),
                    Arrival::Refused(epoch) => (epoch, false),
                    Arrival::Void => return Some(()),
                };
                for process in processes.iter_mut().filter(|process| process.awaits(epoch)) {
                    if counts {
                        process.phase = Phase::Runs
                    } else {
                        *process = self.again()
                    }
                    process.epoch = 0;
                }
            }
            Action::Complete => *record = coordinator.complete()?,
            Action::Expire => coordinator.expire(),
        }
        Some(())
    }

    fn first(&self) -> Phase {
        let reads = self.has(Fault::NoFence) || self.has(Fault::ReadBeforeFence);
        if reads { Phase::ToRead } else { Phase::ToFence }
    }

    /// Another announcer was quicker, or nobody knows: it begins again.
    fn again(&self) -> Process {
        Process { phase: self.first(), ..Process::default() }
    }
}

impl Process {
    fn awaits(&self, epoch: u8) -> bool {
        self.phase == Phase::Asked && self.epoch == epoch
    }
}

impl State {
    /// The record that counts.
    fn counted(&self) -> &Record {
        self.coordinator.decided().unwrap_or(&self.record)
    }
}

impl Model for Placement {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let streams = self.wants.iter().max().map_or(0, |last| last + 1);
        vec![State {
            coordinator: Coordinator::default(),
            record: vec![None; streams],
            processes: vec![Process::default(); self.wants.len()],
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        let may_fence = state.coordinator.epoch < self.epochs;
        for (it, process) in state.processes.iter().enumerate() {
            match process.phase {
                Phase::Begin => actions.push(Action::Look(it)),
                Phase::ToFence if may_fence => actions.push(Action::Fence(it)),
                Phase::ToFence | Phase::Runs => {}
                Phase::ToRead => actions.push(Action::Read(it)),
                Phase::ToWrite => actions.push(Action::Write(it)),
                Phase::Asked => actions.push(Action::TimeOut(it)),
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
        let State { coordinator, processes, .. } = &mut state;
        coordinator.forget(|epoch| processes.iter().any(|process| process.awaits(epoch)));
        (state != *before).then_some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut all: Vec<Property<Self>> = vec![
            // docs/exactly-once.md: "Each partition belongs to one shard alone".
            Property::<Self>::always(APART, |model, state| {
                let runs = (0..model.wants.len()).filter(|it| state.processes[*it].phase == Phase::Runs);
                let mut taken: Vec<(u8, usize)> = runs
                    .map(|it| (model.wants[it], &state.processes[it].record))
                    .chain((0..state.record.len()).map(|stream| (stream, state.counted())))
                    .filter_map(|(stream, record)| Some((record[stream]?, stream)))
                    .collect();
                taken.sort_unstable();
                taken.dedup();
                taken.windows(2).all(|pair| pair[0].0 != pair[1].0)
            }),
            // docs/exactly-once.md: "Announcements stand one after the other", and: "A known shard keeps its partition, whatever is added to
            // the configuration."
            Property::<Self>::always(KEPT, |model, state| {
                let runs = |it: &usize| state.processes[*it].phase == Phase::Runs;
                let stands = |it: usize| {
                    let stream = model.wants[it];
                    state.processes[it].record[stream] == state.counted()[stream]
                };
                (0..model.wants.len()).filter(runs).all(stands)
            }),
            Property::<Self>::sometimes("all run", |_, state| {
                state.processes.iter().all(|process| process.phase == Phase::Runs)
            }),
            Property::<Self>::sometimes("an announcement is under way that was fenced", |_, state| {
                state.coordinator.requests.iter().any(|epoch| *epoch < state.coordinator.epoch)
            }),
            Property::<Self>::sometimes(
                "what a lost answer was about stands in the record",
                |model, state| {
                    let found = |it: usize| {
                        let process = &state.processes[it];
                        process.phase == Phase::ToWrite && process.record[model.wants[it]].is_some()
                    };
                    (0..model.wants.len()).any(found)
                },
            ),
        ];
        if self.wants.len() > 2 {
            all.push(Property::<Self>::sometimes("a member looks, and changes nothing", |model, state| {
                let runs = |it: usize| state.processes[it].phase == Phase::Runs;
                runs(2) && !runs(0) && state.coordinator.epoch == 1 && model.wants[2] == model.wants[0]
            }));
        }
        all
    }

    fn format_action(&self, action: &Action) -> String {
        let name = |it: usize| format!("the process for stream {} ({})", self.wants[it], it + 1);
        match *action {
            Action::Look(it) => format!("{} looks into the record", name(it)),
            Action::Fence(it) => format!("{} fences other announcers", name(it)),
            Action::Read(it) => format!("{} reads the record", name(it)),
            Action::Write(it) => {
                format!("{} writes the record with its stream in it, or is refused", name(it))
            }
            Action::TimeOut(it) => format!("{} waits no longer for the answer", name(it)),
            Action::Kill(it) => format!("{} is killed, and starts again", name(it)),
            Action::Arrive(_) => "a commit under way arrives at the broker".into(),
            Action::Complete => "the markers of the committed transaction are written".into(),
            Action::Expire => "the broker ends the open transaction".into(),
        }
    }
}

impl Told for Placement {
    fn outcome(&self, state: &State) -> String {
        let show = |record: &Record| {
            let placed = record.iter().enumerate().filter_map(|(stream, at)| Some((stream, (*at)?)));
            let placed: Vec<String> =
                placed.map(|(stream, at)| format!("stream {stream} in partition {at}")).collect();
            if placed.is_empty() { "nothing".into() } else { placed.join(", ") }
        };
        let runs = state.processes.iter().enumerate().filter(|(_, process)| process.phase == Phase::Runs);
        let runs: Vec<String> = runs
            .map(|(it, process)| format!("process {} goes by: {}", it + 1, show(&process.record)))
            .collect();
        format!("the record has {}; {}", show(state.counted()), runs.join("; "))
    }
}
