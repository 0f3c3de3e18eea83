//! What the batch comes to: the step of the checkpoint, and the figures.

use super::Pipeline;
use crate::model::checkpoint::{Delta, Hold, Ids};
use crate::model::types::Dated;
use crate::shard::progress::Added;

impl Pipeline {
    /// The step that the batch makes from checkpoint `from`, if it is committed at `committed_ms` after `ran_ms`.
    pub fn delta(&self, from: u64, committed_ms: i64, ran_ms: u64) -> Delta {
        let cursor = &self.progress.cursor;
        let dated = Dated { committed_ms, ran_ms, received_ms: cursor.received_ms() };
        let extent = self.window.extent_after(dated);
        Delta {
            from,
            to: cursor.position(extent),
            processed_ms: self.progress.processed_ms,
            added: self.progress.added,
            ran_ms,
            ids: Ids { oldest: extent.oldest, written: extent.next, since_ms: extent.since_ms },
            hold: Hold::Held,
        }
    }

    /// What the batch adds, for the metrics.
    pub fn added(&self) -> Added {
        let cursor = &self.progress.cursor;
        Added {
            totals: self.progress.added,
            dead_letters: self.dead_letters,
            clamped: self.clamped,
            replay: cursor.replay_counts().since(self.counted),
            filtered: self.progress.filtered.clone(),
            unplaced: cursor.unplaced(),
        }
    }

    /// Lines without an offset since the last one that had any.
    pub fn unplaced_run(&self) -> u64 {
        self.progress.cursor.unplaced_run()
    }
}
