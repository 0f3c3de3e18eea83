//! No secret leaves the process but in the request that needs it: not by a redirect, a log, an error, a metric or the
//! printed configuration.

mod echo;

use crate::harness::airship::scenes::{Setup, all_at_once};
use crate::harness::broker::broker;
use crate::harness::listener::Listener;
use crate::harness::process::{self, Process};
use crate::harness::wait::{self, GENEROUS};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use std::fs;
use tributary_mock::airship::{Armed, Config, Fault};

const EVENTS: u64 = 500;

/// The credential in scenes without one of their own, see `Setup`.
const TOKEN: &str = "Bearer token";

#[test]
fn a_redirect_to_a_strange_host_gets_nothing() {
    let stranger = Listener::closing();
    let address = stranger.address();
    let port = address.port();
    let locations = [
        format!("http://{address}/api/events/"),
        format!("//{address}/api/events/"),
        format!("http://127.0.0.1@{address}/"),
        format!("http://127.0.0.1:{port}@{address}/"),
        format!("\\\\{address}\\api"),
        // Another name of the allowed address, and an allowed name with a tail.
        format!("http://localhost:{port}/"),
        format!("http://[::1]:{port}/"),
        format!("https://127.0.0.2:{port}/"),
    ];
    let codes = [301, 302, 303, 307, 308];
    let hops = locations.iter().zip(codes.iter().cycle());
    let faults: Vec<_> =
        hops.map(|(location, code)| Armed::now(Fault::redirect(*code, location.clone()))).collect();
    let count = faults.len();
    let scene = Setup::new("stranger", Config { faults, ..all_at_once(EVENTS) }).start(broker());
    scene.wait_delivered(scene.mock_log().distinct(EVENTS));
    assert_eq!(scene.mock.stats().faults["redirect"], count as u64);
    assert_eq!(scene.reconnects("redirect"), count as f64);
    let log = scene.process.log();
    let refused =
        log.iter().filter(|line| line.contains("not in redirect_hosts; the credential was not sent"));
    assert_eq!(refused.count(), count, "{log:#?}");
    assert_eq!(stranger.heard(), Vec::new(), "not so much as a connection");
}

#[test]
fn a_redirect_to_an_allowed_host_gets_the_credential() {
    let friend = Listener::closing();
    let faults = vec![Armed::now(Fault::redirect(307, format!("http://{}/api/events/", friend.address())))];
    let setup = Setup::new("friend", Config { faults, ..all_at_once(EVENTS) })
        .stream("redirect_hosts = [\"127.0.0.1\", \"127.0.0.2\"]");
    let scene = setup.start(broker());
    scene.wait_delivered(scene.mock_log().distinct(EVENTS));
    let heard = friend.heard();
    assert_eq!(heard.len(), 1, "what listens would have heard: {heard:?}");
    assert!(heard[0].head.starts_with("POST /api/events/") && heard[0].head.contains(TOKEN), "{heard:?}");
}

/// Secrets as they may show: themselves, and as Basic credentials are written.
struct Secrets(Vec<String>);

impl Secrets {
    fn new(plain: &[&str], pairs: &[(&str, &str)]) -> Self {
        let encoded =
            pairs.iter().map(|(user, password)| BASE64_STANDARD.encode(format!("{user}:{password}")));
        let alone =
            plain.iter().map(|secret| BASE64_STANDARD.encode(secret).trim_end_matches('=').to_owned());
        Self(plain.iter().map(|secret| (*secret).to_owned()).chain(encoded).chain(alone).collect())
    }

    #[track_caller]
    fn assert_hidden(&self, what: &str, text: &str) {
        for secret in &self.0 {
            // The end of each is found nowhere else, whatever the rest of it is written like.
            let end = &secret[secret.len().saturating_sub(6)..];
            if let Some(line) = text.lines().find(|line| line.contains(end)) {
                panic!("{what} shows {secret}: {line}");
            }
        }
    }
}

const ENV: &str = "env-secret-7f3a9c";
const FILE: &str = "file/secret?1b8e2d";
const VALUE: &str = "value/secret+c04f6a";
const BASIC: &str = "basic-secret-93d75e";
const SASL: &str = "sasl-secret-5a21bf";
const KEY: &str = "key-secret-e8807c";

/// Streams with every kind of secret, at `url`.
fn everything(url: &str, file: &std::path::Path) -> String {
    let setup = Setup::new("secrets", all_at_once(EVENTS)).top(&format!(
        r#"
        [kafka.properties]
        "sasl.username" = "user"
        "sasl.password" = {{ value = "{SASL}" }}
        "ssl.key.password" = {{ env = "TEST_KEY" }}
        "#
    ));
    let base = setup.configuration(broker(), url);
    let mut config: toml::Table = base.parse().unwrap();
    let stream = config["stream"][0].as_table().unwrap().clone();
    let auths = [
        ("env", "airship", "{ bearer = { env = \"TEST_TOKEN\" } }".to_owned()),
        ("file", "airship", format!("{{ bearer = {{ file = {file:?} }} }}")),
        ("value", "airship", format!("{{ bearer = {{ value = \"{VALUE}\" }} }}")),
        (
            "basic",
            "airship_compliance",
            format!("{{ basic = {{ user = \"app\", password = {{ value = \"{BASIC}\" }} }} }}"),
        ),
    ];
    let streams = auths.into_iter().map(|(name, kind, auth)| {
        let mut stream = stream.clone();
        stream.extend(
            format!("name = {name:?}\nkind = {kind:?}\nauth = {auth}").parse::<toml::Table>().unwrap(),
        );
        if kind == "airship_compliance" {
            stream.insert("url".into(), format!("{url}/api/events/general").into());
        }
        toml::Value::Table(stream)
    });
    config.insert("stream".into(), toml::Value::Array(streams.collect()));
    toml::to_string(&config).unwrap()
}

fn all_secrets() -> Secrets {
    Secrets::new(&[ENV, FILE, VALUE, BASIC, SASL, KEY], &[("app", BASIC), ("user", SASL)])
}

const VARIABLES: [(&str, &str); 3] = [("TEST_TOKEN", ENV), ("TEST_KEY", KEY), ("TRIBUTARY_LOG", "trace")];

#[track_caller]
fn assert_silent(process: &mut Process) {
    let secrets = all_secrets();
    secrets.assert_hidden("/metrics", &process.get("/metrics").body);
    secrets.assert_hidden("/ready", &process.get("/ready").body);
    secrets.assert_hidden("/live", &process.get("/live").body);
    process.sigterm();
    assert_eq!(process.wait_exit(GENEROUS).code(), Some(0));
    let log = process.log();
    assert!(log.len() > 100, "the log is that of trace: {} lines", log.len());
    assert!(log.iter().any(|line| line.contains("\"level\":\"TRACE\"")), "no trace of others' code");
    secrets.assert_hidden("the log", &log.join("\n"));
}

#[test]
fn nothing_shows_them_when_all_is_well() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let settings = tributary_mock::Config::local(all_at_once(EVENTS));
    let mock = runtime.block_on(tributary_mock::start(settings)).unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), FILE).unwrap();
    let mut process = process::tributary(&everything(&mock.url(), file.path()), &VARIABLES);
    wait::wait_until(GENEROUS, "four streams", || mock.stats().open_streams == 4);
    wait::wait_until(GENEROUS, "all to be ready", || process.get("/ready").status == 200);
    assert_silent(&mut process);
}

#[test]
fn an_echoed_credential_is_hidden() {
    let echo = echo::echoing();
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), FILE).unwrap();
    let url = format!("http://{}", echo.address());
    let mut process = process::tributary(&everything(&url, file.path()), &VARIABLES);
    let class = "class=\"unauthorized\"";
    for stream in ["env", "file", "value", "basic"] {
        let stream = format!("stream=\"{stream}\"");
        wait::wait_until(GENEROUS, format_args!("refusals of {stream}"), || {
            process.metrics().sum("tributary_reconnects_total", &[class, &stream]) >= 24.0
        });
    }
    let heard = echo.heard().into_iter().map(|heard| heard.head).collect::<String>();
    for sent in [ENV, FILE, VALUE, &BASE64_STANDARD.encode(format!("app:{BASIC}"))] {
        assert!(heard.contains(sent), "{sent} was sent, and so echoed");
    }
    let log = process.log();
    assert!(log.iter().any(|line| line.contains("you sent") && line.contains("<hidden>")), "{log:#?}");
    assert_silent(&mut process);
}

#[test]
fn the_printed_configuration_hides_them() {
    let dir = tempfile::tempdir().unwrap();
    let (secret, config) = (dir.path().join("token"), dir.path().join("tributary.toml"));
    fs::write(&secret, FILE).unwrap();
    fs::write(&config, everything("http://127.0.0.1:1", &secret)).unwrap();
    let arguments = ["config", "--config", config.to_str().unwrap()];
    let mut process = process::subcommand(&arguments, &VARIABLES);
    assert_eq!(process.wait_exit(GENEROUS).code(), Some(0));
    let text = process.log().join("\n");
    all_secrets().assert_hidden("config", &text);
    assert!(
        text.contains("TEST_TOKEN") && text.contains("<hidden>"),
        "where they come from is shown: {text}"
    );
}

#[test]
fn errors_of_a_configuration_hide_them() {
    // Secrets where none belong, and of the wrong type.
    let config = format!(
        r#"
        [kafka]
        bootstrap_servers = "localhost:9092"
        [kafka.properties]
        "sasl.password" = {{ value = "{SASL}", env = "X" }}
        [[stream]]
        name = "a"
        kind = "airship"
        app_key = "app"
        auth = {{ bearer = "{VALUE}" }}
        [[stream]]
        name = "b"
        kind = "airship"
        auth = {{ bearer = {{ value = ["{VALUE}"] }}, basic = {{ user = "app", password = "{BASIC}" }} }}
        [[stream]]
        name = "c"
        kind = "airship"
        url = "http://user:{VALUE}@example.com/"
        app_key = "app"
        auth = {{ bearer = {{ valeu = "{VALUE}" }} }}
        "#
    );
    let mut process = process::tributary(
        &config,
        &[("TRIBUTARY_STREAM__1__AUTH__BEARER", ENV), ("TRIBUTARY_LOG", "trace")],
    );
    assert_eq!(process.wait_exit(GENEROUS).code(), Some(3));
    let text = process.log().join("\n");
    assert!(text.lines().count() >= 4, "{text}");
    all_secrets().assert_hidden("an error", &text);
}

#[test]
fn a_line_end_in_a_variable_is_no_part_of_the_secret() {
    for (name, token) in [("line-end", "env-token\n"), ("crlf", "env-token\r\n")] {
        let airship = Config { token: Some("env-token".into()), ..all_at_once(EVENTS) };
        let setup = Setup::new(name, airship).env("TEST_TOKEN", token);
        let scene = setup.stream("auth = { bearer = { env = \"TEST_TOKEN\" } }").start(broker());
        scene.wait_delivered(scene.mock_log().distinct(EVENTS));
    }
    let setup = Setup::new("empty", all_at_once(EVENTS)).env("TEST_TOKEN", "\n");
    let scene = setup.stream("auth = { bearer = { env = \"TEST_TOKEN\" } }").start(broker());
    let line = scene.process.wait_for_log("environment variable TEST_TOKEN is empty", GENEROUS);
    assert!(line.contains("\"class\":\"credential\"") && line.contains("ERROR"), "{line}");
}

#[test]
fn an_unreadable_secret_is_named_not_shown() {
    let setup = Setup::new("unreadable", all_at_once(EVENTS))
        .stream("auth = { bearer = { file = \"/no/such/file\" } }");
    let scene = setup.start(broker());
    let line = scene.process.wait_for_log("cannot read the secret file /no/such/file", GENEROUS);
    assert!(line.contains("\"class\":\"credential\"") && line.contains("ERROR"), "{line}");
    wait::wait_until(GENEROUS, "not ready", || scene.process.get("/ready").status == 503);
    assert_eq!(scene.mock.stats().connections, 0);
}
