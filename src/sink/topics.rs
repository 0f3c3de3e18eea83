//! Topics: which exist, what they accept, and creating those that are missing.
//!
//! Invariant: a record is offered to a topic only after the topic was found or created, so a missing topic is one
//! clear error and never a queue that silently fills.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use hashbrown::HashMap;
use rdkafka::admin::{
    AdminClient, AdminOptions, NewPartitions, NewTopic, ResourceSpecifier, TopicReplication,
};
use rdkafka::types::RDKafkaErrorCode;
use tokio::runtime::Handle;
use tracing::{info, warn};

use super::client::{Clients, Context, close_beside, explain, explain_admin};
use super::{Config, SinkError, TopicSpec};
use rdkafka::consumer::Consumer;

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

impl Wanted {
    /// A topic for events or dead letters, with any number of partitions.
    pub fn event(name: &str, spec: TopicSpec) -> Self {
        Self { name: name.to_owned(), spec, config: Vec::new(), at_least: 0 }
    }
}

/// The cluster's topics as far as they are known.
pub struct Topics {
    clients: Clients,
    runtime: Handle,
    create: bool,
    /// What every topic takes; `None` asks.
    max_message_bytes: Option<usize>,
    /// `max.message.bytes` of each known topic.
    known: HashMap<String, usize>,
}

impl Topics {
    /// Nothing known yet.
    pub fn new(clients: Clients, runtime: Handle, config: &Config) -> Self {
        let Config { create_topics: create, max_message_bytes, .. } = *config;
        Self { clients, runtime, create, max_message_bytes, known: HashMap::new() }
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
        Ok(self.partition_counts()?.get(topic).copied().unwrap_or_default())
    }

    /// Which of the known topics are not there any more.
    pub fn missing(&self) -> Result<Vec<&str>, SinkError> {
        let existing = self.partition_counts()?;
        Ok(self.known.keys().map(String::as_str).filter(|name| !existing.contains_key(*name)).collect())
    }

    /// Forgets the limits, so that they are read again.
    pub fn forget(&mut self) {
        self.known.clear();
    }

    /// Finds or creates topics; the error names all that are missing at once.
    pub fn ensure(&mut self, wanted: &[Wanted]) -> Result<(), SinkError> {
        let mut unknown: Vec<_> =
            wanted.iter().filter(|topic| !self.known.contains_key(&topic.name)).collect();
        // Streams may share topics; the first one's settings count.
        let mut seen = BTreeSet::new();
        unknown.retain(|topic| seen.insert(&topic.name));
        if unknown.is_empty() {
            return Ok(());
        }
        let existing = self.partition_counts()?;
        let (found, missing): (Vec<&Wanted>, Vec<&Wanted>) =
            unknown.into_iter().partition(|topic| existing.contains_key(&topic.name));
        self.create(&missing)?;
        for topic in found.iter().filter(|topic| existing[&topic.name] < topic.at_least) {
            self.add_partitions(topic)?;
        }
        let names: Vec<&str> = found.iter().chain(&missing).map(|topic| topic.name.as_str()).collect();
        let limits = self.read_limits(&names);
        self.known.extend(names.into_iter().zip(limits).map(|(name, limit)| (name.to_owned(), limit)));
        Ok(())
    }

    fn create(&self, missing: &[&Wanted]) -> Result<(), SinkError> {
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
        let admin = self
            .admin()
            .map_err(|error| SinkError::Unusable(format!("missing topics: {}; {error}", names())))?;
        let retentions: Vec<Retention> = missing.iter().map(|topic| Retention::of(&topic.spec)).collect();
        let new: Vec<NewTopic<'_>> =
            missing.iter().zip(&retentions).map(|(topic, retention)| new_topic(topic, retention)).collect();
        let options = AdminOptions::new()
            .request_timeout(Some(REQUEST_TIMEOUT))
            .operation_timeout(Some(REQUEST_TIMEOUT));
        let results = self.runtime.block_on(admin.create_topics(&new, &options)).map_err(|error| {
            let reason = explain_admin(&self.clients, &error);
            SinkError::Unusable(format!("cannot create {}: {reason}", names()))
        })?;
        let failed: Vec<String> = results
            .into_iter()
            .filter_map(|result| match result {
                // Another shard or instance was faster.
                Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => None,
                Err((name, code @ RDKafkaErrorCode::TopicAuthorizationFailed)) => {
                    Some(format!("{name}: {code}; it takes CREATE, or DESCRIBE if it is there"))
                }
                Err((name, code)) => Some(format!("{name}: {code}")),
            })
            .collect();
        if failed.is_empty() {
            info!(topics = names(), "created topics");
            return Ok(());
        }
        Err(SinkError::Unusable(format!("cannot create missing topics: {}", failed.join("; "))))
    }

    fn add_partitions(&self, topic: &Wanted) -> Result<(), SinkError> {
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
        let admin = self.admin().map_err(|error| failed(error.to_string()))?;
        let more = NewPartitions::new(&topic.name, count);
        let options = AdminOptions::new().request_timeout(Some(REQUEST_TIMEOUT));
        let results = self.runtime.block_on(admin.create_partitions([&more], &options));
        for result in results.map_err(|error| failed(explain_admin(&self.clients, &error)))? {
            match result {
                // Another instance has added them already.
                Ok(_) | Err((_, RDKafkaErrorCode::InvalidPartitions)) => {}
                Err((_, code @ RDKafkaErrorCode::TopicAuthorizationFailed)) => {
                    return Err(failed(format!("{code}; it takes ALTER on the topic")));
                }
                Err((_, code)) => return Err(failed(code.to_string())),
            }
        }
        info!(topic = topic.name, partitions = count, "added partitions");
        Ok(())
    }

    fn read_limits(&self, names: &[&str]) -> Vec<usize> {
        if let Some(limit) = self.max_message_bytes {
            return vec![limit; names.len()];
        }
        let resources: Vec<_> = names.iter().map(|name| ResourceSpecifier::Topic(name)).collect();
        let options = AdminOptions::new().request_timeout(Some(REQUEST_TIMEOUT));
        let described = self.admin().and_then(|admin| {
            let described = self.runtime.block_on(admin.describe_configs(&resources, &options));
            described.map_err(|error| SinkError::Unusable(explain_admin(&self.clients, &error)))
        });
        let described = described.unwrap_or_else(|error| {
            warn!(reason = %error, "cannot read the topics' configuration; assuming Kafka's default; kafka.max_message_bytes sets it");
            Vec::new()
        });
        let answered = !described.is_empty();
        let mut described = described.into_iter();
        let mut denied = Vec::new();
        let limits = names.iter().map(|name| {
            // rdkafka drops the error of a single topic: what may not be read comes as a topic without settings.
            let resource = described.next().and_then(Result::ok).filter(|found| !found.entries.is_empty());
            let Some(resource) = resource else {
                denied.push((*name).to_owned());
                return DEFAULT_MAX_MESSAGE_BYTES;
            };
            let limits = resource.entry_map();
            let limit = limits.get("max.message.bytes").and_then(|entry| entry.value.as_ref()?.parse().ok());
            limit.unwrap_or(DEFAULT_MAX_MESSAGE_BYTES)
        });
        let limits = limits.collect();
        if !denied.is_empty() && answered {
            warn!(
                topics = denied.join(", "),
                "cannot read max.message.bytes of these topics, which takes DESCRIBE_CONFIGS on them; assuming Kafka's \
                 default; kafka.max_message_bytes sets it"
            );
        }
        limits
    }

    /// A client that may change the cluster. It cannot be given OAuth tokens: rdkafka serves only its own queue.
    fn admin(&self) -> Result<AdminClient<Context>, SinkError> {
        if self.clients.uses_tokens() {
            return Err(SinkError::Unusable(
                "topics cannot be created or described over SASL/OAUTHBEARER; create them beforehand and set \
                 kafka.max_message_bytes"
                    .into(),
            ));
        }
        self.clients.admin()
    }

    /// Every topic of the cluster with its number of partitions. All at once, since asking for one name may create it.
    fn partition_counts(&self) -> Result<BTreeMap<String, i32>, SinkError> {
        let consumer = self.clients.consumer(true)?;
        let metadata = consumer.fetch_metadata(None, REQUEST_TIMEOUT).map_err(|error| {
            let reason = explain(&consumer, &error);
            SinkError::Unusable(format!("cannot reach Kafka for the list of topics: {reason}"))
        });
        close_beside(consumer);
        let metadata = metadata?;
        Ok(metadata
            .topics()
            .iter()
            .filter(|topic| topic.error().is_none())
            .map(|topic| {
                (topic.name().to_owned(), i32::try_from(topic.partitions().len()).unwrap_or(i32::MAX))
            })
            .collect())
    }
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
