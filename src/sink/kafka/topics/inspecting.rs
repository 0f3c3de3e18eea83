//! What topics are like, and what would become of those that are missing, for whoever wants to know before anything runs.
//! Changes nothing: topics are only tried to be created.

use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::Instant;

use super::cluster::{Cluster, Described, Replicas};
use super::replicas::short;
use super::{Absence, Topics, Wanted, denied};
use crate::sink::SinkError;
use crate::sink::kafka::client::Clients;
use crate::sink::kafka::config::Config;

/// What stands in the way of a topic, or of what is written to it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Trouble {
    /// It is not there, and would not be created, or could not get what it needs: why.
    Lacks(String),
    /// Too few replicas of a partition are in sync.
    Short(String),
}

/// A topic that is there.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct There {
    /// Its partitions.
    pub partitions: usize,
    /// Replicas of the partition with the fewest.
    pub replicas: usize,
    /// Partitions that would be added to it at the start.
    pub added: usize,
    /// `max.message.bytes`, where it may be read.
    pub max_message_bytes: Option<usize>,
    /// `min.insync.replicas`, where it may be read.
    pub min_in_sync: Option<usize>,
    /// Whether only the last record of a key is kept.
    pub compacted: bool,
    /// Whether its records keep the times that their writers gave them; false where that may not be read.
    pub keeps_times: bool,
    /// `message.timestamp.after.max.ms`, where it may be read and Kafka has it.
    pub after_max_ms: Option<i64>,
    /// Whether its settings may be read, or need not be.
    pub told: bool,
}

/// How it stands with a topic.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Standing {
    /// It is there, and nothing is in the way.
    There(There),
    /// It would be created at the start.
    WouldBeCreated,
    /// Something is in the way.
    Troubled(Trouble),
}

/// Asks how it stands with each of `wanted`, in their order. `limit` is that of each request. Blocks.
pub(crate) fn inspect(
    config: &Config,
    runtime: Handle,
    wanted: &[Wanted],
    limit: Duration,
) -> Result<Vec<Standing>, SinkError> {
    let clients = Clients::new(config.clone(), runtime.clone());
    let cluster = Cluster::only_trying(clients.clone(), runtime.clone(), limit);
    Topics { cluster, ..Topics::new(clients, runtime, config) }.inspect(wanted, limit)
}

impl Topics {
    fn inspect(&mut self, wanted: &[Wanted], limit: Duration) -> Result<Vec<Standing>, SinkError> {
        let existing = self.cluster.replicas()?;
        let names: Vec<&str> = wanted
            .iter()
            .map(|topic| topic.name.as_str())
            .filter(|name| existing.contains_key(*name))
            .collect();
        // Over a login that cannot be asked with, nothing is told.
        let may_ask = self.cluster.refuses_changes().is_none() && !names.is_empty();
        let described = if may_ask { self.cluster.describe(&names)? } else { vec![None; names.len()] };
        let mut described = described.into_iter();
        let mut standings = Vec::with_capacity(wanted.len());
        for topic in wanted {
            let standing = match existing.get(&topic.name) {
                Some(replicas) => self.of_existing(topic, replicas, described.next().flatten()),
                None => self.of_missing(topic, existing.keys().map(String::as_str), limit)?,
            };
            standings.push(standing);
        }
        Ok(standings)
    }

    fn of_existing(&self, topic: &Wanted, replicas: &[Replicas], described: Option<Described>) -> Standing {
        let at_least = usize::try_from(topic.at_least).unwrap_or_default();
        let added = at_least.saturating_sub(replicas.len());
        let refusal = match (self.create, self.cluster.refuses_changes()) {
            (true, None) => None,
            (false, _) => Some("kafka.create_topics is false"),
            (true, Some(why)) => Some(why),
        };
        if added > 0
            && let Some(why) = refusal
        {
            let partitions = replicas.len();
            return Standing::Troubled(Trouble::Lacks(format!(
                "it has {partitions} partitions and needs {at_least}: {why}"
            )));
        }
        let told = described.is_some() || self.max_message_bytes.is_some();
        let described = described.unwrap_or_default();
        if let Some(short) = short(&topic.name, replicas, described.min_in_sync.unwrap_or(1)) {
            return Standing::Troubled(Trouble::Short(short));
        }
        Standing::There(There {
            partitions: replicas.len(),
            replicas: replicas.iter().map(|partition| partition.all).min().unwrap_or_default(),
            added,
            max_message_bytes: described.max_message_bytes,
            min_in_sync: described.min_in_sync,
            compacted: described.compacted,
            keeps_times: described.keeps_times,
            after_max_ms: described.after_max_ms,
            told,
        })
    }

    /// Each is tried by itself, so that one says nothing of another. But where nobody answers, nobody answers about the others.
    fn of_missing<'n>(
        &mut self,
        topic: &Wanted,
        existing: impl Iterator<Item = &'n str>,
        limit: Duration,
    ) -> Result<Standing, SinkError> {
        let began = Instant::now();
        let why = match self.create(&[topic], existing) {
            Ok(mut absent) => match absent.remove(&topic.name) {
                None => return Ok(Standing::WouldBeCreated),
                Some(Absence::Missing(why) | Absence::Refused(why)) => why,
                Some(Absence::Denied(code)) => denied(code),
            },
            Err(error) if began.elapsed() >= limit => return Err(error),
            Err(error) => error.to_string(),
        };
        Ok(Standing::Troubled(Trouble::Lacks(why)))
    }
}
