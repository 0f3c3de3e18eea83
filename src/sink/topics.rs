//! Topics: which exist, what they accept, and creating those that are missing.
//!
//! Invariant: a record is offered to a topic only after the topic was found or created, so a missing topic is one
//! clear error and never a queue that silently fills.

use std::collections::BTreeMap;
use std::time::Duration;

use hashbrown::HashMap;
use rdkafka::admin::{
    AdminClient, AdminOptions, NewPartitions, NewTopic, ResourceSpecifier, TopicReplication,
};
use rdkafka::types::RDKafkaErrorCode;
use tokio::runtime::Handle;
use tracing::{info, warn};

use super::client::{Clients, Context, chain};
use super::{SinkError, TopicSpec};

/// Limit of one request to the cluster.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(15);

/// `max.message.bytes` where it cannot be read: Kafka's default.
const DEFAULT_MAX_MESSAGE_BYTES: usize = 1_048_588;

/// A topic to be found or created.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Wanted {
    /// Its name.
    pub name: String,
    /// How it is created.
    pub spec: TopicSpec,
    /// Topic configuration besides the retention.
    pub config: Vec<(&'static str, &'static str)>,
    /// Partitions that it must have even when it exists already; 0 for any number.
    pub at_least: i32,
}

/// The cluster's topics as far as they are known.
pub struct Topics {
    clients: Clients,
    runtime: Handle,
    create: bool,
    /// `max.message.bytes` of each known topic.
    known: HashMap<String, usize>,
}

impl Topics {
    /// Nothing known yet. `create` tells whether missing topics may be created.
    pub fn new(clients: Clients, runtime: Handle, create: bool) -> Self {
        Self { clients, runtime, create, known: HashMap::new() }
    }

    /// What a known topic accepts, bytes.
    pub fn limit(&self, topic: &str) -> Option<usize> {
        self.known.get(topic).copied()
    }

    /// The smallest limit of all known topics.
    pub fn smallest_limit(&self) -> Option<usize> {
        self.known.values().copied().min()
    }

    /// How many partitions a topic has now.
    pub fn partitions(&self, topic: &str) -> Result<i32, SinkError> {
        Ok(partition_counts(&self.clients.admin()?)?.get(topic).copied().unwrap_or_default())
    }

    /// Forgets the limits, so that they are read again.
    pub fn forget(&mut self) {
        self.known.clear();
    }

    /// Finds or creates topics; the error names all that are missing at once.
    pub fn ensure(&mut self, wanted: &[Wanted]) -> Result<(), SinkError> {
        let unknown: Vec<_> = wanted.iter().filter(|topic| !self.known.contains_key(&topic.name)).collect();
        if unknown.is_empty() {
            return Ok(());
        }
        let admin = self.clients.admin()?;
        let existing = partition_counts(&admin)?;
        let (found, missing): (Vec<&Wanted>, Vec<&Wanted>) =
            unknown.into_iter().partition(|topic| existing.contains_key(&topic.name));
        self.create(&admin, &missing)?;
        for topic in found.iter().filter(|topic| existing[&topic.name] < topic.at_least) {
            self.add_partitions(&admin, topic)?;
        }
        let names: Vec<&str> = found.iter().chain(&missing).map(|topic| topic.name.as_str()).collect();
        let limits = self.read_limits(&admin, &names);
        self.known.extend(names.into_iter().zip(limits).map(|(name, limit)| (name.to_owned(), limit)));
        Ok(())
    }

    fn create(&self, admin: &AdminClient<Context>, missing: &[&Wanted]) -> Result<(), SinkError> {
        if missing.is_empty() {
            return Ok(());
        }
        let names = || missing.iter().map(|topic| topic.name.as_str()).collect::<Vec<_>>().join(", ");
        if !self.create {
            return Err(SinkError::Unusable(format!(
                "missing topics: {}; create them, or set kafka.create_topics = true",
                names()
            )));
        }
        let retentions: Vec<Option<String>> = missing
            .iter()
            .map(|topic| topic.spec.retention.map(|time| time.as_millis().to_string()))
            .collect();
        let new: Vec<NewTopic<'_>> = missing
            .iter()
            .zip(&retentions)
            .map(|(topic, retention)| new_topic(topic, retention.as_deref()))
            .collect();
        let options = AdminOptions::new()
            .request_timeout(Some(REQUEST_TIMEOUT))
            .operation_timeout(Some(REQUEST_TIMEOUT));
        let results = self
            .runtime
            .block_on(admin.create_topics(&new, &options))
            .map_err(|error| SinkError::Unusable(format!("cannot create {}: {}", names(), chain(&error))))?;
        let failed: Vec<String> = results
            .into_iter()
            .filter_map(|result| match result {
                // Another shard or instance was faster.
                Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => None,
                Err((name, code)) => Some(format!("{name}: {code}")),
            })
            .collect();
        if failed.is_empty() {
            info!(topics = names(), "created topics");
            return Ok(());
        }
        Err(SinkError::Unusable(format!("cannot create missing topics: {}", failed.join("; "))))
    }

    fn add_partitions(&self, admin: &AdminClient<Context>, topic: &Wanted) -> Result<(), SinkError> {
        let count = usize::try_from(topic.at_least).unwrap_or(1);
        let failed = |reason: String| {
            SinkError::Unusable(format!(
                "{} needs {count} partitions and could not get them: {reason}",
                topic.name
            ))
        };
        if !self.create {
            return Err(failed("kafka.create_topics is false".into()));
        }
        let more = NewPartitions::new(&topic.name, count);
        let options = AdminOptions::new().request_timeout(Some(REQUEST_TIMEOUT));
        let results = self.runtime.block_on(admin.create_partitions([&more], &options));
        for result in results.map_err(|error| failed(chain(&error)))? {
            match result {
                // Another instance has added them already.
                Ok(_) | Err((_, RDKafkaErrorCode::InvalidPartitions)) => {}
                Err((_, code)) => return Err(failed(code.to_string())),
            }
        }
        info!(topic = topic.name, partitions = count, "added partitions");
        Ok(())
    }

    fn read_limits(&self, admin: &AdminClient<Context>, names: &[&str]) -> Vec<usize> {
        let resources: Vec<_> = names.iter().map(|name| ResourceSpecifier::Topic(name)).collect();
        let options = AdminOptions::new().request_timeout(Some(REQUEST_TIMEOUT));
        let described = self.runtime.block_on(admin.describe_configs(&resources, &options));
        let described = described.unwrap_or_else(|error| {
            warn!(reason = chain(&error), "cannot read the topics' configuration; assuming Kafka's defaults");
            Vec::new()
        });
        let mut described = described.into_iter();
        names
            .iter()
            .map(|_| {
                let limit = described.next().and_then(Result::ok).and_then(|resource| {
                    resource.entry_map().get("max.message.bytes")?.value.as_ref()?.parse().ok()
                });
                limit.unwrap_or(DEFAULT_MAX_MESSAGE_BYTES)
            })
            .collect()
    }
}

/// Every topic of the cluster with its number of partitions. All at once, since asking for one name may create it.
fn partition_counts(admin: &AdminClient<Context>) -> Result<BTreeMap<String, i32>, SinkError> {
    let metadata = admin.inner().fetch_metadata(None, REQUEST_TIMEOUT).map_err(|error| {
        SinkError::Unusable(format!("cannot reach Kafka for the list of topics: {}", chain(&error)))
    })?;
    Ok(metadata
        .topics()
        .iter()
        .filter(|topic| topic.error().is_none())
        .map(|topic| (topic.name().to_owned(), i32::try_from(topic.partitions().len()).unwrap_or(i32::MAX)))
        .collect())
}

fn new_topic<'a>(topic: &'a Wanted, retention: Option<&'a str>) -> NewTopic<'a> {
    // -1 leaves the choice to the broker (KIP-464).
    let partitions =
        topic.spec.partitions.unwrap_or(-1).max(if topic.at_least > 0 { topic.at_least } else { -1 });
    let replication = TopicReplication::Fixed(topic.spec.replication_factor.unwrap_or(-1));
    let new = NewTopic::new(&topic.name, partitions, replication);
    let new = topic.config.iter().fold(new, |new, (key, value)| new.set(key, value));
    match retention {
        Some(retention) => new.set("retention.ms", retention),
        None => new,
    }
}
