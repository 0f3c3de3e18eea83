//! The reader tells committed from aborted and open, on a real broker.

use crate::harness::broker::{Broker, broker, unique_prefix};
use crate::harness::reader::{Isolation, Message, Reader, read_all, wait_for};
use crate::harness::wait::GENEROUS;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer as _, ThreadedProducer};
use std::time::Duration;
use tokio::time::Instant;

const LIMIT: Duration = Duration::from_secs(60);

type TestProducer = ThreadedProducer<DefaultProducerContext>;

fn producer(broker: &Broker, id: &str) -> TestProducer {
    let producer: TestProducer = broker.client(&[("transactional.id", id)]).create().unwrap();
    producer.init_transactions(LIMIT).unwrap();
    producer
}

/// Sends `count` records, value `name-i`, over all partitions.
fn send(producer: &TestProducer, topic: &str, name: &str, count: usize) {
    for i in 0..count {
        let (key, value) = (format!("key-{i}"), format!("{name}-{i}"));
        let headers = OwnedHeaders::new().insert(Header { key: "batch", value: Some(name) });
        let record =
            BaseRecord::to(topic).key(&key).payload(&value).timestamp(1_000 + i as i64).headers(headers);
        producer.send(record).map_err(|(error, _)| error).unwrap();
    }
    // In short steps, since `flush` does not return early (design.md, "Facts about the tools").
    while producer.in_flight_count() > 0 {
        producer.flush(Duration::from_millis(1)).ok();
    }
}

fn of<'a>(messages: &'a [Message], batch: &'a str) -> impl Iterator<Item = &'a Message> {
    messages.iter().filter(move |message| message.header("batch") == Some(batch))
}

#[test]
fn an_aborted_batch_is_in_the_log_but_not_committed() {
    let broker = broker();
    let topic = unique_prefix("transactions");
    broker.create_topic(&topic, 3, &[]);
    let producer = producer(broker, &topic);
    let start = Instant::now();
    producer.begin_transaction().unwrap();
    send(&producer, &topic, "kept", 100);
    producer.commit_transaction(LIMIT).unwrap();
    let commit = start.elapsed();
    producer.begin_transaction().unwrap();
    send(&producer, &topic, "dropped", 50);
    producer.abort_transaction(LIMIT).unwrap();

    let committed = read_all(broker, &topic, Isolation::Committed);
    let all = read_all(broker, &topic, Isolation::Uncommitted);
    eprintln!("{} broker, up in {:?}; first commit took {commit:?}", broker.origin(), broker.took());
    assert_eq!((of(&committed, "kept").count(), of(&committed, "dropped").count()), (100, 0));
    assert_eq!((of(&all, "kept").count(), of(&all, "dropped").count()), (100, 50));
    assert_eq!((committed.len(), all.len()), (100, 150));
    assert!(committed.is_sorted_by_key(|message| (message.partition, message.offset)));
    let first = of(&committed, "kept").find(|message| message.text() == "kept-0").unwrap();
    assert_eq!(first.key.as_deref(), Some(&b"key-0"[..]));
    assert_eq!(first.timestamp, Some(1_000));
    // Control records take offsets: one for each transaction and partition.
    let records_and_markers: i64 = broker.high_watermarks(&topic).values().sum();
    assert_eq!(records_and_markers, 150 + 2 * 3);
}

#[test]
fn an_open_transaction_is_hidden_until_it_is_committed() {
    let broker = broker();
    let topic = unique_prefix("open");
    broker.create_topic(&topic, 1, &[]);
    let producer = producer(broker, &topic);
    producer.begin_transaction().unwrap();
    send(&producer, &topic, "open", 10);

    let mut reader = Reader::open(broker, &topic, Isolation::Committed);
    let seen =
        wait_for(broker, &topic, Isolation::Uncommitted, GENEROUS, "ten records", |all| all.len() == 10);
    assert_eq!(of(&seen, "open").count(), 10);
    assert_eq!(reader.end_offsets()[&0], 0, "the last stable offset");
    assert_eq!(broker.high_watermarks(&topic)[&0], 10);
    reader.wait_for(GENEROUS, "nothing", <[Message]>::is_empty);

    producer.commit_transaction(LIMIT).unwrap();
    let start = Instant::now();
    reader.wait_for(GENEROUS, "the committed records", |messages| messages.len() == 10);
    eprintln!("seen by read_committed {:?} after the commit", start.elapsed());
    assert_eq!(reader.messages(), read_all(broker, &topic, Isolation::Committed));
}

#[test]
fn a_large_topic_is_read_completely() {
    const COUNT: usize = 100_000;
    let broker = broker();
    let topic = unique_prefix("large");
    broker.create_topic(&topic, 4, &[]);
    let producer = producer(broker, &topic);
    let start = Instant::now();
    for _ in 0..COUNT / 20_000 {
        producer.begin_transaction().unwrap();
        send(&producer, &topic, "large", 20_000);
        producer.commit_transaction(LIMIT).unwrap();
    }
    let written = start.elapsed();
    let start = Instant::now();
    assert_eq!(read_all(broker, &topic, Isolation::Committed).len(), COUNT);
    eprintln!("{COUNT} records: written in {written:?}, read in {:?}", start.elapsed());
}
