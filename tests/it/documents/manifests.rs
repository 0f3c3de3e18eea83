//! The manifests for Strimzi say what the documents say.

use std::collections::BTreeSet;

use super::read;
use crate::harness::broker::Right;
use crate::harness::rights::documented;

/// A value of a mapping in one line, such as `{type: topic, name: a.b}`.
fn value<'a>(mapping: &'a str, key: &str) -> &'a str {
    let (_, rest) =
        mapping.split_once(&format!("{key}: ")).unwrap_or_else(|| panic!("no {key} in {mapping}"));
    rest.split([',', '}']).next().unwrap().trim()
}

/// As Kafka's Java client spells it.
fn spelt(word: &str) -> String {
    let parts = word.chars().enumerate().flat_map(|(at, c)| {
        let gap = (at > 0 && c.is_uppercase()).then_some('_');
        gap.into_iter().chain(c.to_uppercase())
    });
    parts.collect()
}

#[test]
fn the_user_has_the_rights_of_the_document() {
    let manifest = read("examples/strimzi/user.yaml");
    let lines: Vec<&str> = manifest.lines().map(str::trim).collect();
    let mut rights: BTreeSet<Right> = BTreeSet::new();
    for pair in lines.windows(2) {
        let [resource, operations] = pair else { continue };
        let Some(resource) = resource.strip_prefix("- resource: ") else { continue };
        let operations = operations.strip_prefix("operations: [").unwrap().trim_end_matches(']');
        let pattern = if value(resource, "patternType") == "prefix" { "PREFIXED" } else { "LITERAL" };
        for operation in operations.split(", ") {
            let name = value(resource, "name").to_owned();
            rights.insert([spelt(value(resource, "type")), pattern.to_owned(), name, spelt(operation)]);
        }
    }
    let documented: BTreeSet<Right> = documented("tributary", "airship.events").into_iter().collect();
    assert_eq!(rights, documented);
}

#[test]
fn the_topics_are_those_of_the_document() {
    let (manifest, document) = (read("examples/strimzi/topics.yaml"), read("docs/topics.md"));
    let mut state = 0;
    for topic in manifest.split("\n---\n") {
        let name = topic.lines().find_map(|line| line.trim().strip_prefix("name: ")).unwrap();
        let Some(ending) = name.strip_prefix("tributary.") else { continue };
        state += 1;
        let row = document.lines().find(|line| line.starts_with(&format!("| `<prefix>.{ending}` |")));
        let row: Vec<&str> =
            row.unwrap_or_else(|| panic!("{name} is not in docs/topics.md")).split('|').collect();
        let has = |key: &str, value: &str| topic.contains(&format!("{key}: {value}\n"));
        assert!(has("cleanup.policy", row[2].trim().trim_matches('`')), "{name}");
        let partitions = row[4].trim().split(';').next().unwrap();
        assert!(
            has("partitions", partitions.replace('N', "1").as_str()) || partitions == "any number",
            "{name}"
        );
        for setting in row[3].split('`').chain(row[5].split('`')).filter(|word| word.contains('=')) {
            let (key, value) = setting.split_once('=').unwrap();
            assert!(has(key, value), "{name}: {setting}");
        }
    }
    assert_eq!(state, 5);
}
