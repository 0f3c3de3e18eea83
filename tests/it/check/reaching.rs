//! `[http]`: its files and its proxy, and token endpoints that are reached with them.

use super::Checked;
use crate::harness::airship::{Mock, Setup, service};
use crate::harness::front::Tunnel;
use crate::reaching::{certificates, front};

#[test]
fn files_that_cannot_be_used_are_named() {
    let mock = Mock::start(service(10));
    let tls = certificates();
    let path = |name: &str| tls.path(name).display().to_string();
    let (cert, key) = (path("old.pem"), path("new.key"));
    for (more, found) in [
        ("ca = \"/no/such/file\"".to_owned(), "http.ca: cannot read /no/such/file"),
        (format!("ca = \"{key}\""), "holds no certificate in PEM form"),
        (format!("client_cert = \"{cert}\", client_key = \"{key}\""), "does not belong to the certificate"),
        ("proxy = { env = \"NO_SUCH_VARIABLE_77ae\" }".to_owned(), "NO_SUCH_VARIABLE_77ae"),
    ] {
        let setup = Setup::new("check-http", &mock).with(|it| it.more = format!("http = {{ {more} }}"));
        let checked = Checked::of(&setup.toml());
        assert_eq!(checked.code, 9, "{:#}", checked.json);
        checked.assert_failed("http", found, "PEM form");
    }
}

/// The proxy leads to the service and to the token endpoint, both of a private authority that demand a certificate.
#[test]
fn the_way_through_a_proxy_is_tried() {
    let mock = Mock::start(service(10));
    let tls = certificates();
    let front = front(&tls, &mock);
    let tunnel = Tunnel::start("dTpw", front.address());
    let path = |name: &str| tls.path(name).display().to_string();
    let (ca, cert, key) = (path("servers.pem"), path("client.pem"), path("client.key"));
    let http = |credential: &str| {
        let address = tunnel.address();
        let proxy = format!("http://{credential}@{address}");
        format!(
            "http = {{ ca = \"{ca}\", client_cert = \"{cert}\", client_key = \"{key}\", proxy = \"{proxy}\" }}"
        )
    };
    let mut setup = Setup::new("check-proxy", &mock).with(|it| it.more = http("u:p"));
    setup.streams[0].url = "https://airship.example/api/events/".to_owned();
    let toml = setup.toml()
        + r#"
[[stream]]
name = "web"
kind = "adobe"
url = "https://airship.example/api/1/stream/web"
auth = { ims = { token_url = "https://airship.example/ims/token/v3", client_id = "c", client_secret = { value = "hunter2-hunter2" }, scopes = ["openid"] } }
"#;
    let checked = Checked::of(&toml);
    let answers = format!("it answers through the proxy {} (from http.proxy)", tunnel.address());
    assert_eq!(checked.finding("mobile host"), ["ok", &answers, ""]);
    assert_eq!(checked.finding("mobile stream")[0], "ok", "{:#}", checked.json);
    assert_eq!(checked.finding("http.client_cert")[0], "warning", "it is good for two days");
    assert_eq!(checked.finding("web credential")[0], "ok", "a token was granted: {:#}", checked.json);
    assert_eq!(checked.code, 0, "{:#}", checked.json);
    assert!(tunnel.asked().len() >= 4, "{:?}", tunnel.asked());

    setup.settings.more = http("u:hunter2-hunter2");
    let checked = Checked::of(&setup.toml());
    assert_eq!(checked.code, 9, "{:#}", checked.json);
    checked.assert_failed("mobile host", "which answered 407 Pay", "proxy");
    assert!(!checked.json.to_string().contains("hunter2"), "{:#}", checked.json);
}
