//! Tests of how clients are configured. That they work is for tests on a real Kafka.

use rdkafka::mocking::MockCluster;
use rdkafka::producer::{BaseRecord, DefaultProducerContext};
use rdkafka::types::{RDKafkaApiKey, RDKafkaErrorCode, RDKafkaRespErr};

use super::*;
use crate::sink::kafka::blocking::{self, Unflushed};
use crate::sink::kafka::delivery::UNPROVEN;

fn clients(toml: &str) -> Clients {
    Clients::new(crate::config::parse(toml).unwrap().plan.kafka, Handle::current())
}

#[tokio::test]
async fn state_is_read_from_the_leader() {
    let toml = r#"
        kafka = { bootstrap_servers = "localhost:1", properties = { "client.rack" = "a" } }
        stream = [{ name = "s", kind = "airship", app_key = "app", auth = { bearer = { env = "TOKEN" } } }]
    "#;
    let clients = clients(toml);
    assert_eq!(clients.consumer_config(true).unwrap().0.get("client.rack"), Some(""));
    assert!(clients.consumer(true).is_ok(), "librdkafka takes it");
}

#[tokio::test]
async fn a_password_is_given_to_librdkafka_without_its_line_end() {
    let toml = r#"
        kafka = { bootstrap_servers = "localhost:1", properties = { "sasl.password" = { value = "hunter2-hunter2\n" } } }
        stream = [{ name = "s", kind = "airship", app_key = "app", auth = { bearer = { env = "TOKEN" } } }]
    "#;
    let (config, context) = clients(toml).base(&[]).unwrap();
    assert_eq!(config.get("sasl.password"), Some("hunter2-hunter2"));
    assert_eq!(context.hider.hide("no: hunter2-hunter2"), "no: <hidden>");
}

#[tokio::test]
async fn a_file_without_an_end_is_refused_by_its_propertys_name() {
    for name in ["ssl.ca.location", "ssl.certificate.location", "ssl.key.location", "ssl.crl.location"] {
        let toml = format!(
            r#"
            kafka = {{ bootstrap_servers = "localhost:1", properties = {{ "{name}" = "/dev/zero" }} }}
            stream = [{{ name = "s", kind = "airship", app_key = "app", auth = {{ bearer = {{ env = "TOKEN" }} }} }}]
            "#
        );
        let error = clients(&toml).consumer(true).map(drop).unwrap_err().to_string();
        let said = format!(
            "kafka.properties.{name}: /dev/zero: expected a regular file, found a pipe, a device or a socket"
        );
        assert!(error.contains(&said), "{error}");
    }
}

/// Whoever commits after it must not take a record that failed, or of which nothing is known, for one that is in Kafka.
#[tokio::test]
async fn a_record_that_failed_is_told_from_one_that_is_acknowledged_and_from_one_on_its_way() {
    let cluster: MockCluster<'static, DefaultProducerContext> = MockCluster::new(1).unwrap();
    cluster.create_topic("t", 1, 1).unwrap();
    let producer = producer_of(&cluster, Sizes::default());
    let limit = Duration::from_secs(60);
    send(&producer, 0, limit);
    assert_eq!(blocking::flush_all(&producer, limit), Ok(()));
    let refused = RDKafkaRespErr::RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE;
    cluster.request_errors(RDKafkaApiKey::Produce, &[refused, refused]);
    send(&producer, 1, limit);
    assert_eq!(blocking::flush(&producer, limit), Err(Unflushed::Failed));
    assert!(producer.context().failures().take().has_cause(), "it is told why");
    send(&producer, 2, limit);
    let failed = KafkaError::MessageProduction(RDKafkaErrorCode::MessageSizeTooLarge);
    assert_eq!(blocking::flush_all(&producer, limit), Err(failed));
    cluster.broker_round_trip_time(1, limit).unwrap();
    send(&producer, 3, limit);
    assert_eq!(blocking::flush(&producer, Duration::ZERO), Err(Unflushed::TimedOut));
    let late = KafkaError::MessageProduction(RDKafkaErrorCode::MessageTimedOut);
    assert_eq!(blocking::flush_all(&producer, Duration::ZERO), Err(late));
}

/// A producer without transactions.
fn producer_of(
    cluster: &MockCluster<'static, DefaultProducerContext>,
    sizes: Sizes,
) -> BaseProducer<Context> {
    let servers = cluster.bootstrap_servers();
    let toml = format!(
        r#"
        delivery = "at_least_once"
        kafka = {{ bootstrap_servers = "{servers}", properties = {{ "linger.ms" = 0 }} }}
        stream = [{{ name = "s", kind = "airship", app_key = "app", auth = {{ bearer = {{ env = "TOKEN" }} }} }}]
        "#
    );
    clients(&toml).producer("id", sizes).unwrap()
}

#[track_caller]
fn send(producer: &BaseProducer<Context>, ordinal: usize, limit: Duration) {
    let record = BaseRecord::<[u8], [u8], usize>::with_opaque_to("t", ordinal);
    blocking::send(producer, record.payload(&[b'x'; 100][..]).partition(0), limit).unwrap();
}

/// To a partition that knows nothing of the producer yet a broker that refuses the first batch for a moment takes the second, and
/// librdkafka counts the first as delivered. Such a broker stands in here: this one looks at no sequence numbers either.
#[tokio::test]
async fn what_only_seems_to_be_acknowledged_is_a_failure() {
    let cluster: MockCluster<'static, DefaultProducerContext> = MockCluster::new(1).unwrap();
    cluster.create_topic("t", 1, 1).unwrap();
    // Each record is a batch of its own, and all of them are under way at once.
    let producer = producer_of(&cluster, Sizes { batch_bytes: 32, ..Sizes::default() });
    let limit = Duration::from_secs(60);
    // The partition's leader is known from now on, and not asked for when both are sent.
    send(&producer, 0, limit);
    assert_eq!(blocking::flush(&producer, limit), Ok(()), "it has said where the record is");
    cluster.broker_round_trip_time(1, Duration::from_millis(300)).unwrap();
    cluster.request_errors(
        RDKafkaApiKey::Produce,
        &[RDKafkaRespErr::RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION],
    );
    (1..4).for_each(|ordinal| send(&producer, ordinal, limit));
    assert_eq!(blocking::flush(&producer, limit), Err(Unflushed::Failed));
    let cause = producer.context().failures().take().cause.expect("the first was never taken");
    assert_eq!(cause.code, UNPROVEN);
    assert!(cause.to_string().contains("proves nothing"), "{cause}");
}
