//! A login by tokens: a real broker takes them, from an endpoint of the test's own.

use super::Checked;
use crate::harness::airship::{Mock, Setup, service};
use crate::harness::broker::{oauth_broker, unsigned_token};
use crate::harness::listener::Listener;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

const SECRET: &str = "token-secret-5d17e0";

/// Seconds of an hour.
const HOUR: u64 = 3_600;

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock").as_secs()
}

#[test]
fn a_login_by_tokens_is_tried_for_real() {
    let (broker, address) = oauth_broker();
    let mock = Mock::start(service(10));
    let mut setup = Setup::at(&broker, "check-oauth", &mock);
    setup.bootstrap = address;
    // Topics cannot be created over this login.
    for topic in ["checkpoints", "shards"] {
        broker.create_topic(&format!("{}.{topic}", setup.prefix), 1, &[("cleanup.policy", "compact")]);
    }
    for topic in [format!("{}.ids", setup.prefix), setup.dead_letters(), setup.topic().to_owned()] {
        broker.create_topic(&topic, 1, &[]);
    }
    let expires = Arc::new(AtomicU64::new(now() + HOUR));
    let asked = Arc::new(Mutex::new(String::new()));
    let (until, heard) = (Arc::clone(&expires), Arc::clone(&asked));
    let endpoint = Listener::answering(move |_, request| {
        request.head.clone_into(&mut heard.lock().expect("heard"));
        let token = unsigned_token(until.load(Ordering::Acquire));
        let body = format!(r#"{{"access_token":"{token}","token_type":"Bearer","expires_in":{HOUR}}}"#);
        let head = format!("content-type: application/json\r\ncontent-length: {}", body.len());
        Some(format!("HTTP/1.1 200 OK\r\n{head}\r\nconnection: close\r\n\r\n{body}").into_bytes())
    });
    let properties = format!(
        r#"kafka = {{ properties = {{ "security.protocol" = "SASL_PLAINTEXT", "sasl.mechanism" = "OAUTHBEARER", "sasl.oauthbearer.method" = "oidc", "sasl.oauthbearer.client.id" = "me", "sasl.oauthbearer.client.secret" = {{ value = "{SECRET}" }}, "sasl.oauthbearer.token.endpoint.url" = "{}/token" }}, "#,
        endpoint.url()
    );
    let config = setup.toml().replace("kafka = { ", &properties);
    let checked = Checked::of(&config);
    assert_eq!(checked.code, 0, "{:#}", checked.json);
    assert!(checked.finding("reach")[1].contains("login accepted"), "{:#}", checked.json);
    assert_eq!(checked.finding("transactions")[0], "ok", "{:#}", checked.json);
    let asked = asked.lock().expect("asked").to_lowercase();
    assert!(asked.starts_with("post /token ") && asked.contains("authorization: basic "), "{asked}");
    // The endpoint says that it is good, and the broker that it is over.
    expires.store(now() - HOUR, Ordering::Release);
    let checked = Checked::with(&config, &["--timeout", "5s"]);
    assert_eq!(checked.code, 7, "{:#}", checked.json);
    assert_eq!(checked.finding("reach")[0], "failed", "{:#}", checked.json);
    assert!(!checked.json.to_string().contains(SECRET), "{:#}", checked.json);
}
