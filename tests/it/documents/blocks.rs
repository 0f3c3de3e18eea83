//! The program takes what documents say: each block of TOML is a configuration, and each command has the flags that are written.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

use toml::{Table, Value};

use super::{files, top};
use crate::harness::settings::{file, merge, table};

/// Where the program's name stands at the beginning of a command.
const NAMES: [&str; 2] = ["tributary ", "cargo run --release -- "];

/// What documents there are for users.
fn documents() -> Vec<PathBuf> {
    let docs = files(top().join("docs")).into_iter();
    let docs = docs.filter(|path| path.extension().is_some_and(|extension| extension == "md"));
    [top().join("README.md"), top().join("helm/README.md")].into_iter().chain(docs).collect()
}

fn tributary(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tributary")).args(arguments).env_clear().output().unwrap()
}

/// What a stream of a kind needs at least.
fn least(kind: &str, number: usize) -> Table {
    let keys = match kind {
        "adobe" => {
            "url = \"https://livestream.adobe.net/api/1/stream/a\"\nauth = { bearer = { env = \"A\" } }"
        }
        "airship_webhook" => {
            "path = \"/a\"\nauth = { header = { name = \"X\", values = [{ env = \"A\" }] } }"
        }
        _ => "app_key = \"a\"\nauth = { bearer = { env = \"A\" } }",
    };
    table(&format!("name = \"stream-{number}\"\nkind = \"{kind}\"\n{keys}"))
}

/// A block as a whole configuration: what it leaves out is added.
fn completed(block: &str) -> String {
    let mut head = table("kafka = { bootstrap_servers = \"localhost:9092\" }");
    let mut over: Table = block.parse().unwrap_or_else(|error| panic!("{error}\n{block}"));
    let streams = match over.remove("stream") {
        Some(Value::Array(streams)) => streams,
        _ => vec![Value::Table(Table::new())],
    };
    merge(&mut head, over);
    // The kind of a stream that does not say it stands in a remark.
    let mut remarks = block.lines().filter(|line| line.starts_with("[[stream]]"));
    let streams = streams.into_iter().enumerate().map(|(number, stream)| {
        let Value::Table(stream) = stream else { panic!("a stream that is no table in\n{block}") };
        let remark = remarks.next().unwrap_or_default();
        let of_remark = remark.split('"').nth(1).unwrap_or("airship");
        let kind = stream.get("kind").and_then(Value::as_str).unwrap_or(of_remark).to_owned();
        let mut keys = least(&kind, number);
        // What is written replaces a table as a whole: of the kinds of `auth` there may be one.
        stream.into_iter().for_each(|(key, value)| drop(keys.insert(key, value)));
        keys
    });
    file(head, streams)
}

#[test]
fn each_block_of_toml_is_a_configuration() {
    let dir = tempfile::tempdir().unwrap();
    let mut count = 0;
    for document in documents() {
        let text = fs::read_to_string(&document).unwrap();
        for rest in text.split("\n```toml\n").skip(1) {
            count += 1;
            let block = rest.split("\n```\n").next().unwrap();
            let whole = dir.path().join(format!("{count}.toml"));
            fs::write(&whole, completed(block)).unwrap();
            let output = tributary(&["config", "--config", whole.to_str().unwrap()]);
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{}:\n{block}\n{said}", document.display());
        }
    }
    assert!(count >= 12, "only {count} blocks");
}

/// The words of a command, without what a shell does with it.
fn words(line: &str) -> Option<Vec<&str>> {
    let line = line.trim();
    let arguments = NAMES.iter().find_map(|name| line.strip_prefix(name))?;
    let command = arguments.split(" #").next().unwrap_or_default();
    let command = command.split([';', '|', '>', '<', '&']).next().unwrap_or_default();
    Some(command.split_whitespace().filter(|word| *word != "\\").collect())
}

/// Lines of code that begin with the program, those that go on joined.
fn commands(text: &str) -> Vec<String> {
    let joined = text.replace("\\\n", " ");
    let code = |line: &&str| line.starts_with("    ") || NAMES.iter().any(|name| line.starts_with(name));
    joined.lines().filter(code).filter(|line| words(line).is_some()).map(str::to_owned).collect()
}

/// What is wrong with a command.
fn faults(line: &str) -> Vec<String> {
    let words = words(line).unwrap();
    let names: Vec<&str> = words.iter().copied().take_while(|word| !word.starts_with('-')).collect();
    // Names of commands come first; what follows them are their arguments.
    let asked = |depth: usize| tributary(&[&names[..depth], &["--help"]].concat());
    let help = (0..=names.len().min(2)).rev().map(|depth| (depth, asked(depth)));
    let (depth, help) = help.into_iter().find(|(_, help)| help.status.success()).unwrap();
    if depth == 0 && !names.is_empty() {
        return vec![format!("{line}: no such command")];
    }
    let help = String::from_utf8_lossy(&help.stdout);
    let flags = words.iter().map(|word| word.trim_start_matches('[')).filter(|word| word.starts_with("--"));
    let flags = flags.map(|flag| flag.split(['=', ']']).next().unwrap());
    flags.filter(|flag| !help.contains(flag)).map(|flag| format!("{line}: {flag}")).collect()
}

#[test]
fn commands_have_the_flags_that_documents_give_them() {
    let (mut count, mut wrong) = (0, Vec::new());
    for document in documents() {
        for line in commands(&fs::read_to_string(&document).unwrap()) {
            count += 1;
            wrong.extend(faults(&line).iter().map(|fault| format!("{}: {fault}", document.display())));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(count > 30, "only {count} commands");
}

#[test]
fn what_is_wrong_with_a_command_is_found() {
    for right in
        ["tributary check -c config.toml [--json] # as JSON", "tributary dead-letters list --since 2h | wc"]
    {
        assert_eq!(faults(right), [""; 0]);
    }
    for wrong in ["tributary nothing", "tributary run --nothing", "    cargo run --release -- demo --json"] {
        assert_eq!(faults(wrong).len(), 1, "{wrong}");
    }
}
