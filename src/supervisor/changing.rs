//! What a reload of the configuration changes for shards that run, and the figures of all shards, which grow with it.
//!
//! Exactly once holds since a change is a stop and a start: the shard commits what it has by the rules of before, lets go, and is opened
//! again with the new ones. So no batch that may be written again ever meets other rules than those by which it was made first.

use std::sync::{Arc, PoisonError, RwLock};

use tokio::sync::mpsc::UnboundedReceiver;
use tracing::info;

use super::ShardFigures;
use super::run::{At, Run};
use crate::event::extract;

/// What changes for a stream.
#[derive(Clone, Debug)]
pub struct StreamChange {
    /// Which one.
    pub stream: Arc<str>,
    /// Which fields are taken, and which events are left out.
    pub extract: extract::Config,
}

/// The figures of every shard, those of streams included that came with a reload. Clones are the same list.
#[derive(Clone, Debug, Default)]
pub struct AllFigures(Arc<RwLock<Vec<ShardFigures>>>);

impl AllFigures {
    /// Those of the start.
    pub fn new(figures: &[ShardFigures]) -> Self {
        Self(Arc::new(RwLock::new(figures.to_vec())))
    }

    /// All of them at this moment.
    pub fn get(&self) -> Vec<ShardFigures> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Some more. Those of a stream that ran before take the place of what is left of that.
    pub(crate) fn add(&self, figures: &[ShardFigures]) {
        self.keep(|stream| figures.iter().all(|new| new.id.stream != *stream));
        self.0.write().unwrap_or_else(PoisonError::into_inner).extend_from_slice(figures);
    }

    /// Leaves only those of the streams that are wanted.
    pub(crate) fn keep(&self, is_wanted: impl Fn(&Arc<str>) -> bool) {
        let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
        all.retain(|figures| is_wanted(&figures.id.stream));
    }
}

/// For who changes nothing.
pub fn no_changes() -> UnboundedReceiver<StreamChange> {
    tokio::sync::mpsc::unbounded_channel().1
}

impl Run {
    /// Has the shards of a stream go on by other rules. What is no stream of this run is somebody else's.
    pub(super) fn change(&mut self, change: &StreamChange) {
        for slot in self.slots.iter_mut().filter(|slot| slot.starter.figures.id.stream == change.stream) {
            slot.starter.stream.extract = change.extract.clone();
            slot.starter.figures.shard.leave_out_for(&change.extract.filters.reasons());
            if slot.at == At::Work && !self.drain.is_cancelled() {
                info!(shard = %slot.starter.figures.id, "commits what it has, and goes on with the new filters");
                slot.starter.orders.stop.cancel();
            }
        }
    }
}
