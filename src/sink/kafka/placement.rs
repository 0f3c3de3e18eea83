//! The placement record in Kafka: an instance announces itself there for its streams before it fences anybody.
//!
//! Invariants:
//! - The record is changed only inside a transaction of its own transactional id: fence, read, decide, commit. So
//!   announcements stand one after the other, and two instances that start at once cannot take the same partition.
//! - An instance that was fenced reads the record to learn why: if a later instance announced itself, that one is the rightful
//!   successor; otherwise the broker timed a transaction out, or a predecessor has not noticed yet that its time is over.

use std::time::Duration;

use rdkafka::error::KafkaError;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::types::RDKafkaErrorCode as Code;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info};

use super::client::{Clients, Context, Sizes, explain};
use super::config::{Config, Delivery};
use super::delivery::{Meaning, STATE, meaning};
use super::readback::{OpenTransactions, Reader};
use super::settings;
use super::topics::{Topics, Wanted as WantedTopic};
use super::{StateTopics, blocking, trying};
use crate::clock::now_ms;
use crate::failpoint;
use crate::model::checkpoint::Hold;
use crate::model::types::ShardId;
use crate::sink::SinkError;

mod clock;
mod cutting;
mod foreseeing;
mod latest;
mod overview;
mod reading;
pub(crate) mod record;
mod restoring;
mod watching;

pub(super) use clock::TOLERATED_MS;
use foreseeing::{meant, report_hosts, report_starts_anew};
pub(crate) use latest::Latest;
pub(crate) use overview::{Row, overview};
use reading::read;
pub(super) use reading::{recorded, standing};
pub(crate) use record::Place;
use record::{Existing, Instance, PlacementError, Record, Wanted, Who};
pub(crate) use watching::Watcher;

/// The key of the record, which is the only one in its partition.
const KEY: &str = "placement";

/// The partition of `<prefix>.shards` that holds it.
const PARTITION: i32 = 0;

/// Limit of `init_transactions`.
const INIT_TIMEOUT: Duration = Duration::from_secs(30);

/// After this the broker aborts the transaction of an announcer that died in it.
const LONGEST_TRANSACTION: Duration = Duration::from_secs(10);

/// An announcement is made again so many times when another instance makes one at the same moment.
const ATTEMPTS: u32 = 50;

/// What this instance is to run, where the state of it lives.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Placement {
    record: Record,
}

/// What an announcement is made of.
#[derive(Clone, Copy, Debug)]
pub struct Announcement<'a> {
    /// The streams.
    pub streams: &'a [Wanted],
    /// Whether only those of them are placed that the record does not know, and the others are left as they are.
    pub only_unknown: bool,
    /// Streams that are refused unless their last owner has let go of them.
    pub only_if_free: &'a [String],
    /// Topics that are made sure of beside the state topics, so that all missing ones are named at once.
    pub topics: &'a [WantedTopic],
    /// Who announces itself.
    pub who: Who<'a>,
    /// Whether nobody waits for it any more: an instance that is told to stop must not take anything over.
    pub stop: &'a CancellationToken,
}

impl Placement {
    /// Announces this instance, making sure of the topics first. Blocks. No shard is fenced by it.
    pub fn announce(
        config: &Config,
        announcement: Announcement<'_>,
        runtime: Handle,
    ) -> Result<Self, SinkError> {
        let is_shared = *announcement.who.instance == Instance::Group;
        let mut announcer = Announcer::new(config, runtime.clone(), is_shared);
        // So many partitions are enough in a cluster that knows no other streams.
        let shards: u32 = announcement.streams.iter().map(|stream| stream.shards).sum();
        let partitions = i32::try_from(shards).unwrap_or(i32::MAX);
        announcer.foresee(announcement)?;
        announcer.topics.ensure(&announcer.wanted(announcement.topics, partitions))?;
        if config.check_settings {
            let rules = announcer.state.rules(config);
            settings::uphold(&announcer.clients, &runtime, config.create_topics, &rules)?;
        }
        let (mut attempt, mut is_checked) = (0, false);
        loop {
            attempt += 1;
            let checked = if is_checked { Ok(()) } else { announcer.check_transactions(config) };
            is_checked |= checked.is_ok();
            let placed = checked.and_then(|()| match announcer.stands(announcement)? {
                Some(placement) => Ok(placement),
                None => announcer.try_announce(announcement, partitions),
            });
            match placed {
                Err(SinkError::Fenced(reason)) if attempt < ATTEMPTS => {
                    debug!(
                        reason,
                        attempt, "another instance announces itself at the same moment; trying again"
                    );
                    std::thread::sleep(Duration::from_millis(rand::random_range(20..300)));
                }
                Err(SinkError::Fenced(reason)) => {
                    return Err(SinkError::Unusable(format!(
                        "the placement record cannot be changed: {reason}"
                    )));
                }
                other => return other,
            }
        }
    }
}

/// Makes one announcement.
struct Announcer {
    config: Config,
    clients: Clients,
    topics: Topics,
    state: StateTopics,
    runtime: Handle,
    /// Whether the shards are shared by the consumer group, which takes a partition of `<prefix>.shards` for each.
    is_shared: bool,
}

impl Announcer {
    fn new(config: &Config, runtime: Handle, is_shared: bool) -> Self {
        // Whatever is asked of events: two announcements at once must not undo each other. And short, since whoever reads the
        // record waits for an announcement that is under way: its commit may be answered before readers see it.
        let transaction_timeout = config.transaction_timeout.min(LONGEST_TRANSACTION);
        let config = Config { delivery: Delivery::ExactlyOnce, transaction_timeout, ..config.clone() };
        let clients = Clients::new(config.clone(), runtime.clone());
        let topics = Topics::new(clients.clone(), runtime.clone(), &config);
        Self { state: StateTopics::new(&config.prefix), config, clients, topics, runtime, is_shared }
    }

    fn reader(&self) -> Result<Reader, SinkError> {
        Reader::new(&self.clients, self.config.transaction_timeout + INIT_TIMEOUT)
    }

    fn wanted(&self, others: &[WantedTopic], partitions: i32) -> Vec<WantedTopic> {
        let state = self.state.wanted(&self.config, partitions).into_iter();
        let shards = self.state.wanted_shards(&self.config, if self.is_shared { partitions } else { 1 });
        state.chain([shards]).chain(others.iter().cloned()).collect()
    }

    /// Has a broker look at the time that the shards' transactions take, and at the right where it is granted by prefix, with the
    /// record's own transactional id. An instance whose shards cannot be opened must not take over those of one that works.
    fn check_transactions(&self, config: &Config) -> Result<(), SinkError> {
        if config.delivery != Delivery::ExactlyOnce {
            return Ok(());
        }
        let clients = Clients::new(config.clone(), self.runtime.clone());
        let producer = clients.producer(&self.state.shards, Sizes::default())?;
        blocking::init(&producer, &self.state.checkpoints, INIT_TIMEOUT).map_err(|error| {
            match error.rdkafka_error_code() {
                Some(Code::InvalidTransactionTimeout) => trying::too_long(config),
                _ => self.failed(&producer, &error),
            }
        })
    }

    /// A producer that has fenced other announcers.
    fn fenced(&self) -> Result<BaseProducer<Context>, SinkError> {
        let producer = self.clients.producer(&self.state.shards, Sizes::default())?;
        blocking::init(&producer, &self.state.checkpoints, INIT_TIMEOUT)
            .map_err(|error| self.failed(&producer, &error))?;
        Ok(producer)
    }

    /// What stands in the record, or what an earlier release left in its place.
    fn found(&mut self, reader: &Reader) -> Result<Record, SinkError> {
        match read(reader, &self.state)? {
            Some((record, _)) => Ok(record),
            None => self.of_checkpoints(reader),
        }
    }

    /// Where the members of the group share everything already, one more changes nothing, and so disturbs nobody.
    fn stands(&mut self, announcement: Announcement<'_>) -> Result<Option<Placement>, SinkError> {
        if !self.is_shared || announcement.only_unknown || !announcement.only_if_free.is_empty() {
            return Ok(None);
        }
        let Some((record, _)) = read(&self.reader()?, &self.state)? else { return Ok(None) };
        let same = record.announce(announcement.streams, announcement.who).is_ok_and(|after| after == record);
        if same {
            self.topics.forget_all();
            self.topics.ensure(&self.wanted(&[], record.partition_count()))?;
            info!(
                instance = announcement.who.instance.name(),
                "the placement record has all streams already"
            );
        }
        Ok(same.then_some(Placement { record }))
    }

    /// Fences other announcers, reads, decides, commits.
    fn try_announce(
        &mut self,
        announcement: Announcement<'_>,
        partitions: i32,
    ) -> Result<Placement, SinkError> {
        let producer = self.fenced()?;
        let reader = self.reader()?;
        let before = self.found(&reader)?;
        let streams = meant(announcement, &before);
        if streams.is_empty() {
            return Ok(Placement { record: before });
        }
        let mut record = before.announce(&streams, announcement.who).map_err(refused)?;
        report_hosts(&before, &streams);
        report_starts_anew(&before, &streams);
        for stream in announcement.only_if_free {
            self.check_free(&reader, &before, stream)?;
        }
        // Each shard's partition has to be there before anybody can look for its checkpoint.
        if record.partition_count() > partitions {
            self.topics.forget_all();
            self.topics.ensure(&self.wanted(&[], record.partition_count()))?;
        }
        self.forget_cuts(&reader, &before, &mut record)?;
        failpoint::pass("before_placement");
        if announcement.stop.is_cancelled() {
            return Err(SinkError::Unusable("told to stop before the announcement".into()));
        }
        let began_ms = now_ms();
        self.write(&producer, &record)?;
        let written_ms = now_ms();
        self.fence_left_behind(&before, &streams);
        // If another instance has announced itself since, that shows when the first shard is opened.
        // The announcement stands, whether or not this look succeeds.
        if let Ok(Some((stands, appended_ms))) = read(&reader, &self.state)
            && stands == record
        {
            match appended_ms {
                Some(at) => clock::report(clock::ahead_ms(began_ms, written_ms, at)),
                None if self.config.check_settings => clock::report_unknown(&self.state.shards),
                None => {}
            }
        }
        info!(instance = announcement.who.instance.name(), "announced in the placement record");
        Ok(Placement { record })
    }

    /// What an earlier release left, which kept no record.
    fn of_checkpoints(&mut self, reader: &Reader) -> Result<Record, SinkError> {
        let topic = &self.state.checkpoints;
        let mut existing = Vec::new();
        for partition in 0..self.topics.partitions(topic)? {
            for (key, checkpoint) in reader.all_checkpoints(topic, partition)? {
                existing.push(Existing { key, partition, checkpoint });
            }
        }
        Record::of_checkpoints(&existing).map_err(refused)
    }

    /// Refuses a stream of which a shard did not stop, since another instance may still be at work on it.
    fn check_free(&self, reader: &Reader, record: &Record, stream: &str) -> Result<(), SinkError> {
        let shards = record.streams.get(stream).map_or(&[][..], |known| &known.partitions);
        for (index, partition) in (0..).zip(shards) {
            let key = ShardId { stream: stream.into(), index }.to_string();
            match reader.checkpoint(&self.state.checkpoints, *partition, &key, OpenTransactions::PassOver)? {
                Some(found) if found.hold == Hold::Held => {
                    return Err(SinkError::Held(format!(
                        "another instance may hold shard {key}: its last checkpoint (sequence {}) is not that of a stop. \
                         Stop that instance; if there is none, start this one without --reset and stop it, then try again",
                        found.sequence
                    )));
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn write(&self, producer: &BaseProducer<Context>, record: &Record) -> Result<(), SinkError> {
        let value = record.encode();
        let out: BaseRecord<'_, [u8], [u8], usize> = BaseRecord::with_opaque_to(&self.state.shards, STATE);
        let out = out.key(KEY.as_bytes()).payload(&value).partition(PARTITION);
        let limit = self.config.transaction_timeout;
        producer.begin_transaction().map_err(|error| self.failed(producer, &error))?;
        blocking::send(producer, out, limit).map_err(|error| self.failed(producer, &error))?;
        blocking::flush_all(producer, limit).map_err(|error| self.failed(producer, &error))?;
        blocking::commit(producer, limit).map_err(|error| self.failed(producer, &error))
    }

    /// Being fenced here means that another instance announces itself at the same moment.
    fn failed(&self, producer: &BaseProducer<Context>, error: &KafkaError) -> SinkError {
        let reason = format!(
            "cannot change the placement record in {}: {}",
            self.state.shards,
            explain(producer, error)
        );
        let fenced =
            [Code::Fenced, Code::ProducerFenced, Code::InvalidProducerEpoch, Code::ConcurrentTransactions];
        match error.rdkafka_error_code() {
            Some(code) if fenced.contains(&code) => SinkError::Fenced(reason),
            Some(code) if let Meaning::Operator(advice) = meaning(code) => {
                SinkError::Unusable(format!("{reason}; {advice} {}", self.state.shards))
            }
            _ => SinkError::Unusable(reason),
        }
    }
}

fn refused(error: PlacementError) -> SinkError {
    SinkError::Misconfigured(error.to_string())
}
