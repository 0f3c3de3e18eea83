//! `tributary mock webhook` as somebody starts it: what it was told to be stored is there once, whatever it does on the way.

use std::collections::BTreeMap;

use serde_json::Value;
use tributary_mock::airship::{Log, LogOptions};

use super::scene::{Instance, LIMIT, PATH, Scene};
use crate::harness::broker::{Tls, broker, free_port};
use crate::harness::process::{self, Process};

/// What lets its requests in.
const ENV: [(&str, &str); 1] = [("MOCK_WEBHOOK_HEADER", "X-Key: open sesame")];

const SEED: u64 = 7;
const EVENTS: u64 = 500;

/// Starts it.
#[track_caller]
fn push(to: &[String], arguments: &[&str]) -> Process {
    let to = to.iter().flat_map(|to| ["--to", to]);
    let fixed = ["mock", "webhook", "--json"];
    process::subcommand(
        &fixed.into_iter().chain(to).chain(arguments.iter().copied()).collect::<Vec<_>>(),
        &ENV,
    )
}

/// Its exit code and its summary.
#[track_caller]
fn end(process: &mut Process) -> (Option<i32>, Value) {
    let code = process.wait_exit(LIMIT).code();
    let log = process.log();
    let summary = log.iter().find(|line| line.starts_with('{'));
    let summary = summary.unwrap_or_else(|| panic!("no summary in {log:#?}"));
    (code, serde_json::from_str(summary).expect("JSON"))
}

#[test]
fn what_it_pushes_arrives_once_with_repeats_slow_bodies_and_bad_ones() {
    let mut scene = Scene::new("hook-mock", broker());
    // Slow bodies take longer, so they are refused and come again.
    scene.webhook = "request_timeout = \"1s\"".into();
    let member = |name: &str| format!("ownership = \"group\"\ninstance_id = \"{name}\"");
    let mut instances = ["a", "b"].map(|name| scene.start_with(&member(name)));
    let to: Vec<String> =
        instances.iter().map(|instance| format!("http://{}{PATH}", instance.address)).collect();
    let (seed, events) = (SEED.to_string(), EVENTS.to_string());
    let faults = ["--repeats", "0.3", "--slow", "0.1", "--slow-time", "4s", "--bad", "0.5"];
    let what = ["--seed", &seed, "--events", &events, "--batch", "10", "--parallel", "4", "--gzip"];
    let mut pushing = push(&to, &[&what[..], &faults].concat());
    let (code, summary) = end(&mut pushing);
    assert_eq!(code, Some(0), "{summary}");
    let number = |pointer: &str| summary.pointer(pointer).and_then(Value::as_u64).unwrap_or_default();
    assert_eq!((number("/begun"), number("/acknowledged"), number("/events")), (50, 50, EVENTS));
    assert!(number("/slow") >= 2 && number("/answers/408") >= number("/slow"), "{summary}");
    assert!(number("/repeats") >= 5 && number("/retries") >= number("/slow"), "{summary}");
    let (stored, unread) = (number("/bad/answers/200"), number("/bad/answers/400"));
    assert!(stored >= 2 && unread >= 2 && number("/bad/unanswered") >= 2, "{summary}");

    let log = Log::new(LogOptions {
        seed: SEED,
        events: EVENTS,
        epoch_ms: number("/epoch_ms"),
        step_us: number("/step_us"),
        ..LogOptions::default()
    });
    let line = |line: Vec<u8>| String::from_utf8(line).expect("the mock writes UTF-8");
    let expected: BTreeMap<String, usize> =
        log.expected(0..EVENTS).map(|event| (line(event.line), 1)).collect();
    scene.wait_for(expected.len());
    let letters = usize::try_from(stored + unread).unwrap();
    scene.dead_letters(letters);
    instances.iter_mut().for_each(Instance::stop);
    assert!(scene.counted() == expected, "{} events", scene.counted().len());
    assert_eq!(scene.dead_letters(letters).len(), letters, "each bad one that was answered");
}

#[test]
fn it_pushes_over_tls_and_says_what_it_could_not_hand_over() {
    let tls = Tls::new();
    tls.authority("authority");
    tls.certificate("receiver", "authority");
    let mut scene = Scene::new("hook-mock-tls", broker());
    let (cert, key) = (tls.path("receiver.pem"), tls.path("receiver.key"));
    scene.webhook = format!("tls = {{ cert = \"{}\", key = \"{}\" }}", cert.display(), key.display());
    let mut instance = scene.start();
    let to = [format!("https://{}{PATH}", instance.address)];
    let authority = tls.path("authority.pem").display().to_string();
    let (code, summary) = end(&mut push(&to, &["--events", "3", "--batch", "1", "--ca", &authority]));
    assert_eq!((code, &summary["events"]), (Some(0), &3.into()), "{summary}");
    scene.wait_for(3);
    // It does not know the authority; nobody listens.
    for to in [to, [format!("http://127.0.0.1:{}/", free_port())]] {
        let mut pushing = push(&to, &["--events", "3", "--give-up", "0s"]);
        let (code, summary) = end(&mut pushing);
        assert_eq!((code, &summary["given_up"]), (Some(1), &1.into()), "{summary}");
        pushing.wait_for_log("1 of 1 requests were not acknowledged", LIMIT);
        assert!(summary["trouble"].as_str().is_some_and(|why| why.contains(&to[0])), "{summary}");
    }
    instance.stop();
}
