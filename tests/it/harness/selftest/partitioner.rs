//! librdkafka's `murmur2_random` puts keys where the Java producer puts them.

use crate::harness::broker::{broker, unique_prefix};
use crate::harness::murmur2::{PARTITIONS, TABLE};
use crate::harness::reader::{Isolation, read_all};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use std::collections::BTreeMap;
use std::time::Duration;

#[test]
fn librdkafka_agrees_with_the_java_client() {
    let broker = broker();
    let prefix = unique_prefix("murmur2");
    let producer: BaseProducer = broker.client(&[("partitioner", "murmur2_random")]).create().unwrap();
    for (column, count) in PARTITIONS.into_iter().enumerate() {
        let topic = format!("{prefix}.{count}");
        broker.create_topic(&topic, count, &[]);
        for (key, _, _) in TABLE {
            let record = BaseRecord::<[u8], str>::to(&topic).key(*key).payload("");
            producer.send(record).map_err(|(error, _)| error).unwrap();
        }
        producer.flush(Duration::from_secs(60)).unwrap();
        let messages = read_all(broker, &topic, Isolation::Uncommitted);
        let found: BTreeMap<_, _> = messages.iter().map(|m| (m.key.as_deref(), m.partition)).collect();
        for (key, hash, partitions) in TABLE {
            let shown = String::from_utf8_lossy(key);
            assert_eq!(
                i64::from(*hash) % i64::from(count),
                i64::from(partitions[column]),
                "{shown}: the table"
            );
            assert_eq!(
                found.get(&Some(*key)),
                Some(&partitions[column]),
                "key {shown} of {count} partitions"
            );
        }
        assert_eq!(found.len(), TABLE.len());
    }
}
