//! Numbers that no clock and no memory has room for: refused with what would be right, and never a panic.

use super::SMALL;
use crate::config::{ConfigErrors, Sources, load};

/// Every key that takes a number, a time or a size, of each kind of stream.
const KEYS: [&str; 39] = [
    "session_timeout",
    "shutdown.timeout",
    "kafka.transaction_timeout",
    "kafka.max_message_bytes",
    "state.replication_factor",
    "commit.interval",
    "commit.max_events",
    "commit.max_bytes",
    "dedupe.window",
    "dedupe.max_ids",
    "queue.max_bytes",
    "stream[0].partitions",
    "stream[0].replication_factor",
    "stream[0].retention",
    "stream[0].silence",
    "stream[0].connect_timeout",
    "stream[0].max_line",
    "stream[0].shards",
    "stream[0].backoff.min",
    "stream[0].backoff.max",
    "stream[0].sample",
    "stream[1].max_connections",
    "stream[1].smoothing_bucket_size",
    "stream[1].replay_interval",
    "stream[1].reconnect_pause",
    "stream[1].silence",
    "stream[1].connect_timeout",
    "stream[1].max_line",
    "stream[1].retention",
    "stream[2].shards",
    "stream[2].intake_retention",
    "stream[2].max_line",
    "webhook.max_body",
    "webhook.max_requests",
    "webhook.max_buffered",
    "webhook.max_connections",
    "webhook.request_timeout",
    "webhook.idle_timeout",
    "stream[2].partitions",
];

/// The kind of a key's value shows in what it says of another.
const VALUES: [&str; 12] = [
    "18446744073709551615",
    "-1",
    "-9223372036854775808",
    "1e308",
    "inf",
    "nan",
    "99999999999d",
    "18446744073709551615s",
    "-1s",
    "18446744073709551615B",
    "16EiB",
    "",
];

fn with(key: &str, value: &str) -> Result<(), ConfigErrors> {
    let adobe = r#"
        [[stream]]
        name = "web"
        kind = "adobe"
        url = "https://livestream.adobe.net/api/1/stream/x"
        auth = { bearer = { env = "T" } }
        [[stream]]
        name = "hooks"
        kind = "airship_webhook"
        path = "/hooks"
        auth = { basic = [{ user = "u", password = { env = "P" } }] }
        [webhook]
        listen = "127.0.0.1:0"
    "#;
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), format!("{SMALL}\n{adobe}")).unwrap();
    let overrides = vec![(key.to_owned(), value.to_owned())];
    load(&Sources { file: Some(file.path().to_owned()), overrides, ..Sources::default() }).map(drop)
}

#[test]
fn no_key_takes_an_absurd_number() {
    let mut wrong = Vec::new();
    for key in KEYS {
        for value in VALUES {
            match with(key, value) {
                Ok(()) => wrong.push(format!("{key} = {value}")),
                // It is about the key, or about one whose value has to fit to it.
                Err(errors) => assert!(
                    errors.to_string().contains(&format!("(from --set {key})")),
                    "{key} = {value}: {errors}"
                ),
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(with("kafka.create_topics", "true"), Ok(()), "the rest of it is right");
}
