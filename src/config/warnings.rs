//! What is allowed for tests and demos but should not stay so.

use super::errors::Path;
use super::raw::Raw;
use super::secret::{Property, SecretKeys};

const WRITTEN: &str =
    "the secret is written into the configuration: use { env = \"NAME\" } or { file = \"PATH\" }";

/// The warnings of a configuration without problems.
pub(super) fn of(raw: &Raw) -> Vec<String> {
    let mut warnings = Vec::new();
    let mut secret = |keys: Option<&SecretKeys>, path: &Path| {
        if keys.is_some_and(|keys| keys.value.is_some()) {
            warnings.push(format!("{path}: {WRITTEN}"));
        }
    };
    let properties = Path::top("kafka").key("properties");
    for (name, property) in &raw.kafka.properties {
        if let Property::Secret(keys) = property {
            secret(Some(keys), &properties.key(name));
        }
    }
    for (keys, path) in raw.traces.secrets() {
        secret(Some(keys), &path);
    }
    secret(raw.http.secret(), &Path::top("http").key("proxy"));
    for (n, stream) in raw.stream.iter().enumerate() {
        for (keys, path) in stream.secrets(&Path::top("stream").index(n)) {
            secret(Some(keys), &path);
        }
    }
    for (n, stream) in raw.stream.iter().enumerate() {
        if stream.common().allow_plain_http {
            let path = Path::top("stream").index(n).key("allow_plain_http");
            warnings.push(format!("{path}: the credential may be sent unencrypted"));
        }
    }
    for name in ["enable.ssl.certificate.verification", "ssl.endpoint.identification.algorithm"] {
        let off = match raw.kafka.properties.get(name) {
            Some(Property::Bool(on)) => !on,
            Some(Property::Text(text)) => text == "false" || text == "none",
            _ => false,
        };
        if off {
            warnings.push(format!(
                "{}: brokers are not checked, so anyone may pose as one",
                properties.key(name)
            ));
        }
    }
    warnings
}
