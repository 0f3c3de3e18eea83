//! `tributary dead-letters list` and `show`: what could not be delivered, for whoever may read it.

use crate::harness::airship::lines::serve;
use crate::harness::airship::{LIMIT, Mock, STREAM, Setup, service, stop};
use crate::harness::process;
use serde_json::Value;
use std::fs;

const NO_ID: &str = r#"{"offset":"1","type":"OPEN"}"#;
const GARBAGE: &str = "no JSON \u{1b}[2J";

/// Runs a command with this configuration; gives its exit code and what it printed.
#[track_caller]
pub(super) fn run(arguments: &[&str], config: &str) -> (Option<i32>, Vec<String>) {
    let file = tempfile::NamedTempFile::new().expect("a file");
    fs::write(file.path(), config).expect("written");
    let path = file.path().to_str().expect("UTF-8");
    let mut process = process::subcommand(&[&["dead-letters"], arguments, &["--config", path]].concat(), &[]);
    let status = process.wait_exit(LIMIT);
    (status.code(), process.log())
}

/// A stream that has two dead letters and one event.
#[track_caller]
fn delivered(test: &str) -> Setup {
    let good = r#"{"id":"a","offset":"5","type":"OPEN","occurred":"2026-01-02T03:04:05.006Z"}"#;
    let address = serve([NO_ID, GARBAGE, good]);
    let mut setup = Setup::new(test, &Mock::start(service(0)));
    setup.streams[0].url = format!("http://{address}/api/events/");
    let mut process = setup.start();
    let last = setup.progress().wait_received(3);
    stop(&mut process);
    assert_eq!((last.delivered, last.dead_letters), (1, 2));
    setup
}

#[test]
fn dead_letters_are_listed_and_shown() {
    let setup = delivered("letters");
    let ok = |arguments: &[&str]| {
        let (code, said) = run(arguments, &setup.toml());
        assert_eq!(code, Some(0), "{said:?}");
        said
    };
    let table = ok(&["list"]);
    assert!(table[0].starts_with("LETTER") && table.len() == 4, "{table:#?}");
    assert!(table.iter().all(|line| !line.contains('\u{1b}')), "{table:#?}");
    let summary = format!("2 dead letters, 2 shown: {STREAM} no_id 1, {STREAM} not_an_object 1");
    assert_eq!(table[3], summary);
    let rows: Vec<Value> =
        serde_json::from_str(&ok(&["list", "--reason", "no_id", "--json"]).join("\n")).expect("JSON");
    assert_eq!(rows.len(), 1);
    assert_eq!((&rows[0]["reason"], &rows[0]["length"]), (&"no_id".into(), &NO_ID.len().into()));
    assert_eq!(rows[0]["shard"], format!("{STREAM}/0"));
    let name = |row: &Value| format!("{}/{}", row["partition"], row["offset"]);
    let letter = name(&rows[0]);
    assert!(table.iter().any(|line| line.starts_with(&letter) && line.contains("no_id")), "{table:#?}");

    assert_eq!(ok(&["show", &letter, "--value"]), [NO_ID]);
    let whole: Value = serde_json::from_str(&ok(&["show", &letter, "--json"]).join("\n")).expect("JSON");
    assert_eq!((&whole["value"], &whole["headers"]["tributary-reason"]), (&NO_ID.into(), &"no_id".into()));
    let shown = ok(&["show", &letter]);
    assert!(shown.contains(&"tributary-reason: no_id".to_owned()), "{shown:#?}");
    assert_eq!(shown.last().map(String::as_str), Some(NO_ID));

    let garbage: Vec<Value> =
        serde_json::from_str(&ok(&["list", "--reason", "not_an_object", "--json"]).join("\n")).expect("JSON");
    let whole: Value =
        serde_json::from_str(&ok(&["show", &name(&garbage[0]), "--json"]).join("\n")).expect("JSON");
    assert_eq!(whole["value"], GARBAGE);

    let count = |arguments: &[&str]| ok(arguments).last().expect("a summary").clone();
    assert!(count(&["list", "--limit", "1"]).starts_with("2 dead letters, 1 shown"));
    assert!(count(&["list", "--since", "1d"]).starts_with("2 dead letters"));
    assert!(count(&["list", "--until", "1d"]).starts_with("0 dead letters"));
    assert!(count(&["list", "--since", "2200-01-01T00:00:00Z"]).starts_with("0 dead letters"));
}

#[test]
fn what_is_not_there_is_said() {
    let setup = delivered("letters-none");
    let fails = |arguments: &[&str], code: i32, part: &str| {
        let (found, said) = run(arguments, &setup.toml());
        assert_eq!(found, Some(code), "{said:?}");
        assert!(said.join("\n").contains(part), "{said:?}");
    };
    fails(&["show", "0/99999"], 1, "there is no dead letter 0/99999:");
    fails(&["show", "7/0"], 1, "there is no dead letter 7/0:");
    fails(&["show", "other/0/0"], 1, "other is no dead-letter topic of this configuration");
    fails(&["list", "--stream", "other"], 1, "no stream is called other");
    fails(&["list", "--reason", "other"], 2, "there is no reason \"other\"");
    fails(&["list", "--since", "yesterday"], 2, "how long ago");
    let mut new = setup.clone();
    new.prefix += "-new";
    let (code, said) = run(&["list"], &new.toml());
    assert_eq!(code, Some(0), "{said:?}");
    assert!(
        said.join("\n").contains("there is no topic") && said.join("\n").contains("0 dead letters"),
        "{said:?}"
    );
}
