//! Topics of a broker: create, list, look at.

use super::Broker;
use crate::harness::wait;
use rdkafka::admin::{AdminOptions, AlterConfig, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::{Offset, TopicPartitionList};
use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

const REQUEST: Duration = Duration::from_secs(30);

impl Broker {
    /// Creates a topic and waits until it can be written to. `config` is e.g. `[("retention.ms", "60000")]`.
    #[track_caller]
    pub(crate) fn create_topic(&self, name: &str, partitions: i32, config: &[(&str, &str)]) {
        let mut topic = NewTopic::new(name, partitions, TopicReplication::Fixed(1));
        for (key, value) in config {
            topic = topic.set(key, value);
        }
        let results = block_on(self.admin.create_topics([&topic], &options())).expect("an answer");
        for result in results {
            result.unwrap_or_else(|(topic, code)| panic!("creating {topic}: {code}"));
        }
        wait::wait_until(wait::GENEROUS, format_args!("leaders of {name}"), || {
            self.partition_count(name) == Some(partitions)
        });
    }

    /// Changes a topic's configuration; what is not named is as the broker has it by default.
    #[track_caller]
    pub(crate) fn change_topic(&self, name: &str, config: &[(&str, &str)]) {
        let all = AlterConfig::new(ResourceSpecifier::Topic(name));
        let all = config.iter().fold(all, |all, (key, value)| all.set(key, value));
        let results = block_on(self.admin.alter_configs([&all], &options())).expect("an answer");
        for result in results {
            result.unwrap_or_else(|(_, code)| panic!("changing {name}: {code}"));
        }
    }

    /// The topics whose names begin with `prefix`, sorted. Internal ones too, for the prefix `__`.
    #[track_caller]
    pub(crate) fn topics(&self, prefix: &str) -> Vec<String> {
        let metadata = self.probe.fetch_metadata(None, REQUEST).expect("metadata");
        let names = metadata.topics().iter().map(|topic| topic.name().to_owned());
        let mut topics: Vec<String> = names.filter(|name| name.starts_with(prefix)).collect();
        topics.sort_unstable();
        topics
    }

    /// How many replicas each partition of a topic has, the least of them.
    #[track_caller]
    pub(crate) fn replicas(&self, topic: &str) -> usize {
        let metadata = self.probe.fetch_metadata(Some(topic), REQUEST).expect("metadata");
        let partitions = metadata.topics().first().expect("the topic").partitions();
        partitions.iter().map(|partition| partition.replicas().len()).min().unwrap_or(0)
    }

    /// The broker that leads a partition, by its number, if there is one.
    pub(crate) fn leader(&self, topic: &str, partition: i32) -> Option<i32> {
        let metadata = self.probe.fetch_metadata(Some(topic), REQUEST).ok()?;
        let found =
            metadata.topics().first()?.partitions().iter().find(|found| found.id() == partition)?.leader();
        (found > 0).then_some(found)
    }

    /// The number of partitions; none if there is no such topic, or not yet a leader for each of them.
    #[track_caller]
    pub(crate) fn partition_count(&self, topic: &str) -> Option<i32> {
        let metadata = self.probe.fetch_metadata(Some(topic), REQUEST).expect("metadata");
        let topic = metadata.topics().first()?;
        let led =
            topic.partitions().iter().all(|partition| partition.error().is_none() && partition.leader() >= 0);
        let count = i32::try_from(topic.partitions().len()).expect("few partitions");
        (topic.error().is_none() && led && count > 0).then_some(count)
    }

    /// The number of partitions of a topic that is there, or comes soon. Waited for each time: of several brokers some hear
    /// of a topic later than others.
    #[track_caller]
    pub(crate) fn wait_partition_count(&self, topic: &str) -> i32 {
        wait::wait_some(wait::GENEROUS, format_args!("topic {topic} to exist"), || {
            self.partition_count(topic)
        })
    }

    /// Deletes a topic. It may be there again at once, if somebody makes it.
    #[track_caller]
    pub(crate) fn delete_topic(&self, name: &str) {
        let results = block_on(self.admin.delete_topics(&[name], &options())).expect("an answer");
        for result in results {
            result.unwrap_or_else(|(topic, code)| panic!("deleting {topic}: {code}"));
        }
    }

    /// Deletes the records of a partition below an offset, as its retention would.
    #[track_caller]
    pub(crate) fn delete_records(&self, topic: &str, partition: i32, before: i64) {
        let mut offsets = TopicPartitionList::new();
        offsets.add_partition_offset(topic, partition, Offset::Offset(before)).expect("an offset");
        let deleted = block_on(self.admin.delete_records(&offsets, &options())).expect("an answer");
        let found = deleted.find_partition(topic, partition).expect("the partition");
        found.error().unwrap_or_else(|error| panic!("deleting records of {topic}: {error}"));
    }

    /// The configuration of a topic, defaults of the broker included.
    #[track_caller]
    pub(crate) fn topic_config(&self, topic: &str) -> BTreeMap<String, String> {
        let resource = [ResourceSpecifier::Topic(topic)];
        let mut results = block_on(self.admin.describe_configs(&resource, &options())).expect("an answer");
        let resource = results.remove(0).unwrap_or_else(|code| panic!("configuration of {topic}: {code}"));
        resource.entries.into_iter().filter_map(|entry| Some((entry.name, entry.value?))).collect()
    }

    /// The offset behind the last record of each partition, be it committed, aborted, open or a control record.
    #[track_caller]
    pub(crate) fn high_watermarks(&self, topic: &str) -> BTreeMap<i32, i64> {
        let partitions = self.wait_partition_count(topic);
        let end = |partition| watermarks(&self.probe, topic, partition).1;
        (0..partitions).map(|partition| (partition, end(partition))).collect()
    }
}

/// Low and high end of a partition; with `read_committed` the high end is the last stable offset. A topic that was
/// created a moment ago is in the metadata before its broker leads it.
#[track_caller]
pub(crate) fn watermarks(consumer: &BaseConsumer, topic: &str, partition: i32) -> (i64, i64) {
    use rdkafka::types::RDKafkaErrorCode as Code;
    wait::wait_some(wait::GENEROUS, format_args!("a leader of {topic}/{partition}"), || {
        match consumer.fetch_watermarks(topic, partition, REQUEST) {
            Ok(ends) => Some(ends),
            Err(error) => match error.rdkafka_error_code() {
                Some(
                    Code::NotLeaderForPartition
                    | Code::LeaderNotAvailable
                    | Code::UnknownTopicOrPartition
                    | Code::UnknownPartition
                    // A broker that was started a moment ago, or is gone while another one takes its place.
                    | Code::BrokerTransportFailure
                    | Code::AllBrokersDown,
                ) => None,
                _ => panic!("watermarks of {topic}/{partition}: {error}"),
            },
        }
    })
}

fn options() -> AdminOptions {
    AdminOptions::new().request_timeout(Some(REQUEST)).operation_timeout(Some(REQUEST))
}

/// Runs one future here. Not by tokio, which refuses to block inside its own runtime, where some tests live. The admin
/// client answers from a thread of its own.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(value) => return value,
            Poll::Pending => thread::park(),
        }
    }
}
