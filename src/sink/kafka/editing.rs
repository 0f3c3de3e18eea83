//! Checkpoints changed by hand: fence, read, change, commit, as an opening of the shard does it.
//!
//! Invariant: what is changed was read after the fence. A shard that is at work with transactions can commit nothing from then on,
//! and goes on from what was written here, if it may go on.

use std::time::Duration;

use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use tokio::runtime::Handle;

use super::StateTopics;
use super::blocking;
use super::client::{Clients, Context, Sizes, explain};
use super::config::{Config, Delivery};
use super::delivery::STATE;
use super::placement::record::transactional_id;
use super::placement::{Place, recorded};
use super::readback::{OpenTransactions, Reader};
use crate::clock::now_ms;
use crate::model::checkpoint::{Checkpoint, Hold};
use crate::model::types::ShardId;
use crate::sink::SinkError;

/// Limit of `init_transactions`.
const INIT_TIMEOUT: Duration = Duration::from_secs(30);

/// After this the broker aborts what an editor that died has left open.
const LONGEST_TRANSACTION: Duration = Duration::from_secs(10);

/// Changes checkpoints of the shards that the placement record knows.
pub(crate) struct Editor {
    config: Config,
    clients: Clients,
    state: StateTopics,
    reader: Reader,
    /// This editing's name in the checkpoints that it writes.
    owner: String,
}

impl Editor {
    /// Connects.
    pub(crate) fn new(config: &Config, owner: String, runtime: Handle) -> Result<Self, SinkError> {
        let transaction_timeout = config.transaction_timeout.min(LONGEST_TRANSACTION);
        // Whatever is asked of events, the fence is one of transactions.
        let config = Config { delivery: Delivery::ExactlyOnce, transaction_timeout, ..config.clone() };
        let clients = Clients::new(config.clone(), runtime);
        let reader = Reader::new(&clients, config.transaction_timeout + INIT_TIMEOUT)?;
        Ok(Self { state: StateTopics::new(&config.prefix), config, clients, reader, owner })
    }

    /// Whether the checkpoint of a shard may be changed: one that is held is left alone unless `force`, since its owner is at work, or
    /// ended without letting go; and where `shards` are expected, the stream must have so many. Blocks, and changes nothing.
    pub(crate) fn check(
        &self,
        shard: &ShardId,
        shards: Option<u32>,
        force: bool,
    ) -> Result<(Place, Option<Checkpoint>), SinkError> {
        let place = self.place(shard)?;
        if let Some(shards) = shards.filter(|shards| *shards != place.shards) {
            return Err(SinkError::Misconfigured(format!(
                "stream {} is cut into {} shards by now, and not into {shards}",
                shard.stream, place.shards
            )));
        }
        let before = self.read(shard, &place, OpenTransactions::PassOver)?;
        let is_held = before.as_ref().is_some_and(|found| found.hold == Hold::Held);
        if let Some(found) = before.as_ref().filter(|_| is_held && !force) {
            let holder = found.instance.as_deref().unwrap_or("an instance");
            return Err(SinkError::Held(format!(
                "shard {shard} is held by {holder} (sequence {}), which is at work, or ended without letting go: stop it first. \
                 --force takes the shard away from it",
                found.sequence
            )));
        }
        if before.is_none() && !place.before.is_empty() {
            return Err(SinkError::Misconfigured(format!(
                "shard {shard} was not opened since the number of shards was changed, and begins with what those before it left: \
                 let it run once"
            )));
        }
        Ok((place, before))
    }

    /// Changes the checkpoint of a shard, as far as [`Self::check`] allows it; gives it as it stands then. Blocks.
    pub(crate) fn edit(
        &self,
        shard: &ShardId,
        shards: Option<u32>,
        force: bool,
        change: impl FnOnce(Checkpoint) -> Checkpoint,
    ) -> Result<Checkpoint, SinkError> {
        let (place, before) = self.check(shard, shards, force)?;
        let producer = self.fenced(shard, &place)?;
        if self.place(shard)? != place {
            return Err(SinkError::Unusable(format!("stream {} was placed anew meanwhile", shard.stream)));
        }
        let found = self.read(shard, &place, OpenTransactions::WaitFor)?;
        let moved = found.as_ref().map(|found| found.sequence) != before.map(|before| before.sequence);
        if moved && !force {
            return Err(SinkError::Held(format!("shard {shard} is at work: it moved on meanwhile")));
        }
        // Whoever is told that it is free can rely on it: its owner is fenced.
        let hold = found.as_ref().map_or(Hold::Drained, |found| match found.hold {
            Hold::Held => Hold::Released,
            other => other,
        });
        let claimed = match found {
            Some(found) => found.claimed_by(&self.owner, None),
            None => {
                Checkpoint::initial(&self.owner, place.shards, now_ms()).of_cut(place.cut, place.generation)
            }
        };
        let edited = Checkpoint { hold, ..change(claimed) };
        self.write(&producer, shard, &place, &edited)?;
        Ok(edited)
    }

    fn place(&self, shard: &ShardId) -> Result<Place, SinkError> {
        recorded(&self.reader, &self.state, shard)?.ok_or_else(|| {
            SinkError::Misconfigured(format!(
                "the placement record in {} knows no shard {shard}",
                self.state.shards
            ))
        })
    }

    fn read(
        &self,
        shard: &ShardId,
        place: &Place,
        open: OpenTransactions,
    ) -> Result<Option<Checkpoint>, SinkError> {
        self.reader.checkpoint(&self.state.checkpoints, place.partition, &Checkpoint::key(shard), open)
    }

    fn fenced(&self, shard: &ShardId, place: &Place) -> Result<BaseProducer<Context>, SinkError> {
        let id = transactional_id(&self.config.prefix, shard, place.cut);
        let producer = self.clients.producer(&id, Sizes::default())?;
        blocking::init(&producer, &self.state.checkpoints, INIT_TIMEOUT).map_err(|error| {
            let reason = explain(&producer, &error);
            SinkError::Unusable(format!("cannot open the transactional id {id}: {reason}"))
        })?;
        Ok(producer)
    }

    fn write(
        &self,
        producer: &BaseProducer<Context>,
        shard: &ShardId,
        place: &Place,
        checkpoint: &Checkpoint,
    ) -> Result<(), SinkError> {
        let (topic, limit) = (&self.state.checkpoints, self.config.transaction_timeout);
        let failed = |error| {
            SinkError::Unusable(format!(
                "cannot write the checkpoint of {shard}: {}",
                explain(producer, &error)
            ))
        };
        let (key, value) = (Checkpoint::key(shard), checkpoint.encode());
        let record: BaseRecord<'_, [u8], [u8], usize> = BaseRecord::with_opaque_to(topic, STATE);
        let record = record.key(key.as_bytes()).payload(&value).partition(place.partition);
        producer.begin_transaction().map_err(failed)?;
        blocking::send(producer, record.timestamp(checkpoint.committed_ms), limit).map_err(failed)?;
        blocking::flush_all(producer, limit).map_err(failed)?;
        blocking::commit(producer, limit).map_err(failed)
    }
}
