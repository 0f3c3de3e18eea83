//! The requests about topics: each is for any number of them, on a client that is kept. Decides nothing.
//!
//! Invariant: a client with which a request failed is dropped, so the next one reads the secrets again.

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::admin::{
    AdminClient, AdminOptions, ConfigResource, NewPartitions, NewTopic, ResourceSpecifier, TopicReplication,
};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::metadata::{Metadata, MetadataTopic};
use rdkafka::types::RDKafkaErrorCode as Code;
use tokio::runtime::Handle;

use super::Wanted;
use crate::sink::SinkError;
use crate::sink::kafka::client::{Clients, Context, close_beside, explain, explain_admin};
use crate::sink::kafka::config::TopicSpec;

/// Limit of one request to the cluster.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(15);

/// Topics created by one request: a controller refuses those that would write very much at once.
const CREATED_AT_ONCE: usize = 100;

/// What a topic's configuration says.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Described {
    /// `max.message.bytes`.
    pub(super) max_message_bytes: Option<usize>,
    /// Whether `cleanup.policy` holds `compact`.
    pub(super) compacted: bool,
    /// `min.insync.replicas`.
    pub(super) min_in_sync: Option<usize>,
    /// Whether records keep the times that their writers gave them.
    pub(super) keeps_times: bool,
    /// `message.timestamp.after.max.ms`, which Kafka has from 3.6 on.
    pub(super) after_max_ms: Option<i64>,
}

/// How many replicas a partition has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Replicas {
    /// Which one.
    pub(super) partition: i32,
    /// As it should be.
    pub(super) all: usize,
    /// Up to date.
    pub(super) in_sync: usize,
}

/// The cluster, as far as topics go.
pub(super) struct Cluster {
    clients: Clients,
    runtime: Handle,
    admin: Option<AdminClient<Context>>,
    /// Asks for metadata; the admin client could, but keeps to itself why it cannot reach a broker.
    consumer: Option<BaseConsumer<Context>>,
    /// Limit of one request.
    limit: Duration,
    /// Whether topics are only tried to be created: Kafka says what would become of it, and creates none.
    only_tries: bool,
}

/// A topic that was to be created, and what became of it.
pub(super) type Created = (String, Result<(), Code>);

impl Cluster {
    pub(super) fn new(clients: Clients, runtime: Handle) -> Self {
        Self { clients, runtime, admin: None, consumer: None, limit: REQUEST_TIMEOUT, only_tries: false }
    }

    /// One that changes nothing, with another limit of each request.
    pub(super) fn only_trying(clients: Clients, runtime: Handle, limit: Duration) -> Self {
        let mut cluster = Self::new(clients, runtime);
        cluster.limit = limit;
        cluster.only_tries = true;
        cluster
    }

    /// Whether topics are only tried to be created.
    pub(super) fn only_tries(&self) -> bool {
        self.only_tries
    }

    /// Lets go of the clients that are kept, without waiting for their end.
    pub(super) fn renew(&mut self) {
        self.admin.take().into_iter().for_each(close_beside);
        self.consumer.take().into_iter().for_each(close_beside);
    }

    /// Why topics cannot be created or described, where that is known beforehand: rdkafka's admin client cannot be given
    /// OAuth tokens, since it serves only its own queue.
    pub(super) fn refuses_changes(&self) -> Option<&'static str> {
        self.clients.uses_tokens().then_some(
            "topics cannot be created or described over SASL/OAUTHBEARER; create them beforehand and set \
             kafka.max_message_bytes",
        )
    }

    /// Every topic of the cluster with its number of partitions. All at once, since asking for one name may create it.
    pub(super) fn partition_counts(&mut self) -> Result<BTreeMap<String, i32>, SinkError> {
        Ok(counts(&self.metadata()?))
    }

    /// Every topic of the cluster with the replicas of its partitions.
    pub(super) fn replicas(&mut self) -> Result<BTreeMap<String, Vec<Replicas>>, SinkError> {
        let metadata = self.metadata()?;
        let of_topic = |topic: &MetadataTopic| {
            let partitions = topic.partitions().iter();
            let replicas = partitions.map(|partition| Replicas {
                partition: partition.id(),
                all: partition.replicas().len(),
                in_sync: partition.isr().len(),
            });
            replicas.collect()
        };
        Ok(metadata.topics().iter().map(|topic| (topic.name().to_owned(), of_topic(topic))).collect())
    }

    fn metadata(&mut self) -> Result<Metadata, SinkError> {
        let consumer = self.consumer.take().map_or_else(|| self.clients.consumer(true), Ok)?;
        // Serves what has come up since the last request.
        drop(consumer.poll(Duration::ZERO));
        let metadata = consumer.fetch_metadata(None, self.limit).map_err(|error| {
            let reason = explain(&consumer, &error);
            SinkError::Unusable(format!("cannot reach Kafka for the list of topics: {reason}"))
        });
        // Only a client that is polled gets its tokens renewed, so where there are any none is kept.
        if metadata.is_ok() && !self.clients.uses_tokens() {
            self.consumer = Some(consumer);
        } else {
            close_beside(consumer);
        }
        if metadata.is_err() {
            // What the one cannot do, the other cannot do either.
            self.renew();
        }
        metadata
    }

    /// Creates topics; what became of each.
    pub(super) fn create(&mut self, topics: &[&Wanted]) -> Result<Vec<Created>, SinkError> {
        let mut all = Vec::with_capacity(topics.len());
        for some in topics.chunks(CREATED_AT_ONCE) {
            let retentions: Vec<Retention> = some.iter().map(|topic| Retention::of(&topic.spec)).collect();
            let new: Vec<NewTopic<'_>> =
                some.iter().zip(&retentions).map(|(topic, retention)| new_topic(topic, retention)).collect();
            let options = self.options().operation_timeout(Some(self.limit)).validate_only(self.only_tries);
            let runtime = self.runtime.clone();
            let results = self.ask(|admin| runtime.block_on(admin.create_topics(&new, &options)));
            let results = results.map_err(|error| {
                let names: Vec<&str> = some.iter().map(|topic| topic.name.as_str()).collect();
                SinkError::Unusable(format!("cannot create {}: {error}", names.join(", ")))
            })?;
            all.extend(results.into_iter().map(|result| match result {
                Ok(name) => (name, Ok(())),
                Err((name, code)) => (name, Err(code)),
            }));
        }
        Ok(all)
    }

    /// Gives a topic as many partitions as it must have.
    pub(super) fn add_partitions(&mut self, topic: &Wanted) -> Result<Result<(), Code>, SinkError> {
        let more = NewPartitions::new(&topic.name, usize::try_from(topic.at_least).unwrap_or(1));
        let (runtime, options) = (self.runtime.clone(), self.options());
        let results = self.ask(|admin| runtime.block_on(admin.create_partitions([&more], &options)))?;
        Ok(results.into_iter().next().map_or(Ok(()), |result| result.map(drop).map_err(|(_, code)| code)))
    }

    /// What the topics' configurations say, in the order of `names`; `None` where it may not be read.
    pub(super) fn describe(&mut self, names: &[&str]) -> Result<Vec<Option<Described>>, SinkError> {
        if let Some(why) = self.refuses_changes() {
            return Err(SinkError::Unusable(why.into()));
        }
        let resources: Vec<_> = names.iter().map(|name| ResourceSpecifier::Topic(name)).collect();
        let (runtime, options) = (self.runtime.clone(), self.options());
        let results = self.ask(|admin| runtime.block_on(admin.describe_configs(&resources, &options)))?;
        Ok(results.into_iter().map(|result| result.ok().and_then(described)).collect())
    }

    fn options(&self) -> AdminOptions {
        AdminOptions::new().request_timeout(Some(self.limit))
    }

    fn ask<T>(
        &mut self,
        request: impl FnOnce(&AdminClient<Context>) -> Result<T, KafkaError>,
    ) -> Result<T, SinkError> {
        let admin = self.admin.take().map_or_else(|| self.clients.admin(), Ok)?;
        let result = request(&admin);
        if result.is_ok() {
            self.admin = Some(admin);
        } else {
            close_beside(admin);
        }
        result.map_err(|error| SinkError::Unusable(explain_admin(&self.clients, &error)))
    }
}

/// Each of the clients would take 100 ms to close, in the middle of a start.
impl Drop for Cluster {
    fn drop(&mut self) {
        self.renew();
    }
}

fn counts(metadata: &Metadata) -> BTreeMap<String, i32> {
    let sound = metadata.topics().iter().filter(|topic| topic.error().is_none());
    let count = |partitions: usize| i32::try_from(partitions).unwrap_or(i32::MAX);
    sound.map(|topic| (topic.name().to_owned(), count(topic.partitions().len()))).collect()
}

/// Rdkafka drops the error of a single topic: what may not be read comes as a topic without settings.
fn described(resource: ConfigResource) -> Option<Described> {
    if resource.entries.is_empty() {
        return None;
    }
    let value = |name: &str| resource.get(name).and_then(|entry| entry.value.as_deref());
    Some(Described {
        max_message_bytes: value("max.message.bytes").and_then(|value| value.parse().ok()),
        compacted: value("cleanup.policy")
            .is_some_and(|value| value.split(',').any(|policy| policy.trim() == "compact")),
        min_in_sync: value("min.insync.replicas").and_then(|value| value.parse().ok()),
        keeps_times: value("message.timestamp.type") == Some("CreateTime"),
        after_max_ms: value("message.timestamp.after.max.ms").and_then(|value| value.parse().ok()),
    })
}

/// How long and how much a topic keeps, as Kafka writes it.
struct Retention {
    ms: Option<String>,
    bytes: Option<String>,
}

impl Retention {
    fn of(spec: &TopicSpec) -> Self {
        Self {
            ms: spec.retention.map(|time| time.as_millis().to_string()),
            bytes: spec.retention_bytes.map(|bytes| bytes.to_string()),
        }
    }
}

fn new_topic<'a>(topic: &'a Wanted, retention: &'a Retention) -> NewTopic<'a> {
    // -1 leaves the choice to the broker (KIP-464).
    let partitions =
        topic.spec.partitions.unwrap_or(-1).max(if topic.at_least > 0 { topic.at_least } else { -1 });
    let replication = TopicReplication::Fixed(topic.spec.replication_factor.unwrap_or(-1));
    let new = NewTopic::new(&topic.name, partitions, replication);
    let new = topic.config.iter().fold(new, |new, (key, value)| new.set(key, value));
    let settings = [("retention.ms", &retention.ms), ("retention.bytes", &retention.bytes)];
    settings.into_iter().fold(new, |new, (name, value)| match value {
        Some(value) => new.set(name, value),
        None => new,
    })
}
