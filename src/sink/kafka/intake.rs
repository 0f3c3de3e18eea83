//! The intake topic of a stream that is pushed to us: what the receivers took is written there, and each shard reads one
//! partition of it.
//!
//! Invariants:
//! - All copies of an event are in one partition, whichever instance received them: which one is the receiver's to say, as a
//!   function of the event's id and of the number of partitions that are used.
//! - A record is an event, or what was sent in place of one, byte for byte; where only the head was kept, a header says how long
//!   the whole was.

use std::time::Duration;

use super::config::{Config, TopicSpec};
use super::topics::Wanted;

pub(crate) mod reader;
pub(crate) mod writer;

/// The header that says how long an event was of which only the head was kept.
const LENGTH_HEADER: &str = "tributary-length";

/// What a record may have in an intake topic that we make, bytes: that of the largest body, and some room for what is around it.
const MAX_MESSAGE_BYTES: &str = "17825792";

/// An intake topic.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Intake {
    /// Its name.
    pub topic: String,
    /// Partitions that are used: one for each shard.
    pub partitions: u32,
    /// How long it keeps what was received.
    pub retention: Duration,
}

impl Intake {
    /// The topic as it must be.
    pub fn wanted(&self, config: &Config) -> Wanted {
        let partitions = i32::try_from(self.partitions).unwrap_or(i32::MAX);
        Wanted {
            name: self.topic.clone(),
            spec: TopicSpec {
                replication_factor: config.state_replication_factor,
                retention: Some(self.retention),
                ..TopicSpec::default()
            },
            config: vec![
                ("cleanup.policy", "delete"),
                ("max.message.bytes", MAX_MESSAGE_BYTES),
                // Its age counts from when it came, whatever our clock says.
                ("message.timestamp.type", "LogAppendTime"),
            ],
            at_least: partitions,
        }
    }
}
