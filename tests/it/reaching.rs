//! `[http]`: authorities of one's own, client certificates, a configured proxy.

use crate::harness::airship::{Mock, Setup, service, stop};
use crate::harness::broker::Tls;
use crate::harness::collector::Collector;
use crate::harness::front::{Front, Tunnel, first_certificate};
use crate::harness::process;
use crate::harness::wait::{GENEROUS, wait_until};
use tributary_mock::airship::Config;

const EVENTS: u64 = 200;
/// Not this machine, nor any other.
const HOST: &str = "airship.example";
const PASSWORD: &str = "proxy-password-8e2f";
/// "user:proxy-password-8e2f"
const CREDENTIAL: &str = "dXNlcjpwcm94eS1wYXNzd29yZC04ZTJm";

/// An authority for servers with a server of it, and one for clients with two clients of it.
pub(crate) fn certificates() -> Tls {
    let tls = Tls::new();
    tls.authority("servers");
    tls.authority("clients");
    tls.certificate_for(&format!("IP:127.0.0.1,DNS:{HOST}"), "server", "servers");
    for client in ["old", "new"] {
        tls.certificate(client, "clients");
    }
    show(&tls, "old");
    tls
}

/// From now on, the client's files are those.
fn show(tls: &Tls, client: &str) {
    tls.put(&format!("{client}.pem"), "client.pem");
    tls.put(&format!("{client}.key"), "client.key");
}

pub(crate) fn front(tls: &Tls, mock: &Mock) -> Front {
    Front::start(&tls.path("server"), &tls.path("clients.pem"), mock.addr())
}

/// Lines of `[http]`, as one.
fn keys(tls: &Tls, more: &str) -> String {
    let path = |name: &str| tls.path(name).display().to_string();
    format!(
        "http = {{ ca = \"{}\", client_cert = \"{}\", client_key = \"{}\"{more} }}",
        path("servers.pem"),
        path("client.pem"),
        path("client.key")
    )
}

#[test]
fn a_private_authority_is_trusted_and_a_renewed_client_certificate_is_shown_at_the_next_connect() {
    let mock = Mock::start(Config { hold_at: Some(EVENTS / 2), ..service(EVENTS) });
    let tls = certificates();
    let front = front(&tls, &mock);
    let mut setup = Setup::new("http-keys", &mock).with(|settings| settings.more = keys(&tls, ""));
    setup.streams[0].url = format!("https://{}/api/events/", front.address());
    let mut running = setup.start();
    setup.progress().wait_received(EVENTS / 2);
    assert_eq!(front.shown(), [first_certificate(&tls.path("old.pem"))]);
    // The certificate alone fits no key: what was there before goes on.
    tls.put("new.pem", "client.pem");
    front.cut();
    running.wait_for_log("the files of [http] have changed and cannot be used", GENEROUS);
    wait_until(GENEROUS, "the next connect", || front.shown().len() >= 2);
    assert!(front.shown().iter().all(|shown| *shown == first_certificate(&tls.path("old.pem"))));
    tls.put("new.key", "client.key");
    front.cut();
    let new = first_certificate(&tls.path("new.pem"));
    wait_until(GENEROUS, "the new certificate", || front.shown().last() == Some(&new));
    mock.release(EVENTS);
    setup.progress().wait_received(EVENTS);
    stop(&mut running);
    setup.expectation(&mock).check();
}

#[test]
fn without_them_there_is_no_connection() {
    let mock = Mock::start(service(EVENTS));
    let tls = certificates();
    let front = front(&tls, &mock);
    let ca = tls.path("servers.pem").display().to_string();
    for (name, more, expected) in [
        ("http-none", String::new(), "certificate verify failed"),
        ("http-ca", format!("http = {{ ca = \"{ca}\" }}"), "cannot reach"),
        ("http-absent", "http = { ca = \"/no/such/file\" }".to_owned(), "http.ca: cannot read /no/such/file"),
    ] {
        let mut setup = Setup::new(name, &mock).with(|settings| settings.more = more);
        setup.streams[0].url = format!("https://{}/api/events/", front.address());
        let mut running = setup.start();
        running.wait_for_log(expected, GENEROUS);
        stop(&mut running);
    }
    assert_eq!(front.shown(), Vec::<Vec<u8>>::new());
    assert_eq!(mock.stats().streams, 0);
}

#[test]
fn a_configured_proxy_is_taken_instead_of_the_environments() {
    let mock = Mock::start(service(EVENTS));
    let tls = certificates();
    let front = front(&tls, &mock);
    let tunnel = Tunnel::start(CREDENTIAL, front.address());
    let proxy = format!(", proxy = \"http://user:{PASSWORD}@{}\"", tunnel.address());
    let mut setup = Setup::new("http-proxy", &mock).with(|settings| settings.more = keys(&tls, &proxy));
    setup.streams[0].url = format!("https://{HOST}/api/events/");
    let toml = setup.toml();
    let mut running = process::tributary(&toml, &[("HTTPS_PROXY", "http://127.0.0.1:1")]);
    setup.progress().wait_received(EVENTS);
    stop(&mut running);
    setup.expectation(&mock).check();
    assert!(tunnel.asked().iter().all(|host| *host == format!("{HOST}:443")), "{:?}", tunnel.asked());
    assert!(!tunnel.asked().is_empty());
    let log = running.log().join("\n");
    assert!(!log.contains("8e2f") && !log.contains(CREDENTIAL), "{log}");
    let file = running.dir().join("tributary.toml");
    let mut shown = process::subcommand(&["config", "--config", file.to_str().unwrap()], &[]);
    assert_eq!(shown.wait_exit(GENEROUS).code(), Some(0), "{:#?}", shown.log());
    let shown = shown.log().join("\n");
    assert!(shown.contains("<hidden>") && !shown.contains("8e2f"), "{shown}");
    assert!(shown.contains("http.proxy: the secret is written into the configuration"), "{shown}");
}

#[test]
fn the_collector_of_traces_is_reached_the_same_way_by_both_protocols() {
    for (name, protocol, collector) in
        [("http-traces", "http/protobuf", Collector::http()), ("http-traces-grpc", "grpc", Collector::grpc())]
    {
        let mock = Mock::start(service(EVENTS));
        let tls = certificates();
        let front = Front::start(&tls.path("server"), &tls.path("clients.pem"), collector.address());
        let tunnel = Tunnel::start(CREDENTIAL, front.address());
        let proxy = format!(", proxy = \"http://user:{PASSWORD}@{}\"", tunnel.address());
        let traces = format!(
            "traces = {{ endpoint = \"https://{HOST}\", protocol = \"{protocol}\", sample_ratio = 1.0, \
             headers = {{ x-key = {{ value = \"collector-key-91c4\" }} }} }}"
        );
        let setup = Setup::new(name, &mock)
            .with(|settings| settings.more = format!("{}\n{traces}", keys(&tls, &proxy)));
        let mut running = setup.start();
        collector.wait_for("a batch", |spans| spans.iter().any(|span| span.name == "batch"));
        stop(&mut running);
        assert_eq!(front.shown()[0], first_certificate(&tls.path("old.pem")), "{protocol}");
        assert!(tunnel.asked().iter().all(|host| *host == format!("{HOST}:443")), "{:?}", tunnel.asked());
        let log = running.log().join("\n");
        assert!(!log.contains("8e2f") && !log.contains(CREDENTIAL) && !log.contains("91c4"), "{log}");
    }
}

#[test]
fn none_is_no_proxy_at_all() {
    let mock = Mock::start(service(EVENTS));
    let mut setup = Setup::new("http-no-proxy", &mock)
        .with(|settings| settings.more = "http = { proxy = \"none\" }".to_owned());
    setup.streams[0].url = format!("https://{HOST}/api/events/");
    let mut running = process::tributary(&setup.toml(), &[("ALL_PROXY", "http://127.0.0.1:1")]);
    let line = running.wait_for_log(&format!("cannot reach {HOST}"), GENEROUS);
    assert!(!line.contains("proxy"), "{line}");
    stop(&mut running);
}
