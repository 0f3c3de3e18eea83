//! What a worker does in each of its phases.

use super::{Action, Fault, Left, Legacy, Phase, Record, Reshard, State, Worker};

impl Reshard {
    /// Takes a step; `None` where it cannot be taken at this moment.
    pub(super) fn take(&self, state: &mut State, action: Action) -> Option<()> {
        match action {
            Action::Cut => state.decided = Some(self.cut_anew(state)),
            Action::Show => state.record = state.decided.take()?,
            Action::Open(worker) => {
                self.fence(state, self.shard(worker));
                let asks = !self.has(Fault::NotAskedAfterFence);
                state.workers[worker].phase = if asks { Phase::Fenced } else { Phase::ReadOwn };
            }
            Action::Kill(worker) => state.stop(worker),
            Action::ReadRecord(worker) => {
                if state.decided.is_some() {
                    // It waits for the record's transaction to end.
                    return None;
                }
                let is_current = state.record.cut == self.of(self.shard(worker)).0;
                if is_current { state.workers[worker].phase = Phase::ReadOwn } else { state.stop(worker) }
            }
            Action::ReadOwn(worker) => self.read_own(state, worker),
            Action::Fence(worker, old) => {
                self.fence(state, old);
                let last = self.shards(self.of(old).0).end - 1;
                state.workers[worker].phase = match self.has(Fault::ReadBeforeFence) {
                    true => self.after_old(state, worker, old),
                    false if old < last => Phase::FenceOld(old + 1),
                    false => Phase::ReadOld(self.shards(self.of(old).0).start),
                };
            }
            Action::Read(worker, old) => {
                let left = state.left[old].clone();
                let it = &mut state.workers[worker];
                match left.position {
                    Some(_) => it.legacy.left.push(left),
                    None => it.legacy.never_opened += 1,
                }
                state.workers[worker].phase = match self.has(Fault::ReadBeforeFence) {
                    true => Phase::FenceOld(old),
                    false => self.after_old(state, worker, old),
                };
            }
            Action::Claim(worker) => self.claim(state, worker),
            Action::Deliver(worker) => self.deliver(state, worker)?,
        }
        Some(())
    }

    /// The record after the next cut, which keeps those before it down to one of which each shard was opened.
    fn cut_anew(&self, state: &State) -> Record {
        let Record { cut, kept: known } = state.record;
        let was_opened = |cut: usize| self.shards(cut).all(|shard| state.left[shard].position.is_some());
        let mut kept = 0;
        for before in 0..=known {
            kept += 1;
            if was_opened(cut - before) || self.has(Fault::ForgetsTooSoon) {
                break;
            }
        }
        Record { cut: cut + 1, kept }
    }

    fn read_own(&self, state: &mut State, worker: usize) {
        let shard = self.shard(worker);
        let (cut, _) = self.of(shard);
        let it = &mut state.workers[worker];
        it.own = state.left[shard].clone();
        it.phase = match it.own.position {
            Some(_) => Phase::Run,
            None if cut == 0 => Phase::Claim,
            None => self.old(cut - 1),
        };
    }

    /// The first checkpoint, with the ids that are taken over.
    fn claim(&self, state: &mut State, worker: usize) {
        let it = &mut state.workers[worker];
        if it.is_fenced {
            state.stop(worker);
            return;
        }
        let left = &mut state.left[self.shard(worker)];
        if it.phase == Phase::ClaimIds {
            left.ids = it.own.ids;
            it.phase = Phase::Run;
            return;
        }
        it.own = self.begin(&std::mem::take(&mut it.legacy));
        left.position = it.own.position;
        let apart = self.has(Fault::IdsApart) && it.own.ids != 0;
        if !apart {
            left.ids = it.own.ids;
        }
        it.phase = if apart { Phase::ClaimIds } else { Phase::Run };
    }

    /// The next event, its id and the checkpoint after it.
    fn deliver(&self, state: &mut State, worker: usize) -> Option<()> {
        let event = self.next_event(state, worker)?;
        let it = &mut state.workers[worker];
        if it.is_fenced {
            state.stop(worker);
            return Some(());
        }
        let left = &mut state.left[self.shard(worker)];
        let is_new = it.own.ids & (1 << event) == 0;
        it.own.ids |= 1 << event;
        it.own.position = Some(event + 1);
        left.position = it.own.position;
        left.ids |= u8::from(is_new) << event;
        state.topic.extend(is_new.then_some(event));
        Some(())
    }

    /// The next event of the shard's own.
    pub(super) fn next_event(&self, state: &State, worker: usize) -> Option<u8> {
        let position = state.workers[worker].own.position?;
        (position..self.events).find(|event| self.selects(self.shard(worker), *event))
    }

    /// The producers of this shard can do nothing any more. A worker that only writes stops when it is refused, which is the same as at
    /// once.
    fn fence(&self, state: &mut State, shard: usize) {
        for worker in (0..state.workers.len()).filter(|worker| self.shard(*worker) == shard) {
            match state.workers[worker].phase {
                Phase::Run | Phase::Claim | Phase::ClaimIds => state.stop(worker),
                Phase::Idle => {}
                _ => state.workers[worker].is_fenced = true,
            }
        }
    }

    /// What comes first of the shards of a cut before.
    fn old(&self, cut: usize) -> Phase {
        let first = self.shards(cut).start;
        match self.has(Fault::OldNotFenced) || self.has(Fault::ReadBeforeFence) {
            true => Phase::ReadOld(first),
            false => Phase::FenceOld(first),
        }
    }

    /// What comes after a shard of a cut before was read: the next of that cut; a cut further back where one of them was never opened and
    /// the record keeps it; or the claim.
    fn after_old(&self, state: &mut State, worker: usize, old: usize) -> Phase {
        let (cut, _) = self.of(old);
        if old + 1 < self.shards(cut).end {
            return Phase::ReadOld(old + 1);
        }
        // It stands in the record, which cannot have changed since without this worker being refused.
        let kept = state.record.kept;
        let is_kept = cut > 0 && self.of(self.shard(worker)).0 - (cut - 1) <= kept;
        let legacy = &mut state.workers[worker].legacy;
        if legacy.never_opened > 0 && is_kept {
            legacy.never_opened = 0;
            return self.old(cut - 1);
        }
        Phase::Claim
    }

    /// `Legacy::checkpoint`, of a stream that begins with the oldest event.
    fn begin(&self, legacy: &Legacy) -> Left {
        if legacy.left.is_empty() {
            // None of them was ever opened.
            return Left { position: Some(0), ids: 0 };
        }
        let positions = || legacy.left.iter().filter_map(|left| left.position);
        let least = if legacy.never_opened > 0 { Some(0) } else { positions().min() };
        let position = if self.has(Fault::MostAdvanced) { positions().max() } else { least };
        let known = |left: &&Left| !self.has(Fault::WindowsApart) || left.position == least;
        let ids = legacy.left.iter().filter(known).fold(0, |ids, left| ids | left.ids);
        Left { position, ids }
    }
}

impl State {
    /// The worker forgets everything.
    fn stop(&mut self, worker: usize) {
        self.workers[worker] = Worker::default();
    }
}
