//! Topics: which exist, what they accept, and creating those that are missing.
//!
//! Invariant: a record is offered to a topic only after the topic was found or created, so a missing topic is one
//! clear error and never a queue that silently fills. However many topics are looked up at once, it takes a constant number
//! of requests.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use hashbrown::HashMap;
use rdkafka::types::RDKafkaErrorCode as Code;
use tokio::runtime::Handle;
use tokio::time::Instant;
use tracing::{info, warn};

use super::client::Clients;
use super::config::{Config, TopicSpec};
use super::delivery;
use crate::sink::{Accepts, SinkError, Topic};

mod clashes;
mod cluster;
pub(crate) mod inspecting;
mod limits;
mod replicas;

use cluster::Cluster;
use limits::Limits;

/// After so long a topic that was not there is looked up again: somebody may have made it.
const LOOK_AGAIN: Duration = Duration::from_secs(60);

/// A topic to be found or created.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Wanted {
    /// The topic's name.
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

/// Why there is no topic of a name.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Absence {
    /// None exists, and none may be made.
    Missing(String),
    /// Whether one exists is not to be found out without a right that is missing.
    Denied(Code),
    /// Kafka does not take the name.
    Refused(String),
}

/// What is known of a name.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Known {
    Takes(Accepts),
    Absent(Absence, Instant),
}

/// The cluster's topics as far as they are known.
pub(crate) struct Topics {
    cluster: Cluster,
    create: bool,
    /// What every topic takes; `None` asks.
    max_message_bytes: Option<usize>,
    known: HashMap<String, Known>,
    /// What topics were found to take, in bytes, where that is less than they say.
    lowered: HashMap<String, usize>,
}

/// What is said of a right that is missing.
fn denied(code: Code) -> String {
    format!("{code}; it takes CREATE, or DESCRIBE if it is there")
}

/// A topic that was looked for: what it takes, or why there is none.
type Found = (String, Result<Accepts, Absence>);

impl Topics {
    /// Nothing known yet.
    pub(crate) fn new(clients: Clients, runtime: Handle, config: &Config) -> Self {
        let Config { create_topics: create, max_message_bytes, .. } = *config;
        Self {
            cluster: Cluster::new(clients, runtime),
            create,
            max_message_bytes,
            known: HashMap::new(),
            lowered: HashMap::new(),
        }
    }

    /// What is known of a topic.
    pub(crate) fn get(&self, topic: &str) -> Topic<'_> {
        match self.known.get(topic) {
            None => Topic::Unknown,
            Some(Known::Takes(accepts)) => Topic::Takes(*accepts),
            Some(Known::Absent(_, since)) if since.elapsed() >= LOOK_AGAIN => Topic::Unknown,
            // Somebody has to give the right, so it is asked for until then.
            Some(Known::Absent(Absence::Denied(_), _)) => Topic::Unknown,
            Some(Known::Absent(Absence::Missing(why), _)) => Topic::Missing(why),
            Some(Known::Absent(Absence::Refused(why), _)) => Topic::Refused(why),
        }
    }

    /// The smallest limit of all known topics.
    pub(crate) fn smallest_limit(&self) -> Option<usize> {
        let limits = self.known.values().filter_map(|known| match known {
            Known::Takes(accepts) => Some(accepts.max_bytes),
            Known::Absent(..) => None,
        });
        limits.min()
    }

    /// How many partitions a topic has now.
    pub(crate) fn partitions(&mut self, topic: &str) -> Result<i32, SinkError> {
        Ok(self.cluster.partition_counts()?.get(topic).copied().unwrap_or_default())
    }

    /// Which of the topics that were there are not there any more. They are forgotten.
    pub(crate) fn gone(&mut self) -> Result<Vec<String>, SinkError> {
        let existing = self.cluster.partition_counts()?;
        let was_there = |known: &Known| matches!(known, Known::Takes(_));
        let gone =
            self.known.iter().filter(|(name, known)| was_there(known) && !existing.contains_key(*name));
        let mut gone: Vec<String> = gone.map(|(name, _)| name.clone()).collect();
        gone.sort_unstable();
        gone.iter().for_each(|name| self.forget(name));
        Ok(gone)
    }

    /// Forgets a topic, so that it is looked up again.
    pub(crate) fn forget(&mut self, topic: &str) {
        self.known.remove(topic);
    }

    /// The next requests come from new clients, which read secrets and files again and begin at `bootstrap.servers`.
    pub(crate) fn renew_clients(&mut self) {
        self.cluster.renew();
    }

    /// Forgets all.
    pub(crate) fn forget_all(&mut self) {
        self.known.clear();
    }

    /// A topic takes less than it says, or than could be asked.
    pub(crate) fn lower_limit(&mut self, topic: &str, bytes: usize) {
        let lowered = self.lowered.entry_ref(topic).or_insert(bytes);
        *lowered = bytes.min(*lowered);
        warn!(
            topic,
            bytes,
            "the topic takes less than its max.message.bytes was, or than kafka.max_message_bytes says; what is larger is cut"
        );
        if let Some(Known::Takes(accepts)) = self.known.get_mut(topic) {
            accepts.max_bytes = bytes.min(accepts.max_bytes);
        }
    }

    fn lowered_limit(&self, topic: &str) -> usize {
        self.lowered.get(topic).copied().unwrap_or(usize::MAX)
    }

    /// Finds or creates topics that must be there; the error names all that are missing at once.
    pub(crate) fn ensure(&mut self, wanted: &[Wanted]) -> Result<(), SinkError> {
        let unknown = self.unknown(wanted, |known| matches!(known, Known::Takes(_)));
        let mut missing = Vec::new();
        let mut refused = Vec::new();
        for (name, found) in self.find(&unknown)? {
            match found {
                Ok(accepts) => drop(self.known.insert(name, Known::Takes(accepts))),
                Err(Absence::Missing(why)) => missing.push((name, why)),
                Err(Absence::Denied(code)) => missing.push((name, denied(code))),
                Err(Absence::Refused(why)) => refused.push(format!("{name}: {why}")),
            }
        }
        if !refused.is_empty() {
            return Err(SinkError::Unusable(format!("cannot create missing topics: {}", refused.join("; "))));
        }
        let Some((_, why)) = missing.first() else { return Ok(()) };
        let names: Vec<&str> = missing.iter().map(|(name, _)| name.as_str()).collect();
        Err(SinkError::Unusable(format!("missing topics: {}; {why}", names.join(", "))))
    }

    /// Finds or creates topics that events name; those that cannot be had are remembered as such for a while. A missing right
    /// is an error, since their events belong nowhere else.
    pub(crate) fn look_up(&mut self, wanted: &[Wanted]) -> Result<(), SinkError> {
        let is_known = |known: &Known| match known {
            Known::Takes(_) => true,
            Known::Absent(_, since) => since.elapsed() < LOOK_AGAIN,
        };
        let unknown = self.unknown(wanted, is_known);
        let mut lacking: Option<(Code, Vec<String>)> = None;
        for (name, found) in self.find(&unknown)? {
            let known = match found {
                Ok(accepts) => Known::Takes(accepts),
                Err(Absence::Denied(code)) => {
                    lacking.get_or_insert_with(|| (code, Vec::new())).1.push(name);
                    continue;
                }
                Err(absence @ (Absence::Missing(_) | Absence::Refused(_))) => {
                    Known::Absent(absence, Instant::now())
                }
            };
            if let Known::Absent(Absence::Missing(why) | Absence::Refused(why), _) = &known {
                warn!(topic = name, reason = why, "there is no topic for some events");
            }
            self.known.insert(name, known);
        }
        let Some((code, topics)) = lacking else { return Ok(()) };
        let reason = format!("topics {}: {}", topics.join(", "), denied(code));
        Err(SinkError::Undelivered { reason, code: delivery::name(code), reopen: true })
    }

    /// Those that have to be looked up, each once: streams may share topics, and the first one's settings count.
    fn unknown<'w>(&self, wanted: &'w [Wanted], is_known: impl Fn(&Known) -> bool) -> Vec<&'w Wanted> {
        let mut seen = BTreeSet::new();
        let is_new = |topic: &&Wanted| !self.known.get(&topic.name).is_some_and(&is_known);
        wanted.iter().filter(is_new).filter(|topic| seen.insert(&topic.name)).collect()
    }

    /// Finds or creates topics; tells of each what it takes, or why there is none.
    fn find(&mut self, wanted: &[&Wanted]) -> Result<Vec<Found>, SinkError> {
        if wanted.is_empty() {
            return Ok(Vec::new());
        }
        let existing = self.cluster.partition_counts()?;
        let (mut there, missing): (Vec<&Wanted>, Vec<&Wanted>) =
            wanted.iter().partition(|topic| existing.contains_key(&topic.name));
        let too_few: Vec<&Wanted> =
            there.iter().copied().filter(|topic| existing[&topic.name] < topic.at_least).collect();
        self.add_partitions(&too_few)?;
        let absent = self.create(&missing, existing.keys().map(String::as_str))?;
        let has_new = absent.len() < missing.len();
        there.extend(missing.into_iter().filter(|topic| !absent.contains_key(&topic.name)));
        let names: Vec<&str> = there.iter().map(|topic| topic.name.as_str()).collect();
        let accepted = self.read_limits(&names, has_new)?;
        let found = names.into_iter().zip(accepted).map(|(name, accepts)| (name.to_owned(), Ok(accepts)));
        Ok(found.chain(absent.into_iter().map(|(name, absence)| (name, Err(absence)))).collect())
    }

    /// Creates topics beside the existing ones; tells which of them cannot be had.
    fn create<'n>(
        &mut self,
        missing: &[&Wanted],
        existing: impl Iterator<Item = &'n str>,
    ) -> Result<BTreeMap<String, Absence>, SinkError> {
        if missing.is_empty() {
            return Ok(BTreeMap::new());
        }
        let all_missing = |why: &str| {
            let absent = missing.iter().map(|topic| (topic.name.clone(), Absence::Missing(why.to_owned())));
            Ok(absent.collect())
        };
        if !self.create {
            return all_missing("create them, or set kafka.create_topics = true");
        }
        if let Some(why) = self.cluster.refuses_changes() {
            return all_missing(why);
        }
        let (missing, clashing) = clashes::cut_off(missing, existing);
        let refused = |other: &str| {
            Absence::Refused(format!("there is a topic {other}, and Kafka takes `.` and `_` for the same"))
        };
        let clashing = clashing.iter().map(|(topic, other)| (topic.name.clone(), refused(other)));
        let mut absent: BTreeMap<String, Absence> = clashing.collect();
        let (mut failed, mut created) = (Vec::new(), Vec::new());
        for (name, result) in self.cluster.create(&missing)? {
            match result {
                // It is there, and was not shown to us.
                Err(Code::TopicAlreadyExists) if self.cluster.only_tries() => {
                    absent.insert(name, Absence::Denied(Code::TopicAuthorizationFailed));
                }
                // Another shard or instance was faster.
                Ok(()) | Err(Code::TopicAlreadyExists) => created.push(name),
                Err(code @ Code::InvalidTopic) => {
                    let why =
                        format!("Kafka does not take the name, which may collide with another one's: {code}");
                    absent.insert(name, Absence::Refused(why));
                }
                // Policies judge names, so another topic may do.
                Err(code @ Code::PolicyViolation) => {
                    absent.insert(
                        name,
                        Absence::Missing(format!("{code}; a policy of the cluster does not allow it")),
                    );
                }
                Err(code @ (Code::TopicAuthorizationFailed | Code::ClusterAuthorizationFailed)) => {
                    absent.insert(name, Absence::Denied(code));
                }
                Err(code) => failed.push(format!("{name}: {code}")),
            }
        }
        if !created.is_empty() && !self.cluster.only_tries() {
            info!(topics = created.join(", "), "created topics");
        }
        if failed.is_empty() {
            return Ok(absent);
        }
        Err(SinkError::Unusable(format!("cannot create missing topics: {}", failed.join("; "))))
    }

    fn add_partitions(&mut self, topics: &[&Wanted]) -> Result<(), SinkError> {
        for topic in topics {
            let failed = |reason: &str| {
                SinkError::Unusable(format!(
                    "{} needs {} partitions and could not get them: {reason}",
                    topic.name, topic.at_least
                ))
            };
            if !self.create {
                return Err(failed("kafka.create_topics is false"));
            }
            if let Some(why) = self.cluster.refuses_changes() {
                return Err(failed(why));
            }
            match self.cluster.add_partitions(topic).map_err(|error| failed(&error.to_string()))? {
                // Another instance has added them already.
                Ok(()) | Err(Code::InvalidPartitions) => {}
                Err(code @ Code::TopicAuthorizationFailed) => {
                    return Err(failed(&format!("{code}; it takes ALTER on the topic")));
                }
                Err(code) => return Err(failed(&code.to_string())),
            }
            info!(topic = topic.name, partitions = topic.at_least, "added partitions");
        }
        Ok(())
    }

    /// What topics take. Some may just have been created.
    fn read_limits(&mut self, names: &[&str], has_new: bool) -> Result<Vec<Accepts>, SinkError> {
        if let Some(max_bytes) = self.max_message_bytes {
            let max_bytes = |name: &&str| max_bytes.min(self.lowered_limit(name));
            let accepts = |name| Accepts { max_bytes: max_bytes(name), needs_key: false };
            return Ok(names.iter().map(accepts).collect());
        }
        if names.is_empty() {
            return Ok(Vec::new());
        }
        let described = limits::settled(has_new, || self.cluster.describe(names), std::thread::sleep);
        let refuses = self.cluster.refuses_changes().is_some();
        let Limits { accepts, denied, guessed } =
            limits::judge(names, described, refuses, |name| self.lowered_limit(name))?;
        if let Some(reason) = guessed {
            warn!(
                reason,
                "cannot read the topics' configuration; assuming Kafka's default; kafka.max_message_bytes sets it"
            );
        }
        if !denied.is_empty() {
            warn!(
                topics = denied.join(", "),
                "cannot read max.message.bytes of these topics, which takes DESCRIBE_CONFIGS on them; assuming Kafka's \
                 default; kafka.max_message_bytes sets it"
            );
        }
        Ok(accepts)
    }
}
