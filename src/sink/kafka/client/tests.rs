//! Tests of how clients are configured. That they work is for tests on a real Kafka.

use rdkafka::mocking::MockCluster;
use rdkafka::producer::{BaseRecord, DefaultProducerContext};
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};

use super::*;
use crate::sink::kafka::blocking;
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

/// To a partition that knows nothing of the producer yet a broker that refuses the first batch for a moment takes the second, and
/// librdkafka counts the first as delivered. Such a broker stands in here: this one looks at no sequence numbers either.
#[tokio::test]
async fn what_only_seems_to_be_acknowledged_is_a_failure() {
    let cluster: MockCluster<'static, DefaultProducerContext> = MockCluster::new(1).unwrap();
    cluster.create_topic("t", 1, 1).unwrap();
    let servers = cluster.bootstrap_servers();
    let toml = format!(
        r#"
        delivery = "at_least_once"
        kafka = {{ bootstrap_servers = "{servers}", properties = {{ "linger.ms" = 0 }} }}
        stream = [{{ name = "s", kind = "airship", app_key = "app", auth = {{ bearer = {{ env = "TOKEN" }} }} }}]
        "#
    );
    // Each record is a batch of its own, and all of them are under way at once.
    let sizes = Sizes { batch_bytes: 32, ..Sizes::default() };
    let producer = clients(&toml).producer("id", sizes).unwrap();
    let limit = Duration::from_secs(60);
    let send = |ordinal| {
        let record = BaseRecord::<[u8], [u8], usize>::with_opaque_to("t", ordinal);
        blocking::send(&producer, record.payload(&[b'x'; 100][..]).partition(0), limit).unwrap();
    };
    let failures = || producer.context().failures();
    // The partition's leader is known from now on, and not asked for when both are sent.
    send(0);
    assert!(blocking::flush(&producer, limit) && !failures().are_some(), "it has said where the record is");
    cluster.broker_round_trip_time(1, Duration::from_millis(300)).unwrap();
    cluster.request_errors(
        RDKafkaApiKey::Produce,
        &[RDKafkaRespErr::RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION],
    );
    (1..4).for_each(send);
    while !failures().are_some() && producer.in_flight_count() > 0 {
        blocking::flush(&producer, limit);
    }
    let cause = failures().take().cause.expect("the first was never taken");
    assert_eq!(cause.code, UNPROVEN);
    assert!(cause.to_string().contains("proves nothing"), "{cause}");
}
