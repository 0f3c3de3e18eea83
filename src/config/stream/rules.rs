//! What of a stream is left out, `only` and `drop`: how it is written, and its judgement.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::de;
use serde::{Deserialize, Deserializer, Serialize};

use super::common::Common;
use crate::config::checks::{field, required};
use crate::config::either::{WordOrTable, word_or_table};
use crate::config::errors::{Errors, Path};
use crate::event::extract::{Condition, Filters, ONLY, Rule};

/// Names are metric labels.
const LONGEST_NAME: usize = 100;

/// A word (Airship: an event type; Adobe: `bot` or `excluded`), or a field and what it holds.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, JsonSchema)]
#[serde(untagged)]
pub(in crate::config) enum Entry {
    /// What has a name already: an event type of Airship, `bot` or `excluded` of Adobe.
    Word(String),
    /// A field and what it holds.
    Field(FieldIs),
}

/// A field and what it holds.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, expecting = "a word or { name = \"…\", field = \"…\", is = [\"…\"] }")]
#[schemars(extend("required" = ["field", "is"]))]
pub(in crate::config) struct FieldIs {
    /// What left-out events are counted as: required in `drop`, where no other entry has it; none in `only`.
    #[schemars(length(min = 1, max = 100), regex(pattern = "^[a-zA-Z0-9._-]+$"))]
    pub(in crate::config) name: Option<String>,
    /// The field: member names with dots between them.
    pub(in crate::config) field: Option<String>,
    /// It holds one of these, compared exactly: text, or an integer or boolean written as text.
    #[schemars(length(min = 1))]
    pub(in crate::config) is: Option<Vec<String>>,
}

impl<'de> Deserialize<'de> for Entry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        word_or_table(deserializer)
    }
}

impl WordOrTable for Entry {
    const EXPECTED: &'static str = "a word or { name = \"…\", field = \"…\", is = [\"…\"] }";

    type Table = FieldIs;

    fn of_word<E: de::Error>(word: &str) -> Result<Self, E> {
        Ok(Self::Word(word.to_owned()))
    }

    fn of_table(table: FieldIs) -> Self {
        Self::Field(table)
    }
}

/// Judges what a stream leaves out. `word` tells what a word stands for, or what is wrong with it.
pub(super) fn validate(
    common: &Common,
    word: impl Fn(&str) -> Result<Condition, String>,
    path: &Path,
    errors: &mut Errors,
) -> Filters {
    let mut filters = Filters::default();
    let mut names: Vec<(usize, String)> = Vec::new();
    let at = path.key("drop");
    for (n, entry) in common.drop.iter().enumerate() {
        let at = at.index(n);
        let name = match entry {
            Entry::Word(word) => Some(word),
            Entry::Field(rule) => required(rule.name.as_ref(), &at.key("name"), errors)
                .inspect(|name| check_name(name, &at.key("name"), errors)),
        };
        let when = condition(entry, &word, &at, errors);
        let Some(name) = name else { continue };
        let known = names.iter().find(|(_, known)| known == name);
        errors.add_if(
            known.is_some(),
            &at,
            known.map_or(String::new(), |(n, _)| format!("drop[{n}] has this name already")),
        );
        names.push((n, name.clone()));
        filters.drop.extend(when.map(|when| Rule { name: Arc::from(name.as_str()), when }));
    }
    let at = path.key("only");
    for (n, entry) in common.only.iter().enumerate() {
        let at = at.index(n);
        if let Entry::Field(rule) = entry {
            let message =
                "has no effect in `only`: an event that none of its entries takes is counted as \"only\"";
            errors.add_if(rule.name.is_some(), &at.key("name"), message);
        }
        filters.only.extend(condition(entry, &word, &at, errors));
    }
    filters
}

fn condition(
    entry: &Entry,
    word: impl Fn(&str) -> Result<Condition, String>,
    at: &Path,
    errors: &mut Errors,
) -> Option<Condition> {
    let rule = match entry {
        Entry::Word(text) => return word(text).map_err(|message| errors.add(at, message)).ok(),
        Entry::Field(rule) => rule,
    };
    let path = required(rule.field.as_ref(), &at.key("field"), errors);
    if let Some(path) = path {
        field(path, "body.name", &at.key("field"), errors);
    }
    let values = required(rule.is.as_ref(), &at.key("is"), errors);
    errors.add_if(values.is_some_and(Vec::is_empty), &at.key("is"), "must not be empty");
    Some(Condition { field: path?.clone(), values: values?.clone(), ignore_case: false })
}

fn check_name(name: &str, at: &Path, errors: &mut Errors) {
    let is_legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let legal = !name.is_empty() && name.len() <= LONGEST_NAME && name.chars().all(is_legal);
    errors.add_if(!legal, at, format!("expected 1 to {LONGEST_NAME} letters, digits, `.`, `_` and `-`"));
    errors.add_if(name == ONLY, at, "is what `only` is counted as: choose another name");
}
