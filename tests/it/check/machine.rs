//! This machine: addresses that are taken, the certificate of the receiver, secrets of senders.

use super::Checked;
use crate::harness::broker::{Tls, broker, free_port};
use crate::harness::settings::Settings;
use std::net::TcpListener;
use std::path::Path;

/// The configuration with one webhook stream that listens at `listen` and shows this certificate.
fn webhook(test: &str, listen: &str, cert: &Path, key: &Path, auth: &str) -> String {
    let settings = Settings::new(broker(), test).toml();
    format!(
        r#"{settings}[webhook]
listen = "{listen}"
tls = {{ cert = {cert:?}, key = {key:?} }}
[[stream]]
name = "hooks"
kind = "airship_webhook"
path = "/airship"
auth = {auth}
"#
    )
}

const AUTH: &str = r#"{ header = { name = "x-key", values = [{ value = "hunter2-hunter2" }] } }"#;

#[test]
fn what_receives_is_looked_at() {
    let tls = Tls::new();
    tls.authority("authority");
    tls.certificate("good", "authority");
    tls.expired_certificate("old", "authority");
    let (key, listen) = (tls.path("good.key"), format!("127.0.0.1:{}", free_port()));
    let checked = Checked::of(&webhook("check-hooks", &listen, &tls.path("good.both"), &key, AUTH));
    assert_eq!(checked.code, 0, "{:#}", checked.json);
    assert_eq!(checked.finding("webhook.listen")[0], "ok");
    // Those of the tests are good for two days.
    assert_eq!(checked.finding("webhook.tls")[0], "warning");
    assert_eq!(checked.finding("hooks access")[0], "ok");

    let taken = TcpListener::bind(&listen).expect("it is free");
    let missing = AUTH.replace(r#"value = "hunter2-hunter2""#, r#"env = "NO_SUCH_VARIABLE_77ae""#);
    let old = (tls.path("old.both"), tls.path("old.key"));
    let checked = Checked::of(&webhook("check-hooks", &listen, &old.0, &old.1, &missing));
    assert_eq!(checked.code, 9, "{:#}", checked.json);
    checked.assert_failed("webhook.tls", "has expired", "exchange the certificate");
    checked.assert_failed("hooks access", "NO_SUCH_VARIABLE_77ae", "give the secret");
    assert_eq!(checked.finding("webhook.listen")[0], "warning");
    drop(taken);

    let checked = Checked::of(&webhook("check-hooks", &listen, &old.0, &key, AUTH));
    assert_eq!(checked.code, 9, "{:#}", checked.json);
    checked.assert_failed("webhook.listen", "cannot be used together", "a certificate and its key");
}

#[test]
fn an_address_for_probes_that_is_taken_is_a_warning() {
    let cert = Tls::new();
    cert.authority("self");
    let listen = format!("127.0.0.1:{}", free_port());
    let config = webhook("check-admin", &listen, &cert.path("self.pem"), &cert.path("self.key"), AUTH);
    let table: toml::Table = config.parse().expect("TOML");
    let admin = table["admin"]["listen"].as_str().expect("an address").to_owned();
    assert_eq!(Checked::of(&config).finding("admin.listen")[0], "ok");
    let taken = TcpListener::bind(&admin).expect("it is free");
    let checked = Checked::of(&config);
    assert_eq!((checked.code, checked.finding("admin.listen")[0]), (0, "warning"), "{:#}", checked.json);
    drop(taken);
    let config = config.replace(&admin, "192.0.2.1:9464");
    let checked = Checked::of(&config);
    assert_eq!(checked.code, 10, "{:#}", checked.json);
    checked.assert_failed("admin.listen", "cannot listen at 192.0.2.1:9464", "an address of this machine");
    let open_files = checked.finding("open files");
    assert!(["ok", "warning"].contains(&open_files[0]), "{open_files:?}");
}
