//! Durations and sizes as they are written: `"100ms"`, `"16MiB"`.
//!
//! Invariant: what [`Span`] and [`Size`] print is read back as the same value, so the printed configuration
//! loads.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserialize, Deserializer, Visitor};
use serde::{Serialize, Serializer};

/// Seconds of a day.
const DAY: u64 = 86_400;

/// A duration.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Span(pub(super) Duration);

/// A number of bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Size(pub(super) u64);

/// A duration that may also be written as a number of milliseconds, as the service writes it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Latency(pub(super) Duration);

impl Span {
    /// So many seconds.
    pub(super) const fn seconds(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    /// So many milliseconds.
    pub(super) const fn millis(millis: u64) -> Self {
        Self(Duration::from_millis(millis))
    }
}

impl Size {
    /// So many times 1,048,576 bytes.
    pub(super) const fn mebibytes(number: u64) -> Self {
        Self(number << 20)
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // 90s reads better than humantime's "1m 30s", and 365days better than its months of 30.44 days.
        match (self.0.as_secs(), self.0.subsec_nanos()) {
            (seconds @ 1..600, 0) if seconds % 60 != 0 => write!(f, "{seconds}s"),
            (seconds, 0) if seconds > DAY && seconds % DAY == 0 => write!(f, "{}days", seconds / DAY),
            _ => write!(f, "{}", humantime::format_duration(self.0)),
        }
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (number, unit) = [(30, "GiB"), (20, "MiB"), (10, "KiB")]
            .into_iter()
            .find(|(bits, _)| self.0 != 0 && self.0.trailing_zeros() >= *bits)
            .map_or((self.0, "B"), |(bits, unit)| (self.0 >> bits, unit));
        write!(f, "{number}{unit}")
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Serialize for Size {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Serialize for Latency {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&Span(self.0))
    }
}

struct SpanVisitor {
    takes_millis: bool,
}

impl Visitor<'_> for SpanVisitor {
    type Value = Duration;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a duration such as \"100ms\", \"30s\" or \"2h 30m\"")?;
        if self.takes_millis { f.write_str(", or a whole number of milliseconds") } else { Ok(()) }
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Duration, E> {
        humantime::parse_duration(text)
            .map_err(|error| E::custom(format_args!("expected {}: {error}", &self as &dyn de::Expected)))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Duration, E> {
        if self.takes_millis {
            Ok(Duration::from_millis(number))
        } else {
            Err(E::invalid_type(de::Unexpected::Unsigned(number), &self))
        }
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Duration, E> {
        match u64::try_from(number) {
            Ok(number) => self.visit_u64(number),
            Err(_) => Err(E::invalid_value(de::Unexpected::Signed(number), &self)),
        }
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SpanVisitor { takes_millis: false }).map(Self)
    }
}

impl<'de> Deserialize<'de> for Latency {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SpanVisitor { takes_millis: true }).map(Self)
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct SizeVisitor;
        impl Visitor<'_> for SizeVisitor {
            type Value = Size;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a size such as \"16MiB\" or \"64KiB\", or a whole number of bytes")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Size, E> {
                let wrong = |_| E::custom(format_args!("expected {}", &self as &dyn de::Expected));
                text.parse::<bytesize::ByteSize>().map(|size| Size(size.as_u64())).map_err(wrong)
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Size, E> {
                Ok(Size(number))
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Size, E> {
                let negative = |_| E::invalid_value(de::Unexpected::Signed(number), &self);
                u64::try_from(number).map(Size).map_err(negative)
            }
        }
        deserializer.deserialize_any(SizeVisitor)
    }
}

impl JsonSchema for Span {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Duration".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "examples": ["100ms", "30s", "2h 30m"] })
    }
}

impl JsonSchema for Latency {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Latency".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["string", "integer"], "minimum": 1, "examples": ["10m", 600000] })
    }
}

impl JsonSchema for Size {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Size".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["string", "integer"], "minimum": 1, "examples": ["16MiB", "64KiB", 1000000] })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_print_exactly() {
        for (bytes, text) in [(0, "0B"), (1, "1B"), (1000, "1000B"), (64 << 10, "64KiB"), (16 << 20, "16MiB")]
        {
            assert_eq!(Size(bytes).to_string(), text);
            assert_eq!(serde_json::from_value::<Size>(text.into()).unwrap(), Size(bytes));
        }
        assert_eq!(serde_json::from_str::<Size>("\"1.5 GiB\"").unwrap(), Size(3 << 29));
        assert_eq!(serde_json::from_str::<Size>("4096").unwrap(), Size(4096));
    }

    #[test]
    fn spans_print_as_they_are_written() {
        for text in ["0s", "5ms", "90s", "2m", "1h 30m", "1day", "8days", "365days"] {
            let span: Span = serde_json::from_value(text.into()).unwrap();
            assert_eq!(span.to_string(), text);
        }
    }

    #[test]
    fn only_latency_takes_numbers() {
        assert!(serde_json::from_str::<Span>("100").is_err());
        assert_eq!(serde_json::from_str::<Latency>("100").unwrap(), Latency(Duration::from_millis(100)));
        assert_eq!(serde_json::from_str::<Latency>("\"2m\"").unwrap(), Latency(Duration::from_secs(120)));
    }
}
