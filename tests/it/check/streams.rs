//! The services' side: what they answer, and what is not asked of them.

use super::Checked;
use crate::harness::airship::progress::Progress;
use crate::harness::airship::{Mock, STREAM, Setup, service, stop};
use crate::harness::broker::{broker, free_port};
use crate::harness::listener::{Listener, response};
use crate::harness::settings::Settings;

const EVENTS: u64 = 50;

fn scene(test: &str) -> (Mock, Setup) {
    let mock = Mock::start(service(EVENTS));
    let setup = Setup::new(test, &mock);
    (mock, setup)
}

#[test]
fn a_stream_is_opened_until_its_first_line() {
    let (_mock, setup) = scene("check-opens");
    let checked = Checked::of(&setup.toml());
    assert_eq!(checked.code, 0, "{:#}", checked.json);
    assert_eq!(checked.finding("mobile stream"), ["ok", "was opened, and a line of it came", ""]);
    assert!(checked.finding("mobile position")[1].contains("the oldest event"), "{:#}", checked.json);
}

/// A stream at work is left alone, and its position is that of its checkpoint.
#[test]
fn a_stream_at_work_is_not_opened() {
    let (mock, setup) = scene("check-held");
    let mut running = setup.start();
    Progress::of(broker(), &setup, STREAM, 0).wait_received(EVENTS);
    let opened = || mock.stats().streams;
    let before = opened();
    let checked = Checked::of(&setup.toml());
    assert_eq!(checked.code, 0, "{:#}", checked.json);
    assert_eq!(checked.finding("mobile stream")[0], "not_tried");
    assert_eq!(opened(), before);
    let last = mock.log().offset(EVENTS - 1);
    assert!(checked.finding("mobile position")[1].contains(&last), "{:#}", checked.json);
    let checked = Checked::with(&setup.toml(), &["--open", "--timeout", "2s"]);
    assert_eq!(checked.finding("mobile stream")[0], "ok", "{:#}", checked.json);
    assert_eq!(opened(), before + 1);
    stop(&mut running);
    setup.expectation(&mock).check();
}

#[test]
fn refusals_are_named() {
    let (_mock, mut setup) = scene("check-refused");
    for (status, found, todo) in [
        (401, "401 the credential was refused", "exchange the credential"),
        (403, "403 access was refused", "the right to read"),
        (400, "400 the request was refused", "check url"),
    ] {
        let service = Listener::answering(move |_, _| Some(response(status, "text/plain", b"no")));
        setup.streams[0].url = service.url();
        let checked = Checked::of(&setup.toml());
        assert_eq!(checked.code, 9, "{status}");
        checked.assert_failed("mobile stream", found, todo);
        assert_eq!(checked.finding("mobile host")[0], "ok", "it answers");
    }
    let away = Listener::answering(|_, _| {
        let head = b"HTTP/1.1 302 X\r\nlocation: https://elsewhere.invalid/\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
        Some(head.to_vec())
    });
    setup.streams[0].url = away.url();
    let checked = Checked::of(&setup.toml());
    assert_eq!(checked.code, 9);
    checked.assert_failed("mobile stream", "a redirect was not followed", "redirect_hosts");
    let busy = Listener::answering(|_, _| Some(response(402, "text/plain", b"no")));
    setup.streams[0].url = busy.url();
    let checked = Checked::of(&setup.toml());
    assert_eq!((checked.code, checked.finding("mobile stream")[0]), (0, "warning"));
}

#[test]
fn hosts_that_cannot_be_reached_are_named() {
    let (_mock, mut setup) = scene("check-hosts");
    setup.streams[0].url = format!("http://127.0.0.1:{}/", free_port());
    let checked = Checked::of(&setup.toml());
    assert_eq!(checked.code, 9);
    checked.assert_failed("mobile host", "cannot reach", "check the address");
    assert_eq!(checked.finding("mobile stream")[0], "not_tried");
    setup.streams[0].url = "https://airship.invalid/".to_owned();
    let checked = Checked::of(&setup.toml());
    assert_eq!(checked.code, 9);
    checked.assert_failed("mobile host", "cannot reach airship.invalid", "name server");
}

#[test]
fn a_credential_that_is_missing_is_named() {
    let (_mock, setup) = scene("check-credential");
    let config = setup.toml().replace(r#"{ value = "token" }"#, r#"{ env = "NO_SUCH_VARIABLE_1f3c" }"#);
    let checked = Checked::of(&config);
    assert_eq!(checked.code, 9);
    checked.assert_failed("mobile credential", "NO_SUCH_VARIABLE_1f3c", "`auth`");
}

/// A page in place of the stream.
#[test]
fn what_is_no_stream_is_named() {
    let (_mock, mut setup) = scene("check-page");
    let page = Listener::answering(|_, _| Some(response(200, "text/html", b"<html>log in</html>")));
    setup.streams[0].url = page.url();
    let checked = Checked::of(&setup.toml());
    assert_eq!(checked.code, 9);
    checked.assert_failed("mobile stream", "", "what answers is not the stream");
}

/// The configuration with one Adobe stream at `service`, which grants its tokens too.
fn adobe(test: &str, service: &Listener) -> String {
    let url = service.url();
    let settings = Settings::new(broker(), test).toml();
    format!(
        r#"{settings}[[stream]]
name = "web"
kind = "adobe"
url = "{url}/api/1/stream/adobe-livestream-x"
auth = {{ ims = {{ client_id = "client", client_secret = {{ value = "hunter2-hunter2" }}, scopes = ["openid"], token_url = "{url}/token" }} }}
"#
    )
}

#[test]
fn no_hit_is_taken_from_adobe() {
    let service = Listener::answering(|_, heard| {
        let token = br#"{"access_token":"token-of-the-day","expires_in":3600}"#;
        let (status, body) = if heard.head.contains("/token") { (200, &token[..]) } else { (404, &b""[..]) };
        Some(response(status, "application/json", body))
    });
    let checked = Checked::of(&adobe("check-adobe", &service));
    assert_eq!(checked.code, 0, "{:#}", checked.json);
    assert_eq!(checked.finding("web credential")[0], "ok");
    let [result, found, _] = checked.finding("web stream");
    assert!(result == "not_tried" && found.contains("would take hits"), "{:#}", checked.json);
    let heard = service.heard();
    assert!(heard.iter().any(|heard| heard.head.starts_with("HEAD / ")), "{heard:#?}");
    assert!(heard.iter().all(|heard| !heard.head.contains("/api/1/stream")), "{heard:#?}");
    let shown = checked.json.to_string();
    assert!(!shown.contains("hunter2") && !shown.contains("token-of-the-day"), "{shown}");
}

#[test]
fn a_refused_client_secret_is_named_and_not_shown() {
    let service = Listener::answering(|_, heard| {
        let is_token = heard.head.contains("/token");
        Some(response(if is_token { 401 } else { 404 }, "application/json", br#"{"error":"invalid_client"}"#))
    });
    let checked = Checked::of(&adobe("check-adobe-secret", &service));
    assert_eq!(checked.code, 9, "{:#}", checked.json);
    checked.assert_failed("web credential", "invalid_client", "`auth`");
    assert!(!checked.json.to_string().contains("hunter2"), "{:#}", checked.json);
}

/// The clock of the service is years behind, so ours is ahead.
#[test]
fn a_clock_that_is_wrong_is_named() {
    let (_mock, mut setup) = scene("check-clock");
    let service = Listener::answering(|_, _| {
        let answer = response(403, "text/plain", b"no");
        let dated = b"HTTP/1.1 403 X\r\ndate: Sun, 06 Nov 1994 08:49:37 GMT\r\n";
        Some([&dated[..], &answer[b"HTTP/1.1 403 X\r\n".len()..]].concat())
    });
    setup.streams[0].url = service.url();
    let checked = Checked::of(&setup.toml());
    assert_eq!(checked.code, 9);
    checked.assert_failed("clock", "brokers refuse what is dated so", "NTP");
}
