//! Checkpoints as they stand in their topic.

use std::ops::ControlFlow;

use super::{OpenTransactions, Reader, Stored, TAIL};
use crate::model::checkpoint::{Checkpoint, DecodeError};
use crate::model::errors::chain;
use crate::sink::SinkError;

/// A key with its checkpoint, as found.
pub(crate) type Found = (String, Checkpoint);

impl Reader {
    /// The latest checkpoint of `key` in this partition.
    pub(crate) fn checkpoint(
        &self,
        topic: &str,
        partition: i32,
        key: &str,
        open: OpenTransactions,
    ) -> Result<Option<Checkpoint>, SinkError> {
        let enough = |found: &[Found]| found.iter().any(|(known, _)| known == key);
        let found = self.checkpoints(topic, partition, open, enough)?;
        let own = found.into_iter().filter(|(known, _)| known == key).map(|(_, checkpoint)| checkpoint);
        Ok(own.max_by_key(|checkpoint| checkpoint.sequence))
    }

    /// The latest checkpoints of all keys in this partition, wherever they stand; open transactions left aside.
    pub(crate) fn all_checkpoints(&self, topic: &str, partition: i32) -> Result<Vec<Found>, SinkError> {
        self.checkpoints(topic, partition, OpenTransactions::PassOver, |_| false)
    }

    /// The last checkpoints of `key` in this partition, in the order in which they were written: those among the last [`TAIL`] records.
    pub(crate) fn recent_checkpoints(
        &self,
        topic: &str,
        partition: i32,
        key: &str,
    ) -> Result<Vec<Checkpoint>, SinkError> {
        let (low, high) = self.stable_end(topic, partition, OpenTransactions::PassOver)?;
        let mut recent = Vec::new();
        self.each_checkpoint(topic, partition, low.max(high - TAIL), high, |name, checkpoint| {
            recent.extend(checkpoint.filter(|_| name == key));
        })?;
        Ok(recent)
    }

    /// Reads the tail, and everything if the tail is not `enough`.
    fn checkpoints(
        &self,
        topic: &str,
        partition: i32,
        open: OpenTransactions,
        enough: impl Fn(&[Found]) -> bool,
    ) -> Result<Vec<Found>, SinkError> {
        let (low, high) = self.stable_end(topic, partition, open)?;
        for from in [low.max(high - TAIL), low] {
            let mut found: Vec<Found> = Vec::new();
            self.each_checkpoint(topic, partition, from, high, |name, checkpoint| {
                let Some(checkpoint) = checkpoint else {
                    found.retain(|(known, _)| *known != name);
                    return;
                };
                match found.iter_mut().find(|(known, _)| *known == name) {
                    Some((_, known)) if known.sequence >= checkpoint.sequence => {}
                    Some((_, known)) => *known = checkpoint,
                    None => found.push((name, checkpoint)),
                }
            })?;
            if from == low || enough(&found) {
                return Ok(found);
            }
        }
        Ok(Vec::new())
    }

    /// Gives each checkpoint with its key to `each`, and `None` for one that was deleted.
    fn each_checkpoint(
        &self,
        topic: &str,
        partition: i32,
        from: i64,
        end: i64,
        mut each: impl FnMut(String, Option<Checkpoint>),
    ) -> Result<(), SinkError> {
        self.read(topic, partition, from, end, |stored| {
            let name = String::from_utf8_lossy(stored.key).into_owned();
            if stored.payload.is_empty() {
                each(name, None);
                return Ok(ControlFlow::Continue(()));
            }
            match Checkpoint::decode(stored.payload) {
                Ok(checkpoint) => each(name, Some(checkpoint)),
                Err(error @ DecodeError::Newer(_)) => {
                    let Stored { offset, .. } = stored;
                    let reason = chain(&error);
                    return Err(SinkError::Unusable(format!(
                        "{topic} partition {partition}, offset {offset}, key {name}: {reason}"
                    )));
                }
                Err(error) => stored.skip(topic, partition, &chain(&error)),
            }
            Ok(ControlFlow::Continue(()))
        })
    }
}
