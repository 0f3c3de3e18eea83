//! The Kafka of the benchmark: a given one, or one started from the jars that the tests keep in `target/kafka`.

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::{Offset, TopicPartitionList};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::proc::{self, Killed};

const REQUEST: Duration = Duration::from_secs(60);

/// A broker that answers.
pub(crate) struct Broker {
    pub(crate) address: String,
    admin: AdminClient<DefaultClientContext>,
    runtime: Runtime,
    /// The JVM goes before its data.
    own: Option<(Killed, TempDir)>,
}

impl Broker {
    /// The one at `address`, or a new one.
    pub(crate) fn find(address: Option<&str>) -> Self {
        let (address, own) = match address {
            Some(address) => (address.to_owned(), None),
            None => {
                let (address, jvm, dir) = start();
                (address, Some((jvm, dir)))
            }
        };
        let admin: AdminClient<DefaultClientContext> = client(&address).create().expect("a Kafka client");
        let metadata = admin.inner().fetch_metadata(None, REQUEST).expect("an answer from Kafka");
        assert!(!metadata.brokers().is_empty(), "no broker at {address}");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        Self { address, admin, runtime, own }
    }

    /// Says on what the figures to come are measured: the machine, how busy it is, and this broker.
    #[expect(clippy::print_stdout, reason = "a benchmark's figures are for the terminal")]
    pub(crate) fn print_scene(&self) {
        let cpus = std::thread::available_parallelism().map_or(1, usize::from);
        let whence = if self.own.is_some() { "started from target/kafka" } else { "given" };
        println!("{cpus} CPUs, load {}, Kafka at {} ({whence})", proc::load(), self.address);
    }

    /// A `read_committed` consumer of a topic with so many partitions, from its beginning.
    pub(crate) fn consumer(&self, topic: &str, partitions: i32) -> BaseConsumer {
        let consumer: BaseConsumer = client(&self.address)
            .set("group.id", "bench")
            .set("enable.auto.commit", "false")
            .set("isolation.level", "read_committed")
            .set("fetch.wait.max.ms", "500")
            .create()
            .expect("a consumer");
        let mut assignment = TopicPartitionList::new();
        for partition in 0..partitions {
            assignment.add_partition_offset(topic, partition, Offset::Beginning).expect("a partition");
        }
        consumer.assign(&assignment).expect("an assignment");
        consumer
    }

    /// A new name, and a topic of that name.
    pub(crate) fn new_topic(&self, partitions: i32) -> String {
        let name = format!("bench-{:08x}", rand::random::<u32>());
        let topic = NewTopic::new(&name, partitions, TopicReplication::Fixed(1));
        let options = AdminOptions::new().operation_timeout(Some(REQUEST));
        let made = self.runtime.block_on(self.admin.create_topics([&topic], &options)).expect("an answer");
        made.into_iter().for_each(|made| drop(made.expect("a new topic")));
        name
    }

    /// Removes all topics whose names begin so: a round leaves a few hundred megabytes.
    pub(crate) fn remove(&self, prefix: &str) {
        let metadata = self.admin.inner().fetch_metadata(None, REQUEST).expect("an answer from Kafka");
        let names: Vec<&str> = metadata
            .topics()
            .iter()
            .map(|topic| topic.name())
            .filter(|name| name.starts_with(prefix))
            .collect();
        let options = AdminOptions::new().operation_timeout(Some(REQUEST));
        drop(self.runtime.block_on(self.admin.delete_topics(&names, &options)));
    }
}

/// A client of that broker.
#[expect(clippy::disallowed_methods, reason = "not the connector's")]
pub(crate) fn client(address: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", address);
    config
}

/// A port that is free now.
pub(crate) fn free_port() -> u16 {
    // Below the range of outgoing connections.
    (0..1000)
        .map(|_| rand::random_range(20_000..32_000))
        .find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .expect("a free port")
}

fn start() -> (String, Killed, TempDir) {
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/kafka");
    let (libs, formatted) = (kept.join("libs-4.1.1"), kept.join("formatted-4.1.1"));
    assert!(
        libs.exists() && formatted.exists(),
        "no Kafka in {}: run `cargo test --test it` once, which fetches it, or name a broker with --kafka",
        kept.display()
    );
    let dir = tempfile::tempdir().expect("a directory");
    let data = dir.path().join("data");
    fs::create_dir(&data).expect("a directory");
    for file in fs::read_dir(formatted).expect("a directory").flatten() {
        fs::copy(file.path(), data.join(file.file_name())).expect("a copy");
    }
    let (port, controller) = (free_port(), free_port());
    let properties = dir.path().join("server.properties");
    let text = format!(
        "process.roles=broker,controller\nnode.id=1\ncontroller.quorum.voters=1@127.0.0.1:{controller}\n\
         listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}\n\
         advertised.listeners=PLAINTEXT://127.0.0.1:{port}\ncontroller.listener.names=CONTROLLER\n\
         inter.broker.listener.name=PLAINTEXT\n\
         listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT\nlog.dirs={}\n\
         offsets.topic.replication.factor=1\ntransaction.state.log.replication.factor=1\n\
         transaction.state.log.min.isr=1\ntransaction.state.log.num.partitions=4\noffsets.topic.num.partitions=4\n\
         auto.create.topics.enable=false\ngroup.initial.rebalance.delay.ms=0\n",
        data.display()
    );
    fs::write(&properties, text).expect("a file");
    let jvm = Killed::spawn(
        Command::new("java")
            .arg("-cp")
            .arg(libs.join("*"))
            .args(["-Xmx1g", "kafka.Kafka"])
            .arg(properties)
            .current_dir(dir.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null()),
    );
    (format!("127.0.0.1:{port}"), jvm, dir)
}
