//! Connects that are refused, each class in its own way; an error body is never an event.

use super::bodies::{events, scripted, stream};
use crate::harness::airship::scenes::{Ended, Expected, Scene, Setup, held};
use crate::harness::broker::broker;
use crate::harness::wait::{self, GENEROUS};
use std::fs;
use tributary_mock::airship::{Armed, Config, ErrorBody, Fault};

pub(super) const EVENTS: u64 = 2_000;

/// Where the first connection is interrupted.
pub(super) const HALF: u64 = 1_000;

pub(super) fn status(code: u16, body: ErrorBody) -> Fault {
    Fault::Status { code, body, message: None, retry_after: None }
}

/// A scene whose first half is delivered.
#[track_caller]
pub(super) fn half_way(setup: Setup) -> Scene {
    let scene = setup.start(broker());
    scene.wait_delivered(scene.mock_log().distinct(HALF));
    scene
}

/// In the middle of a stream, `refusals` connects end as `class`; then it goes on and everything arrives.
#[track_caller]
fn refused(name: &str, faults: &[Fault], class: &str) -> Ended {
    let scene = half_way(Setup::new(name, held(EVENTS, HALF)));
    scene.interrupt(faults.iter().cloned().map(Armed::now));
    scene.mock.release(EVENTS);
    let expected = Expected::all(&scene.mock_log());
    scene.wait_delivered(expected.len());
    assert_eq!(scene.reconnects(class), faults.len() as f64, "refusals seen as {class}");
    assert_eq!(scene.metric("tributary_reconnects_total"), faults.len() as f64 + 1.0, "and one orderly end");
    let ended = scene.finish(broker(), &expected);
    ended.assert_no_dead_letters();
    assert_eq!(ended.stats.faults["status"], faults.len() as u64);
    ended
}

/// `retry_in_ms` of the log lines about failures of `class`.
pub(super) fn pauses(ended: &Ended, class: &str) -> Vec<u64> {
    let lines = ended.lines(&format!("\"class\":\"{class}\""));
    let parsed = lines.iter().map(|line| serde_json::from_str(line).expect("JSON"));
    parsed.map(|line: serde_json::Value| line["retry_in_ms"].as_u64().expect("a pause")).collect()
}

#[test]
fn server_errors_with_html() {
    let codes = [500, 502, 503, 504, 502, 503];
    let ended = refused("5xx", &codes.map(|code| status(code, ErrorBody::Html)), "server_error");
    assert!(pauses(&ended, "server_error").iter().all(|ms| *ms <= 200), "quickly");
    assert_eq!(ended.lines("nginx").len(), codes.len(), "the page is quoted in the reason");
}

#[test]
fn rate_limited_with_retry_after() {
    let limited = Fault::Status { code: 429, body: ErrorBody::Json, message: None, retry_after: Some(2) };
    let ended = refused("429", &[limited], "rate_limited");
    assert_eq!(pauses(&ended, "rate_limited"), [2_000], "as the service wishes");
}

/// A server that is no mock: it asks for a pause until a date, then has three events.
#[test]
fn rate_limited_until_a_date() {
    // The dates are the server's own, whose clock is far from ours.
    let until = "HTTP/1.1 429 X\r\ndate: Wed, 21 Oct 2015 07:28:00 GMT\r\nretry-after: Wed, 21 Oct 2015 07:28:02 GMT\r\n\
                 content-length: 0\r\nconnection: close\r\n\r\n";
    let scene = scripted("429-date", "", move |number, _| (number == 0).then(|| until.into()));
    scene.0.wait_delivered(3);
    let ended = scene.stop();
    assert_eq!(pauses(&ended, "rate_limited"), [2_000], "as the service wishes");
}

#[test]
fn a_part_of_a_stream_is_no_stream() {
    for status in [203, 206] {
        let part = stream(status, "", &events(0..2));
        let scene = scripted("part", "", move |number, _| (number == 0).then(|| part.clone()));
        scene.0.wait_delivered(3);
        let ended = scene.stop();
        let lines = ended.lines(&format!("the service answered {status}"));
        assert_eq!(lines.len(), 1, "{:#?}", ended.log);
        assert!(!lines[0].contains("event-"), "no event's text in the log: {}", lines[0]);
    }
}

#[test]
fn forbidden_names_the_types() {
    let ended = refused("403", &[status(403, ErrorBody::Json)], "forbidden");
    let lines = ended.lines("may not read the event types COMPLIANCE, TAG_CHANGE");
    assert_eq!(lines.len(), 1, "{:?}", ended.lines("403"));
    assert!(lines[0].contains("\"level\":\"ERROR\""));
}

#[test]
fn no_data_yet() {
    let faults = [ErrorBody::Json, ErrorBody::Html].map(|body| Armed::now(status(404, body)));
    let scene = Setup::new("404", Config { faults: faults.into(), ..held(EVENTS, EVENTS) }).start(broker());
    let expected = Expected::all(&scene.mock_log());
    scene.wait_delivered(expected.len());
    assert_eq!(scene.reconnects("no_data"), 2.0);
    let ended = scene.finish(broker(), &expected);
    assert_eq!(ended.stats.faults["status"], 2);
    assert!(pauses(&ended, "no_data").iter().all(|ms| *ms >= 200), "slowly");
    assert_eq!(ended.lines("no data for this app key yet").len(), 2);
}

/// A stream that has brought events is no new app: an address or an app key is wrong.
#[test]
fn no_data_any_more() {
    let ended =
        refused("404-resumed", &[status(404, ErrorBody::Json), status(404, ErrorBody::Html)], "rejected");
    assert!(pauses(&ended, "rejected").iter().all(|ms| *ms >= 200), "slowly");
    let lines = ended
        .lines("404 there is nothing, although this stream has brought events before; check url and app key");
    assert!(lines.len() == 2 && lines.iter().all(|line| line.contains("\"level\":\"ERROR\"")), "{lines:#?}");
}

#[test]
fn rejected_for_good() {
    for code in [405, 406, 415, 505] {
        let ended = refused("rejected", &[status(code, ErrorBody::Text)], "rejected");
        assert!(pauses(&ended, "rejected").iter().all(|ms| *ms >= 200), "slowly");
        assert_eq!(ended.lines(&format!("{code} the request was refused; check url, filters")).len(), 1);
    }
}

#[test]
fn a_bad_request_without_a_position() {
    let refusals = vec![Armed::now(status(400, ErrorBody::Json)).times(3)];
    let scene = Setup::new("400", Config { faults: refusals, ..held(EVENTS, EVENTS) }).start(broker());
    wait::wait_until(GENEROUS, "not ready", || scene.process.get("/ready").status == 503);
    let expected = Expected::all(&scene.mock_log());
    scene.wait_delivered(expected.len());
    assert_eq!(scene.reconnects("rejected"), 3.0);
    assert_eq!(scene.reconnects("position_rejected"), 0.0, "no position was sent");
    let ended = scene.finish(broker(), &expected);
    ended.assert_no_dead_letters();
    assert_eq!(ended.stats.faults["status"], 3);
    assert!(pauses(&ended, "rejected").iter().all(|ms| *ms >= 200), "slowly");
    assert_eq!(ended.lines("400 the request was refused; check url, filters and subset").len(), 3);
}

#[test]
fn too_many_connections_while_a_broken_one_lingers() {
    let linger = std::time::Duration::from_secs(1);
    let faults = vec![Armed::after(500, Fault::CutMidLine {}).times(2)];
    let config = Config { max_streams: 1, linger, faults, ..held(EVENTS, EVENTS) };
    let scene = Setup::new("402", config).start(broker());
    let expected = Expected::all(&scene.mock_log());
    scene.wait_delivered(expected.len());
    let refused = scene.reconnects("too_many_connections");
    let ended = scene.finish(broker(), &expected);
    ended.assert_no_dead_letters();
    assert_eq!(ended.stats.faults["cut_mid_line"], 2);
    assert!(refused >= 2.0, "each cut leaves a slot that lingers: {refused}");
    assert_eq!(ended.stats.statuses[&402], refused as u64);
    assert_eq!(ended.lines("is another consumer running?").len(), refused as usize);
}

#[test]
fn a_rotated_token_mends_a_401_without_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("token");
    fs::write(&file, "first-token\n").unwrap();
    let config = Config { token: Some("first-token".into()), ..held(EVENTS, HALF) };
    let auth = format!("auth = {{ bearer = {{ file = {file:?} }} }}");
    let scene = half_way(Setup::new("401", config).stream(&auth));
    assert_eq!(scene.process.get("/ready").status, 200);
    scene.mock.rotate_token("second-token");
    scene.interrupt([]);
    wait::wait_until(GENEROUS, "not ready", || scene.process.get("/ready").status == 503);
    let refused = || scene.mock.stats().statuses.get(&401).copied().unwrap_or_default();
    let before = refused();
    // Through several attempts, during none of which anything is better.
    wait::wait_until(GENEROUS, "attempts", || {
        let ready = scene.process.get("/ready");
        assert_eq!(ready.status, 503, "{}", ready.body);
        assert!(ready.body.contains("needs an operator"), "{}", ready.body);
        refused() >= before + 4
    });
    fs::write(&file, "second-token\n").unwrap();
    wait::wait_until(GENEROUS, "ready", || scene.process.get("/ready").status == 200);
    scene.mock.release(EVENTS);
    let expected = Expected::all(&scene.mock_log());
    scene.wait_delivered(expected.len());
    assert_eq!(scene.reconnects("unauthorized"), refused() as f64);
    let ended = scene.finish(broker(), &expected);
    ended.assert_no_dead_letters();
    assert_eq!(ended.lines("the credential was refused; check the token and the app key").len() as u64, {
        ended.stats.statuses[&401]
    });
    assert!(ended.lines("-token").is_empty(), "no token in the log");
}
