//! What a reload may change, and why it may not.

use super::{Change, SMALL, parse};

/// The changes or the reasons of going from one text to another.
fn between(before: &str, after: &str) -> Result<Vec<Change>, Vec<String>> {
    parse(before).unwrap().changes(&parse(after).unwrap())
}

fn stream(name: &str, more: &str) -> String {
    format!(
        "[[stream]]\nname = \"{name}\"\nkind = \"airship\"\napp_key = \"k\"\nauth = {{ bearer = {{ env = \"T\" }} }}\n{more}\n"
    )
}

fn file(top: &str, streams: &[String]) -> String {
    format!("{top}\n[kafka]\nbootstrap_servers = \"k\"\n{}", streams.concat())
}

#[test]
fn what_is_the_same_changes_nothing() {
    assert_eq!(between(SMALL, SMALL), Ok(Vec::new()));
    let [a, b] = ["a", "b"].map(|name| stream(name, ""));
    // Neither does their order, nor a default that is written out.
    let swapped = file("shutdown = { timeout = \"20s\" }", &[b.clone(), a.clone()]);
    assert_eq!(between(&file("", &[a, b]), &swapped), Ok(Vec::new()));
}

#[test]
fn log_filters_and_new_streams_are_applied_together() {
    let before = file("", &[stream("a", "only = [\"OPEN\"]"), stream("b", "")]);
    let drop = "drop = [{ name = \"x\", field = \"device.channel\", is = [\"y\"] }]";
    let after = file(
        "log = { filter = \"debug\" }",
        &[stream("a", ""), stream("b", drop), stream("c", "only = [\"SEND\"]")],
    );
    let expected = vec![
        Change::Log,
        Change::Filters("a".into()),
        Change::Filters("b".into()),
        Change::Added("c".into()),
    ];
    assert_eq!(between(&before, &after), Ok(expected));
}

#[test]
fn what_takes_a_restart_is_named_and_nothing_else_is_done() {
    let before = file("", &[stream("a", ""), stream("b", "")]);
    for (after, reasons) in [
        (
            file("commit = { interval = \"1s\" }", &[stream("a", ""), stream("b", "")]),
            &["commit.interval: "][..],
        ),
        (
            file("log = { filter = \"debug\" }\ngeneration = 2", &[stream("a", ""), stream("b", "")]),
            &["generation: "],
        ),
        (file("", &[stream("a", "")]), &["stream b: it is gone"]),
        (
            file("", &[stream("a", "topic = \"t\"\nonly = [\"OPEN\"]"), stream("b", "shards = 2")]),
            &["stream a, topic: ", "stream b, shards: "],
        ),
        (
            file("", &[stream("a", ""), stream("b", ""), stream("c", "dead_letter_topic = \"own\"")]),
            &["stream c: it is new and has a dead_letter_topic"],
        ),
    ] {
        let found = between(&before, &after).unwrap_err();
        assert_eq!(found.len(), reasons.len(), "{found:?}");
        assert!(found.iter().zip(reasons).all(|(found, reason)| found.starts_with(reason)), "{found:?}");
    }
}

#[test]
fn a_group_takes_no_new_stream() {
    let top = "ownership = \"group\"\ninstance_id = \"i\"";
    let before = file(top, &[stream("a", "")]);
    let found = between(&before, &file(top, &[stream("a", ""), stream("b", "")])).unwrap_err();
    assert!(found[0].contains("the members of a group"), "{found:?}");
    let filtered = file(top, &[stream("a", "only = [\"OPEN\"]")]);
    assert_eq!(between(&before, &filtered), Ok(vec![Change::Filters("a".into())]));
}

#[test]
fn a_secret_that_is_written_down_is_seen_and_not_shown() {
    let with =
        |secret: &str| file("", &[stream("a", "").replace("env = \"T\"", &format!("value = \"{secret}\""))]);
    let found = between(&with("hunter2"), &with("hunter3")).unwrap_err();
    assert!(
        found[0].starts_with("a secret that is written into") && !found[0].contains("hunter"),
        "{found:?}"
    );
}
