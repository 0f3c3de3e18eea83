//! The effective configuration as TOML and as JSON Schema.
//!
//! Invariant: what is printed can be loaded again and says the same, except for secrets that were written
//! into the configuration, which are printed as `<hidden>`.

use super::raw::Raw;

/// These come first in a stream, so that one sees which it is.
const FIRST: [&str; 3] = ["name", "kind", "url"];

/// TOML of every key that has a value, defaults included.
pub(super) fn toml(raw: &Raw) -> Result<String, toml::ser::Error> {
    let table = toml::Table::try_from(raw)?;
    let mut text = String::new();
    let is_section = |value: &toml::Value| value.is_table() || value.is_array();
    for (key, value) in table.iter().filter(|(_, value)| !is_section(value)) {
        text.push_str(&format!("{key} = {value}\n"));
    }
    for (section, value) in table.iter().filter(|(_, value)| is_section(value)) {
        match value {
            toml::Value::Table(entries) => write_section(&mut text, section, entries),
            toml::Value::Array(streams) => {
                for stream in streams.iter().filter_map(toml::Value::as_table) {
                    write_stream(&mut text, stream);
                }
            }
            _ => {}
        }
    }
    Ok(text)
}

fn write_section(text: &mut String, section: &str, entries: &toml::Table) {
    text.push_str(&format!("\n[{section}]\n"));
    for (key, value) in entries.iter().filter(|(_, value)| !value.is_table()) {
        text.push_str(&format!("{} = {value}\n", quoted(key)));
    }
    for (key, value) in entries {
        if let toml::Value::Table(below) = value {
            text.push_str(&format!("[{section}.{key}]\n"));
            for (key, value) in below {
                text.push_str(&format!("{} = {value}\n", quoted(key)));
            }
        }
    }
}

fn write_stream(text: &mut String, stream: &toml::Table) {
    text.push_str("\n[[stream]]\n");
    let first = FIRST.iter().filter_map(|key| stream.get_key_value(*key));
    let rest = stream.iter().filter(|(key, _)| !FIRST.contains(&key.as_str()));
    for (key, value) in first.chain(rest) {
        text.push_str(&format!("{key} = {value}\n"));
    }
}

/// A key as TOML takes it. JSON's escapes are TOML's too, but for DEL.
fn quoted(key: &str) -> String {
    let is_bare = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if !key.is_empty() && key.chars().all(is_bare) {
        key.to_owned()
    } else {
        serde_json::Value::from(key).to_string().replace('\u{7f}', "\\u007f")
    }
}
