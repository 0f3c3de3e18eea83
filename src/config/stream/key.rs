//! What the key of a stream's events is made of: how it is written, and its judgement.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::config::checks::{self, required};
use crate::config::errors::{Errors, Path};
use crate::event::extract;

/// The word for no key.
const NONE: &str = "none";

/// What the key is made of.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(untagged)]
pub(in crate::config) enum Key {
    /// The first of these fields that is present; of none there is no key.
    First(Vec<String>),
    /// All of them.
    Joined(Joined),
}

/// Fields that make one key together.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["fields", "join"]))]
pub(in crate::config) struct Joined {
    /// The fields, in their order. An absent one leaves its place empty; if all are absent there is no key.
    #[schemars(length(min = 1))]
    pub(in crate::config) fields: Option<Vec<String>>,
    /// What stands between their values. It is not escaped: choose one that no value contains.
    #[schemars(length(min = 1))]
    pub(in crate::config) join: Option<String>,
}

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct KeyVisitor;
        impl<'de> Visitor<'de> for KeyVisitor {
            type Value = Key;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of fields, { fields = […], join = \"…\" } or \"none\"")
            }

            fn visit_str<E: de::Error>(self, word: &str) -> Result<Key, E> {
                if word == NONE { Ok(Key::First(Vec::new())) } else { Err(E::unknown_variant(word, &[NONE])) }
            }

            fn visit_seq<A: de::SeqAccess<'de>>(self, list: A) -> Result<Key, A::Error> {
                Vec::deserialize(SeqAccessDeserializer::new(list)).map(Key::First)
            }

            fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<Key, A::Error> {
                Joined::deserialize(MapAccessDeserializer::new(map)).map(Key::Joined)
            }
        }
        deserializer.deserialize_any(KeyVisitor)
    }
}

impl JsonSchema for Key {
    fn schema_name() -> Cow<'static, str> {
        "Key".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let (list, joined) = (generator.subschema_for::<Vec<String>>(), generator.subschema_for::<Joined>());
        json_schema!({
            "description": "Fields of which the first one present is the key, fields that are joined, or no key.",
            "anyOf": [{ "const": NONE }, list, joined],
        })
    }
}

impl Key {
    /// Judges it. `example` is a field to show.
    pub(super) fn judge(&self, example: &str, path: &Path, errors: &mut Errors) -> extract::Key {
        let joined = match self {
            Self::First(fields) => {
                checks::fields(fields, example, path, errors);
                return extract::Key::Fields(fields.clone());
            }
            Self::Joined(joined) => joined,
        };
        let fields = required(joined.fields.as_deref(), &path.key("fields"), errors).unwrap_or_default();
        let is_empty = joined.fields.as_ref().is_some_and(Vec::is_empty);
        errors.add_if(is_empty, &path.key("fields"), "must not be empty: key = \"none\" for no key");
        checks::fields(fields, example, &path.key("fields"), errors);
        let join = required(joined.join.as_deref(), &path.key("join"), errors);
        let message = "must not be empty: different values could not be told apart";
        errors.add_if(join == Some(""), &path.key("join"), message);
        extract::Key::Joined { fields: fields.to_vec(), separator: join.unwrap_or_default().to_owned() }
    }
}
