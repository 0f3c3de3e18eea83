//! The topics that hold checkpoints and recent ids: their names and how they must be.

use super::config::{Config, TopicSpec};
use super::settings::{Must, Rules};
use super::topics::Wanted;

/// Partitions of the topic of replays. One that died may leave a transaction open in its partition, for which others wait that have
/// the same one. The number must never change: a stream's record is where its name and this number say.
pub(crate) const REPLAY_PARTITIONS: i32 = 16;

/// The names of the state topics under a prefix.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StateTopics {
    /// Compacted, keyed by shard.
    pub checkpoints: String,
    /// Journal of ids, with time retention.
    pub ids: String,
    /// Compacted, keyed by stream: which dead letters were replayed. Apart from the checkpoints, so that a replay that died cannot
    /// hide those of a shard behind its open transaction.
    pub replays: String,
    /// Compacted; its partition 0 holds the placement record and nothing else, so that no dead shard's open transaction
    /// can hide the record.
    pub shards: String,
}

impl StateTopics {
    /// Under `prefix`.
    pub fn new(prefix: &str) -> Self {
        Self {
            checkpoints: format!("{prefix}.checkpoints"),
            ids: format!("{prefix}.ids"),
            replays: format!("{prefix}.replays"),
            shards: format!("{prefix}.shards"),
        }
    }

    /// Whether a topic is one of them.
    pub fn has(&self, topic: &str) -> bool {
        [&self.checkpoints, &self.ids, &self.replays, &self.shards].iter().any(|name| *name == topic)
    }

    /// The topic of the placement record, as it must be, with a partition for each shard that the consumer group shares.
    pub fn wanted_shards(&self, config: &Config, partitions: i32) -> Wanted {
        Wanted {
            name: self.shards.clone(),
            spec: TopicSpec { replication_factor: config.state_replication_factor, ..TopicSpec::default() },
            config: vec![
                ("cleanup.policy", "compact"),
                ("min.cleanable.dirty.ratio", "0.1"),
                // So each announcement tells the broker's time.
                ("message.timestamp.type", "LogAppendTime"),
            ],
            at_least: partitions,
        }
    }

    /// The topic that says which dead letters were replayed. Only a replay makes it.
    pub fn wanted_replays(&self, config: &Config) -> Wanted {
        Wanted {
            name: self.replays.clone(),
            spec: TopicSpec { replication_factor: config.state_replication_factor, ..TopicSpec::default() },
            config: vec![
                ("cleanup.policy", "compact"),
                ("segment.bytes", "16777216"),
                ("min.cleanable.dirty.ratio", "0.1"),
            ],
            at_least: REPLAY_PARTITIONS,
        }
    }

    /// What that topic must be like, whoever made it: one that forgets would have letters replayed once more.
    pub fn rules_of_replays(&self) -> Rules {
        Rules { topic: self.replays.clone(), settings: vec![("cleanup.policy", Must::Be("compact"))] }
    }

    /// What the state topics must be like, whoever made them.
    pub fn rules(&self, config: &Config) -> [Rules; 3] {
        let retention_ms = i64::try_from(config.journal_retention.as_millis()).unwrap_or(i64::MAX);
        let bytes = i64::try_from(config.journal_bytes).unwrap_or(i64::MAX);
        [
            Rules {
                topic: self.checkpoints.clone(),
                settings: vec![("cleanup.policy", Must::Be("compact"))],
            },
            Rules { topic: self.shards.clone(), settings: vec![("cleanup.policy", Must::Be("compact"))] },
            Rules {
                topic: self.ids.clone(),
                settings: vec![
                    ("cleanup.policy", Must::Be("delete")),
                    ("retention.ms", Must::AtLeast(retention_ms)),
                    ("retention.bytes", Must::AtLeast(bytes)),
                ],
            },
        ]
    }

    /// Checkpoints and ids, as they are made for `partitions` shards.
    pub fn wanted(&self, config: &Config, partitions: i32) -> [Wanted; 2] {
        let spec = TopicSpec { replication_factor: config.state_replication_factor, ..TopicSpec::default() };
        [
            Wanted {
                name: self.checkpoints.clone(),
                spec,
                config: vec![
                    ("cleanup.policy", "compact"),
                    // A checkpoint a commit adds up: small segments let compaction keep the topic short.
                    ("segment.bytes", "16777216"),
                    ("min.cleanable.dirty.ratio", "0.1"),
                ],
                at_least: partitions,
            },
            Wanted {
                name: self.ids.clone(),
                spec: TopicSpec {
                    retention: Some(config.journal_retention),
                    retention_bytes: Some(config.journal_bytes),
                    ..spec
                },
                config: vec![("cleanup.policy", "delete"), ("segment.bytes", "67108864")],
                at_least: partitions,
            },
        ]
    }
}
