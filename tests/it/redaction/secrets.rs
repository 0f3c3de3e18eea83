//! The secret that hashes are made with: nothing is shown without it, and a rotated one is taken up under way.

use super::{at, hash, parsed};
use crate::harness::airship::scenes::{Setup, bytes, held};
use crate::harness::broker::broker;
use crate::harness::reader::{self, Isolation};
use crate::harness::wait::GENEROUS;
use std::collections::BTreeMap;
use std::fs;

const EVENTS: u64 = 600;

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
    let line =
        scene.process.wait_for_log("cannot open the shard without the secret of its redaction", GENEROUS);
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
