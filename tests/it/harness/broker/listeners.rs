//! Private brokers with listeners beside the plain one: SASL, TLS, and an address that nobody can resolve.

use super::{PrivateBroker, Tls, free_port, private};
use std::path::Path;

/// Where the listeners of [`guarded_broker`] are.
pub(crate) struct Guarded {
    /// For users with a password (SCRAM-SHA-512).
    pub(crate) sasl: String,
    /// TLS, for clients with a certificate.
    pub(crate) tls: String,
    /// Plain, but the broker calls itself `kafka.invalid` there.
    pub(crate) lost: String,
}

/// A private broker whose certificate is `server.both` of `tls` and which takes clients with a certificate of an authority
/// in `trusted.pem`. Both are read when it starts.
#[track_caller]
pub(crate) fn guarded_broker(tls: &Tls) -> (PrivateBroker, Guarded) {
    let address = || format!("127.0.0.1:{}", free_port());
    let at = Guarded { sasl: address(), tls: address(), lost: address() };
    let lost = at.lost.replace("127.0.0.1", "kafka.invalid");
    let (server, trusted) = (tls.path("server.both"), tls.path("trusted.pem"));
    let text = |path: &Path| path.to_str().expect("UTF-8").to_owned();
    let listeners = |lost: &str| format!("SASL_PLAINTEXT://{},SSL://{},LOST://{lost}", at.sasl, at.tls);
    let broker = private::start(&[
        ("listeners", &listeners(&at.lost)),
        ("advertised.listeners", &listeners(&lost)),
        ("listener.security.protocol.map", "SASL_PLAINTEXT:SASL_PLAINTEXT,SSL:SSL,LOST:PLAINTEXT"),
        ("sasl.enabled.mechanisms", "SCRAM-SHA-512"),
        (
            "listener.name.sasl_plaintext.scram-sha-512.sasl.jaas.config",
            "org.apache.kafka.common.security.scram.ScramLoginModule required;",
        ),
        ("ssl.client.auth", "required"),
        ("ssl.keystore.type", "PEM"),
        ("ssl.keystore.location", &text(&server)),
        ("ssl.truststore.type", "PEM"),
        ("ssl.truststore.location", &text(&trusted)),
        ("ssl.endpoint.identification.algorithm", ""),
    ]);
    (broker, at)
}
