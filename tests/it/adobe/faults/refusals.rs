//! Connects that are refused, each class in its own way; an error body is never an event.

use crate::harness::adobe::scenes::{PAUSE, Scene, Setup, all_at_once, held, lively, status};
use crate::harness::wait::{self, GENEROUS};
use std::time::Duration;
use tributary_mock::adobe::Config;
use tributary_mock::fault::{Armed, ErrorBody, Fault};

const HITS: u64 = 600;
const HALF: u64 = 300;

/// A status, how it is said, what the connector makes of it, and what it tells the operator.
const REFUSALS: [(u16, ErrorBody, &str, &str); 11] = [
    (
        400,
        ErrorBody::Json,
        "rejected",
        "400 a parameter was refused: check url, max_connections and smoothing",
    ),
    (401, ErrorBody::Text, "unauthorized", "401 the credential was refused; check that the token is good"),
    (403, ErrorBody::Html, "forbidden", "403 the credential was refused; check that the token is good"),
    (404, ErrorBody::Text, "rejected", "404 there is no such stream: check the address"),
    (405, ErrorBody::Text, "rejected", "405 the request was refused; check url"),
    (406, ErrorBody::Html, "rejected", "406 the request was refused; check url"),
    (409, ErrorBody::Json, "too_many_connections", "409 too many connections are open for this stream"),
    (429, ErrorBody::Json, "rate_limited", "429 the service limits the rate of requests"),
    (
        500,
        ErrorBody::Html,
        "server_error",
        "500 the service failed; if this lasts, ask Adobe's customer care",
    ),
    (503, ErrorBody::Text, "server_error", "503 the stream is being moved, has no hits yet"),
    (505, ErrorBody::Text, "rejected", "505 the request was refused; check url"),
];

/// Those that a person has to mend.
const FOR_OPERATORS: [u16; 7] = [400, 401, 403, 404, 405, 406, 505];

fn name(code: u16) -> String {
    format!("s{code}")
}

fn words(code: u16) -> String {
    format!("words of {code}")
}

/// Each is refused again and again until the service is mended.
#[test]
fn each_class_says_what_to_do_and_recovers() {
    let setup = REFUSALS.iter().fold(Setup::new("refusals"), |setup, (code, body, ..)| {
        let faults = vec![Armed::now(status(*code, *body, &words(*code))).times(0)];
        setup.add(&name(*code), Config { faults, ..all_at_once(HITS) }, "")
    });
    let mut scene = setup.start();
    for (code, ..) in REFUSALS {
        scene.wait_mock(&name(code), "refusals", |stats| stats.faults.get("status").is_some_and(|n| *n >= 3));
        if FOR_OPERATORS.contains(&code) {
            let mended = || scene.readiness(&name(code)) == (false, "needs an operator".to_owned());
            wait::wait_until(GENEROUS, format_args!("{code} to be for an operator"), mended);
        } else {
            // It was never connected; what it waits for is no person, unless a conflict lasts.
            let (ready, state) = scene.readiness(&name(code));
            assert!(!ready && (state != "needs an operator" || code == 409), "{code}: {state}");
        }
    }
    // A conflict that lasts is for a person too.
    wait::wait_until(GENEROUS, "a lasting conflict", || scene.readiness("s409").1 == "needs an operator");
    scene.wait_ready(503);
    REFUSALS.iter().for_each(|(code, ..)| scene.mock(&name(*code)).disarm());
    scene.wait_ready(200);
    REFUSALS.iter().for_each(|(code, ..)| scene.wait_delivered(&name(*code), HITS));
    let counted: Vec<_> =
        REFUSALS.iter().map(|(code, _, class, _)| scene.reconnects(&name(*code), class)).collect();
    let all = REFUSALS.map(|(code, ..)| scene.metric("tributary_reconnects_total", &name(code)));
    assert_eq!(counted, all, "no other class was counted");
    scene.finish_all();
    for ((code, _, class, advice), counted) in REFUSALS.iter().zip(counted) {
        let name = name(*code);
        let stats = scene.stats(&name);
        assert_eq!((stats.faults["status"] as f64, stats.streams), (counted, 1), "{code} is {class}");
        let lines = scene.lines(&name, advice);
        assert_eq!(lines.len() as f64, counted, "{code}: {:#?}", scene.lines(&name, ""));
        assert!(lines.iter().all(|line| line.contains(&words(*code))), "the service's own words: {lines:#?}");
        let pauses = scene.pauses(&name, class);
        let (quick, rest) = pauses.split_at(1);
        if FOR_OPERATORS.contains(code) {
            assert!(
                rest.iter().all(|ms| *ms >= 2 * PAUSE.as_millis() as u64),
                "{code}: slowly, not {pauses:?}"
            );
            let token = matches!(code, 401 | 403);
            assert_eq!(quick[0] == 0, token, "{code}: only a new token is tried at once");
        } else {
            let about = 150..=250;
            assert!(
                pauses.iter().all(|ms| about.contains(ms)),
                "{code}: about the usual pause, not {pauses:?}"
            );
        }
    }
    // The description alone, not the JSON around it.
    assert!(
        scene.lines("s409", "(words of 409)").len() >= 3
            && scene.lines("s409", "error_description").is_empty()
    );
}

/// A token that was just fetched is not given up again and again.
#[test]
fn an_account_without_the_service_does_not_use_up_tokens() {
    let faults = vec![Armed::now(status(401, ErrorBody::Text, "no product profile")).times(0)];
    let config = Config { faults, ..all_at_once(HITS) };
    let mut scene = Setup::one("no-profile", config, "max_connections = 8").start();
    let attempts =
        |stats: &tributary_mock::adobe::Stats| stats.statuses.get(&401).copied().unwrap_or_default();
    scene.wait_mock("s", "several attempts of each", |stats| attempts(stats) >= 64);
    let stats = scene.stats("s");
    let (attempts, minted) = (attempts(&stats), stats.minted);
    assert!(minted * 2 <= attempts, "{minted} tokens for {attempts} attempts of 8 connections");
    scene.mock("s").disarm();
    scene.finish_all();
}

#[test]
fn ghosts_of_broken_connections_are_waited_out() {
    let config = Config {
        ghost_linger: Duration::from_secs(1),
        ghosts_of_faults: true,
        gzip_errors: true,
        faults: vec![Armed::after(150, Fault::CutMidLine {}).times(2)],
        ..lively(1_500)
    };
    let mut scene = Setup::one("ghosts", config, "max_connections = 2").start();
    scene.wait_delivered("s", 1_500);
    let refused = scene.reconnects("s", "too_many_connections");
    // Before the connector's own end leaves ghosts.
    let stats = scene.stats("s");
    scene.finish_all();
    assert_eq!((stats.faults["cut_mid_line"], stats.ghosts), (2, 2));
    assert!(refused >= 2.0 && stats.statuses[&409] as f64 >= refused, "{refused}");
    let said = "(the maximum number of connections to this stream is open already)";
    let lines = scene.lines("s", "409 too many connections are open for this stream");
    assert!(lines.iter().all(|line| line.contains(said)), "inflated, and no JSON: {lines:#?}");
    assert!(!lines.is_empty());
}

#[test]
fn a_stream_is_enabled_once_for_all_connections() {
    let slow = Config {
        needs_enable: true,
        gzip_errors: true,
        enable_delay: Duration::from_secs(1),
        ..all_at_once(HITS)
    };
    // The request to enable it is the second one, and fails.
    let again = Config {
        needs_enable: true,
        faults: vec![Armed { after_events: 1, ..Armed::now(status(503, ErrorBody::Text, "not now")) }],
        ..all_at_once(HITS)
    };
    let mut scene = Setup::new("enable")
        .add("eight", slow, "max_connections = 8")
        .add("again", again, "reconnect_pause = \"50ms\"")
        .start();
    scene.wait_mock("eight", "refusals", |stats| stats.statuses.get(&424) == Some(&8));
    wait::wait_until(GENEROUS, "an alarm", || scene.readiness("eight").1 == "needs an operator");
    scene.wait_mock("eight", "all connections", |stats| stats.open_streams == 8);
    assert_eq!(scene.reconnects("eight", "not_enabled"), 8.0);
    scene.finish_all();
    let stats = scene.stats("eight");
    assert_eq!((stats.enabled, stats.statuses[&424]), (1, 8));
    let enables: Vec<_> = stats.requests.iter().filter(|seen| seen.path.contains("/enable/")).collect();
    assert_eq!(enables.len(), 1, "{enables:#?}");
    assert!(enables[0].path.starts_with("/api/2/enable/") && enables[0].scheme.is_some(), "{enables:#?}");
    let lines = scene.lines("eight", "(the stream is not enabled for the newest API)");
    assert!(lines.len() == 8 && lines.iter().all(|line| line.contains("ERROR")), "{lines:#?}");
    assert_eq!(scene.lines("eight", "asked for the stream to be enabled").len(), 1);
    // 15 of the usual pauses.
    assert!(scene.pauses("eight", "not_enabled").iter().all(|ms| *ms == 3_000));

    let stats = scene.stats("again");
    assert_eq!((stats.faults["status"], stats.enabled), (1, 1), "asked again after a failure");
    assert_eq!(scene.lines("again", "the stream cannot be enabled").len(), 1);
}

#[test]
fn the_services_wishes_are_kept() {
    let limited = Fault::Status { code: 429, body: ErrorBody::Json, message: None, retry_after: Some(2) };
    let hasty = Config {
        min_reconnect: Duration::from_secs(1),
        faults: vec![Armed::after(200, Fault::Eof {}).times(2)],
        ..all_at_once(HITS)
    };
    let mut scene = Setup::new("wishes")
        .add("limited", Config { faults: vec![Armed::now(limited)], ..all_at_once(HITS) }, "")
        .add("hasty", hasty, "")
        .add("page", pages(), "")
        .add("gone", held(HITS, HALF), "")
        .start();
    gone(&scene);
    scene.wait_delivered("page", HITS);
    assert_eq!(scene.reconnects("page", "bad_body"), 2.0);
    scene.wait_delivered("hasty", HITS);
    let hastes = scene.reconnects("hasty", "server_error");
    scene.finish_all();
    assert_eq!(scene.pauses("limited", "rate_limited"), [2_000], "as the service wishes");
    let stats = scene.stats("hasty");
    assert_eq!((stats.faults["eof"], stats.statuses[&503] as f64), (2, hastes));
    assert!(hastes >= 2.0, "each orderly end was followed too soon: {hastes}");
    // A page and a text with status 200 are neither events nor dead letters, and are not quoted: they may hold anything.
    assert_eq!(scene.stats("page").faults["status"], 2);
    for class in ["markup, such as a page, labelled text/html", "text that is no JSON, labelled text/plain"] {
        let lines = scene.lines("page", class);
        assert!(
            lines.len() == 1 && lines[0].contains("answered 200 with something that is no stream"),
            "{class}"
        );
    }
    assert!(scene.lines("page", "gateway page").is_empty() && scene.lines("page", "some text").is_empty());
}

fn pages() -> Config {
    let page = Armed::now(status(200, ErrorBody::Html, "gateway page"));
    let text = Armed::now(status(200, ErrorBody::Text, "some text"));
    Config { faults: vec![page, text], ..all_at_once(HITS) }
}

/// Switched off in mid-stream, as after 90 days without a client, and on again.
#[track_caller]
fn gone(scene: &Scene) {
    let mock = scene.mock("gone");
    scene.wait_delivered("gone", HALF);
    let name = mock.names().remove(0);
    assert!(mock.disable(&name, true));
    mock.disconnect(Fault::Eof {});
    wait::wait_until(GENEROUS, "an alarm", || scene.readiness("gone").1 == "needs an operator");
    // The state changes before the line is written.
    let told = || !scene.lines("gone", "a stream that nobody read for 90 days is disabled").is_empty();
    wait::wait_until(GENEROUS, "the reason in the log", told);
    mock.disable(&name, false);
    mock.release(HITS);
    wait::wait_until(GENEROUS, "the stream to be back", || scene.readiness("gone").0);
}
