//! What a shard tells its event path of replays, between two batches.

use super::Pipeline;
use crate::model::types::Position;
use crate::shard::cursor::Cursor;
use crate::shard::mark::{Mark, ReplayCounts, Report};

impl Pipeline {
    /// From now on a watermark is kept, beginning with that of the checkpoint. `has_all_ids` tells whether the seed was
    /// complete.
    pub fn keep_watermark(&mut self, position: Option<&Position>, has_all_ids: bool) {
        let cursor = Cursor::watermark(position);
        if let Some(mark) = cursor.mark() {
            self.window.note_forgotten(mark.watermark.forgotten_ms);
            if !has_all_ids {
                self.window.note_forgotten(mark.watermark.received_ms);
            }
        }
        (self.progress.cursor, self.base.cursor) = (cursor.clone(), cursor);
        // What the window has forgotten is to be committed.
        self.change(|_| ());
    }

    /// Something may have been lost that a replay brings back.
    pub fn owe_replay(&mut self) {
        self.change(Mark::owe_replay);
    }

    /// No replay will come; tells whether one was owed. Ids would be kept for it for ever.
    pub fn forgive_replay(&mut self) -> bool {
        self.change(Mark::forgive_replay).unwrap_or(false)
    }

    /// A replay begins. The batch must be empty.
    pub fn begin_replay(&mut self, at_ms: i64) {
        self.counted = ReplayCounts::default();
        self.change(|mark| mark.begin_replay(at_ms));
    }

    /// Whether the replay that has met what was delivered went back at all, and whether it brought anything back.
    pub fn replay_outcome(&self) -> (bool, bool) {
        let mark = self.progress.cursor.mark();
        mark.map_or((false, false), |mark| (mark.went_back(), mark.counts.brought_back > 0))
    }

    /// The replay is over. The batch must be empty.
    pub fn end_replay(&mut self, replay_owed: bool) -> Option<Report> {
        self.change(|mark| mark.end_replay(replay_owed))
    }

    /// Changes what is known of replays, outside of what a batch changes in it: in both copies alike.
    fn change<T>(&mut self, change: impl Fn(&mut Mark) -> T) -> Option<T> {
        let forgotten_ms = self.window.forgotten_ms();
        self.base.cursor.change(&change, forgotten_ms);
        let result = self.progress.cursor.change(&change, forgotten_ms);
        self.window.keep_old(self.progress.cursor.needs_old_ids());
        result
    }
}
