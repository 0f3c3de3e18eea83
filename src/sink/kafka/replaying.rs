//! What is recorded of a stream's replays: its topic, and what stands there for whoever looks. Does not fence anybody.

use tokio::runtime::Handle;

use super::StateTopics;
use super::client::Clients;
use super::config::Config;
use super::placement::Place;
use super::readback::{OpenTransactions, Reader};
use super::settings;
use crate::model::checkpoint::Checkpoint;
use crate::model::letters::Replayed;
use crate::model::types::{Position, ShardId};
use crate::sink::SinkError;

/// Which dead letters of a stream were replayed by now; `replay` names what does it. `None` where nothing ever was. Blocks.
pub(crate) fn replayed(
    config: &Config,
    replay: &ShardId,
    runtime: Handle,
) -> Result<Option<Replayed>, SinkError> {
    let reader = Reader::new(&Clients::new(config.clone(), runtime), config.transaction_timeout)?;
    let topic = StateTopics::new(&config.prefix).replays;
    if reader.partitions(&topic)?.is_none() {
        return Ok(None);
    }
    let (key, partition) = (Checkpoint::key(replay), Place::of_replay(&replay.stream).partition);
    let found = reader.checkpoint(&topic, partition, &key, OpenTransactions::PassOver)?;
    Ok(found.and_then(|found| match found.position {
        Some(Position::Letters(replayed)) => Some(replayed),
        _ => None,
    }))
}

/// Checks the topic of these records, and sets it right if it may be changed. Blocks.
pub(crate) fn uphold(config: &Config, runtime: &Handle) -> Result<(), SinkError> {
    if !config.check_settings {
        return Ok(());
    }
    let clients = Clients::new(config.clone(), runtime.clone());
    let rules = StateTopics::new(&config.prefix).rules_of_replays();
    settings::uphold(&clients, runtime, config.create_topics, &[rules])
}
