//! Whether a consumer group may be joined, asked without joining it: by an offset for a partition that no topic has.
//!
//! Kafka judges the right to read with the group first, then that on the topic, and then leaves out partitions that do not exist, before it
//! asks the group whether whoever commits is a member. So nothing is ever committed, and a group at work notices nothing.

use std::sync::{Arc, mpsc};
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaErrorCode as Code;
use rdkafka::{Offset, TopicPartitionList};
use tokio::runtime::Handle;

use crate::sink::SinkError;
use crate::sink::kafka::StateTopics;
use crate::sink::kafka::client::{Clients, Context, close_beside, explain, with_causes};
use crate::sink::kafka::config::Config;

/// A partition that no topic has: Kafka takes some ten thousand of one.
const NOWHERE: i32 = 1_000_000;

/// How long what a consumer has to say is waited for after it failed, and how much of it is heard.
const LAST_WORDS: Duration = Duration::from_millis(100);
const MOST_WORDS: usize = 100;

/// Asks for what the consumer group that shares the shards has committed, which is nothing, and then whether something may be committed
/// with it. The first takes the right to see the group, the second that to join it. Each blocks for `limit` at most, and for the first
/// token of an OAuth login.
pub(crate) fn group(config: &Config, runtime: Handle, limit: Duration) -> Result<(), SinkError> {
    let topic = StateTopics::new(&config.prefix).shards;
    let consumer = Arc::new(Clients::new(config.clone(), runtime).group_reader(&topic)?);
    let asked = may_see(&consumer, &topic, limit).and_then(|()| may_commit(&consumer, &topic, limit));
    close_beside(consumer);
    asked
}

fn may_see(consumer: &BaseConsumer<Context>, topic: &str, limit: Duration) -> Result<(), SinkError> {
    let mut partitions = TopicPartitionList::new();
    partitions.add_partition(topic, 0);
    let asked = consumer.committed_offsets(partitions, limit);
    asked.map(drop).map_err(|error| {
        let reason = match refusal(consumer) {
            Some(code) => denied(code),
            None => explain(consumer, &error),
        };
        SinkError::Unusable(format!("cannot ask for the consumer group {topic}: {reason}"))
    })
}

fn may_commit(consumer: &Arc<BaseConsumer<Context>>, topic: &str, limit: Duration) -> Result<(), SinkError> {
    let failed =
        |reason: String| SinkError::Unusable(format!("cannot use the consumer group {topic}: {reason}"));
    let mut nowhere = TopicPartitionList::new();
    let added = nowhere.add_partition_offset(topic, NOWHERE, Offset::Offset(0));
    added.map_err(|error| failed(error.to_string()))?;
    // The call has no limit of its own, and rdkafka (0.39) does not tell what becomes of one that is not waited for.
    let (tell, told) = mpsc::channel();
    let own = Arc::clone(consumer);
    let commit = move || tell.send(own.commit(&nowhere, CommitMode::Sync));
    let thread = std::thread::Builder::new().name("try-group".into());
    thread.spawn(commit).map_err(|error| failed(error.to_string()))?;
    let answer = told.recv_timeout(limit).map_err(|_| {
        let reason = format!("no answer within {} s", limit.as_secs_f64());
        failed(with_causes(reason, consumer.client().context()))
    })?;
    judge(topic, answer.err().as_ref()).map_err(failed)
}

/// What the answer to a commit means; an error says why the group cannot be joined.
fn judge(topic: &str, error: Option<&KafkaError>) -> Result<(), String> {
    let Some(error) = error else {
        return Err(format!(
            "Kafka took an offset for partition {NOWHERE} of topic {topic}, which does not exist"
        ));
    };
    match error.rdkafka_error_code() {
        // What is said of the topic comes after the right on the group. Whether the topic may be read shows where that is done.
        Some(Code::UnknownTopicOrPartition | Code::TopicAuthorizationFailed) => Ok(()),
        // Only the group itself says this, after all rights.
        Some(Code::UnknownMemberId | Code::IllegalGeneration | Code::RebalanceInProgress) => Ok(()),
        Some(code @ Code::GroupAuthorizationFailed) => Err(denied(code)),
        _ => Err(error.to_string()),
    }
}

fn denied(code: Code) -> String {
    format!("{code}; it takes READ on the group")
}

/// Whether the group was refused to a consumer. librdkafka goes on looking for the group's coordinator then, so the request itself only
/// runs out of time.
fn refusal(consumer: &BaseConsumer<Context>) -> Option<Code> {
    let told = std::iter::from_fn(|| consumer.poll(LAST_WORDS));
    let mut codes = told.take(MOST_WORDS).filter_map(|told| told.err()?.rdkafka_error_code());
    codes.find(|code| *code == Code::GroupAuthorizationFailed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_comes_after_the_right_proves_it() {
        let of = |code: Code| judge("t", Some(&KafkaError::ConsumerCommit(code)));
        for code in [Code::UnknownTopicOrPartition, Code::TopicAuthorizationFailed, Code::UnknownMemberId] {
            assert_eq!(of(code), Ok(()), "{code}");
        }
        let denied = of(Code::GroupAuthorizationFailed).unwrap_err();
        assert!(denied.contains("it takes READ on the group"), "{denied}");
        assert!(of(Code::CoordinatorNotAvailable).is_err());
        assert!(judge("t", None).unwrap_err().contains("which does not exist"), "that it is taken is said");
    }
}
