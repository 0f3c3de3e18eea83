//! What a replay of dead letters tells its event path before the first of them.

use super::Pipeline;
use crate::event::extract::Line;
use crate::model::letters::Replayed;
use crate::model::types::{Dated, EventId, Run};
use crate::shard::cursor::Cursor;

impl Pipeline {
    /// From now on it is noted which letters of this topic were replayed, beside those that were.
    pub fn keep_letters(&mut self, topic: &str, replayed: Replayed) {
        let cursor = Cursor::letters(topic.to_owned(), replayed);
        (self.progress.cursor, self.base.cursor) = (cursor.clone(), cursor);
    }

    /// The id of the event that a line is, if it is one that is carried.
    pub fn id_of(&mut self, line: &[u8]) -> Option<EventId> {
        let mut scratch = std::mem::take(&mut self.scratch);
        let found = match self.extracted(self.forms(line, &mut scratch)) {
            Ok((Line::Event(record), _)) => Some(record.id),
            _ => None,
        };
        self.scratch = scratch;
        found
    }

    /// Events of these ids were delivered.
    pub fn know(&mut self, dated: Dated, ids: &[EventId]) {
        self.window.seed(&Run { dated, first: self.window.next(), ids });
    }
}
