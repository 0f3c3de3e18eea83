//! No client secret and no token leaves the process but in the request that needs it.

use crate::harness::adobe::scenes::{CLIENT, Scene, Setup, all_at_once, ims};
use crate::harness::listener::{Heard, Listener, response};
use crate::harness::process;
use crate::harness::wait::{self, GENEROUS};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use std::fs;
use tributary_mock::adobe::Config;
use tributary_mock::fault::{Armed, Fault};

const HITS: u64 = 300;

/// With characters that are written otherwise in a form.
const VALUE: &str = "value-secret+9c/04f=a&1";
const FILE: &str = "file-secret-77d1e2";
const ENV: &str = "env-secret-5b0c3d";
const TOKEN: &str = "fixed/token-2f9ab4";
/// What servers of the test give out as a token.
const GRANTED: &str = "granted/token-61e0c7";

/// As they may show: themselves, in a form, in HTTP Basic.
fn forms() -> Vec<String> {
    let mut all = vec![TOKEN.to_owned(), GRANTED.to_owned()];
    for secret in [VALUE, FILE, ENV] {
        all.push(secret.to_owned());
        let form: String = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect();
        all.push(form);
        all.push(BASE64_STANDARD.encode(format!("{CLIENT}:{secret}")));
        all.push(BASE64_STANDARD.encode(secret).trim_end_matches('=').to_owned());
    }
    all
}

#[track_caller]
fn assert_hidden(what: &str, text: &str) {
    for secret in forms() {
        if let Some(line) = text.lines().find(|line| line.contains(&secret)) {
            panic!("{what} shows {secret}: {line}");
        }
    }
    // The ends of them, which are found nowhere else, whatever the rest is written like.
    for end in ["2f9ab4", "61e0c7", "77d1e2", "5b0c3d"] {
        if let Some(line) = text.lines().find(|line| line.contains(end)) {
            panic!("{what} shows …{end}: {line}");
        }
    }
    // The mock's tokens, which only the connector has seen.
    let is_token = |part: &str| part.bytes().take(32).filter(u8::is_ascii_hexdigit).count() == 32;
    let shown = text.split("mock.").skip(1).find(|part| is_token(part));
    assert!(shown.is_none(), "{what} shows a token: {shown:?}");
}

fn oauth2(base: &str, secret: &str) -> String {
    format!(
        r#"{{ oauth2 = {{ token_url = "{base}/oauth2/token", client_id = "{CLIENT}", client_secret = {secret} }} }}"#
    )
}

/// Streams with every kind of credential; the secrets are checked by the services.
fn everything(setup: Setup, file: &std::path::Path) -> Setup {
    let any =
        |config: Config| Config { client_secrets: vec![VALUE.into(), FILE.into(), ENV.into()], ..config };
    // Through a refusal, a redirect and a cut, of which the log tells.
    let faults = vec![
        Armed::now(Fault::Status { code: 401, body: Default::default(), message: None, retry_after: None }),
        Armed::after(100, Fault::CutMidLine {}),
    ];
    let second_listen = Some("127.0.0.1:0".to_owned());
    let config = any(Config { faults, second_listen, ..all_at_once(HITS) });
    let no_scope = Config { scope: None, ..config.clone() };
    let fixed = Config { bearer: Some(TOKEN.into()), ..config.clone() };
    let file = format!("{{ file = {file:?} }}");
    let key = |auth: String| format!("auth = {auth}\napi_key = \"some-key\"");
    setup
        .env("TEST_SECRET", ENV)
        .env("TEST_TOKEN", TOKEN)
        .env("TRIBUTARY_LOG", "trace")
        .add("value", config.clone(), &key(ims("{mock}", &format!("{{ value = \"{VALUE}\" }}"))))
        .add("file", config, &key(ims("{mock}", &file)))
        .add("env", no_scope.clone(), &key(oauth2("{mock}", "{ env = \"TEST_SECRET\" }")))
        .add("basic", no_scope, &key(oauth2("{mock}", &format!("{{ value = \"{VALUE}\" }}"))))
        .add("bearer", fixed, &key("{ bearer = { env = \"TEST_TOKEN\" } }".to_owned()))
}

#[track_caller]
fn assert_silent(scene: &mut Scene) {
    for page in ["/metrics", "/ready", "/live"] {
        assert_hidden(page, &scene.process.get(page).body);
    }
    scene.stop();
    let log = scene.process.log();
    assert!(log.iter().any(|line| line.contains("\"level\":\"TRACE\"")), "the log is that of trace");
    assert_hidden("the log", &log.join("\n"));
}

#[test]
fn nothing_shows_them_through_renewals_redirects_and_refusals() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("secret");
    fs::write(&file, FILE).unwrap();
    let mut scene = everything(Setup::new("secrets"), &file).start();
    for name in ["value", "file", "env", "basic", "bearer"] {
        scene.wait_delivered(name, HITS);
        let stats = scene.stats(name);
        assert_eq!((stats.faults["status"], stats.faults["cut_mid_line"]), (1, 1), "{name}");
        assert!(stats.redirects >= 2, "{name}");
    }
    assert_silent(&mut scene);

    // The same file as `config` prints it.
    let path = dir.path().join("tributary.toml");
    fs::write(&path, &scene.config).unwrap();
    let arguments = ["config", "--config", path.to_str().unwrap()];
    let mut printed = process::subcommand(&arguments, &[("TEST_SECRET", ENV), ("TEST_TOKEN", TOKEN)]);
    assert_eq!(printed.wait_exit(GENEROUS).code(), Some(0));
    let text = printed.log().join("\n");
    assert_hidden("config", &text);
    assert!(
        text.contains("TEST_SECRET") && text.contains("<hidden>"),
        "where they come from is shown: {text}"
    );
}

#[test]
fn no_proxy_hears_what_is_said_on_this_machine() {
    let proxy = Listener::closing();
    let address = proxy.address().to_string();
    let setup = Setup::one("loopback", all_at_once(HITS), "");
    let mut scene = setup.env("HTTP_PROXY", &address).env("ALL_PROXY", &address).start();
    // With a token, and the client secret for it.
    scene.finish_all();
    assert_eq!(proxy.heard(), Vec::<Heard>::new(), "not so much as a connection");
}

/// Servers that say back what they were sent, in all the ways in which that can be done.
#[test]
fn what_a_server_says_back_is_hidden() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("secret");
    fs::write(&file, FILE).unwrap();
    let refusing = Listener::answering(|number, heard| Some(echo(number, heard)));
    let granting = Listener::answering(|number, heard| {
        let granted = format!(r#"{{"access_token":"{GRANTED}","expires_in":3600}}"#);
        Some(match heard.head.starts_with("POST") {
            true => response(200, "application/json", granted.as_bytes()),
            false => echo(number, heard),
        })
    });
    let (refused, granted) = (refusing.url(), granting.url());
    let file = format!("{{ file = {file:?} }}");
    let value = format!("{{ value = \"{VALUE}\" }}");
    let at = |url: &str, auth: String| {
        format!("url = \"{url}/api/1/stream/x\"\nauth = {auth}\nreconnect_pause = \"30ms\"")
    };
    let streams = [
        ("value", at(&refused, ims(&refused, &value))),
        ("file", at(&refused, ims(&refused, &file))),
        ("basic", at(&refused, oauth2(&refused, &value))),
        ("granted", at(&granted, ims(&granted, "{ env = \"TEST_SECRET\" }"))),
        ("bearer", at(&refused, "{ bearer = { env = \"TEST_TOKEN\" } }".to_owned())),
    ];
    let setup =
        Setup::new("echoes").env("TEST_SECRET", ENV).env("TEST_TOKEN", TOKEN).env("TRIBUTARY_LOG", "trace");
    let setup = streams.iter().fold(setup, |setup, (name, keys)| setup.add(name, all_at_once(0), keys));
    let mut scene = setup.start();
    for (name, _) in &streams {
        wait::wait_until(GENEROUS, format_args!("refusals of {name}"), || {
            scene.metric("tributary_reconnects_total", name) >= 12.0
        });
    }
    let heard = format!("{:?} {:?}", refusing.heard(), granting.heard());
    let form: String = url::form_urlencoded::byte_serialize(VALUE.as_bytes()).collect();
    let basic = BASE64_STANDARD.encode(format!("{CLIENT}:{VALUE}"));
    for sent in [&form, FILE, ENV, &basic, TOKEN, GRANTED] {
        assert!(heard.contains(sent), "{sent} was sent, and so echoed");
    }
    for (name, _) in &streams {
        let hidden = scene.lines(name, "<hidden>");
        assert!(hidden.iter().any(|line| line.contains("you sent")), "{name}: {:#?}", scene.lines(name, ""));
    }
    assert_silent(&mut scene);
}

/// In turn: as an error of OAuth, plain, broken off inside, at the end of what a client would keep.
fn echo(number: usize, heard: &Heard) -> Vec<u8> {
    let line = heard.head.lines().find(|line| line.to_ascii_lowercase().starts_with("authorization:"));
    let sent = line.and_then(|line| line.split_once(':')).map_or("", |(_, value)| value.trim());
    let (status, sent) = (401, format!("{sent} {}", heard.body));
    let decoded: Vec<_> =
        url::form_urlencoded::parse(heard.body.as_bytes()).map(|(_, value)| value).collect();
    let said = format!("you sent {sent} {decoded:?}");
    let json = serde_json::json!({ "error": "invalid_client", "error_description": said }).to_string();
    let body = match number % 4 {
        0 => json,
        // As some languages write it.
        1 => json.replace('/', "\\/"),
        2 => format!("{said}{}", " and more".repeat(300)),
        _ => format!("you sent {}{sent}{sent}{sent}", "x".repeat(number % 90 + 440)),
    };
    response(status, "application/json", body.as_bytes())
}
