//! A shard that replays dead letters: what it is told before the first of them.

use super::Shard;
use crate::model::letters::Replayed;
use crate::model::types::EventId;
use crate::sink::Sink;

impl<S: Sink> Shard<S> {
    /// From now on it is noted which letters of this topic were replayed, beside those that were.
    pub(crate) fn keep_letters(&mut self, topic: &str, replayed: Replayed) {
        self.pipeline.keep_letters(topic, replayed);
    }

    /// The id of the event that a letter is, if it is one that is carried.
    pub(crate) fn id_of(&mut self, letter: &[u8]) -> Option<EventId> {
        self.pipeline.id_of(letter)
    }

    /// Events of these ids were delivered by an earlier replay.
    pub(crate) fn know(&mut self, ids: &[EventId]) {
        self.pipeline.know(self.checkpoint.dated(), ids);
    }
}
