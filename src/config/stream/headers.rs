//! Which headers events get, as it is written.

use std::fmt;

use schemars::JsonSchema;
use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

/// The words that are known.
const WORDS: [&str; 2] = ["none", "cloudevents"];

/// Which headers events get.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::config) enum Headers {
    /// None: whatever they would say stands in the event.
    #[default]
    None,
    /// Those of CloudEvents 1.0 in binary mode, and the names of stream and shard.
    Cloudevents,
}

/// By hand, since the switch that this once was is to be answered with the new words.
impl<'de> Deserialize<'de> for Headers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct HeadersVisitor;
        impl Visitor<'_> for HeadersVisitor {
            type Value = Headers;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("\"none\" or \"cloudevents\"")
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
        }
        deserializer.deserialize_any(HeadersVisitor)
    }
}
