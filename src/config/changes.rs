//! What a new configuration changes for a program that runs: a pure comparison. Either all of it can be applied now, or none of it.
//!
//! What is not known here as safe waits for the next start: a key is compared by its path, so a new one is refused until somebody says
//! otherwise.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::raw::{Log, Ownership, Raw};
use super::stream::Stream;

/// What is to be done.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Change {
    /// The log has another filter.
    Log,
    /// A stream leaves out other events (`only`, `drop`).
    Filters(Arc<str>),
    /// A stream is new.
    Added(Arc<str>),
}

/// Keys of a stream that may change while it runs.
const FILTERS: [&str; 2] = ["only", "drop"];

/// The key of the log's filter.
const LOG: &str = "log.filter";

const NEXT_START: &str = "this takes a restart";

impl std::fmt::Display for Change {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Log => f.write_str("log.filter"),
            Self::Filters(stream) => write!(f, "only and drop of stream {stream}"),
            Self::Added(stream) => write!(f, "new stream {stream}"),
        }
    }
}

/// What has to be done to get from one configuration to the other, or why that takes a restart.
pub(super) fn between(before: &Raw, after: &Raw) -> Result<Vec<Change>, Vec<String>> {
    let (mut changes, mut reasons) = (BTreeSet::new(), Vec::new());
    for path in differing(&top(before), &top(after)) {
        match path.as_str() {
            LOG => drop(changes.insert(Change::Log)),
            _ => reasons.push(format!("{path}: {NEXT_START}")),
        }
    }
    for stream in &before.stream {
        let name = name(stream);
        match find(after, name) {
            None => reasons.push(format!(
                "stream {name}: it is gone, and a reload stops no stream: {NEXT_START}, after which its checkpoint stays where it is"
            )),
            Some(next) => of_stream(name, stream, next, &mut changes, &mut reasons),
        }
    }
    for stream in after.stream.iter().filter(|stream| find(before, name(stream)).is_none()) {
        match why_not_now(stream, before, after) {
            Some(why) => reasons.push(format!("stream {}: {why}", name(stream))),
            None => drop(changes.insert(Change::Added(name(stream).into()))),
        }
    }
    if reasons.is_empty() && is_different_in_secrets(before, after) {
        reasons.push(format!("a secret that is written into the configuration: {NEXT_START}; one in a file is read again by itself"));
    }
    if reasons.is_empty() { Ok(changes.into_iter().collect()) } else { Err(reasons) }
}

fn name(stream: &Stream) -> &str {
    stream.common().name.as_deref().unwrap_or_default()
}

fn find<'r>(raw: &'r Raw, wanted: &str) -> Option<&'r Stream> {
    raw.stream.iter().find(|stream| name(stream) == wanted)
}

fn of_stream(
    name: &str,
    before: &Stream,
    after: &Stream,
    changes: &mut BTreeSet<Change>,
    reasons: &mut Vec<String>,
) {
    for path in differing(&table(before), &table(after)) {
        let key = path.split('.').next().unwrap_or_default();
        if FILTERS.contains(&key) {
            changes.insert(Change::Filters(name.into()));
        } else {
            reasons.push(format!("stream {name}, {path}: {NEXT_START}"));
        }
    }
}

/// Why a new stream cannot begin now.
fn why_not_now(stream: &Stream, before: &Raw, after: &Raw) -> Option<&'static str> {
    let letters = stream.common().dead_letter_topic.as_deref();
    let is_known = before.stream.iter().any(|known| known.common().dead_letter_topic.as_deref() == letters);
    if after.ownership == Ownership::Group {
        Some(
            "it is new, and the members of a group have to know the same streams: restart them, one after the other",
        )
    } else if matches!(stream, Stream::AirshipWebhook(_)) {
        Some("it is new, and what receives webhooks learns of it only at the start: this takes a restart")
    } else if !is_known {
        Some(
            "it is new and has a dead_letter_topic that the streams which run do not know: this takes a restart",
        )
    } else {
        None
    }
}

/// Whether there is a difference that is not printed.
fn is_different_in_secrets(before: &Raw, after: &Raw) -> bool {
    let rest = |raw: &Raw| Raw { stream: Vec::new(), log: Log::default(), ..raw.clone() };
    let without_filters = |stream: &Stream| {
        let mut stream = stream.clone();
        let common = stream.common_mut();
        (common.only, common.drop) = (Vec::new(), Vec::new());
        stream
    };
    let differs = |stream: &Stream| {
        find(after, name(stream)).is_some_and(|next| without_filters(next) != without_filters(stream))
    };
    rest(before) != rest(after) || before.stream.iter().any(differs)
}

/// Everything but the streams.
fn top(raw: &Raw) -> toml::Value {
    table(&Raw { stream: Vec::new(), ..raw.clone() })
}

fn table(value: &impl serde::Serialize) -> toml::Value {
    toml::Value::try_from(value).unwrap_or_else(|_| toml::Value::Table(toml::Table::new()))
}

/// The paths of values that differ, in their order.
fn differing(before: &toml::Value, after: &toml::Value) -> Vec<String> {
    let mut found = Vec::new();
    walk("", Some(before), Some(after), &mut found);
    found
}

fn walk(path: &str, before: Option<&toml::Value>, after: Option<&toml::Value>, found: &mut Vec<String>) {
    let as_table = |value: Option<&toml::Value>| value.and_then(toml::Value::as_table).cloned();
    match (as_table(before), as_table(after)) {
        (Some(old), Some(new)) => {
            let keys: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
            for key in keys {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                walk(&path, old.get(key), new.get(key), found);
            }
        }
        _ if before != after => found.push(path.to_owned()),
        _ => {}
    }
}
