//! A stream that is cut anew, as the announcer sees it.

use tracing::warn;

use super::record::{Cut, Record, Wanted, transactional_id};
use super::{Announcer, INIT_TIMEOUT};
use crate::model::checkpoint::Checkpoint;
use crate::model::types::ShardId;
use crate::sink::SinkError;
use crate::sink::kafka::blocking;
use crate::sink::kafka::client::{Sizes, explain};
use crate::sink::kafka::readback::{OpenTransactions, Reader};

impl Announcer {
    /// Says which streams are cut anew, and forgets the cuts that nobody begins with any more: those before one of which each
    /// shard was opened, since it has taken over what they left.
    pub(super) fn forget_cuts(
        &self,
        reader: &Reader,
        before: &Record,
        record: &mut Record,
    ) -> Result<(), SinkError> {
        let cut_anew: Vec<String> = record
            .streams
            .iter()
            .filter(|(stream, placed)| before.streams.get(*stream).is_some_and(|was| was.cut < placed.cut))
            .map(|(stream, _)| stream.clone())
            .collect();
        for stream in cut_anew {
            let Some(placed) = record.streams.get(&stream) else { continue };
            warn!(
                stream,
                shards = placed.partitions.len(),
                before = placed.before.first().map(|cut| cut.partitions.len()),
                generation = placed.generation,
                "the number of shards is changed: the new ones go on where the old ones are, which are fenced"
            );
            let mut kept = 0;
            for cut in &placed.before {
                kept += 1;
                if self.was_opened(reader, &stream, cut)? {
                    break;
                }
            }
            record.forget_cuts(&stream, kept);
        }
        Ok(())
    }

    /// Fences what a stream that is started anew leaves behind: shards that nobody takes over would go on until their instance
    /// looks into the record.
    pub(super) fn fence_left_behind(&self, before: &Record, streams: &[Wanted]) {
        let is_left =
            |wanted: &&Wanted| before.starts_anew(wanted) && before.why_superseded(wanted).is_none();
        for wanted in streams.iter().filter(is_left) {
            for (shard, cut) in before.all_shards(&wanted.stream) {
                let id = transactional_id(&self.config.prefix, &shard, cut);
                let fenced = self.clients.producer(&id, Sizes::default()).and_then(|producer| {
                    let fenced = blocking::init(&producer, &self.state.checkpoints, INIT_TIMEOUT);
                    fenced.map_err(|error| SinkError::Unusable(explain(&producer, &error)))
                });
                if let Err(reason) = fenced {
                    // It stops by itself, only later.
                    warn!(shard = %shard, %reason, "cannot fence a shard that was left behind");
                }
            }
        }
    }

    /// Whether each shard of a cut has a checkpoint.
    fn was_opened(&self, reader: &Reader, stream: &str, cut: &Cut) -> Result<bool, SinkError> {
        for (index, partition) in (0..).zip(&cut.partitions) {
            let key = Checkpoint::key(&ShardId { stream: stream.into(), index });
            let topic = &self.state.checkpoints;
            if reader.checkpoint(topic, *partition, &key, OpenTransactions::PassOver)?.is_none() {
                return Ok(false);
            }
        }
        Ok(true)
    }
}
