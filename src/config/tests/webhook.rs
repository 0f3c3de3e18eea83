//! Streams that are pushed to us, and what receives them.

use std::time::Duration;

use super::{SMALL, errors};
use crate::config::{Config, parse};
use crate::model::secret::SecretSource;
use crate::model::types::SourceId;
use crate::webhook::{Access, Tls};

const HOOKS: &str = r#"
[[stream]]
name = "hooks"
kind = "airship_webhook"
path = "/airship"
auth = { basic = [{ user = "u", password = { env = "P" } }, { user = "v", password = { file = "/p" } }] }
"#;

const LISTEN: &str = "\n[webhook]\nlisten = \"0.0.0.0:8443\"\n";

fn config(stream: &str) -> Config {
    parse(&format!("{SMALL}{stream}{LISTEN}")).unwrap_or_else(|errors| panic!("{errors}"))
}

#[test]
fn a_stream_is_received_at_its_path_and_read_from_its_intake_topic() {
    let config = config(&format!("{HOOKS}shards = 3\nintake_retention = \"2d\"\nmax_line = \"1MiB\""));
    let stream = &config.plan.streams[1];
    let intake = stream.intake().unwrap();
    assert_eq!((&*intake.topic, intake.partitions), ("tributary.hooks.intake", 3));
    assert_eq!(intake.retention, Duration::from_secs(2 * 86_400));
    assert_eq!(stream.retention(), intake.retention);
    assert_eq!((stream.shards, stream.begins_at_oldest(), &*stream.origin()), (3, true, "/airship"));
    let id = SourceId { kind: "airship_webhook".into(), name: "hooks".into(), host: String::new() };
    assert_eq!(stream.source_id, id, "another path is the same stream");
    assert_eq!(id.to_string(), "airship_webhook hooks");
    assert_eq!((&stream.extract.offset, &stream.extract.position_only_type), (&None, &None));
    let webhook = config.plan.webhook.as_ref().unwrap();
    assert_eq!((webhook.listen.port(), &webhook.tls, webhook.streams.len()), (8443, &None, 1));
    assert_eq!((webhook.max_body, webhook.max_requests, webhook.max_buffered), (16 << 20, 256, 64 << 20));
    let received = &webhook.streams[0];
    assert_eq!((&*received.path, received.max_event, &received.intake), ("/airship", 1 << 20, intake));
    let secret = |name: &str| SecretSource::Env(name.into());
    let users = vec![("u".to_owned(), secret("P")), ("v".to_owned(), SecretSource::File("/p".into()))];
    assert_eq!(received.access, Some(Access::Basic(users)));
}

#[test]
fn a_secret_header_or_nothing_on_purpose_will_do_as_well() {
    let header = "auth = { header = { name = \"X-Key\", values = [{ env = \"A\" }, { env = \"B\" }] } }";
    let auth = HOOKS.lines().find(|line| line.starts_with("auth")).unwrap();
    let with =
        |text: &str| config(&HOOKS.replace(auth, text)).plan.webhook.unwrap().streams[0].access.clone();
    let values = ["A", "B"].map(|name| SecretSource::Env(name.into())).into();
    assert_eq!(with(header), Some(Access::Header { name: "X-Key".into(), values }));
    assert_eq!(with("allow_unauthenticated = true"), None);
}

#[test]
fn without_such_a_stream_nothing_listens() {
    assert!(parse(&format!("{SMALL}{LISTEN}")).unwrap().plan.webhook.is_none());
    assert!(parse(SMALL).unwrap().plan.webhook.is_none());
}

#[test]
fn a_certificate_takes_both_files() {
    let tls = |keys: &str| errors(&format!("{SMALL}{HOOKS}{LISTEN}tls = {keys}"));
    assert_eq!(tls("{ cert = \"/c\" }"), ["webhook.tls.key: missing: this key is required"]);
    let both = parse(&format!("{SMALL}{HOOKS}{LISTEN}tls = {{ cert = \"/c\", key = \"/k\" }}")).unwrap();
    assert_eq!(both.plan.webhook.unwrap().tls, Some(Tls { cert: "/c".into(), key: "/k".into() }));
}

#[test]
fn what_is_wrong_is_named() {
    let auth = HOOKS.lines().find(|line| line.starts_with("auth")).unwrap();
    let with = |from: &str, to: &str| errors(&format!("{SMALL}{}{LISTEN}", HOOKS.replace(from, to)));
    for (from, to, part) in [
        (auth, "", "stream[1].auth: missing: without it everyone could push"),
        (auth, &format!("{auth}\nallow_unauthenticated = true"), "allow_unauthenticated: has no effect"),
        (auth, "auth = {}", "stream[1].auth: expected exactly one"),
        (auth, "auth = { basic = [] }", "stream[1].auth.basic: must not be empty"),
        (
            auth,
            "auth = { basic = [{ user = \"a:b\", password = { env = \"P\" } }] }",
            "basic[0].user: must not be",
        ),
        (auth, "auth = { basic = [{ user = \"a\" }] }", "basic[0].password: missing"),
        (auth, "auth = { header = { name = \"a b\", values = [{ env = \"A\" }] } }", "header.name: expected"),
        (auth, "auth = { header = { name = \"a\", values = [] } }", "header.values: must not be empty"),
        ("path = \"/airship\"", "", "stream[1].path: missing"),
        ("\"/airship\"", "\"airship\"", "stream[1].path: expected a path"),
        ("\"/airship\"", "\"/a?b\"", "stream[1].path: expected a path"),
        (auth, &format!("{auth}\nurl = \"https://x/\""), "stream[1].url: has no effect"),
        (auth, &format!("{auth}\nsilence = \"5s\""), "stream[1].silence: has no effect"),
        (auth, &format!("{auth}\nshards = 65"), "stream[1].shards: must be from 1 to 64"),
        (auth, &format!("{auth}\ntopic = \"tributary.hooks.intake\""), "stream[1].topic: this topic holds"),
    ] {
        let found = with(from, to);
        assert!(found.len() == 1 && found[0].contains(part), "{to}: {found:?}");
    }
    let second = HOOKS.replace("\"hooks\"", "\"more\"");
    let found = errors(&format!("{SMALL}{HOOKS}{second}{LISTEN}"));
    assert_eq!(found, ["stream[2].path: another stream has this path already"]);
    let found = errors(&format!("{SMALL}{HOOKS}"));
    assert!(found.len() == 1 && found[0].starts_with("webhook.listen: missing"), "{found:?}");
    let found = errors(&format!("{SMALL}{HOOKS}\n[webhook]\nlisten = \"x\"\nmax_buffered = \"1MiB\""));
    assert_eq!(found.len(), 2, "{found:?}");
}

#[test]
fn secrets_that_are_written_are_pointed_out() {
    let text = HOOKS.replace("{ env = \"P\" }", "{ value = \"hunter2\" }");
    let config = config(&text);
    let warnings = config.warnings();
    assert!(
        warnings[0].starts_with("stream[1].auth.basic[0].password: the secret is written"),
        "{warnings:?}"
    );
    assert!(!config.render().contains("hunter2") && !format!("{:?}", config.plan).contains("hunter2"));
}
