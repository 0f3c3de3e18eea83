//! The secret that hashes are made with: nothing is shown without it, and a rotated one is taken up under way.

use super::{at, hash, parsed};
use crate::harness::airship::scenes::{Setup, bytes, held};
use crate::harness::broker::broker;
use crate::harness::process;
use crate::harness::reader::{self, Isolation};
use crate::harness::wait::{self, GENEROUS};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

const EVENTS: u64 = 600;

/// What is said where a secret is missing at the start.
const MISSING: &str = "cannot begin without the secret of a redaction, and takes no stream over until then";

const KEYS: [&str; 2] = ["the-first-key-b61f2d", "the-second-key-77a90c"];

#[test]
fn a_secret_is_waited_for_and_taken_up_again_when_it_is_rotated() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("redaction");
    let rule = format!(
        "redact = [{{ path = \"device.channel\", action = \"hash\", secret = {{ file = \"{}\" }} }}]",
        file.display()
    );
    let mut scene = Setup::new("redact-secret", held(EVENTS, EVENTS / 2)).stream(&rule).start(broker());
    let log = scene.mock_log();
    let line = scene.process.wait_for_log(MISSING, GENEROUS);
    assert!(
        line.contains("cannot read the secret file") && line.contains(file.to_str().expect("text")),
        "{line}"
    );
    assert_eq!(scene.process.get("/ready").status, 503);
    assert_eq!(scene.mock.stats().connections, 0, "nothing is asked for that could not be shown");
    fs::write(&file, format!("{}\n", KEYS[0])).expect("written");
    scene.wait_delivered(log.distinct(EVENTS / 2));
    // One that is gone is no reason to stop, nor to show anything.
    fs::remove_file(&file).expect("removed");
    scene.process.wait_for_log("the redaction goes on with the secrets that it has", GENEROUS);
    fs::write(&file, KEYS[1]).expect("written");
    scene.process.wait_for_log("a secret of the redaction has changed", GENEROUS);
    scene.mock.release(EVENTS);
    scene.wait_delivered(log.distinct(EVENTS));
    scene.stop();

    let received: BTreeMap<String, (u64, Vec<u8>)> = log
        .expected(0..EVENTS)
        .zip(0..)
        .filter(|(line, _)| !line.entry.is_duplicate)
        .map(|(line, position)| (line.id, (position, line.line)))
        .collect();
    let messages = reader::read_all(broker(), &scene.events(), Isolation::Committed);
    assert_eq!(messages.len(), received.len());
    let mut hashed = [0, 0];
    for message in &messages {
        let (position, line) = &received[message.header("ce_id").expect("an id")];
        let half = usize::from(*position >= EVENTS / 2);
        let (before, after) = (parsed(line), parsed(bytes(message)));
        let Some(channel) = at(&before, "device.channel").and_then(|value| value.as_str()) else { continue };
        assert_eq!(at(&after, "device.channel"), Some(&hash(KEYS[half], channel).into()), "{position}");
        hashed[half] += 1;
    }
    assert!(hashed.iter().all(|count| *count > 50), "{hashed:?}");
    let log = scene.process.log().join("\n");
    assert!(KEYS.iter().all(|key| !log.contains(key)), "{log}");
}

#[test]
fn a_secret_that_no_waiting_brings_ends_the_process() {
    let dir = tempfile::tempdir().expect("a directory");
    // It may come; the other one cannot.
    let file = dir.path().join("redaction");
    let rules = format!(
        r#"redact = [
            {{ path = "device.channel", action = "hash", secret = {{ file = "{}" }} }},
            {{ path = "device.named_user_id", action = "hash", secret = {{ env = "NO_SUCH_KEY" }} }},
        ]"#,
        file.display()
    );
    let setup = Setup::new("redact-variable", held(1, 1)).stream(&rules);
    let mut process = process::tributary(&setup.configuration(broker(), "http://127.0.0.1:9"), &[]);
    assert_eq!(process.wait_exit(GENEROUS).code(), Some(3));
    let log = process.log().join("\n");
    assert!(log.contains("environment variable NO_SUCH_KEY is not set"), "{log}");
    assert!(log.contains("waiting would not mend it"), "{log}");
    assert!(broker().topics(&setup.prefix).is_empty(), "nothing was made");
}

fn hashing(file: &Path) -> String {
    let file = file.display();
    format!("redact = [{{ path = \"device.channel\", action = \"hash\", secret = {{ file = \"{file}\" }} }}]")
}

/// A second instance whose secret is not there yet leaves the first one alone, until it is there. `top` has the keys of an
/// instance outside of the stream.
#[track_caller]
fn waits_for_its_secret(name: &str, top: fn(&str) -> String, is_group: bool) {
    let dir = tempfile::tempdir().expect("a directory");
    let files = ["first", "second"].map(|name| dir.path().join(name));
    fs::write(&files[0], KEYS[0]).expect("written");
    let setup = |number: usize| {
        let instance = ["one", "two"][number];
        Setup::new(name, held(EVENTS, EVENTS / 2)).top(&top(instance)).stream(&hashing(&files[number]))
    };
    let (first, mut second) = (setup(0), setup(1));
    second.prefix.clone_from(&first.prefix);
    let mut scene = first.start(broker());
    let log = scene.mock_log();
    scene.wait_delivered(log.distinct(EVENTS / 2));

    let config = second.configuration(broker(), &scene.mock.url());
    let mut second = process::tributary(&config, &[]);
    // It looks every five seconds, and so does the first one whether another has announced itself.
    wait::wait_until(GENEROUS, "the second one to have looked three times", || {
        second.log().iter().filter(|line| line.contains(MISSING)).count() >= 3
    });
    let page = second.get("/ready");
    assert_eq!(page.status, 503);
    assert!(page.body.contains("cannot read the secret file"), "{}", page.body);
    assert_eq!(second.exited(), None);
    scene.mock.release(EVENTS);
    scene.wait_delivered(log.distinct(EVENTS));
    assert_eq!(scene.process.exited(), None, "{}", scene.process.log().join("\n"));
    assert_eq!(scene.mock.stats().connections, 1, "it went on with the connection that it had");

    fs::write(&files[1], KEYS[0]).expect("written");
    if is_group {
        wait::wait_until(GENEROUS, "the second one to have joined", || second.get("/ready").status == 200);
        scene.stop();
    } else {
        assert_eq!(scene.process.wait_exit(GENEROUS).code(), Some(4), "taken over");
    }
    second.wait_for_log("\"opened\"", GENEROUS);
    second.sigterm();
    assert_eq!(second.wait_exit(GENEROUS).code(), Some(0));
    let messages = reader::read_all(broker(), &scene.events(), Isolation::Committed);
    assert_eq!(messages.len() as u64, log.distinct(EVENTS));
}

#[test]
fn an_instance_without_its_secret_takes_nothing_over() {
    waits_for_its_secret("redact-takeover", |_| String::new(), false);
}

#[test]
fn an_instance_without_its_secret_joins_no_group() {
    let top = |instance: &str| {
        format!("ownership = \"group\"\ninstance_id = \"{instance}\"\nsession_timeout = \"6s\"")
    };
    waits_for_its_secret("redact-group", top, true);
}
