//! JSON predicates of filters: parsed from JSON, applied to JSON.
//! Ranges of versions are not evaluated; a predicate with one is refused.
//!
//! Invariant: what parses is within the grammar; unknown keys are refused. Knows no events.

use serde_json::{Map, Value};

/// A test on a JSON value.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Predicate {
    And(Vec<Predicate>),
    Or(Vec<Predicate>),
    Not(Box<Predicate>),
    /// The value below `path`, which is empty for the value itself.
    At {
        path: Vec<String>,
        matcher: Matcher,
    },
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Matcher {
    Equals(Value),
    Range { at_least: Option<f64>, at_most: Option<f64> },
    IsPresent(bool),
    ArrayContains { predicate: Box<Predicate>, index: Option<usize> },
}

impl Predicate {
    /// Reads a predicate; the error says what is wrong with it.
    pub(super) fn parse(value: &Value) -> Result<Self, String> {
        let object = value.as_object().ok_or("a predicate must be an object")?;
        let mut keys = object.keys().map(String::as_str);
        match (keys.next(), keys.next()) {
            (Some("and"), None) => Ok(Self::And(Self::parse_all(&object["and"])?)),
            (Some("or"), None) => Ok(Self::Or(Self::parse_all(&object["or"])?)),
            (Some("not"), None) => Ok(Self::Not(Box::new(Self::parse(&object["not"])?))),
            _ => Self::parse_value(object),
        }
    }

    fn parse_all(value: &Value) -> Result<Vec<Self>, String> {
        value.as_array().ok_or("'and' and 'or' take an array")?.iter().map(Self::parse).collect()
    }

    fn parse_value(object: &Map<String, Value>) -> Result<Self, String> {
        if let Some(key) = object.keys().find(|key| !matches!(key.as_str(), "key" | "scope" | "value")) {
            return Err(format!("unexpected attribute '{key}' in a predicate"));
        }
        let mut path = match object.get("scope") {
            None => Vec::new(),
            Some(Value::String(scope)) => vec![scope.clone()],
            Some(Value::Array(scopes)) => scopes
                .iter()
                .map(|scope| scope.as_str().map(str::to_owned).ok_or("a scope must be a string"))
                .collect::<Result<_, _>>()?,
            Some(_) => return Err("'scope' must be a string or an array".to_owned()),
        };
        match object.get("key") {
            None => {}
            Some(Value::String(key)) => path.push(key.clone()),
            Some(_) => return Err("'key' must be a string".to_owned()),
        }
        let matcher = Matcher::parse(object.get("value").ok_or("a predicate needs 'value'")?)?;
        Ok(Self::At { path, matcher })
    }

    /// Whether `value` passes.
    pub(super) fn holds(&self, value: &Value) -> bool {
        match self {
            Self::And(all) => all.iter().all(|predicate| predicate.holds(value)),
            Self::Or(any) => any.iter().any(|predicate| predicate.holds(value)),
            Self::Not(predicate) => !predicate.holds(value),
            Self::At { path, matcher } => {
                matcher.holds(path.iter().try_fold(value, |value, key| value.get(key)))
            }
        }
    }
}

impl Matcher {
    fn parse(value: &Value) -> Result<Self, String> {
        let object = value.as_object().ok_or("a matcher must be an object")?;
        let allowed: &[&str] = match () {
            () if object.contains_key("equals") => &["equals"],
            () if object.contains_key("is_present") => &["is_present"],
            () if object.contains_key("array_contains") => &["array_contains", "index"],
            () => &["at_least", "at_most"],
        };
        if let Some(key) = object.keys().find(|key| !allowed.contains(&key.as_str())) {
            return Err(format!("unexpected attribute '{key}' in a matcher"));
        }
        let number = |key: &str| match object.get(key) {
            None => Ok(None),
            Some(value) => value.as_f64().map(Some).ok_or(format!("'{key}' must be a number")),
        };
        match allowed {
            ["equals"] => Ok(Self::Equals(object["equals"].clone())),
            ["is_present"] => object["is_present"]
                .as_bool()
                .map(Self::IsPresent)
                .ok_or("'is_present' must be a bool".to_owned()),
            ["array_contains", ..] => Ok(Self::ArrayContains {
                predicate: Box::new(Predicate::parse(&object["array_contains"])?),
                index: number("index")?.map(|index| index as usize),
            }),
            _ if object.is_empty() => Err("a matcher must not be empty".to_owned()),
            _ => Ok(Self::Range { at_least: number("at_least")?, at_most: number("at_most")? }),
        }
    }

    fn holds(&self, value: Option<&Value>) -> bool {
        match self {
            Self::IsPresent(present) => value.is_some_and(|value| !value.is_null()) == *present,
            Self::Equals(expected) => value == Some(expected),
            Self::Range { at_least, at_most } => value.and_then(Value::as_f64).is_some_and(|number| {
                at_least.is_none_or(|least| number >= least) && at_most.is_none_or(|most| number <= most)
            }),
            Self::ArrayContains { predicate, index } => {
                value.and_then(Value::as_array).is_some_and(|elements| match index {
                    Some(index) => elements.get(*index).is_some_and(|element| predicate.holds(element)),
                    None => elements.iter().any(|element| predicate.holds(element)),
                })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn holds(predicate: Value) -> bool {
        let event = json!({
            "type": "TAG_CHANGE",
            "body": { "value": 12.5, "gone": null, "tags": ["spring", "gold"], "set": [{ "key": "a" }, { "key": "b" }] },
        });
        Predicate::parse(&predicate).unwrap().holds(&event)
    }

    #[test]
    fn truth_table() {
        let value = |matcher: Value| json!({ "scope": "body", "key": "value", "value": matcher });
        let tags = |matcher: Value| json!({ "scope": "body", "key": "tags", "value": matcher });
        let yes = json!({ "key": "type", "value": { "equals": "TAG_CHANGE" } });
        let no = json!({ "key": "type", "value": { "equals": "OPEN" } });
        for (predicate, expected) in [
            (yes.clone(), true),
            (no.clone(), false),
            (json!({ "and": [yes, no] }), false),
            (json!({ "or": [yes, no] }), true),
            (json!({ "not": no }), true),
            (value(json!({ "at_least": 12 })), true),
            (value(json!({ "at_least": 12, "at_most": 12.4 })), false),
            (value(json!({ "is_present": true })), true),
            (json!({ "scope": "body", "key": "gone", "value": { "is_present": true } }), false),
            (json!({ "key": "nowhere", "value": { "is_present": false } }), true),
            (tags(json!({ "array_contains": { "value": { "equals": "spring" } } })), true),
            (tags(json!({ "array_contains": { "value": { "equals": "spring" } }, "index": 1 })), false),
            (
                json!({ "scope": "body", "key": "set", "value":
                    { "array_contains": { "key": "key", "value": { "equals": "b" } } } }),
                true,
            ),
        ] {
            assert_eq!(holds(predicate.clone()), expected, "{predicate}");
        }
    }

    #[test]
    fn what_is_not_in_the_grammar_is_refused() {
        for bad in [
            json!([]),
            json!({}),
            json!({ "and": {} }),
            json!({ "key": "a", "value": {} }),
            json!({ "key": "a", "value": { "equal": 1 } }),
            json!({ "key": "a", "values": { "equals": 1 } }),
            json!({ "key": "a", "value": { "at_least": "x" } }),
            json!({ "key": "a", "value": { "version_matches": "[1.0,2.0)" } }),
        ] {
            assert!(Predicate::parse(&bad).is_err(), "{bad}");
        }
    }
}
