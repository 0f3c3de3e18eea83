//! librdkafka properties: which the connector owns, and why, and which hold secrets.
//!
//! What librdkafka refuses is refused here, so that it is known before a start. Only what depends on files and brokers is left
//! for when the client is built.

use std::collections::BTreeMap;

use url::Url;

use super::checks::secret;
use super::errors::{Errors, Path};
use super::secret::{Property, SecretKeys};
use crate::model::secret::Secret;
use crate::sink::kafka::{self, client};
use crate::web::is_loopback;

const TOKEN_ENDPOINT: &str = "sasl.oauthbearer.token.endpoint.url";

const IDENTITY: &str = "fencing rests on it: it is <state.prefix>.<stream>.<shard>";
const ORDER: &str = "no event may be lost, repeated or put out of order, so the connector sets it";
const FINAL: &str = "an event is given up only with its whole batch, so the connector sets it";
const BOUNDS: &str = "the queue must hold a whole batch: use commit.max_events and commit.max_bytes";
const LIMITS: &str = "the limits of the topics decide it";
const READING: &str = "the read-back of checkpoints and ids sets it";
const GROUP: &str = "who runs a shard is set by `ownership`";
const CODE: &str = "it takes no text: it is for programs that link librdkafka";

/// What the connector owns, and the reason or what to use instead.
const OWNED: &[(&str, &str)] = &[
    ("bootstrap.servers", "use kafka.bootstrap_servers"),
    ("metadata.broker.list", "use kafka.bootstrap_servers"),
    ("transactional.id", IDENTITY),
    ("transaction.timeout.ms", "use kafka.transaction_timeout"),
    ("allow.auto.create.topics", "use kafka.create_topics"),
    ("enable.idempotence", ORDER),
    ("enable.gapless.guarantee", ORDER),
    ("acks", ORDER),
    ("request.required.acks", ORDER),
    ("max.in.flight", ORDER),
    ("max.in.flight.requests.per.connection", ORDER),
    ("queuing.strategy", ORDER),
    ("retries", FINAL),
    ("message.send.max.retries", FINAL),
    ("message.timeout.ms", FINAL),
    ("delivery.timeout.ms", FINAL),
    ("partitioner", "it is always murmur2_random, the Java clients' default, so that others co-partition"),
    ("queue.buffering.max.messages", BOUNDS),
    ("queue.buffering.max.kbytes", BOUNDS),
    ("message.max.bytes", LIMITS),
    ("batch.size", LIMITS),
    ("batch.num.messages", LIMITS),
    ("delivery.report.only.error", "the commit reports what was delivered"),
    ("produce.offset.report", "the commit reports what was delivered"),
    ("isolation.level", READING),
    ("auto.offset.reset", READING),
    ("enable.partition.eof", READING),
    ("enable.auto.commit", READING),
    ("auto.commit.enable", READING),
    ("auto.commit.interval.ms", READING),
    ("enable.auto.offset.store", READING),
    ("offset.store.method", READING),
    ("offset.store.path", READING),
    ("offset.store.sync.interval.ms", READING),
    ("group.id", GROUP),
    ("group.instance.id", GROUP),
    ("group.protocol", GROUP),
    ("group.protocol.type", GROUP),
    ("group.remote.assignor", GROUP),
    ("partition.assignment.strategy", GROUP),
    ("statistics.interval.ms", "the connector's own metrics set it"),
    ("log_level", "use TRIBUTARY_LOG, such as TRIBUTARY_LOG=info,librdkafka=debug"),
    ("log.queue", "the connector's own log sets it"),
    ("enabled_events", CODE),
    ("internal.termination.signal", CODE),
    ("opaque", CODE),
    ("default_topic_conf", CODE),
    ("interceptors", CODE),
    ("msg_order_cmp", CODE),
    ("ssl_key", "it takes no text: use ssl.key.pem or ssl.key.location"),
    ("ssl_certificate", "it takes no text: use ssl.certificate.pem or ssl.certificate.location"),
    ("ssl_ca", "it takes no text: use ssl.ca.pem or ssl.ca.location"),
    ("ssl_engine_callback_data", CODE),
];

/// What names begin with of which librdkafka is not asked: the connector fetches tokens itself, so that what it takes out
/// would be refused, and the other loads code when it is set.
const NOT_ASKED: [&str; 2] = ["sasl.oauthbearer.", "plugin.library.paths"];

/// Why a property is refused, if it is.
fn owned(name: &str) -> Option<&'static str> {
    let listed = OWNED.iter().find(|(owned, _)| *owned == name).map(|(_, reason)| *reason);
    listed.or_else(|| (name.ends_with("_cb") || name.ends_with(".cb")).then_some(CODE))
}

/// Whether a property's value is a secret even where it is written as plain text.
fn is_sensitive(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let public = ["ssl.ca.pem", "https.ca.pem", "ssl.certificate.pem"].contains(&name.as_str());
    let ends = ["password", "passphrase", "secret", ".pem", "token"];
    // The last is the Java clients' name, which librdkafka refuses; its value must not be printed either.
    let secret = ["sasl.oauthbearer.config", "sasl.jaas.config"].contains(&name.as_str());
    secret || !public && ends.iter().any(|end| name.ends_with(end))
}

/// Hides secrets that were written as plain text.
pub(super) fn hide(properties: &mut BTreeMap<String, Property>) {
    for (_, property) in properties.iter_mut().filter(|(name, _)| is_sensitive(name)) {
        if matches!(property, Property::Secret(_)) {
            continue;
        }
        let text = text_of(property);
        *property = Property::Secret(SecretKeys { value: Some(Secret::new(text)), ..SecretKeys::default() });
    }
}

fn text_of(property: &Property) -> String {
    match property {
        Property::Text(text) => text.clone(),
        Property::Bool(switch) => switch.to_string(),
        Property::Integer(number) => number.to_string(),
        Property::Float(number) => number.to_string(),
        Property::Secret(_) => String::new(),
    }
}

/// Refuses what the connector owns and turns the rest into what the sink takes.
pub(super) fn validate(
    properties: &BTreeMap<String, Property>,
    path: &Path,
    errors: &mut Errors,
) -> BTreeMap<String, kafka::config::Property> {
    let mut valid = BTreeMap::new();
    for (name, property) in properties {
        let path = path.key(name);
        if let Some(reason) = owned(name) {
            errors.add(&path, format!("owned by the connector: {reason}"));
            continue;
        }
        errors.add_if(name.trim() != name || name.is_empty(), &path, "not the name of a property");
        check_taken(name, property, &path, errors);
        let property = match property {
            Property::Secret(keys) => secret(keys, &path, errors).map(kafka::config::Property::Secret),
            text => Some(kafka::config::Property::Text(text_of(text))),
        };
        valid.extend(property.map(|property| (name.clone(), property)));
    }
    check_oauth(&valid, path, errors);
    valid
}

/// Asks librdkafka, which knows its properties best. A secret's value is not known here, and no message repeats one.
fn check_taken(name: &str, property: &Property, path: &Path, errors: &mut Errors) {
    if NOT_ASKED.iter().any(|start| name.starts_with(start)) {
        return;
    }
    let is_secret = matches!(property, Property::Secret(_));
    match client::refusal(name, &text_of(property)) {
        Some(client::Refusal::Name) => errors.add(path, "librdkafka knows no property of this name"),
        Some(client::Refusal::Value) if !is_secret => {
            errors.add(path, "librdkafka takes no such value for it")
        }
        Some(client::Refusal::Value) | None => {}
    }
}

/// librdkafka fetches tokens by itself only with the method `oidc`; the other asks the program for them.
fn check_oauth(properties: &BTreeMap<String, kafka::config::Property>, path: &Path, errors: &mut Errors) {
    let text = |name: &str| match properties.get(name) {
        Some(kafka::config::Property::Text(text)) => text.as_str(),
        _ => "",
    };
    let is = |name: &str, wanted: &str| text(name).eq_ignore_ascii_case(wanted);
    let oauth = ["sasl.mechanism", "sasl.mechanisms"].into_iter().find(|name| is(name, "OAUTHBEARER"));
    if let Some(name) = oauth
        && !is("sasl.oauthbearer.method", "oidc")
        && !is("enable.sasl.oauthbearer.unsecure.jwt", "true")
    {
        errors.add(&path.key(name), "OAUTHBEARER needs \"sasl.oauthbearer.method\" = \"oidc\" beside it");
    }
    if is("sasl.oauthbearer.method", "oidc") {
        for name in [TOKEN_ENDPOINT, "sasl.oauthbearer.client.id"] {
            let message = "missing: \"sasl.oauthbearer.method\" = \"oidc\" needs it, as text";
            errors.add_if(text(name).is_empty(), &path.key(name), message);
        }
        let endpoint = text(TOKEN_ENDPOINT);
        if !endpoint.is_empty()
            && let Some(wrong) = wrong_endpoint(endpoint)
        {
            errors.add(&path.key(TOKEN_ENDPOINT), wrong);
        }
        let name = "sasl.oauthbearer.client.secret";
        let message = "missing: \"sasl.oauthbearer.method\" = \"oidc\" needs it";
        errors.add_if(!properties.contains_key(name), &path.key(name), message);
    }
}

/// What is wrong with the address of a token endpoint, to which the client secret goes.
fn wrong_endpoint(text: &str) -> Option<&'static str> {
    let url = Url::parse(text).ok();
    let Some((url, host)) = url.as_ref().and_then(|url| Some((url, url.host()?))) else {
        return Some("expected an address such as \"https://host/path\"");
    };
    if !url.username().is_empty() || url.password().is_some() {
        return Some("a credential does not belong into the address: use \"sasl.oauthbearer.client.secret\"");
    }
    let is_safe = url.scheme() == "https" || (url.scheme() == "http" && is_loopback(&host));
    (!is_safe).then_some("plain http would show the client secret to everyone on the way: use https")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_hidden_and_certificates_are_not() {
        for name in [
            "sasl.password",
            "ssl.key.password",
            "ssl.key.pem",
            "ssl.keystore.password",
            "sasl.oauthbearer.config",
            "sasl.oauthbearer.client.secret",
            "sasl.oauthbearer.client.credentials.client.secret",
            "sasl.oauthbearer.assertion.private.key.passphrase",
            "sasl.oauthbearer.assertion.private.key.pem",
        ] {
            assert!(is_sensitive(name), "{name}");
        }
        for name in ["ssl.ca.pem", "ssl.certificate.pem", "ssl.key.location", "sasl.username", "linger.ms"] {
            assert!(!is_sensitive(name), "{name}");
        }
    }

    #[test]
    fn tls_and_every_sasl_mechanism_are_possible() {
        for name in [
            "security.protocol",
            "ssl.ca.location",
            "ssl.certificate.location",
            "ssl.key.location",
            "sasl.mechanism",
            "sasl.mechanisms",
            "sasl.username",
            "sasl.password",
            "sasl.oauthbearer.method",
            "sasl.oauthbearer.client.id",
            "sasl.oauthbearer.client.secret",
            "sasl.oauthbearer.token.endpoint.url",
            "sasl.oauthbearer.scope",
            "compression.type",
            "linger.ms",
            "client.id",
            "debug",
        ] {
            assert_eq!(owned(name), None, "{name}");
        }
        assert!(owned("dr_msg_cb").is_some());
    }
}
