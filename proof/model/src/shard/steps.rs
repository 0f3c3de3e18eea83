//! What an instance can do, and what follows.

use super::{Action, BATCH, Checkpoint, Commit, Fault, Instance, Ownership, Phase, Records, Shard, State};

impl Shard {
    /// The steps that an instance may take now.
    pub(super) fn choices(
        &self,
        state: &State,
        number: usize,
        instance: &Instance,
        actions: &mut Vec<Action>,
    ) {
        let may_fence = state.coordinator.epoch < self.epochs;
        if instance.phase != Phase::Down {
            actions.push(Action::Kill(number));
        }
        match instance.phase {
            Phase::Down | Phase::GaveUp if may_fence && state.record < self.epochs => {
                actions.push(Action::Start(number));
            }
            Phase::Open if may_fence => actions.push(Action::Fence(number)),
            Phase::Down | Phase::GaveUp | Phase::Open => {}
            Phase::Fenced => actions.push(Action::Ask(number)),
            Phase::ReadCheckpoint => actions.push(Action::ReadCheckpoint(number)),
            Phase::ReadIds => actions.push(Action::ReadIds(number)),
            Phase::Claim(commit) | Phase::Events(commit) | Phase::Batch(commit) => match commit {
                Commit::ToWrite => actions.push(Action::Write(number)),
                Commit::Asked => actions.push(Action::TimeOut(number)),
            },
            Phase::Run => {
                let position = instance.last.map_or(0, |last| last.position);
                let fits = |lines: &u8, first: u8| first + lines <= self.events;
                let on = (1..=BATCH).filter(|lines| fits(lines, position));
                actions.extend(on.map(|lines| Action::Take(number, lines, false)));
                if state.repeats > 0 && position > 0 {
                    let back = (1..=BATCH).filter(|lines| fits(lines, position - 1));
                    actions.extend(back.map(|lines| Action::Take(number, lines, true)));
                }
            }
            Phase::Diagnose => actions.push(Action::Diagnose(number)),
        }
    }

    /// Takes one; `None` where it cannot be taken at this moment.
    pub(super) fn step(&self, state: &mut State, action: Action) -> Option<()> {
        let State { coordinator, instances, .. } = state;
        match action {
            Action::Start(number) => {
                if self.ownership == Ownership::Static {
                    state.record += 1;
                }
                let phase = self.first();
                instances[number] = Instance { phase, name: state.record, ..Instance::default() };
            }
            Action::Kill(number) => instances[number] = Instance::default(),
            Action::Fence(number) => {
                let instance = &mut instances[number];
                instance.epoch = coordinator.fence()?;
                if instance.owner == 0 {
                    instance.owner = instance.epoch;
                }
                instance.phase = self.after_fence(instance);
            }
            Action::Ask(number) => {
                let instance = &mut instances[number];
                let is_rightful = instance.name == state.record;
                if is_rightful { instance.phase = Phase::ReadCheckpoint } else { instance.give_up() }
            }
            Action::ReadCheckpoint(number) => {
                if coordinator.transaction.is_some() {
                    // It waits for its end.
                    return None;
                }
                let found = state.checkpoints.iter().copied().max_by_key(|found| found.sequence);
                self.read_back(&mut instances[number], found);
            }
            Action::ReadIds(number) => {
                let instance = &mut instances[number];
                if !self.has(Fault::WindowNotReadBack) {
                    instance.window = state.journal;
                }
                instance.phase = match self.has(Fault::ReadBeforeFence) {
                    true => Phase::Open,
                    false => Phase::Claim(Commit::ToWrite),
                };
            }
            Action::Take(number, lines, repeats) => {
                instances[number].take(lines, repeats);
                state.repeats -= u8::from(repeats);
                self.begin_batch(&mut instances[number]);
                self.write(state, number)?;
            }
            Action::Write(number) => self.write(state, number)?,
            Action::TimeOut(number) => match (self.has(Fault::ProducerReused), instances[number].phase) {
                (true, Phase::Batch(_)) => instances[number].phase = Phase::Batch(Commit::ToWrite),
                _ => instances[number].open_again(self.first()),
            },
            Action::Diagnose(number) => match self.is_gone(state, &state.instances[number]) {
                true => state.instances[number].give_up(),
                false => state.instances[number].open_again(self.first()),
            },
            Action::Arrive(_) | Action::Complete | Action::Expire => return None,
        }
        Some(())
    }

    /// Writes the transaction that is due.
    fn write(&self, state: &mut State, number: usize) -> Option<()> {
        let instance = &mut state.instances[number];
        let written = state.coordinator.write(instance.epoch, self.records(instance))?;
        instance.phase = match instance.phase {
            _ if !written => Phase::Diagnose,
            Phase::Batch(_) => Phase::Batch(Commit::Asked),
            Phase::Events(_) => Phase::Events(Commit::Asked),
            _ => Phase::Claim(Commit::Asked),
        };
        Some(())
    }

    /// What an opening begins with.
    fn first(&self) -> Phase {
        if self.has(Fault::ReadBeforeFence) { Phase::ReadCheckpoint } else { Phase::Open }
    }

    fn after_fence(&self, instance: &mut Instance) -> Phase {
        if self.has(Fault::ReadBeforeFence) {
            return Phase::Claim(Commit::ToWrite);
        }
        if self.has(Fault::ReopenBlind) && instance.last.is_some() {
            instance.found = instance.last;
            return Phase::Claim(Commit::ToWrite);
        }
        match self.ownership {
            Ownership::Static if !self.has(Fault::NotAskedAfterFence) => Phase::Fenced,
            _ => Phase::ReadCheckpoint,
        }
    }

    /// `open_shard` and `reopen_shard`, behind the fence.
    fn read_back(&self, instance: &mut Instance, found: Option<Checkpoint>) {
        let Some(last) = instance.last else {
            instance.claims_from = found.map_or(0, |found| found.sequence + 1);
            instance.found = found;
            instance.phase = Phase::ReadIds;
            return;
        };
        let is_foreign =
            |found: &Checkpoint| found.owner != instance.owner && found.sequence >= last.sequence;
        if found.as_ref().is_some_and(is_foreign) && !self.has(Fault::OvertakenIgnored) {
            // Overtaken: the shard is opened afresh, and nothing in memory counts.
            *instance = Instance { phase: self.first(), name: instance.name, ..Instance::default() };
            return;
        }
        instance.found = found.filter(|found| found.sequence >= last.sequence).or(Some(last));
        instance.phase = match self.has(Fault::ReadBeforeFence) {
            true => Phase::Open,
            false => Phase::Claim(Commit::ToWrite),
        };
    }

    /// What goes into the transaction that is to be written.
    fn records(&self, instance: &Instance) -> Records {
        let nothing = Records { events: Vec::new(), ids: 0, checkpoint: None };
        let ids = match self.has(Fault::NoJournal) {
            true => 0,
            false => instance.batch.iter().fold(0, |ids, event| ids | 1 << event),
        };
        let (events, checkpoint) = (instance.batch.clone(), instance.attempted);
        match instance.phase {
            Phase::Events(_) => Records { events, ..nothing },
            Phase::Batch(_) if self.has(Fault::CheckpointApart) => Records { ids, checkpoint, ..nothing },
            Phase::Batch(_) => Records { events, ids, checkpoint },
            _ => Records { checkpoint: Some(instance.claim()), ..nothing },
        }
    }

    /// The broker has answered the commit of this epoch.
    pub(super) fn hear(&self, instance: &mut Instance, epoch: u8, counts: bool) {
        if !instance.awaits(epoch) {
            return;
        }
        match instance.phase {
            _ if !counts => instance.phase = Phase::Diagnose,
            Phase::Claim(_) => self.claimed(instance),
            Phase::Events(_) => instance.phase = Phase::Batch(Commit::ToWrite),
            _ => {
                instance.last = instance.attempted;
                instance.landed();
            }
        }
    }

    /// The claim counts: the shard is open, or open again.
    fn claimed(&self, instance: &mut Instance) {
        let (claim, attempted) = (instance.claim(), instance.attempted);
        let landed = attempted.is_some_and(|attempted| match self.has(Fault::LandedBySequence) {
            true => instance.found.is_some_and(|found| found.sequence >= attempted.sequence),
            false => claim.carries(attempted),
        });
        instance.claims_from = claim.sequence + 1;
        (instance.last, instance.found) = (Some(claim), None);
        match attempted {
            Some(attempted) if !landed => {
                instance.attempted = Some(Checkpoint { sequence: claim.sequence + 1, ..attempted });
                self.begin_batch(instance);
            }
            _ => instance.landed(),
        }
    }

    /// A batch is to be committed.
    fn begin_batch(&self, instance: &mut Instance) {
        let apart = self.has(Fault::CheckpointApart) && !instance.batch.is_empty();
        instance.phase = if apart { Phase::Events(Commit::ToWrite) } else { Phase::Batch(Commit::ToWrite) };
    }

    /// Whether somebody else has the shard. A fence does not tell: the broker may have ended the transaction.
    fn is_gone(&self, state: &State, instance: &Instance) -> bool {
        let foreign = state.checkpoints.iter().filter(|found| found.owner != instance.owner);
        match self.ownership {
            Ownership::Static => instance.name != state.record,
            Ownership::Group if self.has(Fault::OwnNameOnly) => {
                let latest = state.checkpoints.last();
                latest.is_some_and(|latest| latest.owner != instance.owner)
            }
            Ownership::Group => foreign.into_iter().any(|found| found.sequence >= instance.claims_from),
        }
    }
}

impl Instance {
    /// Whether it waits for the answer of this commit.
    pub(super) fn awaits(&self, epoch: u8) -> bool {
        let asked = [Phase::Claim(Commit::Asked), Phase::Events(Commit::Asked), Phase::Batch(Commit::Asked)];
        self.epoch == epoch && asked.contains(&self.phase)
    }

    /// The producer is not used any more; the batch is kept.
    fn open_again(&mut self, phase: Phase) {
        (self.phase, self.epoch, self.found) = (phase, 0, None);
    }

    /// Nothing is kept but what tells whether that was right.
    fn give_up(&mut self) {
        let Self { name, owner, claims_from, .. } = *self;
        *self = Self { phase: Phase::GaveUp, name, owner, claims_from, ..Self::default() };
    }

    /// The claim on what was found: one step on, under its own name.
    fn claim(&self) -> Checkpoint {
        let (owner, name) = (self.owner, self.name);
        match self.found {
            None => Checkpoint { sequence: 1, owner, name, position: 0, lines: 0 },
            Some(found) => Checkpoint { sequence: found.sequence + 1, owner, name, ..found },
        }
    }

    /// Lines come, from where the last commit stands or one before it: what is new of them is the batch.
    fn take(&mut self, lines: u8, repeats: bool) {
        let Some(last) = self.last else { return };
        let first = last.position - u8::from(repeats);
        let is_new = |event: &u8| self.window & (1 << event) == 0;
        self.batch = (first..first + lines).filter(is_new).collect();
        let (sequence, position, lines) = (last.sequence + 1, first + lines, last.lines + lines);
        let (owner, name) = (self.owner, self.name);
        self.attempted = Some(Checkpoint { sequence, owner, name, position, lines });
    }

    /// The batch counts, if there was one.
    fn landed(&mut self) {
        self.window = self.batch.iter().fold(self.window, |window, event| window | 1 << event);
        self.batch.clear();
        self.attempted = None;
        self.phase = Phase::Run;
    }
}

impl State {
    /// Readers see these records from now on.
    pub(super) fn show(&mut self, records: Records) {
        self.topic.extend(records.events);
        self.journal |= records.ids;
        self.checkpoints.extend(records.checkpoint);
        if self.checkpoints.len() > 2 {
            self.checkpoints.remove(0);
        }
    }
}

/// An action in words.
pub(super) fn words(action: Action) -> String {
    let who = |number: usize| if number == 0 { "A" } else { "B" };
    match action {
        Action::Start(it) => format!("{} starts", who(it)),
        Action::Kill(it) => format!("{} is killed", who(it)),
        Action::Fence(it) => format!("{} fences: init_transactions", who(it)),
        Action::Ask(it) => format!("{} reads the placement record", who(it)),
        Action::ReadCheckpoint(it) => format!("{} reads the checkpoint", who(it)),
        Action::ReadIds(it) => format!("{} reads the ids", who(it)),
        Action::Take(it, lines, repeats) => format!(
            "{} receives {lines} line{}{}, writes the batch and sends the commit, or is refused",
            who(it),
            if lines == 1 { "" } else { "s" },
            if repeats { ", of which the service repeats the first" } else { "" },
        ),
        Action::Write(it) => format!("{} writes its records and sends the commit, or is refused", who(it)),
        Action::TimeOut(it) => format!("{} waits no longer for the answer", who(it)),
        Action::Diagnose(it) => format!("{}, which was fenced, asks by whom", who(it)),
        Action::Arrive(_) => "a commit under way arrives at the broker".into(),
        Action::Complete => "the markers of the committed transaction are written".into(),
        Action::Expire => "the broker ends the open transaction: transaction_timeout".into(),
    }
}
