//! The JSON Schema of the configuration file.

use serde_json::{Map, Value};

use super::raw::Raw;

/// The schema, draft 2020-12.
pub(super) fn of_file() -> Value {
    let mut schema = schemars::schema_for!(Raw).to_value();
    forget_null(&mut schema);
    schema
}

/// A key that can be left out is an `Option` and so may be null to schemars; TOML has no null.
fn forget_null(schema: &mut Value) {
    match schema {
        Value::Object(members) => {
            forget_null_type(members);
            members.values_mut().for_each(forget_null);
        }
        Value::Array(items) => items.iter_mut().for_each(forget_null),
        _ => {}
    }
}

fn forget_null_type(schema: &mut Map<String, Value>) {
    if schema.get("default").is_some_and(Value::is_null) {
        schema.remove("default");
    }
    if let Some(Value::Array(types)) = schema.get_mut("type") {
        types.retain(|name| name != "null");
        if let [single] = types.as_mut_slice() {
            let single = single.take();
            schema.insert("type".to_owned(), single);
        }
    }
    if let Some(Value::Array(alternatives)) = schema.get_mut("anyOf") {
        alternatives.retain(|alternative| alternative.get("type").is_none_or(|name| name != "null"));
        if let [Value::Object(single)] = alternatives.as_mut_slice() {
            let single = std::mem::take(single);
            schema.remove("anyOf");
            schema.extend(single);
        }
    }
}
