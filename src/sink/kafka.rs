//! Batches as Kafka transactions.
//!
//! Invariants:
//! - `open` fences, then reads back, then claims the shard with a checkpoint of its own, in this order, in one call;
//!   so nobody resumes unfenced, and whoever is fenced can tell a takeover from a transaction that timed out.
//! - A producer whose commit has an unknown outcome is never used again (librdkafka has no KIP-890).
//! - The checkpoint is the last record of its transaction.

use std::collections::BTreeSet;
use std::time::Duration;

use rdkafka::producer::BaseProducer;
use tokio::runtime::Handle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::Refused;
use super::kafka::client::{Clients, Context, Sizes};
use super::kafka::config::{Config, Delivery, EventHeaders, TopicSpec};
use super::kafka::figures::KafkaFigures;
use super::kafka::placement::record::Instance;
use super::kafka::placement::{Latest, Place};
use super::kafka::topics::Topics;
use super::{Known, Opened, Reopened, Seed, Sink, SinkError, Topic};
use crate::model::checkpoint::{Checkpoint, Hold};
use crate::model::types::{OutRecord, Run, ShardId};

mod blocking;
mod breaking;
mod checking;
pub(crate) mod client;
pub(crate) mod config;
pub(crate) mod delivery;
pub(crate) mod editing;
mod failing;
pub mod figures;
pub mod group;
mod headers;
mod inheriting;
pub(crate) mod intake;
pub(crate) mod journal;
pub(crate) mod oauth;
mod opening;
mod partitions;
pub(crate) mod placement;
mod preparing;
pub mod reach;
pub(crate) mod readback;
mod recall;
pub(crate) mod replaying;
pub(crate) mod settings;
mod state;
pub(crate) mod topics;
pub(crate) mod trying;
mod writing;

pub use state::StateTopics;

use checking::Seen;
use headers::RecordHeaders;
use opening::Claim;
use partitions::Warned;

/// What one shard's sink is made of.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The cluster.
    pub config: Config,
    /// The shard.
    pub shard: ShardId,
    /// Where its state is, see `placement`.
    pub(crate) place: Place,
    /// What this process announced.
    pub placement: Latest,
    /// `ce_source`: where the events come from.
    pub source: String,
    /// Topics that must exist before the first event.
    pub topics: Vec<String>,
    /// How event topics are created.
    pub topic_spec: TopicSpec,
    /// Which headers events get.
    pub event_headers: EventHeaders,
    /// Where dead letters go.
    pub dead_letter_topic: String,
    /// The id window, for checkpoints of version 1, which do not say what ids are needed.
    pub window: Duration,
    /// This process's name in the placement record, where it announced itself.
    pub instance: Instance,
    /// How many ids the window holds at most.
    pub max_ids: usize,
    /// How this instance is called in its checkpoints, for whoever looks: in a group by its member's name.
    pub holder: String,
    /// Whether the stream, with no position, begins with the oldest event that the service holds.
    pub begins_at_oldest: bool,
    /// Cancelled when others may have the shard: then nobody is to be fenced any more.
    pub abandon: CancellationToken,
    /// Whether the record knew the shard before, so that it should have a checkpoint.
    pub was_known: bool,
    /// Where its clients count.
    pub figures: KafkaFigures,
}

/// One shard's sink.
pub struct KafkaSink {
    settings: Settings,
    clients: Clients,
    runtime: Handle,
    topics: Topics,
    /// This opening's name in the checkpoints that it writes.
    owner: String,
    /// Claims of others have this sequence at least, once we are fenced: one more than the last checkpoint that is known.
    claims_from: u64,
    /// This opening's claim of the shard.
    claim: Claim,
    /// How the shard was left before this opening; `None` for a first start.
    left: Option<Hold>,
    producer: Option<BaseProducer<Context>>,
    context: Context,
    headers: RecordHeaders,
    packed: Vec<u8>,
    /// Of the producer at work.
    sizes: Sizes,
    /// What the sizes of the next producer may not exceed and must reach, learnt from refusals and from what was sent.
    learnt: Sizes,
    /// When the batch was begun: the time of its transaction counts from there.
    begun: Instant,
    refused: Vec<Refused>,
    /// How far the shard's partitions of the state topics went at the last look.
    seen: Seen,
    /// When it was last said that transactions touch many partitions.
    warned: Warned,
    /// Whether records of the batch were not delivered.
    delivery_failed: bool,
    /// Whether each record is to be alone in its produce batch, until the batch at hand is committed: that tells which
    /// ones their topic refuses.
    isolating: bool,
}

impl KafkaSink {
    /// A sink that is yet to be opened.
    pub fn new(settings: Settings, owner: String, runtime: Handle) -> Self {
        let clients =
            Clients::new(settings.config.clone(), runtime.clone()).counting(settings.figures.clone());
        let topics = Topics::new(clients.clone(), runtime.clone(), &settings.config);
        let headers = RecordHeaders::new(&settings.event_headers, &settings.shard, &settings.source);
        let context = Context::default();
        let sizes = Sizes::default();
        Self {
            settings,
            clients,
            runtime,
            topics,
            owner,
            producer: None,
            claims_from: 0,
            claim: Claim::default(),
            left: None,
            context,
            headers,
            packed: Vec::new(),
            sizes,
            learnt: sizes,
            begun: Instant::now(),
            refused: Vec::new(),
            seen: Seen::default(),
            warned: Warned::default(),
            delivery_failed: false,
            isolating: false,
        }
    }

    fn transactional(&self) -> bool {
        self.settings.config.delivery == Delivery::ExactlyOnce
    }

    fn producer(&self) -> Result<&BaseProducer<Context>, SinkError> {
        self.producer.as_ref().ok_or_else(|| SinkError::OutcomeUnknown("the producer was given up".into()))
    }

    fn state(&self) -> StateTopics {
        let state = StateTopics::new(&self.settings.config.prefix);
        match self.is_replay() {
            // What a shard's checkpoint is, a replay's record of what it has done is to it.
            true => StateTopics { checkpoints: state.replays.clone(), ..state },
            false => state,
        }
    }

    /// Whether dead letters are replayed: then there is no place in the placement record, and no journal of ids.
    fn is_replay(&self) -> bool {
        self.settings.shard.is_replay()
    }
}

impl Sink for KafkaSink {
    fn open(&mut self, seed: Seed<'_>) -> Result<Opened, SinkError> {
        self.open_shard(seed)
    }

    fn reopen(&mut self, known: Known<'_>) -> Result<Reopened, SinkError> {
        self.reopen_shard(known)
    }

    fn topic(&self, name: &str) -> Topic<'_> {
        self.topics.get(name)
    }

    fn prepare(&mut self, names: &BTreeSet<String>) -> Result<(), SinkError> {
        self.prepare_topics(names)
    }

    fn begin(&mut self) -> Result<(), SinkError> {
        self.refused.clear();
        self.begin_batch()
    }

    fn send(&mut self, record: &OutRecord<'_>) -> Result<(), SinkError> {
        self.send_record(record).map_err(|error| self.timed(error))
    }

    fn commit(
        &mut self,
        ids: &mut dyn Iterator<Item = Run<'_>>,
        checkpoint: &Checkpoint,
    ) -> Result<(), SinkError> {
        self.commit_batch(ids, checkpoint).map_err(|error| self.timed(error))?;
        self.isolating = false;
        self.claims_from = checkpoint.sequence + 1;
        Ok(())
    }

    fn check(&mut self) -> Result<(), SinkError> {
        self.check_state()
    }

    fn refused(&mut self) -> Vec<Refused> {
        std::mem::take(&mut self.refused)
    }

    fn abort(&mut self) -> Result<(), SinkError> {
        self.abort_batch()
    }
}
