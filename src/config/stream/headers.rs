//! Which headers events get: how it is written, and its judgement.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::SeqAccessDeserializer;
use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::config::checks::{field, required};
use crate::config::either::{WordOrTable, word_or_table};
use crate::config::errors::{Errors, Path};
use crate::config::read;
use crate::sink::kafka::config::{EventHeader, EventHeaders, STANDARD};

/// The words that are known.
const WORDS: [&str; 2] = ["none", "cloudevents"];
/// A header of a name like a text is a mistake.
const LONGEST_NAME: usize = 100;

/// Which headers events get.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
#[serde(rename_all = "lowercase")]
pub(in crate::config) enum Headers {
    /// None: whatever they would say stands in the event.
    #[default]
    None,
    /// Those of CloudEvents 1.0 in binary mode, and the names of stream and shard.
    Cloudevents,
    /// These.
    #[serde(untagged)]
    List(Vec<Header>),
}

/// A header.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(untagged)]
pub(in crate::config) enum Header {
    /// One of those of `"cloudevents"`, or `traceparent`, by its name.
    Word(String),
    /// A static one, or a field.
    Named(Named),
}

/// A header with a name: exactly one of `value` and `field`.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["name"], "minProperties" = 2, "maxProperties" = 2))]
pub(in crate::config) struct Named {
    /// Its name.
    #[schemars(length(min = 1, max = 100))]
    pub(in crate::config) name: Option<String>,
    /// The same for all events.
    pub(in crate::config) value: Option<String>,
    /// What this field says; without a value there is no header.
    pub(in crate::config) field: Option<String>,
}

/// By hand, since the switch that this once was is to be answered with the new words.
impl<'de> Deserialize<'de> for Headers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct HeadersVisitor;
        impl<'de> Visitor<'de> for HeadersVisitor {
            type Value = Headers;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("\"none\", \"cloudevents\" or a list of headers")
            }

            fn visit_str<E: de::Error>(self, word: &str) -> Result<Headers, E> {
                match word {
                    "none" => Ok(Headers::None),
                    "cloudevents" => Ok(Headers::Cloudevents),
                    // A variable or a flag gives it as text.
                    "true" | "false" => self.visit_bool(word == "true"),
                    other => Err(E::unknown_variant(other, &WORDS)),
                }
            }

            fn visit_bool<E: de::Error>(self, was_on: bool) -> Result<Headers, E> {
                let word = if was_on { "cloudevents" } else { "none" };
                Err(E::custom(format_args!(
                    "`{was_on}` is no longer known here: write \"{word}\"; known are \"none\" and \"cloudevents\""
                )))
            }

            fn visit_seq<A: de::SeqAccess<'de>>(self, list: A) -> Result<Headers, A::Error> {
                Vec::deserialize(SeqAccessDeserializer::new(list)).map(Headers::List)
            }
        }
        deserializer.deserialize_any(HeadersVisitor)
    }
}

impl<'de> Deserialize<'de> for Header {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        word_or_table(deserializer)
    }
}

impl WordOrTable for Header {
    const EXPECTED: &'static str =
        "a name such as \"ce_id\", { name = \"…\", value = \"…\" } or { name = \"…\", field = \"…\" }";

    type Table = Named;

    fn of_word<E: de::Error>(word: &str) -> Result<Self, E> {
        Ok(Self::Word(word.to_owned()))
    }

    fn of_table(table: Named) -> Self {
        Self::Named(table)
    }
}

impl JsonSchema for Headers {
    fn schema_name() -> Cow<'static, str> {
        "Headers".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let named = generator.subschema_for::<Named>();
        json_schema!({
            "description": "Which headers events get.",
            "anyOf": [{ "enum": WORDS }, { "type": "array", "items": { "anyOf": [{ "enum": STANDARD }, named] } }],
        })
    }
}

impl Headers {
    /// Judges them; also tells the fields that are headers, in their order. `path` is that of the stream.
    pub(super) fn judge(&self, path: &Path, errors: &mut Errors) -> (EventHeaders, Vec<String>) {
        let list = match self {
            Self::None => return (EventHeaders::None, Vec::new()),
            Self::Cloudevents => return (EventHeaders::CloudEvents, Vec::new()),
            Self::List(list) => list,
        };
        let (mut headers, mut fields, mut names) = (Vec::new(), Vec::new(), Vec::new());
        for (n, header) in list.iter().enumerate() {
            let at = path.key("headers").index(n);
            let name = match header {
                Header::Word(word) => {
                    let known = STANDARD.into_iter().find(|known| known == word);
                    let message = || read::unknown(&format!("header `{word}`"), word, &STANDARD);
                    errors.add_if(known.is_none(), &at, message());
                    headers.extend(known.map(EventHeader::Standard));
                    Some(word)
                }
                Header::Named(named) => {
                    headers.extend(named.judge(&at, &mut fields, errors));
                    named.name.as_ref()
                }
            };
            let Some(name) = name else { continue };
            errors.add_if(names.contains(&name), &at, format!("there is a header {name:?} before it"));
            names.push(name);
        }
        (EventHeaders::List(headers), fields)
    }
}

impl Named {
    fn judge(&self, at: &Path, fields: &mut Vec<String>, errors: &mut Errors) -> Option<EventHeader> {
        let name = required(self.name.clone(), &at.key("name"), errors)?;
        let legal =
            (1..=LONGEST_NAME).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_graphic());
        errors.add_if(!legal, &at.key("name"), format!("expected 1 to {LONGEST_NAME} visible ASCII letters"));
        match (&self.value, &self.field) {
            (Some(value), None) => Some(EventHeader::Static { name, value: value.clone() }),
            (None, Some(path)) => {
                field(path, "device.attributes.os", &at.key("field"), errors);
                fields.push(path.clone());
                Some(EventHeader::Field { name })
            }
            _ => {
                errors.add(at, "expected exactly one of the keys `value` and `field`");
                None
            }
        }
    }
}
