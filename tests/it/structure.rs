//! The module map, enforced: who imports whom, how long a file is, and that each says what it is for.
//!
//! Reads the sources as text. A test module may import what it likes.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A file is a page or a few.
const MAX_LINES: usize = 400;

/// Modules and what of ours each may import, besides itself. `cli`, `main` and `lib` see everything.
const TABLE: [(&str, &[&str]); 17] = [
    ("clock", &[]),
    ("model", &[]),
    ("failpoint", &[]),
    ("task", &[]),
    ("output", &["task"]),
    ("web", &["model"]),
    ("trace", &["model"]),
    // The stages: none imports another.
    ("source", &["model", "clock", "task", "web", "trace"]),
    ("event", &["model"]),
    ("sink", &["model", "clock", "failpoint", "web"]),
    ("shard", &["model", "clock", "source", "event", "sink", "failpoint", "trace"]),
    ("webhook", &["model", "event", "sink", "task", "web"]),
    ("plan", &["model", "source", "event", "sink", "shard", "webhook", "trace"]),
    ("supervisor", &["plan", "shard", "model", "source", "event", "sink", "task", "clock", "failpoint"]),
    ("config", &["plan", "model", "source", "event", "sink", "shard", "trace", "web", "webhook"]),
    (
        "telemetry",
        &[
            "clock",
            "supervisor",
            "shard",
            "sink",
            "model",
            "output",
            "plan",
            "task",
            "trace",
            "web",
            "webhook",
        ],
    ),
    ("admin", &["clock", "model", "supervisor", "shard", "sink", "task", "telemetry", "web", "webhook"]),
];

/// These see everything.
const TOP: [&str; 4] = ["cli", "fuzzing", "lib", "main"];

/// A file below a folder of sources, by its path there.
struct Source {
    path: String,
    text: String,
}

impl Source {
    /// The top-level module that it belongs to.
    fn module(&self) -> &str {
        self.path.split('/').next().unwrap_or_default().trim_end_matches(".rs")
    }

    fn is_test(&self) -> bool {
        self.path.ends_with("tests.rs") || self.path.contains("/tests/")
    }

    /// The text without comments and without the test module at its end.
    fn code(&self) -> String {
        let code = self.text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
        code.lines().map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n")
    }

    /// Top-level modules of ours that its code names.
    fn imports(&self) -> BTreeSet<String> {
        let code = self.code();
        let mut found: BTreeSet<String> = code.split("crate::").skip(1).flat_map(first_segments).collect();
        // So many lead to the root.
        let root = "super::".repeat(self.path.matches('/').count() + 1);
        found.extend(code.split(&root).skip(1).flat_map(first_segments));
        found
    }
}

/// What follows `crate::`: one name, or several in braces.
fn first_segments(path: &str) -> Vec<String> {
    let name = |text: &str| {
        let text = text.trim();
        let end = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len());
        text[..end].to_owned()
    };
    let Some(group) = path.strip_prefix('{') else { return vec![name(path)] };
    let (mut depth, mut parts, mut part) = (0, Vec::new(), String::new());
    for c in group.chars() {
        match c {
            '}' if depth == 0 => break,
            ',' if depth == 0 => parts.push(std::mem::take(&mut part)),
            _ => {
                depth += i32::from(c == '{') - i32::from(c == '}');
                part.push(c);
            }
        }
    }
    parts.push(part);
    parts.iter().map(|part| name(part)).filter(|name| !name.is_empty() && name != "self").collect()
}

/// The connector's sources.
fn sources() -> Vec<Source> {
    below("src", 80)
}

/// The sources below a folder of this repository, of which there are more than `least`.
fn below(folder: &str, least: usize) -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let (mut dirs, mut sources) = (vec![root.clone()], Vec::new());
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(dir).unwrap() {
            let path: PathBuf = entry.unwrap().path();
            if path.is_dir() {
                dirs.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
                sources.push(Source { path: name, text: fs::read_to_string(&path).unwrap() });
            }
        }
    }
    assert!(sources.len() > least, "only {} files in {root:?}", sources.len());
    sources
}

#[test]
fn imports_run_one_way() {
    let sources = sources();
    let modules: BTreeSet<&str> = sources.iter().map(Source::module).collect();
    let known = |name: &str| TABLE.iter().any(|(module, _)| *module == name) || TOP.contains(&name);
    let unknown: Vec<_> = modules.iter().filter(|module| !known(module)).collect();
    assert!(unknown.is_empty(), "not in the table: {unknown:?}");
    let mut wrong = Vec::new();
    for source in sources.iter().filter(|source| !source.is_test()) {
        let module = source.module();
        let Some((_, allowed)) = TABLE.iter().find(|(name, _)| *name == module) else { continue };
        for import in source.imports() {
            let ours = modules.contains(import.as_str());
            if ours && import != module && !allowed.contains(&import.as_str()) {
                wrong.push(format!("src/{} imports {import}", source.path));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// The services' rooms below `src/source/`.
const SERVICES: [&str; 2] = ["airship", "adobe"];

#[test]
fn no_service_is_known_outside_of_its_room() {
    // `source.rs` opens the rooms; the rest of `source` serves all of them alike.
    let rooms = |path: &str| SERVICES.into_iter().find(|room| path.starts_with(&format!("source/{room}")));
    let is_neutral = |path: &str| {
        ["source/", "shard", "sink", "model", "supervisor"].iter().any(|place| path.starts_with(place))
    };
    let (mut wrong, mut neutral) = (Vec::new(), 0);
    for source in sources().iter().filter(|source| !source.is_test() && is_neutral(&source.path)) {
        let own = rooms(&source.path);
        neutral += usize::from(own.is_none());
        let code = source.code().to_lowercase();
        for service in SERVICES.into_iter().filter(|service| Some(*service) != own && code.contains(service))
        {
            wrong.push(format!("src/{} names {service}", source.path));
        }
    }
    assert!(neutral > 60, "only {neutral} files");
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// What is made of one line: four rooms of `src/event/` that know nothing of each other.
const OF_A_LINE: [&str; 4] = ["extract", "dedupe", "route", "redact"];

#[test]
fn what_is_made_of_a_line_is_made_of_it_alone() {
    let mut wrong = Vec::new();
    for own in OF_A_LINE {
        let room = format!("event/{own}");
        for source in sources().iter().filter(|source| source.path.starts_with(&room) && !source.is_test()) {
            for other in OF_A_LINE.into_iter().filter(|other| *other != own) {
                let paths = [format!("event::{other}"), format!("super::{other}")];
                if paths.iter().any(|path| source.code().contains(path)) {
                    wrong.push(format!("src/{} imports event/{other}", source.path));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_engine_of_the_mock_knows_no_service_and_no_service_the_other() {
    let (mut wrong, mut seen) = (Vec::new(), 0);
    for source in below("mock/src", 40).iter().filter(|source| !source.is_test()) {
        let own = SERVICES.into_iter().find(|service| source.module() == *service);
        // What stands at the root puts the parts together.
        if own.is_none() && source.module() != "engine" {
            continue;
        }
        seen += 1;
        let code = source.code().to_lowercase();
        for service in SERVICES.into_iter().filter(|service| Some(*service) != own && code.contains(service))
        {
            wrong.push(format!("mock/src/{} names {service}", source.path));
        }
    }
    assert!(seen > 40, "only {seen} files");
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_table_has_no_more_than_is_there() {
    let sources = sources();
    for (module, allowed) in TABLE {
        let files = sources.iter().filter(|source| source.module() == module && !source.is_test());
        let used: BTreeSet<String> = files.flat_map(Source::imports).collect();
        let unused: Vec<_> = allowed.iter().filter(|name| !used.contains(**name)).collect();
        assert!(unused.is_empty(), "{module} may import {unused:?} and does not: take it out of the table");
    }
}

#[test]
fn imports_are_found() {
    let source = |text: &str| Source { path: "source/x.rs".into(), text: text.into() };
    let imports = |text| source(text).imports().into_iter().collect::<Vec<_>>().join(" ");
    assert_eq!(imports("use crate::model::block::Block;"), "model");
    assert_eq!(imports("use crate::{task, sink::{Sink, kafka::X},\n shard};"), "shard sink task");
    assert_eq!(imports("fn f() { crate::route::g() } // crate::dedupe"), "route");
    assert_eq!(imports("#[cfg(test)]\nmod tests {\n use crate::sink::X; }"), "");
    let top = Source { path: "batch.rs".into(), text: "use super::sink::Sink;".into() };
    assert_eq!(top.imports().into_iter().collect::<Vec<_>>(), ["sink"]);
    assert_eq!(imports("use super::super::sink::Sink;\nuse super::queue;"), "sink");
}

#[test]
fn every_file_says_what_it_is_for_and_is_short() {
    let mut wrong = Vec::new();
    let connector = sources().into_iter().map(|source| ("src", source));
    let mock = below("mock/src", 40).into_iter().map(|source| ("mock/src", source));
    let model = below("proof/model/src", 5).into_iter().map(|source| ("proof/model/src", source));
    for (folder, source) in connector.chain(mock).chain(model) {
        if !source.text.starts_with("//! ") {
            wrong.push(format!("{folder}/{} does not begin with //!", source.path));
        }
        let lines = source.text.lines().count();
        if lines >= MAX_LINES {
            wrong.push(format!("{folder}/{} has {lines} lines", source.path));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn only_one_place_builds_kafka_clients_and_gives_secrets_out() {
    let named = |word: &str| -> Vec<String> {
        let uses = |source: &Source| !source.is_test() && source.code().contains(word);
        let mut files: Vec<_> = sources().into_iter().filter(uses).map(|source| source.path).collect();
        files.sort();
        files
    };
    // The second asks whether a property is taken, and builds no client.
    assert_eq!(named("ClientConfig::new"), ["sink/kafka/client.rs", "sink/kafka/client/refusal.rs"]);
    // The first hashes with it, the second takes it out of texts, the last compares with it; a proxy's address may hold a password.
    assert_eq!(
        named(".expose()"),
        [
            "event/redact.rs",
            "model/hide.rs",
            "sink/kafka/client.rs",
            "sink/kafka/oauth.rs",
            "source/http/auth.rs",
            "web/oauth.rs",
            "web/otlp.rs",
            "web/proxy.rs",
            "webhook/access.rs"
        ]
    );
    let rdkafka = named("rdkafka::");
    // The second is the demo's in-process broker.
    let may = |path: &String| path.starts_with("sink/kafka") || path == "cli/demo/broker.rs";
    assert!(rdkafka.iter().all(may), "{rdkafka:?}");
    let http = named("reqwest::");
    // The last two ask a running process how it is.
    let may = |path: &String| {
        ["source/", "web", "cli/probe.rs", "cli/live.rs"].iter().any(|place| path.starts_with(place))
    };
    assert!(http.iter().all(may), "{http:?}");
}

/// Its direct dependencies, each with the features that it is built with, where these packages and edges are.
fn dependencies(packages: &[&str], edges: &str) -> BTreeMap<String, BTreeSet<String>> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(env!("CARGO_MANIFEST_DIR")).args(["tree", "--locked", "--offline"]).args(packages);
    cargo.args(["--depth", "1", "--prefix", "none", "--edges", edges, "--format", "{p}\t{f}"]);
    let output = cargo.output().expect("cargo");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("text");
    let dependency = |line: &str| {
        let (name, features) = line.split_once('\t')?;
        // An asterisk says that what follows was shown before.
        let features = features.split([',', ' ']).filter(|feature| !["", "(*)"].contains(feature));
        Some((name.to_owned(), features.map(str::to_owned).collect()))
    };
    text.lines().filter_map(dependency).collect()
}

/// A feature that only tests ask for would be missing where nobody builds tests: in the image and in a release.
#[test]
fn the_program_asks_itself_for_what_it_needs_of_its_dependencies() {
    let program = dependencies(&["--package", "tributary"], "normal");
    let with_tests = dependencies(&["--workspace"], "normal,dev");
    assert!(program.len() > 20, "{program:?}");
    let mut more = Vec::new();
    for (name, features) in &program {
        let extra: Vec<_> = with_tests[name].difference(features).map(String::as_str).collect();
        let is_known = match name.split(' ').next() {
            // Tests stop the clock.
            Some("tokio") => extra == ["test-util"],
            Some("tributary") => true,
            _ => extra.is_empty(),
        };
        if !is_known {
            more.push(format!("{name}: {}", extra.join(", ")));
        }
    }
    assert!(more.is_empty(), "only tests ask for these features: {more:#?}");
}
