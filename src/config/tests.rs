//! Tests of the whole way from text to configuration.

use std::collections::BTreeSet;
use std::time::Duration;

use super::*;
use crate::event::dedupe;
use crate::event::extract::Key;
use crate::model::secret::SecretSource;
use crate::shard::batch;
use crate::sink::kafka;
use crate::source;
use crate::source::http::auth::Credential;

mod absurd;
mod adobe;
mod changes;
mod every_error;
mod headers;
mod keys;
mod layering;
mod printing;
mod redact;
mod rules;
mod times;
mod webhook;

const EXAMPLE: &str = include_str!("../../config.example.toml");

/// The example of the design page, word for word.
const DESIGN: &str = r#"
delivery = "exactly_once"                # or "at_least_once"
ownership = "static"                     # or "group": see "Who runs a shard"
[shutdown]
timeout = "20s"

[kafka]
bootstrap_servers = "localhost:9092"
[kafka.properties]                       # any librdkafka property that the connector does not own
"compression.type" = "lz4"

[state]
prefix = "tributary"                     # <prefix>.checkpoints, .ids, .shards, .dead-letters, the group, transactional ids
replication_factor = 3                   # of the topics it creates; default: the broker's own

[commit]
interval = "100ms"
max_events = 50000
max_bytes = "16MiB"

[dedupe]
window = "30m"
max_ids = 1000000

[admin]
listen = "127.0.0.1:9464"

[[stream]]
name = "mobile"
kind = "airship"                         # airship | airship_compliance | airship_webhook | adobe
url = "https://connect.urbanairship.com/api/events/"
app_key = "abc"
auth = { bearer = { env = "AIRSHIP_TOKEN" } }     # or { file = "/run/secrets/t" }; or basic = { user = "u", password = { … } }
start = "latest"                         # or "earliest"; only where there is no checkpoint
topic = "airship.events"                 # the default; or a template such as "airship.{type}"
headers = "none"                         # the default; or "cloudevents", or a list
partitions = 12                          # of event topics it creates; default: the broker's own
key = ["device.named_user_id", "device.channel"]
shards = 1

[[stream]]
name = "web"
kind = "adobe"
url = "https://livestream.adobe.net/api/1/stream/adobe-livestream-acme"
auth = { ims = { client_id = "…", client_secret = { env = "ADOBE_SECRET" }, scopes = ["openid", "AdobeID"] } }
                                         # token_url = "https://ims-na1.adobelogin.com/ims/token/v3" unless given
max_connections = 2
on_unclean = "continue"                  # or "replay", at most once in replay_interval = "10m"
reconnect_pause = "60s"
redirect_hosts = ["livestream.adobe.net"]   # a host, and whatever is below it, that may get the credential; this is the default
topic = "adobe.hits"
"#;

/// The smallest configuration there is.
const SMALL: &str = r#"
[kafka]
bootstrap_servers = "localhost:9092"

[[stream]]
name = "s"
kind = "airship"
app_key = "k"
auth = { bearer = { env = "T" } }
"#;

fn errors(toml: &str) -> Vec<String> {
    match parse(toml) {
        Ok(_) => Vec::new(),
        Err(errors) => errors.iter().map(ToString::to_string).collect(),
    }
}

#[test]
fn the_design_example_says_what_it_says() {
    let config = parse(DESIGN).unwrap();
    assert_eq!(config.plan.shutdown_timeout, Duration::from_secs(20));
    assert_eq!(config.plan.batch, batch::Config::default());
    assert_eq!(config.plan.dedupe, dedupe::Config::default());
    assert_eq!(config.admin, Some("127.0.0.1:9464".parse().unwrap()));
    assert_eq!(config.plan.kafka.bootstrap_servers, "localhost:9092");
    assert_eq!(config.plan.kafka.delivery, kafka::config::Delivery::ExactlyOnce);
    assert_eq!(config.plan.kafka.properties["compression.type"], kafka::config::Property::Text("lz4".into()));
    assert_eq!(config.plan.kafka.state_replication_factor, Some(3));
    assert_eq!(config.plan.kafka.transaction_timeout, Duration::from_secs(30));
    assert_eq!(
        config.plan.kafka.journal_retention,
        Duration::from_secs(8 * 86_400),
        "longer than the service's"
    );
    assert_eq!(config.plan.kafka.journal_bytes, 320_000_000 + (64 << 20), "for a million ids");
    let stream = &config.plan.streams[0];
    assert_eq!((&**stream.name(), &*stream.source_id.kind, stream.shards), ("mobile", "airship", 1));
    assert_eq!(stream.topic_spec.partitions, Some(12));
    assert_eq!(stream.dead_letter_topic, "tributary.dead-letters");
    assert_eq!(
        (stream.route.topic.as_str(), &stream.headers),
        ("airship.events", &kafka::config::EventHeaders::None)
    );
    assert_eq!(stream.extract.key, Key::Fields(vec!["device.named_user_id".into(), "device.channel".into()]));
    assert_eq!(
        stream.service().unwrap().endpoint.auth,
        Credential::Bearer(SecretSource::Env("AIRSHIP_TOKEN".into()))
    );
    assert_eq!(stream.service().unwrap().endpoint.redirect_hosts, ["urbanairship.com"]);
    assert_eq!(
        (stream.service().unwrap().max_line, stream.service().unwrap().queue_bytes),
        (16 << 20, 8 << 20)
    );
    assert!(config.warnings().is_empty());
}

#[test]
fn the_example_file_loads_and_its_active_values_are_the_defaults() {
    let config = parse(EXAMPLE).unwrap();
    let small = SMALL
        .replace("\"s\"", "\"mobile\"")
        .replace("\"k\"", "\"abc\"")
        .replace("\"T\"", "\"AIRSHIP_TOKEN\"")
        .replace("\n[[stream]]", "[kafka.properties]\n\"compression.type\" = \"lz4\"\n[[stream]]");
    assert_eq!(config.effective, parse(&small).unwrap().effective);
}

/// `#key` and `#[table]` lines, without a space after the mark, are settings; the others are prose.
#[test]
fn what_the_example_file_comments_out_is_valid_too() {
    let is_setting = |line: &&str| {
        line.strip_prefix('#')
            .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_lowercase() || "\"[]{".contains(c)))
    };
    let lines: Vec<&str> =
        EXAMPLE.lines().map(|line| if is_setting(&line) { &line[1..] } else { line }).collect();
    assert_eq!(errors(&lines.join("\n")), [""; 0]);
}

#[test]
fn the_example_file_names_every_key() {
    let schema = schema();
    let mut keys = BTreeSet::new();
    collect_keys(&schema, &mut keys);
    assert!(keys.len() > 60, "{keys:?}");
    for key in keys {
        let table = [format!("[{key}]"), format!("[kafka.{key}]"), format!("[[{key}]]")];
        let set = EXAMPLE.match_indices(&format!("{key} = ")).any(|(at, _)| {
            at == 0 || !EXAMPLE[..at].ends_with(|c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.')
        });
        assert!(
            set || table.iter().any(|table| EXAMPLE.contains(table)),
            "{key} is not in config.example.toml"
        );
    }
}

fn collect_keys(schema: &serde_json::Value, keys: &mut BTreeSet<String>) {
    match schema {
        serde_json::Value::Object(members) => {
            for (name, member) in members {
                match (name.as_str(), member) {
                    // Defaults are values, not schemas.
                    ("default", _) => {}
                    ("properties", serde_json::Value::Object(properties)) => {
                        keys.extend(properties.keys().cloned());
                        properties.values().for_each(|schema| collect_keys(schema, keys));
                    }
                    _ => collect_keys(member, keys),
                }
            }
        }
        serde_json::Value::Array(items) => items.iter().for_each(|item| collect_keys(item, keys)),
        _ => {}
    }
}

#[test]
fn compliance_takes_its_defaults_from_its_kind_and_user() {
    let config = parse(
        r#"
        kafka.bootstrap_servers = "a:9092, [::1]:9092"
        state.prefix = "x"
        dedupe.window = "10days"
        [[stream]]
        name = "c"
        kind = "airship_compliance"
        auth.basic = { user = "APP", password = { value = "hunter2" } }
        filters = [{ device_types = ["email"], latency = 5000 }]
        "#,
    )
    .unwrap();
    let stream = &config.plan.streams[0];
    assert_eq!(
        stream.service().unwrap().endpoint.url.as_str(),
        "https://connect.urbanairship.com/api/events/general"
    );
    assert_eq!(
        (stream.route.topic.as_str(), &*stream.dead_letter_topic),
        ("airship.compliance", "x.dead-letters")
    );
    assert_eq!(
        config.plan.kafka.journal_retention,
        Duration::from_secs(10 * 86_400),
        "as long as the window"
    );
    let source::Service::Airship(service) = &stream.service().unwrap().service else { panic!("{stream:?}") };
    assert_eq!(service.app_key.as_deref(), Some("APP"));
    assert_eq!(serde_json::to_value(&service.filters).unwrap()[0]["latency"], 5000);
    assert_eq!(
        config.warnings(),
        [
            "stream[0].auth.basic.password: the secret is written into the configuration: use { env = \"NAME\" } or { file = \"PATH\" }"
        ]
    );
}

#[test]
fn filters_become_what_the_service_takes() {
    let filters = r#"
filters = [
    { types = ["OPEN"], devices = [{ channel = "c" }, { named_user_id = "n" }], notifications = [{ group_id = "g" }] },
    { latency = "2m", predicates = [{ and = [{ key = "a", value = { equals = 1.5 } }, { key = "b", scope = ["body"], value = { is_present = true } }] }] },
]
subset = { sample = 1 }
"#;
    let config = parse(&format!("{SMALL}{filters}")).unwrap();
    let source::Service::Airship(service) = &config.plan.streams[0].service().unwrap().service else {
        panic!()
    };
    let expected = serde_json::json!([
        { "types": ["OPEN"], "devices": [{ "channel": "c" }, { "named_user_id": "n" }], "notifications": { "group_id": "g" } },
        { "latency": 120000, "predicates": [{ "and": [
            { "key": "a", "value": { "equals": 1.5 } },
            { "key": "b", "scope": ["body"], "value": { "is_present": true } },
        ] }] },
    ]);
    assert_eq!(serde_json::to_value(&service.filters).unwrap(), expected);
    assert_eq!(service.sample, Some(1.0));
}

#[test]
fn each_kind_has_one_topic_and_no_headers_by_default() {
    let others = r#"
[[stream]]
name = "c"
kind = "airship_compliance"
auth.basic = { user = "APP", password = { env = "P" } }
[[stream]]
name = "a"
kind = "adobe"
url = "https://livestream.adobe.net/api/1/stream/a"
auth = { bearer = { env = "T" } }
"#;
    let config = parse(&format!("{SMALL}{others}")).unwrap();
    let topics: Vec<&str> = config.plan.streams.iter().map(|stream| stream.route.topic.as_str()).collect();
    assert_eq!(topics, ["airship.events", "airship.compliance", "adobe.hits"]);
    assert!(config.plan.streams.iter().all(|stream| stream.headers == kafka::config::EventHeaders::None));
}
