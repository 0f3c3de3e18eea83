//! Reads a typed value and reports every error on the way, not only the first.
//!
//! serde stops at the first error. So that error is noted, the value that caused it is taken out, and the
//! rest is read again, until nothing is left to complain about. What was taken out falls back to its default,
//! so that validation can go on and report what else is wrong.

use std::collections::BTreeMap;

use figment::error::{Actual, Kind};
use figment::value::{Tag, Value};
use serde::de::DeserializeOwned;

use super::errors::{Errors, Path};
use super::node::Node;

/// How alike a key must be to be suggested (Jaro-Winkler, 0 to 1): a slip of one or two letters, not another
/// word.
const ALIKE: f64 = 0.85;

/// The text of variables and flags by path: `8080` may be meant as a string.
pub(super) type Texts = BTreeMap<Path, String>;

/// Reads `value`, which stands at `base`, and beside which keys may stand that are read elsewhere. `None` if not even a table of
/// the right kind was found.
pub(super) fn read<T: DeserializeOwned>(
    mut value: Value,
    base: &Path,
    beside: &[&str],
    texts: &Texts,
    errors: &mut Errors,
) -> Option<T> {
    loop {
        let error = match T::deserialize(Node(&value)) {
            Ok(read) => return Some(read),
            Err(error) => error,
        };
        let path = locate(&value, base, &error.path);
        if let (Some(found), Some(text)) = (find(&mut value, &error.path), texts.get(&path))
            && matches!(found, Value::Num(..) | Value::Bool(..))
        {
            *found = Value::String(Tag::Default, text.clone());
            continue;
        }
        let is_key = find(&mut value, &error.path).is_some_and(|found| match &error.kind {
            Kind::UnknownVariant(word, _) => !matches!(found, Value::String(_, text) if text == word),
            _ => true,
        });
        let beside = if error.path.len() > 1 { &[] } else { beside };
        errors.add(&path, describe(&error.kind, is_key, beside));
        if !remove(&mut value, &error.path, &path, errors) {
            return None;
        }
    }
}

/// The value at `path` below `value`.
fn find<'v>(value: &'v mut Value, path: &[String]) -> Option<&'v mut Value> {
    path.iter().try_fold(value, |value, key| match value {
        Value::Dict(_, dict) => dict.get_mut(key),
        Value::Array(_, list) => list.get_mut(key.parse::<usize>().ok()?),
        _ => None,
    })
}

/// The path of what stands at `keys` below `value`.
fn locate(value: &Value, base: &Path, keys: &[String]) -> Path {
    let mut path = base.clone();
    let mut value = Some(value);
    for key in keys {
        (path, value) = match (value, key.parse::<usize>()) {
            (Some(Value::Array(_, list)), Ok(index)) => (path.index(index), list.get(index)),
            (Some(Value::Dict(_, dict)), _) => (path.key(key), dict.get(key)),
            _ => (path.key(key), None),
        };
    }
    path
}

/// Takes out what stands at `keys`, which is `path`; false if nothing does.
fn remove(value: &mut Value, keys: &[String], path: &Path, errors: &mut Errors) -> bool {
    let Some((last, parents)) = keys.split_last() else { return false };
    match (find(value, parents), last.parse::<usize>()) {
        (Some(Value::Dict(_, dict)), _) => dict.remove(last).is_some(),
        (Some(Value::Array(_, list)), Ok(index)) if index < list.len() => {
            list.remove(index);
            errors.forget_element(path);
            true
        }
        _ => false,
    }
}

/// What is wrong and what would be right, without repeating a string that could be a secret.
fn describe(kind: &Kind, is_key: bool, beside: &[&str]) -> String {
    match kind {
        Kind::UnknownField(key, known) => unknown("key", key, &[beside, known].concat()),
        Kind::UnknownVariant(key, known) if is_key => unknown("key", key, known),
        Kind::UnknownVariant(word, known) => unknown(&format!("value `{word}`"), word, known),
        Kind::InvalidType(found, wanted) => format!("expected {}, found {}", wish(wanted), type_of(found)),
        Kind::InvalidValue(Actual::Unsigned(number), wanted) => {
            format!("expected {}, found {number}", wish(wanted))
        }
        Kind::InvalidValue(Actual::Signed(number), wanted) => {
            format!("expected {}, found {number}", wish(wanted))
        }
        Kind::InvalidValue(found, wanted) => format!("expected {}, found {}", wish(wanted), type_of(found)),
        other => other.to_string(),
    }
}

/// Names the nearest known word, or all of them.
pub(super) fn unknown(what: &str, word: &str, known: &[&str]) -> String {
    let likeness = |known: &str| strsim::jaro_winkler(&word.to_lowercase(), known);
    let nearest = known.iter().copied().max_by(|a, b| likeness(a).total_cmp(&likeness(b)));
    match nearest {
        Some(nearest) if likeness(nearest) >= ALIKE => format!("unknown {what}; did you mean `{nearest}`?"),
        Some(_) => format!("unknown {what}; known here: `{}`", known.join("`, `")),
        None => format!("unknown {what}"),
    }
}

fn wish(expected: &str) -> &str {
    match expected {
        "a map" => "a table",
        "a sequence" => "a list",
        "a boolean" => "true or false",
        "u32" => "a whole number from 0 to 4294967295",
        "u64" | "usize" => "a whole number, 0 or more",
        "i32" => "a whole number",
        "f64" => "a number",
        other if other.starts_with("struct ") => "a table",
        other => other,
    }
}

fn type_of(found: &Actual) -> &'static str {
    match found {
        Actual::Bool(_) => "true or false",
        Actual::Unsigned(_) | Actual::Signed(_) => "a whole number",
        Actual::Float(_) => "a number",
        Actual::Char(_) | Actual::Str(_) => "a string",
        Actual::Seq => "a list",
        Actual::Map => "a table",
        _ => "something else",
    }
}
