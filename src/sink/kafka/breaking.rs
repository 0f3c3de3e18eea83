//! What only tests want, to show that they would notice: a rule that is broken with more than a line.

use std::cell::RefCell;

use rdkafka::producer::{BaseProducer, BaseRecord};

use super::client::Context;
use super::delivery::STATE;
use super::{KafkaSink, blocking};
use crate::model::checkpoint::Checkpoint;
use crate::model::errors::chain;
use crate::sink::SinkError;

thread_local! {
    /// What a shard whose `checkpoint_order` is broken writes its checkpoints with: a producer takes a second to get ready, and far longer
    /// on a busy machine.
    static AHEAD: RefCell<Option<BaseProducer<Context>>> = const { RefCell::new(None) };
}

impl KafkaSink {
    /// Writes the checkpoint beside the open transaction, where it counts at once: what must never be.
    pub(super) fn write_ahead(&self, checkpoint: &Checkpoint) -> Result<(), SinkError> {
        let producer = match AHEAD.take() {
            Some(producer) => producer,
            None => self.clients.without_transactions().producer("", self.sizes)?,
        };
        let (topic, key, payload) = (self.state().checkpoints, self.key(), checkpoint.encode());
        let record: BaseRecord<'_, [u8], [u8], usize> = BaseRecord::with_opaque_to(&topic, STATE);
        let record = record.key(key.as_bytes()).payload(&payload).timestamp(checkpoint.committed_ms);
        let record = record.partition(self.settings.place.partition);
        let sent = blocking::send(&producer, record, self.time_left());
        sent.map_err(|error| SinkError::Abortable(chain(&error)))?;
        let written = blocking::flush(&producer, self.time_left());
        written.map_err(|_| SinkError::Abortable("the checkpoint was not written ahead".into()))?;
        AHEAD.set(Some(producer));
        Ok(())
    }
}
