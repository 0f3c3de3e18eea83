//! What may be redacted, and what of a configuration is refused.

use super::{SMALL, errors, parse};
use crate::event::paths::Spelling;
use crate::event::redact::{Action, Form};
use crate::model::secret::SecretSource;

const ADOBE: &str = r#"
kafka.bootstrap_servers = "k"
[[stream]]
name = "w"
kind = "adobe"
url = "https://livestream.adobe.net/api/1/stream/x"
auth = { bearer = { env = "T" } }
"#;

#[track_caller]
fn assert_refused(small: &str, keys: &str, at: &str, part: &str) {
    let found = errors(&format!("{small}{keys}\n"));
    assert!(
        found.len() == 1 && found[0].starts_with(&format!("stream[0].{at}: ")) && found[0].contains(part),
        "{keys}: {found:#?}"
    );
}

#[test]
fn rules_are_read_in_both_ways_of_writing_them() {
    let inline = r#"redact = [
        { path = "device.channel", action = "hash", secret = { file = "/run/secrets/redaction" } },
        { path = 'body."first.name"', action = "drop" },
        { path = "device.ip", action = "truncate" },
    ]"#;
    let tables = r#"
        [[stream.redact]]
        path = "device.channel"
        action = "hash"
        secret = { file = "/run/secrets/redaction" }
        [[stream.redact]]
        path = 'body."first.name"'
        action = "drop"
        [[stream.redact]]
        path = "device.ip"
        action = "truncate"
    "#;
    let plans = [inline, tables].map(|keys| parse(&format!("{SMALL}{keys}\n")).unwrap());
    let [one, other] = plans.each_ref().map(|config| config.plan.streams[0].redact.clone().unwrap());
    assert_eq!(one, other);
    let rules: Vec<_> = one.rules.iter().map(|rule| (&*rule.path, &rule.action)).collect();
    let secret = SecretSource::File("/run/secrets/redaction".into());
    assert_eq!(
        rules,
        [
            ("device.channel", &Action::Hash(secret)),
            ("body.\"first.name\"", &Action::Drop),
            ("device.ip", &Action::Truncate)
        ]
    );
    assert_eq!(
        (one.spelling, one.key_from, one.dead_letters),
        (Spelling::default(), Form::Redacted, Form::Redacted)
    );
    assert_eq!(parse(&plans[0].render()).unwrap().plan.streams[0].redact, Some(one));
    assert_eq!(parse(SMALL).unwrap().plan.streams[0].redact, None);
}

#[test]
fn forms_are_chosen_and_the_spelling_is_the_kinds() {
    let keys = "redact = [{ path = \"ip\", action = \"drop\" }]\nkey_from = \"received\"\ndead_letters = \"received\"\n";
    let redact = parse(&format!("{ADOBE}{keys}")).unwrap().plan.streams[0].redact.clone().unwrap();
    assert_eq!((redact.key_from, redact.dead_letters), (Form::Received, Form::Received));
    assert!(redact.spelling.ignore_evar_case);
    for key in ["key_from", "dead_letters"] {
        assert_refused(SMALL, &format!("{key} = \"received\""), key, "without `redact`");
    }
}

#[test]
fn what_the_connector_needs_cannot_be_redacted() {
    let rule = |path: &str| format!("redact = [{{ path = {path:?}, action = \"drop\" }}]");
    for path in ["id", "type", "offset", "processed", "\"id\""] {
        assert_refused(SMALL, &rule(path), "redact[0].path", "cannot be redacted");
    }
    for path in ["hitIdHigh", "hitIdLow", "receivedTimeGMT"] {
        assert_refused(ADOBE, &rule(path), "redact[0].path", "cannot be redacted");
    }
    let adobe = |keys: &str, path: &str| errors(&format!("{ADOBE}{keys}\n{}\n", rule(path)));
    for (keys, path) in [
        ("topic = \"a.{evars.evars.eVar5}\"", "evars.evars.evar5"),
        ("topic = \"a.{evars.evars.eVar5}\"", "evars"),
        ("topic = \"a.{reportSuite}\"", "reportSuite"),
        ("topic = \"a.{ip}.{reportSuite:snake}\"", "reportSuite"),
        ("topic = \"a.{ip}.{reportSuite:snake}\"", "ip"),
        ("timestamp = { field = \"ip\" }", "ip"),
        ("drop = [\"bot\"]", "bot"),
        ("drop = [\"excluded\"]", "exclude"),
    ] {
        let found = adobe(keys, path);
        assert!(found.len() == 1 && found[0].contains("cannot be redacted"), "{keys} {path}: {found:?}");
        assert_eq!(adobe("", path), [""; 0], "{path} is not needed");
    }
    // Other members of that name, what lies below and what the key is made of.
    for path in ["body.id", "id.x", "device", "occurred", "\"device.channel\""] {
        assert_eq!(errors(&format!("{SMALL}{}\n", rule(path))), [""; 0], "{path}");
    }
}

#[test]
fn what_makes_no_sense_is_refused() {
    let one = |rule: &str, at: &str, part: &str| {
        assert_refused(SMALL, &format!("redact = [{{ {rule} }}]"), &format!("redact[0]{at}"), part);
    };
    one("path = \"a\"", ".action", "missing");
    one("action = \"drop\"", ".path", "missing");
    one("path = \"a\", action = \"hash\"", ".secret", "missing");
    one("path = \"a\", action = \"mask\"", ".action", "unknown value `mask`");
    one("path = \"a\", action = \"drop\", secret = { env = \"S\" }", ".secret", "has no effect");
    one(
        "path = \"a\", action = \"hash\", secret = { env = \"S\", file = \"f\" }",
        ".secret",
        "exactly one of",
    );
    one("path = \"a\", action = \"hash\", secret = \"hunter2\"", ".secret", "expected a secret");
    // The end of a line is none of a secret's bytes.
    for secret in ["fifteen letters", "fifteen letters\\n"] {
        let rule = format!("path = \"a\", action = \"hash\", secret = {{ value = \"{secret}\" }}");
        one(&rule, ".secret", "less than 16 bytes");
    }
    one("path = \"a\", action = \"drop\", actoin = 1", ".actoin", "did you mean `action`");
    for path in ["", "a..b", ".a", "a.", "\\\"a"] {
        one(&format!("path = \"{path}\", action = \"drop\""), ".path", "expected member names");
    }
    for path in ["a.*", "*", "*.a"] {
        one(&format!("path = \"{path}\", action = \"drop\""), ".path", "stands for nothing");
    }
    for path in ["a[].b", "a[0]", "a.b[*]"] {
        one(&format!("path = \"{path}\", action = \"drop\""), ".path", "arrays need no mark");
    }
    one(&format!("path = \"{}\", action = \"drop\"", vec!["a"; 33].join(".")), ".path", "at most 32 names");
    for (first, second) in [("a", "a"), ("a.b", "a"), ("a", "a.b.c"), ("\\\"a\\\"", "a.b")] {
        let keys = format!(
            "redact = [{{ path = \"{first}\", action = \"drop\" }}, {{ path = \"{second}\", action = \"truncate\" }}]"
        );
        assert_refused(SMALL, &keys, "redact[1].path", "one of the two is within the other");
    }
    let quoted =
        r#"redact = [{ path = 'a."*"."b[]"', action = "drop" }, { path = 'a."x.y"', action = "drop" }]"#;
    assert_eq!(errors(&format!("{SMALL}{quoted}\n")), [""; 0], "names as they stand");
}

#[test]
fn a_secret_of_redaction_is_hidden_and_warned_of() {
    let keys = "redact = [{ path = \"a\", action = \"drop\" }, { path = \"b\", action = \"hash\", secret = { value = \"hunter2-hunter2-\" } }]";
    let config = parse(&format!("{SMALL}{keys}\n")).unwrap();
    let printed = format!("{}\n{config:?}", config.render());
    assert!(!printed.contains("hunter2"), "{printed}");
    assert!(config.render().contains("secret = { value = \"<hidden>\" }"), "{}", config.render());
    assert_eq!(
        config.warnings(),
        [
            "stream[0].redact[1].secret: the secret is written into the configuration: use { env = \"NAME\" } or { file = \"PATH\" }"
        ]
    );
}
