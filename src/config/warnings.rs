//! What is allowed for tests and demos but should not stay so.

use super::errors::Path;
use super::raw::Raw;
use super::raw::secret::{Property, SecretKeys};
use super::raw::stream::Stream;

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
    for (n, stream) in raw.stream.iter().enumerate() {
        let path = Path::top("stream").index(n).key("auth");
        match stream {
            Stream::Airship(stream) | Stream::AirshipCompliance(stream) => {
                let auth = stream.auth.as_ref();
                secret(auth.and_then(|auth| auth.bearer.as_ref()), &path.key("bearer"));
                let basic = auth.and_then(|auth| auth.basic.as_ref());
                secret(basic.and_then(|basic| basic.password.as_ref()), &path.key("basic").key("password"));
            }
            Stream::Adobe(stream) => {
                let auth = stream.auth.as_ref();
                secret(auth.and_then(|auth| auth.bearer.as_ref()), &path.key("bearer"));
                let ims = auth.and_then(|auth| auth.ims.as_ref());
                secret(ims.and_then(|ims| ims.client_secret.as_ref()), &path.key("ims").key("client_secret"));
                let oauth2 = auth.and_then(|auth| auth.oauth2.as_ref());
                let client_secret = oauth2.and_then(|oauth2| oauth2.client_secret.as_ref());
                secret(client_secret, &path.key("oauth2").key("client_secret"));
            }
        }
    }
    for (n, stream) in raw.stream.iter().enumerate() {
        let allowed = match stream {
            Stream::Airship(stream) | Stream::AirshipCompliance(stream) => stream.allow_plain_http,
            Stream::Adobe(stream) => stream.allow_plain_http,
        };
        if allowed {
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
