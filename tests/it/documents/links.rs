//! What documents link to is there: the file, and the heading in it. What names a document names one that is there.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Component, Path, PathBuf};

use super::{files, read, top};

/// Folders and files with documents. Those of the sources are Rust's, which checks its own links.
const DOCUMENTS: [&str; 8] = [
    "README.md",
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "docs",
    "helm/README.md",
    "examples",
    "packaging",
    "proof",
];

/// What may name a document by its path from the top.
const NAMING: [&str; 9] = [
    "src",
    "config.example.toml",
    "alerts",
    "compose",
    "docker-compose.yml",
    "helm",
    "README.md",
    "ARCHITECTURE.md",
    "examples",
];

fn is_document(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "md")
}

fn documents() -> Vec<PathBuf> {
    let there = DOCUMENTS.iter().map(|place| top().join(place)).filter(|place| place.exists());
    there.flat_map(files).filter(|path| is_document(path)).collect()
}

/// The lines that are no code.
fn prose(text: &str) -> impl Iterator<Item = &str> {
    let mut fenced = false;
    text.lines().filter(move |line| {
        let fence = line.trim_start().starts_with("```");
        fenced ^= fence;
        !fenced && !fence
    })
}

/// The names by which headings are linked to, as GitHub makes them.
fn anchors(text: &str) -> BTreeSet<String> {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let headings = prose(text)
        .filter_map(|line| line.trim_start_matches('#').strip_prefix(' ').filter(|_| line.starts_with('#')));
    headings
        .map(|heading| {
            let kept = heading.to_lowercase();
            let kept = kept.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
            let name: String = kept.map(|c| if c == ' ' { '-' } else { c }).collect();
            let times = seen.entry(name.clone()).or_default();
            *times += 1;
            if *times == 1 { name } else { format!("{name}-{}", *times - 1) }
        })
        .collect()
}

/// What stands in the second part of `[text](target)`, but for addresses of the web.
fn targets(text: &str) -> Vec<String> {
    let links =
        prose(text).flat_map(|line| line.split("](").skip(1)).filter_map(|rest| rest.split(')').next());
    links.filter(|target| !target.contains("://")).map(str::to_owned).collect()
}

/// Without `..` and `.`; nothing is asked of the disk.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => drop(plain.pop()),
            Component::CurDir => {}
            other => plain.push(other),
        }
    }
    plain
}

/// What is wrong with the links of a document at that place.
fn broken(path: &Path, text: &str) -> Vec<String> {
    let mut broken = Vec::new();
    for target in targets(text) {
        let (file, anchor) = target.split_once('#').unwrap_or((&target, ""));
        let there = if file.is_empty() { path.to_owned() } else { plain(&path.with_file_name(file)) };
        let found = file.is_empty() || (there.starts_with(top()) && there.exists());
        let known = anchor.is_empty()
            || (found && is_document(&there) && {
                let text =
                    if file.is_empty() { text.to_owned() } else { fs::read_to_string(&there).unwrap() };
                anchors(&text).contains(anchor)
            });
        if !(found && known) {
            broken.push(format!("{}: {target}", path.display()));
        }
    }
    broken
}

#[test]
fn links_lead_somewhere() {
    let (mut links, mut wrong) = (0, Vec::new());
    for path in documents() {
        let text = fs::read_to_string(&path).unwrap();
        links += targets(&text).len();
        wrong.extend(broken(&path, &text));
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(links > 80, "only {links} links");
}

#[test]
fn the_index_lists_each_document() {
    let index = read("docs/README.md");
    let listed: BTreeSet<String> = targets(&index).into_iter().collect();
    let names = files(top().join("docs")).into_iter().filter(|path| is_document(path));
    let names = names.map(|path| path.strip_prefix(top().join("docs")).unwrap().display().to_string());
    let missing: Vec<String> = names.filter(|name| name != "README.md" && !listed.contains(name)).collect();
    assert!(missing.is_empty(), "docs/README.md does not link to {missing:?}");
}

#[test]
fn documents_that_are_named_are_there() {
    let (mut named, mut wrong) = (0, Vec::new());
    for file in NAMING.iter().map(|place| top().join(place)).filter(|place| place.exists()).flat_map(files) {
        // Pictures and archives name nothing.
        let Ok(text) = fs::read_to_string(&file) else { continue };
        let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '/' | '-' | '_' | '.')));
        let words = words.map(|word| word.trim_end_matches('.'));
        for word in words.filter(|word| word.starts_with("docs/") && word.ends_with(".md")) {
            named += 1;
            if !top().join(word).exists() {
                wrong.push(format!("{}: {word}", file.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(named > 20, "only {named} names");
}

#[test]
fn the_image_of_the_tests_has_what_they_read() {
    let ignored = read(".dockerignore");
    let kept: BTreeSet<&str> = ignored.lines().filter_map(|line| line.strip_prefix('!')).collect();
    let places = DOCUMENTS.iter().chain(&NAMING).chain(&["dashboards", "Dockerfile", ".dockerignore"]);
    let missing: BTreeSet<&str> = places.map(|place| place.split('/').next().unwrap()).collect();
    let missing: Vec<&&str> = missing.iter().filter(|place| !kept.contains(**place)).collect();
    assert!(missing.is_empty(), "not in .dockerignore: {missing:?}");
}

#[test]
fn what_is_wrong_with_a_link_is_found() {
    let path = top().join("docs/some.md");
    let text = "# A `b`: c\n\n```\n[x](nowhere.md)\n# d\n```\n## A `b`: c\n";
    let faults = |link: &str| broken(&path, &format!("{text}\n[x]({link}) and\n"));
    for good in
        ["#a-b-c", "#a-b-c-1", "../README.md", "../helm/README.md#values", "../alerts", "https://a.example/b"]
    {
        assert_eq!(faults(good), [""; 0]);
    }
    for bad in ["#d", "nowhere.md", "../README.md#nothing", "../../etc/hosts", "../alerts#a"] {
        assert_eq!(faults(bad).len(), 1, "{bad}");
    }
}
