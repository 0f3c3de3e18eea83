//! A right that is missing for a topic that events name: the stream waits for it and says so, and nothing goes elsewhere.

use super::{Run, keyed, setup};
use crate::harness::airship::LIMIT;
use crate::harness::broker::{PrivateBroker, Right, acl_broker};
use crate::harness::reader::{Isolation, read_all};
use crate::harness::rights::documented_without_group;
use crate::harness::wait::wait_until;

/// What docs/security.md lists, for all of these topics.
fn allow(broker: &PrivateBroker, prefix: &str, topics: &[&str]) {
    let rights: Vec<Right> =
        topics.iter().flat_map(|topic| documented_without_group(prefix, topic)).collect();
    broker.allow(&rights);
}

#[test]
fn a_topic_that_may_not_be_used_is_waited_for() {
    let (broker, address) = acl_broker();
    let setup = setup("denied-topic");
    let prefix = setup.prefix().to_owned();
    // Outside of the state's prefix, so that the rights on that do not count for them.
    let [allowed, denied, other] = ["ALLOWED", "DENIED", "OTHER"].map(|name| format!("out-{prefix}.{name}"));
    let setup = setup.top(&format!(
        r#"
        [kafka]
        bootstrap_servers = "{address}"
        [kafka.properties]
        "security.protocol" = "SASL_PLAINTEXT"
        "sasl.mechanism" = "PLAIN"
        "sasl.username" = "tributary"
        "sasl.password" = {{ value = "secret" }}
        "#
    ));
    let setup = setup.stream(&format!("topic = \"out-{prefix}.{{type}}\"\ndefault_topic = \"{other}\""));
    // It is there, but may not even be seen.
    broker.create_topic(&denied, 1, &[]);
    allow(&broker, &prefix, &[&allowed, &other]);
    let lines = [keyed(0, "ALLOWED"), keyed(1, "DENIED"), keyed(2, "ALLOWED")];
    let mut run = Run::start_at(&broker, &setup, &lines);

    wait_until(LIMIT, "/ready to name the topic", || {
        let page = run.process.get("/ready");
        let names = page.body.contains(&denied) && page.body.contains("Topic authorization failed");
        page.status == 503 && page.body.contains("writing refused") && names
    });
    assert!(run.refusals("topic_authorization_failed") >= 2.0);
    assert_eq!(run.metric("tributary_events_delivered_total"), 0.0);
    assert_eq!(run.metric("tributary_dead_letters_total"), 0.0);

    allow(&broker, &prefix, &[&denied]);
    run.wait(3, 0);
    run.stop();
    let values = |topic: &str| -> Vec<String> {
        read_all(&broker, topic, Isolation::Committed)
            .iter()
            .map(|message| message.text().to_owned())
            .collect()
    };
    let mut of_allowed = values(&allowed);
    of_allowed.sort();
    assert_eq!(of_allowed, [lines[0].clone(), lines[2].clone()]);
    assert_eq!(values(&denied), [lines[1].clone()]);
    assert_eq!(values(&other), [""; 0]);
}
