//! `docs/configuration.md` is what the JSON Schema of the configuration says, as tables.

use std::collections::{BTreeMap, BTreeSet};
use std::{env, fs};

use serde_json::{Map, Value};

use super::{read, top};

const PLACE: &str = "docs/configuration.md";

/// With this variable set the file is written instead of compared.
const RENEW: &str = "TRIBUTARY_TEST_RENEW";

const COMMAND: &str =
    "TRIBUTARY_TEST_RENEW=1 cargo test --locked --test it -- documents::configuration::the_page_is_current";

const INTRODUCTION: &str = "# Configuration: all keys

This page is made from the program's own schema (`tributary config schema`), and a test keeps it current. Do not edit it by hand.
[`config.example.toml`](../config.example.toml) shows the same keys as a file with remarks.

- **Layers.** The later ones win: defaults, the file, variables `TRIBUTARY_…`, flags `--set KEY=VALUE`. In the name of a variable `__` stands between levels, and a
  number for a stream: `TRIBUTARY_KAFKA__BOOTSTRAP_SERVERS`, `TRIBUTARY_STREAM__0__URL`.
- **duration** is text with units: `\"100ms\"`, `\"30s\"`, `\"2h 30m\"`, `\"7days\"`. A month is 30.44 days, a year 365.25 days.
- **size** is text with a unit, `\"64KiB\"` or `\"16MiB\"` (of 1024), or a number of bytes.
- A key without a default may be left out, unless it is **required**.
- `tributary config` prints what is in effect, and every error at once.
";

/// What a definition is, by `$ref`.
fn definition<'a>(schema: &'a Value, value: &'a Value) -> Option<(&'a str, &'a Value)> {
    let name = value["$ref"].as_str()?.strip_prefix("#/$defs/").unwrap();
    Some((name, &schema["$defs"][name]))
}

fn is_table(value: &Value) -> bool {
    value["properties"].is_object()
}

fn code(value: &Value) -> String {
    format!("`{}`", inline(value))
}

/// As TOML writes it in one line.
fn inline(value: &Value) -> String {
    match value {
        Value::Object(members) if members.is_empty() => "{}".to_owned(),
        Value::Object(members) => {
            let members: Vec<String> =
                members.iter().map(|(key, value)| format!("{key} = {}", inline(value))).collect();
            format!("{{ {} }}", members.join(", "))
        }
        other => other.to_string(),
    }
}

fn example_is(value: &Value, example: &str) -> bool {
    value["examples"].as_array().is_some_and(|examples| examples.contains(&Value::from(example)))
}

/// The words for a type; what is described further down is linked to and added to `needed`.
fn kind(schema: &Value, value: &Value, needed: &mut BTreeSet<String>) -> String {
    if let Some((name, definition)) = definition(schema, value) {
        if is_table(definition) {
            needed.insert(name.to_owned());
            return format!("[{name}](#{})", name.to_lowercase());
        }
        return kind(schema, definition, needed);
    }
    if let Some(constant) = value.get("const") {
        return code(constant);
    }
    for choice in ["oneOf", "anyOf"] {
        if let Some(alternatives) = value[choice].as_array() {
            let words: Vec<String> = alternatives.iter().map(|one| kind(schema, one, needed)).collect();
            return words.join(" or ");
        }
    }
    if let Some(words) = value["enum"].as_array() {
        return words.iter().map(code).collect::<Vec<_>>().join(" or ");
    }
    if example_is(value, "100ms") || example_is(value, "10m") {
        return "duration".to_owned();
    }
    if example_is(value, "16MiB") {
        return "size".to_owned();
    }
    match &value["type"] {
        Value::String(name) if name == "array" => {
            format!("list of: {}", kind(schema, &value["items"], needed))
        }
        Value::String(name) if name == "object" && value["additionalProperties"].is_object() => {
            format!("table of: {}", kind(schema, &value["additionalProperties"], needed))
        }
        Value::String(name) if name == "object" => "table".to_owned(),
        Value::String(name) if matches!(name.as_str(), "integer" | "number") => {
            format!("{name}{}", range(value))
        }
        Value::String(name) => name.clone(),
        Value::Array(names) => {
            names.iter().map(|name| name.as_str().unwrap().to_owned()).collect::<Vec<_>>().join(" or ")
        }
        other => panic!("no words for the type {other} of {value}"),
    }
}

fn range(value: &Value) -> String {
    match (&value["minimum"], &value["maximum"]) {
        (Value::Null, _) => String::new(),
        (from, Value::Null) => format!(", at least {from}"),
        (from, to) => format!(", {from} to {to}"),
    }
}

/// In one line.
fn description(value: &Value) -> String {
    value["description"].as_str().unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ")
}

/// What the words of a choice mean.
fn choices(schema: &Value, value: &Value) -> String {
    let Some((_, definition)) = definition(schema, value) else { return String::new() };
    let words = definition["oneOf"].as_array().map_or(&[][..], Vec::as_slice);
    let said = words.iter().filter(|word| word.get("const").is_some());
    said.map(|word| format!(" {}: {}", code(&word["const"]), description(word))).collect()
}

fn default(schema: &Value, value: &Value, required: bool) -> String {
    // What a table's keys have is said there.
    let is_table = definition(schema, value).is_some_and(|(_, definition)| is_table(definition));
    match value.get("default") {
        _ if required => "**required**".to_owned(),
        Some(default) if !is_table => code(default),
        _ => String::new(),
    }
}

fn table(
    schema: &Value,
    keys: &Map<String, Value>,
    required: &Value,
    needed: &mut BTreeSet<String>,
) -> String {
    let mut text = "| key | type | default | meaning |\n|---|---|---|---|\n".to_owned();
    for (key, value) in keys {
        let required = required.as_array().is_some_and(|names| names.contains(&Value::from(key.as_str())));
        let cells = [
            format!("`{key}`"),
            kind(schema, value, needed),
            default(schema, value, required),
            format!("{}{}", description(value), choices(schema, value)),
        ];
        let cells = cells.map(|cell| cell.replace('|', "\\|"));
        text += &format!("| {} |\n", cells.join(" | "));
    }
    text
}

/// Kinds of streams with the same keys beside those of every kind, and these keys.
type Kinds<'a> = (Vec<&'a Value>, Map<String, Value>);

/// The keys that are the same in all kinds, and those of each, of kinds with the same keys together.
fn kinds(schema: &Value) -> (Map<String, Value>, Vec<Kinds<'_>>) {
    let kinds = schema["$defs"]["Stream"]["oneOf"].as_array().unwrap();
    let keys = |kind: &Value| kind["properties"].as_object().unwrap().clone();
    let mut common = keys(&kinds[0]);
    common.retain(|key, value| kinds.iter().all(|kind| kind["properties"].get(key) == Some(value)));
    let mut own: Vec<Kinds<'_>> = Vec::new();
    for kind in kinds {
        let mut keys = keys(kind);
        keys.retain(|key, _| key != "kind" && !common.contains_key(key));
        match own.iter_mut().find(|(_, of_others)| *of_others == keys) {
            Some((kinds, _)) => kinds.push(kind),
            None => own.push((vec![kind], keys)),
        }
    }
    (common, own)
}

fn page(schema: &Value) -> String {
    let mut text = INTRODUCTION.to_owned();
    let mut needed = BTreeSet::new();
    let all = schema["properties"].as_object().unwrap();
    let sections =
        |value: &Value| definition(schema, value).is_some_and(|(_, definition)| is_table(definition));
    let mut top = all.clone();
    top.retain(|key, value| key != "stream" && !sections(value));
    text += &format!("\n## At the top\n\n{}", table(schema, &top, &schema["required"], &mut needed));
    for (key, value) in all {
        let Some((_, definition)) = definition(schema, value).filter(|(_, definition)| is_table(definition))
        else {
            continue;
        };
        let keys = definition["properties"].as_object().unwrap();
        let table = table(schema, keys, &definition["required"], &mut needed);
        text += &format!("\n## `[{key}]`\n\n{}\n\n{table}", description(value));
    }
    let (common, own) = kinds(schema);
    let required = serde_json::json!(["name"]);
    let table_of_all = table(schema, &common, &required, &mut needed);
    text += &format!(
        "\n## `[[stream]]`: keys of every kind\n\nAt least one stream is required. Its `kind` says which keys it may have.\n\n{table_of_all}"
    );
    for (kinds, keys) in &own {
        let names: Vec<String> =
            kinds.iter().map(|kind| format!("`kind = {}`", kind["properties"]["kind"]["const"])).collect();
        let what: Vec<String> = kinds.iter().map(|kind| description(kind)).collect();
        let table = table(schema, keys, &kinds[0]["required"], &mut needed);
        text += &format!("\n## `[[stream]]`: {}\n\n{}\n\n{table}", names.join(" and "), what.join(" "));
    }
    // A table may name further ones.
    let mut shown = BTreeMap::new();
    while let Some(name) = needed.iter().find(|name| !shown.contains_key(*name)).cloned() {
        let definition = &schema["$defs"][&name];
        let keys = definition["properties"].as_object().unwrap();
        let table = table(schema, keys, &definition["required"], &mut needed);
        shown.insert(name, format!("{}\n\n{table}", description(definition)));
    }
    text += "\n## Tables within keys\n";
    for (name, shown) in shown {
        text += &format!("\n### {name}\n\n{shown}");
    }
    text
}

#[test]
fn the_page_is_current() {
    let page = page(&tributary::config::schema());
    if env::var_os(RENEW).is_some() {
        fs::write(top().join(PLACE), &page).unwrap();
    }
    assert!(read(PLACE) == page, "{PLACE} is not what the schema says. This renews it:\n{COMMAND}");
}

#[test]
fn the_page_names_each_key_of_the_schema() {
    let (schema, page) = (tributary::config::schema(), page(&tributary::config::schema()));
    let (mut keys, mut missing) = (0, Vec::new());
    let mut waiting = vec![&schema];
    while let Some(value) = waiting.pop() {
        // Kafka's keys have one with this name.
        if let Some(properties) = value["properties"].as_object().filter(|_| value["type"] == "object") {
            keys += properties.len();
            let named = |key: &str| page.contains(&format!("\n| `{key}` | "));
            missing.extend(properties.keys().filter(|key| {
                !named(key)
                    && !["kind", "stream"].contains(&key.as_str())
                    && !page.contains(&format!("\n## `[{key}]`"))
            }));
        }
        match value {
            Value::Object(members) => waiting.extend(members.values()),
            Value::Array(items) => waiting.extend(items),
            _ => {}
        }
    }
    assert!(missing.is_empty(), "{missing:?}");
    assert!(keys > 150, "only {keys} keys");
}
