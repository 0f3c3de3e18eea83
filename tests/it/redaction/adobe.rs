//! Adobe hits: addresses, visitors and variables, with names that drift in case and text that is cut inside a character.

use super::{Action, KEY, Rules, assert_hidden, at, parsed, redacted};
use crate::harness::adobe::scenes::{Setup, all_at_once, bytes, id};
use std::collections::{BTreeMap, BTreeSet};

/// One in 400 has the old spelling of the field that is the key.
const HITS: u64 = 6_000;

const RULES: Rules<'static> = &[
    (&["ip"], Action::Truncate),
    (&["customVisId"], Action::Hash(KEY)),
    (&["evars", "evars", "eVar5"], Action::Hash(KEY)),
    (&["mcVisIdHigh"], Action::Drop),
    (&["mcVisIdLow"], Action::Drop),
    (&["userAgent"], Action::Drop),
];

#[test]
fn hits_are_redacted_and_so_are_their_keys() {
    let keys = r#"
        key = ["evars.evars.eVar5", "customVisId", "mcVisIdLow", "ip"]
        redact = [
            { path = "ip", action = "truncate" },
            { path = "customVisId", action = "hash", secret = { env = "REDACTION_KEY" } },
            { path = "evars.evars.eVar5", action = "hash", secret = { env = "REDACTION_KEY" } },
            { path = "mcVisIdHigh", action = "drop" },
            { path = "mcVisIdLow", action = "drop" },
            { path = "userAgent", action = "drop" },
        ]
        "#;
    let mut scene = Setup::one("redact-hits", all_at_once(HITS), keys).env("REDACTION_KEY", KEY).start();
    scene.wait_delivered("s", HITS);
    scene.stop();
    let log = scene.log_of("s");
    let received: BTreeMap<String, Vec<u8>> =
        log.expected(0..HITS).map(|line| (id(line.hit.id), line.line)).collect();
    let messages = scene.events("s");
    let (mut hidden, mut kinds) = (Vec::new(), BTreeMap::<&str, u64>::new());
    for message in &messages {
        let line = &received[message.header("ce_id").expect("an id")];
        let before = parsed(line);
        let after = redacted(before.clone(), RULES, &mut hidden);
        assert_eq!(parsed(bytes(message)), after, "{}", String::from_utf8_lossy(line));
        if after == before {
            assert_eq!(bytes(message), line);
        }
        if std::str::from_utf8(line).is_err() {
            *kinds.entry("cut").or_default() += 1;
        }
        let text =
            |path: &str| at(&after, path).and_then(|value| value.as_str()).filter(|text| !text.is_empty());
        let evar = text("evars.evars.eVar5").or_else(|| text("evars.evars.evar5"));
        let (kind, wanted) = match (evar, text("customVisId"), text("ip")) {
            (Some(evar), ..) => ("evar", Some(evar)),
            (_, Some(custom), _) => ("custom", Some(custom)),
            (_, _, Some(ip)) => ("ip", Some(ip)),
            _ => ("none", None),
        };
        *kinds.entry(kind).or_default() += 1;
        if text("evars.evars.evar5").is_some() {
            *kinds.entry("old spelling").or_default() += 1;
        }
        let key = message.key.as_deref().map(String::from_utf8_lossy);
        assert_eq!(key.as_deref(), wanted, "{}", String::from_utf8_lossy(line));
    }
    assert_eq!(messages.len() as u64, HITS);
    assert!(
        ["cut", "evar", "custom", "ip", "old spelling"].iter().all(|kind| kinds.contains_key(kind)),
        "{kinds:?}"
    );
    assert!(hidden.iter().any(|text| text.parse::<std::net::IpAddr>().is_ok()));
    assert_eq!(scene.dead_letters("s").len(), 0);
    // The largest numbers are visitors' of some hits and ids of others, which are shown.
    let shown: BTreeSet<&str> = received.keys().flat_map(|id| id.split('-')).collect();
    hidden.retain(|text| !shown.contains(&text[..]));
    let headers =
        messages.into_iter().map(|message| crate::harness::reader::Message { value: None, ..message });
    assert_hidden(&hidden, "keys and headers", &headers.collect::<Vec<_>>());
}
