//! The rights that `docs/security.md` lists, for the user of [`acl_broker`](super::broker::acl_broker).

use std::fs;
use std::path::Path;

use super::broker::Right;

/// What the document's names begin with, and its topic of events.
const PREFIX: &str = "tributary.";
const TOPIC: &str = "airship.events";

/// All that the document lists, for this prefix of the state and this topic of events.
#[track_caller]
pub(crate) fn documented(prefix: &str, topic: &str) -> Vec<Right> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/security.md");
    let text = fs::read_to_string(path).expect("docs/security.md");
    let (_, section) = text.split_once("\n## Rights on Kafka\n").expect("its section");
    let block = section.split("```").nth(1).expect("a block of commands").replace("\\\n", " ");
    let rights: Vec<Right> = block.lines().flat_map(|line| of_line(line, prefix, topic)).collect();
    assert!(rights.len() > 8, "{rights:?}");
    rights
}

/// The rights but for those on a group, which only `ownership = "group"` takes.
#[track_caller]
pub(crate) fn documented_without_group(prefix: &str, topic: &str) -> Vec<Right> {
    documented(prefix, topic).into_iter().filter(|right| right[0] != "GROUP").collect()
}

/// Those of a command; none of a line that is no command.
fn of_line(line: &str, prefix: &str, topic: &str) -> Vec<Right> {
    let line = line.split('#').next().unwrap_or_default();
    let Some(arguments) = line.trim().strip_prefix("acl --") else { return Vec::new() };
    let words: Vec<&str> = arguments.split_whitespace().collect();
    let (kind, name) = (words[0].replace('-', "_").to_uppercase(), words[1]);
    let name = match name.strip_prefix(PREFIX) {
        Some(rest) => format!("{prefix}.{rest}"),
        None if name == TOPIC => topic.to_owned(),
        None => panic!("{name} in: {line}"),
    };
    let of = |option: &str| {
        let option = option.to_owned();
        words.windows(2).filter(move |pair| pair[0] == option).map(|pair| pair[1])
    };
    let pattern = of("--resource-pattern-type").next().unwrap_or("literal").to_uppercase();
    let right = |operation: &str| [kind.clone(), pattern.clone(), name.clone(), spelt(operation)];
    of("--operation").map(right).collect()
}

/// `AlterConfigs` as `ALTER_CONFIGS`.
fn spelt(operation: &str) -> String {
    let letter = |(at, c): (usize, char)| {
        let gap = (at > 0 && c.is_uppercase()).then_some('_');
        gap.into_iter().chain(c.to_uppercase())
    };
    operation.chars().enumerate().flat_map(letter).collect()
}
