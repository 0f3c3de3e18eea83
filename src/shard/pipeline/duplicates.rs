//! Whether an event was delivered before.

use super::Pipeline;
use crate::failpoint;
use crate::model::types::EventId;

impl Pipeline {
    /// Whether the event is one that was delivered before. Its id is known from now on.
    pub(super) fn is_repeated(&mut self, id: EventId, received_ms: Option<i64>) -> bool {
        self.is_known(id, received_ms) && !failpoint::is_broken("dedupe")
    }

    fn is_known(&mut self, id: EventId, received_ms: Option<i64>) -> bool {
        let Some(mark) = self.progress.cursor.mark_mut() else { return !self.window.insert(id) };
        if mark.is_replaying() && !self.window.contains(id) && mark.drops(received_ms) {
            return true;
        }
        let is_new = self.window.insert(id);
        mark.count(received_ms, is_new);
        !is_new
    }
}
