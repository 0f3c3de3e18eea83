//! Where the stream is, as the event path goes along: offset or watermark, and whether a replay is at work.

use super::super::mark::{Mark, ReplayCounts, Report};
use super::super::progress::Added;
use super::Pipeline;
use crate::model::checkpoint::{Delta, Ids};
use crate::model::types::{Dated, EventId, Position, Watermark};

impl Pipeline {
    /// From now on a watermark is kept, beginning with that of the checkpoint. `has_all_ids` tells whether the seed was
    /// complete.
    pub fn keep_mark(&mut self, position: Option<&Position>, has_all_ids: bool) {
        let watermark = match position {
            Some(Position::Watermark(watermark)) => *watermark,
            _ => Watermark::default(),
        };
        self.window.note_forgotten(watermark.forgotten_ms);
        if !has_all_ids {
            self.window.note_forgotten(watermark.received_ms);
        }
        self.keeps_mark = true;
        self.change_mark(|mark| mark.watermark = watermark);
    }

    /// Something may have been lost that a replay brings back.
    pub fn owe_replay(&mut self) {
        self.change_mark(Mark::owe_replay);
    }

    /// No replay will come; tells whether one was owed. Ids would be kept for it for ever.
    pub fn forgive_replay(&mut self) -> bool {
        self.change_mark(Mark::forgive_replay)
    }

    /// A replay begins. The batch must be empty.
    pub fn begin_replay(&mut self, at_ms: i64) {
        self.counted = ReplayCounts::default();
        self.change_mark(|mark| mark.begin_replay(at_ms));
    }

    /// Whether the replay that has met what was delivered went back at all, and whether it brought anything back.
    pub fn replay_outcome(&self) -> (bool, bool) {
        let mark = &self.progress.mark;
        (mark.went_back(), mark.counts.brought_back > 0)
    }

    /// The replay is over. The batch must be empty.
    pub fn end_replay(&mut self, replay_owed: bool) -> Report {
        self.change_mark(|mark| mark.end_replay(replay_owed))
    }

    /// Changes the mark, outside of what a batch changes in it.
    fn change_mark<T>(&mut self, change: impl Fn(&mut Mark) -> T) -> T {
        change(&mut self.base.mark);
        let result = change(&mut self.progress.mark);
        self.progress.mark.watermark.forgotten_ms = self.window.forgotten_ms();
        self.base.mark.watermark.forgotten_ms = self.window.forgotten_ms();
        (self.progress.moved, self.base.moved) = (true, true);
        self.window.keep_old(self.progress.mark.needs_old_ids());
        result
    }

    /// The step that the batch makes from checkpoint `from`, if it is committed at `committed_ms` after `ran_ms`.
    pub fn delta(&self, from: u64, committed_ms: i64, ran_ms: u64) -> Delta {
        let received_ms = if self.keeps_mark { self.progress.mark.watermark.received_ms } else { None };
        let extent = self.window.extent_after(Dated { committed_ms, ran_ms, received_ms });
        let to = if self.keeps_mark {
            Some(Position::Watermark(self.progress.mark.after(extent)))
        } else {
            let offset = || Position::offset(String::from_utf8_lossy(&self.progress.offset));
            (!self.progress.offset.is_empty()).then(offset)
        };
        Delta {
            from,
            to,
            processed_ms: self.progress.processed_ms,
            added: self.progress.added,
            ran_ms,
            ids: Ids { oldest: extent.oldest, written: extent.next, since_ms: extent.since_ms },
            clean: false,
            released: false,
        }
    }

    /// What the batch adds, for the metrics.
    pub fn added(&self) -> Added {
        Added {
            totals: self.progress.added,
            dead_letters: self.dead_letters,
            replay: self.progress.mark.counts.since(self.counted),
            filtered: self.progress.filtered,
            unplaced: self.progress.unplaced,
        }
    }

    /// Lines without an offset since the last one that had any.
    pub fn unplaced_run(&self) -> u64 {
        self.progress.unplaced_run
    }

    /// The stream is at the end of a line with this offset.
    pub(super) fn place(&mut self, offset: Option<&[u8]>) {
        if offset.is_none() && self.extractor.reads_offsets() {
            self.progress.stay();
        }
        self.progress.move_to(offset);
    }

    /// Notes when the service processed the latest event.
    pub(super) fn processed(&mut self, processed_ms: Option<i64>) {
        let Some(processed_ms) = processed_ms else { return };
        self.first_processed_ms.get_or_insert(processed_ms);
        self.progress.processed_ms = if self.keeps_mark {
            self.progress.moved = true;
            self.progress.mark.pass(processed_ms, self.clock_ms);
            // A replay goes back, but the stream does not lag behind for that.
            self.progress.mark.watermark.received_ms
        } else {
            Some(processed_ms)
        };
    }

    /// Whether the event is one that was delivered before. Its id is known from now on.
    pub(super) fn is_repeated(&mut self, id: EventId, received_ms: Option<i64>) -> bool {
        let mark = &mut self.progress.mark;
        if mark.is_replaying() && !self.window.contains(id) && mark.drops(received_ms) {
            return true;
        }
        let is_new = self.window.insert(id);
        mark.count(received_ms, is_new);
        !is_new
    }
}
