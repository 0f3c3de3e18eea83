//! What a worker does in each of its phases.

use super::{Action, Fault, Left, Legacy, Phase, Record, Reshard, State};

impl Reshard {
    /// Takes a step; `None` where it cannot be taken at this moment.
    pub(super) fn take(&self, state: &mut State, action: Action) -> Option<()> {
        match action {
            Action::Cut => state.decided = Some(self.cut_anew(state)),
            Action::Show => state.record = state.decided.take()?,
            Action::Open(shard) => {
                let asks = !self.has(Fault::NotAskedAfterFence);
                state.shards[shard].phase = if asks { Phase::Fenced } else { Phase::ReadOwn };
            }
            Action::Kill(shard) => state.stop(shard),
            Action::ReadRecord(shard) => {
                if state.decided.is_some() {
                    // It waits for the record's transaction to end.
                    return None;
                }
                let is_current = state.record.cut == self.of(shard).0;
                if is_current { state.shards[shard].phase = Phase::ReadOwn } else { state.stop(shard) }
            }
            Action::ReadOwn(shard) => self.read_own(state, shard),
            Action::Fence(shard, old) => {
                state.fence(old);
                let last = self.shards(self.of(old).0).end - 1;
                state.shards[shard].phase = match self.has(Fault::ReadBeforeFence) {
                    true => self.after_old(state, shard, old),
                    false if old < last => Phase::FenceOld(old + 1),
                    false => Phase::ReadOld(self.shards(self.of(old).0).start),
                };
            }
            Action::Read(shard, old) => {
                let left = state.shards[old].left.clone();
                let it = &mut state.shards[shard];
                match left.position {
                    Some(_) => it.legacy.left.push(left),
                    None => it.legacy.never_opened += 1,
                }
                state.shards[shard].phase = match self.has(Fault::ReadBeforeFence) {
                    true => Phase::FenceOld(old),
                    false => self.after_old(state, shard, old),
                };
            }
            Action::Claim(shard) => self.claim(state, shard),
            Action::Deliver(shard) => self.deliver(state, shard)?,
        }
        Some(())
    }

    /// The record after the next cut, which keeps those before it down to one of which each shard was opened.
    fn cut_anew(&self, state: &State) -> Record {
        let Record { cut, kept: known } = state.record;
        let was_opened =
            |cut: usize| self.shards(cut).all(|shard| state.shards[shard].left.position.is_some());
        let mut kept = 0;
        for before in 0..=known {
            kept += 1;
            if was_opened(cut - before) || self.has(Fault::ForgetsTooSoon) {
                break;
            }
        }
        Record { cut: cut + 1, kept }
    }

    fn read_own(&self, state: &mut State, shard: usize) {
        let (cut, _) = self.of(shard);
        let it = &mut state.shards[shard];
        it.own = it.left.clone();
        it.phase = match it.left.position {
            Some(_) => Phase::Run,
            None if cut == 0 => Phase::Claim,
            None => self.old(cut - 1),
        };
    }

    /// The first checkpoint, with the ids that are taken over.
    fn claim(&self, state: &mut State, shard: usize) {
        let it = &mut state.shards[shard];
        if it.is_fenced {
            state.stop(shard);
            return;
        }
        if it.phase == Phase::ClaimIds {
            it.left.ids = it.own.ids;
            it.phase = Phase::Run;
            return;
        }
        it.own = self.begin(&std::mem::take(&mut it.legacy));
        it.left.position = it.own.position;
        let apart = self.has(Fault::IdsApart) && it.own.ids != 0;
        if !apart {
            it.left.ids = it.own.ids;
        }
        it.phase = if apart { Phase::ClaimIds } else { Phase::Run };
    }

    /// The next event, its id and the checkpoint after it.
    fn deliver(&self, state: &mut State, shard: usize) -> Option<()> {
        let event = self.next_event(state, shard)?;
        let it = &mut state.shards[shard];
        if it.is_fenced {
            state.stop(shard);
            return Some(());
        }
        let is_new = it.own.ids & (1 << event) == 0;
        it.own.ids |= 1 << event;
        it.own.position = Some(event + 1);
        it.left.position = it.own.position;
        it.left.ids |= u8::from(is_new) << event;
        state.topic.extend(is_new.then_some(event));
        Some(())
    }

    /// The next event of the shard's own.
    pub(super) fn next_event(&self, state: &State, shard: usize) -> Option<u8> {
        let position = state.shards[shard].own.position?;
        (position..self.events).find(|event| self.selects(shard, *event))
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
    fn after_old(&self, state: &mut State, shard: usize, old: usize) -> Phase {
        let (cut, _) = self.of(old);
        if old + 1 < self.shards(cut).end {
            return Phase::ReadOld(old + 1);
        }
        // It stands in the record, which cannot have changed since without this shard being given up.
        let kept = state.record.kept;
        let is_kept = cut > 0 && self.of(shard).0 - (cut - 1) <= kept;
        if state.shards[shard].legacy.never_opened > 0 && is_kept {
            state.shards[shard].legacy.never_opened = 0;
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
    fn stop(&mut self, shard: usize) {
        let it = &mut self.shards[shard];
        let left = std::mem::take(&mut it.left);
        *it = super::ShardState { left, ..Default::default() };
    }

    /// The producer of this shard can do nothing any more. A worker that only writes stops when it is refused, which is the same as at once.
    fn fence(&mut self, shard: usize) {
        match self.shards[shard].phase {
            Phase::Run | Phase::Claim | Phase::ClaimIds => self.stop(shard),
            Phase::Idle => {}
            _ => self.shards[shard].is_fenced = true,
        }
    }
}
