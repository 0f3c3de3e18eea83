//! Dead letters of a stream that is pushed to us, replayed while it receives.

use super::scene::Scene;
use crate::dead_letters::scene::{became, start};
use crate::harness::broker::broker;
use crate::harness::reader::{Isolation, Message, read_all};

/// What is delivered, with and without a type.
const TYPED: [&str; 2] = [r#"{"id":"b","type":"open"}"#, r#"{"id":"c","type":"open"}"#];
const UNTYPED: &str = r#"{"id":"a","n":1}"#;

#[test]
fn letters_are_replayed_and_the_stream_is_not_disturbed() {
    let scene = Scene::new("hook-replay", broker());
    let prefix = scene.settings.prefix.clone();
    let template = |toml: String| {
        toml.replace(&format!("topic = \"{prefix}.events\""), &format!("topic = \"{prefix}.{{type}}\""))
    };
    let mut instance = scene.start_as(template);
    let first = format!("[{UNTYPED},{},{{\"n\":2}}]", TYPED[0]);
    assert_eq!(instance.push(&first).status, 200);
    let letters = scene.dead_letters(2);
    let at = letters.iter().map(|letter| letter.header("tributary-position").expect("a position"));
    assert!(
        at.clone().all(|position| position.starts_with("intake offset ")),
        "{:?}",
        at.collect::<Vec<_>>()
    );
    let mended = |toml: String| {
        let other = format!("[[stream]]\ndefault_topic = \"{prefix}.other\"");
        template(toml).replace("[[stream]]", &other)
    };
    let toml = mended(scene.toml(instance.address, ""));
    let summary = start(&toml, "hooks", &[], &[]).succeeds();
    assert_eq!(became(&summary), [1, 0, 1], "{summary:#}");
    // The stream goes on as if nothing had been, and has its copies dropped by itself.
    let second = format!("[{},{UNTYPED},{{\"n\":3}}]", TYPED[1]);
    assert_eq!(instance.push(&second).status, 200);
    scene.dead_letters(4);
    let metrics = instance.process.metrics();
    assert_eq!(metrics.sum("tributary_write_failures_total", &[]), 0.0);
    instance.stop();
    let values = |topic: &str| {
        let found = read_all(broker(), &format!("{prefix}.{topic}"), Isolation::Uncommitted);
        let mut values: Vec<String> = found.iter().map(|message| message.text().to_owned()).collect();
        values.sort();
        values
    };
    assert_eq!(values("other"), [UNTYPED]);
    assert_eq!(values("open"), TYPED);
    let attempts = |message: &Message| message.header("tributary-attempts").map(str::to_owned);
    let found: Vec<_> = scene.dead_letters(4).iter().filter_map(attempts).collect();
    assert_eq!(found, ["2"]);
}
