//! What the state topics say of each shard, for whoever wants to look. Nobody is fenced and nothing is written.

use tokio::runtime::Handle;

use super::read;
use crate::model::checkpoint::Checkpoint;
use crate::model::types::ShardId;
use crate::sink::SinkError;
use crate::sink::kafka::StateTopics;
use crate::sink::kafka::client::Clients;
use crate::sink::kafka::config::Config;
use crate::sink::kafka::readback::{OpenTransactions, Reader};

/// A shard, as the record and its last checkpoint have it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Row {
    /// Which one.
    pub shard: ShardId,
    /// The partition of the state topics that belongs to it, which is also its number in the consumer group.
    pub partition: i32,
    /// Who announced itself for the stream last: an instance, or the group.
    pub instance: String,
    /// The latest configuration that announced this number of shards.
    pub generation: u64,
    /// How often the number was changed.
    pub cut: u32,
    /// `None` where it was never opened, or its checkpoint is lost.
    pub checkpoint: Option<Checkpoint>,
}

/// All shards of all streams that the record knows, by name and number; `None` without a record. Blocks.
pub(crate) fn overview(config: &Config, runtime: Handle) -> Result<Option<Vec<Row>>, SinkError> {
    let reader = Reader::new(&Clients::new(config.clone(), runtime), config.transaction_timeout)?;
    let state = StateTopics::new(&config.prefix);
    let Some((record, _)) = read(&reader, &state)? else { return Ok(None) };
    let mut rows = Vec::new();
    for (stream, placed) in &record.streams {
        for (index, partition) in (0..).zip(&placed.partitions) {
            let shard = ShardId { stream: stream.as_str().into(), index };
            let key = Checkpoint::key(&shard);
            let checkpoint =
                reader.checkpoint(&state.checkpoints, *partition, &key, OpenTransactions::PassOver)?;
            let (instance, generation, cut) = (placed.instance.clone(), placed.generation, placed.cut);
            rows.push(Row { shard, partition: *partition, instance, generation, cut, checkpoint });
        }
    }
    Ok(Some(rows))
}
