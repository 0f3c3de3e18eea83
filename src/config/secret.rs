//! Secrets and librdkafka property values as they are written.

use std::borrow::Cow;
use std::fmt;
use std::path::PathBuf;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::model::secret::Secret;

/// A secret: exactly one of `{ env = "NAME" }`, `{ file = "PATH" }` and `{ value = "…" }`.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(
    default,
    deny_unknown_fields,
    expecting = "a secret: { env = \"NAME\" }, { file = \"PATH\" } or, for tests, { value = \"…\" }"
)]
#[schemars(extend("minProperties" = 1, "maxProperties" = 1))]
pub(in crate::config) struct SecretKeys {
    /// The environment variable that holds it.
    pub(in crate::config) env: Option<String>,
    /// The file that holds it, of at most 64 KiB; one line end at its end is left out. It is read again: by the login at a service at each
    /// connect, for Kafka when the old one is refused, for redaction every half minute, for webhooks every few seconds.
    pub(in crate::config) file: Option<PathBuf>,
    /// The secret itself: for tests and demos.
    #[serde(deserialize_with = "hidden")]
    #[schemars(with = "Option<String>")]
    pub(in crate::config) value: Option<Secret>,
}

fn hidden<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Secret>, D::Error> {
    String::deserialize(deserializer).map(|value| Some(Secret::new(value)))
}

/// The value of a librdkafka property.
#[derive(Clone, PartialEq, Debug, Serialize)]
#[serde(untagged)]
pub(in crate::config) enum Property {
    /// A string.
    Text(String),
    /// A switch.
    Bool(bool),
    /// A whole number.
    Integer(i64),
    /// Any other number.
    Float(f64),
    /// A secret.
    Secret(SecretKeys),
}

impl<'de> Deserialize<'de> for Property {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct PropertyVisitor;
        impl<'de> Visitor<'de> for PropertyVisitor {
            type Value = Property;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string, a number, true or false, or a secret such as { env = \"NAME\" }")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Property, E> {
                Ok(Property::Text(text.to_owned()))
            }

            fn visit_bool<E: de::Error>(self, switch: bool) -> Result<Property, E> {
                Ok(Property::Bool(switch))
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Property, E> {
                Ok(Property::Integer(number))
            }

            fn visit_f64<E: de::Error>(self, number: f64) -> Result<Property, E> {
                Ok(Property::Float(number))
            }

            fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<Property, A::Error> {
                SecretKeys::deserialize(MapAccessDeserializer::new(map)).map(Property::Secret)
            }
        }
        deserializer.deserialize_any(PropertyVisitor)
    }
}

impl JsonSchema for Property {
    fn schema_name() -> Cow<'static, str> {
        "Property".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let secret = generator.subschema_for::<SecretKeys>();
        json_schema!({
            "description": "The value of a librdkafka property.",
            "anyOf": [{ "type": ["string", "boolean", "integer", "number"] }, secret],
        })
    }
}
