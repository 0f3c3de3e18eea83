//! Tests of how clients are configured. That they work is for tests on a real Kafka.

use super::*;

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
