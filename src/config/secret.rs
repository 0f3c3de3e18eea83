//! Secrets and librdkafka property values as they are written.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::de;
use serde::{Deserialize, Deserializer, Serialize};

use super::either::{WordOrTable, word_or_table};
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
#[derive(Clone, PartialEq, Debug, Serialize, JsonSchema)]
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
        word_or_table(deserializer)
    }
}

impl WordOrTable for Property {
    const EXPECTED: &'static str =
        "a string, a number, true or false, or a secret such as { env = \"NAME\" }";

    type Table = SecretKeys;

    fn of_word<E: de::Error>(word: &str) -> Result<Self, E> {
        Ok(Self::Text(word.to_owned()))
    }

    fn of_bool<E: de::Error>(switch: bool) -> Result<Self, E> {
        Ok(Self::Bool(switch))
    }

    fn of_integer<E: de::Error>(number: i64) -> Result<Self, E> {
        Ok(Self::Integer(number))
    }

    fn of_float<E: de::Error>(number: f64) -> Result<Self, E> {
        Ok(Self::Float(number))
    }

    fn of_table(table: SecretKeys) -> Self {
        Self::Secret(table)
    }
}
