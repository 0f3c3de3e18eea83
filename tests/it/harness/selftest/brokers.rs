//! The shared broker shows its topics; a private one is stopped, killed and paused and keeps what it has.

use crate::harness::broker::{Broker, broker, free_port, killable_broker, private_broker, unique_prefix};
use crate::harness::reader::{Isolation, Reader, read_all};
use crate::harness::wait::GENEROUS;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use std::collections::HashSet;
use std::time::Duration;

fn send(broker: &Broker, topic: &str, value: &str) {
    let producer: BaseProducer = broker.client(&[]).create().unwrap();
    producer.send(BaseRecord::<(), str>::to(topic).payload(value)).map_err(|(error, _)| error).unwrap();
    producer.flush(GENEROUS).unwrap();
}

#[test]
fn topics_are_created_listed_and_described() {
    let broker = broker();
    let prefix = unique_prefix("topics");
    let [one, two] = ["one", "two"].map(|name| format!("{prefix}.{name}"));
    assert_eq!(broker.partition_count(&one), None);
    broker.create_topic(&two, 5, &[("cleanup.policy", "compact"), ("retention.ms", "1234567")]);
    broker.create_topic(&one, 1, &[]);
    assert_eq!(broker.topics(&prefix), [one.as_str(), &two]);
    assert_eq!(broker.partition_count(&two), Some(5));
    let config = broker.topic_config(&two);
    assert_eq!((config["cleanup.policy"].as_str(), config["retention.ms"].as_str()), ("compact", "1234567"));
    assert_eq!(read_all(broker, &two, Isolation::Uncommitted), []);
    assert_eq!(read_all(broker, &two, Isolation::Committed), []);
}

#[test]
fn no_port_is_given_twice() {
    let ports: HashSet<u16> = (0..500).map(|_| free_port()).collect();
    assert_eq!(ports.len(), 500);
}

#[test]
fn a_private_broker_keeps_its_data_and_ports() {
    let mut broker = killable_broker();
    let topic = "kept";
    let address = broker.bootstrap().to_owned();
    broker.create_topic(topic, 1, &[]);
    send(&broker, topic, "before the stop");
    broker.stop();
    broker.start();
    eprintln!("stopped and started: up in {:?}", broker.took());
    send(&broker, topic, "before the kill");
    broker.kill9();
    broker.start();
    eprintln!("killed and started: up in {:?}", broker.took());
    send(&broker, topic, "after all");
    assert_eq!(broker.bootstrap(), address);
    let messages = read_all(&broker, topic, Isolation::Committed);
    let texts: Vec<_> = messages.iter().map(|message| message.text()).collect();
    assert_eq!(texts, ["before the stop", "before the kill", "after all"]);
}

#[test]
fn a_paused_broker_answers_nothing_until_it_is_resumed() {
    let mut broker = private_broker();
    broker.create_topic("paused", 1, &[]);
    let producer: BaseProducer = broker.client(&[]).create().unwrap();
    send(&broker, "paused", "before");
    broker.pause();
    producer
        .send(BaseRecord::<(), str>::to("paused").payload("meanwhile"))
        .map_err(|(error, _)| error)
        .unwrap();
    producer.flush(Duration::from_secs(2)).expect_err("nobody acknowledges");
    broker.resume();
    producer.flush(GENEROUS).unwrap();
    let mut reader = Reader::open(&broker, "paused", Isolation::Committed);
    reader.wait_for(GENEROUS, "both records", |messages| messages.len() == 2);
}
