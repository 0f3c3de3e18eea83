//! The demo's Kafka: librdkafka's in-process mock cluster, or a real one that is read back.

use std::collections::HashSet;
use std::time::Duration;

use anyhow::{Context, bail};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{Headers, Message};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use rdkafka::{Offset, TopicPartitionList};

use super::service::Service;
use crate::sink::kafka::StateTopics;
use crate::sink::kafka::client::{Clients, Context as ClientContext};
use crate::{config, shard};

const PARTITIONS: i32 = 6;

/// Limit of a request to the cluster, and of silence while reading back.
const TIMEOUT: Duration = Duration::from_secs(20);

/// Where the demo's events go.
pub(super) struct Broker {
    services: &'static [Service],
    bootstrap: String,
    prefix: String,
    /// Kept alive: dropping it stops the in-process broker.
    in_process: Option<MockCluster<'static, DefaultProducerContext>>,
}

/// What a consumer found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Counted {
    /// Records in the topic.
    pub(super) records: u64,
    /// Different ids among them.
    pub(super) distinct: u64,
}

impl Broker {
    /// The cluster at `kafka`, else one in this process.
    pub(super) fn start(services: &'static [Service], kafka: Option<&str>) -> anyhow::Result<Self> {
        // A prefix of its own: a demo must not resume from the one before.
        let run = shard::new_name();
        let prefix = format!("tributary-demo-{}", run.split('-').next().unwrap_or_default());
        if let Some(bootstrap) = kafka {
            return Ok(Self { services, bootstrap: bootstrap.to_owned(), prefix, in_process: None });
        }
        let cluster = MockCluster::new(1).context("cannot start librdkafka's in-process broker")?;
        let state = StateTopics::new(&prefix);
        let dead_letters = format!("{prefix}.dead-letters");
        // It knows no CreateTopics request. Each shard has a partition of the state topics.
        let shards = services.len() as i32;
        let broker = Self { services, bootstrap: cluster.bootstrap_servers(), prefix, in_process: None };
        let events = services.iter().map(|service| (broker.topic(*service), PARTITIONS));
        let others = [(state.checkpoints, shards), (state.ids, shards), (state.shards, 1), (dead_letters, 1)];
        for (topic, partitions) in events.chain(others) {
            cluster.create_topic(&topic, partitions, 1).with_context(|| format!("cannot create {topic}"))?;
        }
        Ok(Self { in_process: Some(cluster), ..broker })
    }

    fn topic(&self, service: Service) -> String {
        format!("{}.{}", self.prefix, service.name())
    }

    fn topics(&self) -> Vec<String> {
        self.services.iter().map(|service| self.topic(*service)).collect()
    }

    /// The connector's configuration: what a user would write.
    pub(super) fn configuration(&self, mock: &str) -> String {
        // The in-process broker leaves the question unanswered.
        let limit = if self.in_process.is_some() { "max_message_bytes = \"1MB\"" } else { "" };
        let streams = self.services.iter();
        let streams: String =
            streams.map(|service| service.configuration(mock, &self.topic(*service), PARTITIONS)).collect();
        let Self { bootstrap, prefix, .. } = self;
        format!(
            "[kafka]\nbootstrap_servers = \"{bootstrap}\"\n{limit}\n[state]\nprefix = \"{prefix}\"\n{streams}"
        )
    }

    /// Where it is.
    pub(super) fn address(&self) -> &str {
        &self.bootstrap
    }

    /// Whether it is librdkafka's mock, which answers only some requests.
    pub(super) fn is_in_process(&self) -> bool {
        self.in_process.is_some()
    }

    /// What this is.
    pub(super) fn description(&self) -> String {
        match &self.in_process {
            Some(_) => "Kafka: librdkafka's in-process mock broker. It speaks the protocol but fences nobody and \
                        isolates nothing,\nso the table counts what the connector committed; --kafka HOST:PORT proves \
                        it on a real one."
                .to_owned(),
            None => format!(
                "Kafka: {}, topics {}, read back with isolation.level=read_committed.",
                self.bootstrap,
                self.topics().join(" and ")
            ),
        }
    }

    /// What is printed first.
    pub(super) fn introduction(&self, mock: &str, rate: u64) -> String {
        let kind = if self.in_process.is_some() { "librdkafka's in-process mock broker" } else { "Kafka" };
        let names: Vec<_> = self.services.iter().map(|service| service.name()).collect();
        let command = |topic| format!("    kcat -b {} -t {topic} -C -o end -f '%k  %s\\n'\n", self.bootstrap);
        let commands: String = self.topics().into_iter().map(command).collect();
        format!(
            "mock services ({names}) at {mock}  ->  tributary  ->  {kind} at {bootstrap}\n\
             {rate} events a second each; some come twice, and now and then a service misbehaves.\n\
             Read along in another terminal:\n\n{commands}",
            names = names.join(" and "),
            bootstrap = self.bootstrap,
        )
    }

    /// Reads a service's topic back; `None` for the in-process broker, which keeps only the last megabytes.
    pub(super) fn count(&self, service: Service) -> anyhow::Result<Option<Counted>> {
        if self.in_process.is_some() {
            return Ok(None);
        }
        let config = config::parse(&self.configuration("http://127.0.0.1:1"))?;
        let consumer = Clients::new(config.plan.kafka, tokio::runtime::Handle::current()).consumer(true)?;
        count(&consumer, &self.topic(service)).map(Some)
    }
}

fn count(consumer: &BaseConsumer<ClientContext>, topic: &str) -> anyhow::Result<Counted> {
    let metadata = consumer.fetch_metadata(Some(topic), TIMEOUT).context("cannot read the topic back")?;
    let partitions = metadata.topics().first().map_or(0, |topic| topic.partitions().len() as i32);
    let mut assignment = TopicPartitionList::new();
    for partition in 0..partitions {
        assignment.add_partition_offset(topic, partition, Offset::Beginning)?;
    }
    consumer.assign(&assignment)?;
    let (mut records, mut ids, mut at_end) = (0, HashSet::new(), HashSet::new());
    while at_end.len() < partitions as usize {
        match consumer.poll(TIMEOUT) {
            Some(Ok(message)) => {
                records += 1;
                let headers = message.headers().into_iter().flat_map(|headers| headers.iter());
                let id = headers.filter(|header| header.key == "ce_id").find_map(|header| header.value);
                ids.insert(id.unwrap_or_default().to_vec());
            }
            Some(Err(KafkaError::PartitionEOF(partition))) => {
                at_end.insert(partition);
            }
            Some(Err(error)) => return Err(error).context("cannot read the topic back"),
            None => bail!("the topic could not be read back within {} s", TIMEOUT.as_secs()),
        }
    }
    Ok(Counted { records, distinct: ids.len() as u64 })
}
