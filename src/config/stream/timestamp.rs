//! Which time becomes the Kafka timestamp, and between which bounds: how it is written, and its judgement.

use std::time::Duration;

use schemars::JsonSchema;
use serde::de;
use serde::{Deserialize, Deserializer, Serialize};

use super::common::Common;
use crate::config::checks::{field, required};
use crate::config::either::{WordOrTable, word_or_table};
use crate::config::errors::{Errors, Path};
use crate::config::units::Span;
use crate::event::extract::TimeFormat;
use crate::event::route;

/// The words that are known.
const WORDS: [&str; 2] = ["processed", "occurred"];

/// Which time becomes the Kafka timestamp.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum Timestamp {
    /// When the service processed the event.
    #[default]
    Processed,
    /// When the event happened, by the device's clock.
    Occurred,
    /// What a field says.
    #[serde(untagged)]
    Field(TimeField),
}

/// A field that holds a time.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["field"]))]
pub(in crate::config) struct TimeField {
    /// The field: member names with dots between them.
    pub(in crate::config) field: Option<String>,
    /// How it is written; default: as the service writes its own times.
    pub(in crate::config) format: Option<Format>,
}

/// How a time is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum Format {
    /// Text such as `2026-03-02T07:41:09.402Z`.
    Rfc3339,
    /// Whole seconds since 1970.
    Seconds,
    /// Whole milliseconds since 1970.
    Milliseconds,
}

/// How far from the received time a time may be.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(in crate::config) struct Bounds {
    /// Before it.
    pub(in crate::config) past: Span,
    /// After it.
    pub(in crate::config) future: Span,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { past: Span(Duration::from_secs(365 * 86_400)), future: Span(Duration::from_secs(3600)) }
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        word_or_table(deserializer)
    }
}

impl WordOrTable for Timestamp {
    const EXPECTED: &'static str = "\"processed\", \"occurred\" or { field = \"…\" }";

    type Table = TimeField;

    fn of_word<E: de::Error>(word: &str) -> Result<Self, E> {
        match word {
            "processed" => Ok(Self::Processed),
            "occurred" => Ok(Self::Occurred),
            other => Err(E::unknown_variant(other, &WORDS)),
        }
    }

    fn of_table(table: TimeField) -> Self {
        Self::Field(table)
    }
}

impl Timestamp {
    /// As the event path takes it.
    pub(super) fn plain(&self) -> route::Timestamp {
        match self {
            Self::Processed => route::Timestamp::Processed,
            Self::Occurred => route::Timestamp::Occurred,
            Self::Field(_) => route::Timestamp::Field,
        }
    }
}

impl Bounds {
    /// As the event path takes them.
    pub(super) fn plain(&self) -> route::Bounds {
        let ms = |span: Span| i64::try_from(span.0.as_millis()).unwrap_or(i64::MAX);
        route::Bounds { past_ms: ms(self.past), future_ms: ms(self.future) }
    }
}

/// Judges the field of the time, if there is one. The service itself writes times as `own`.
pub(super) fn judge(
    common: &Common,
    own: TimeFormat,
    path: &Path,
    errors: &mut Errors,
) -> Option<(String, TimeFormat)> {
    let Timestamp::Field(time) = &common.timestamp else { return None };
    let at = path.key("timestamp").key("field");
    let name = required(time.field.as_ref(), &at, errors)?;
    field(name, "body.time", &at, errors);
    let format = match time.format {
        None => own,
        Some(Format::Rfc3339) => TimeFormat::Rfc3339,
        Some(Format::Seconds) => TimeFormat::UnixSeconds,
        Some(Format::Milliseconds) => TimeFormat::UnixMilliseconds,
    };
    Some((name.clone(), format))
}
