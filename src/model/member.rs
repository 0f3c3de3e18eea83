//! One member at the top of a line, for those who need no more of it. It is found as the event path finds its fields: the
//! last of several counts, a line that is broken elsewhere is mended first, and what is no JSON object holds nothing.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::mend;
use super::numbers;

/// What a member holds.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Scalar {
    /// Text.
    Text(String),
    /// An integer from 0 to 2^64 - 1.
    Unsigned(u64),
    /// An integer below 0, down to -2^63.
    Negative(i64),
    /// Any other number.
    Float(f64),
    /// Neither text nor a number.
    Other,
}

impl Scalar {
    /// A whole number of 64 bits with a sign, by the rule of [`numbers`].
    pub(crate) fn whole(&self) -> Option<i64> {
        match self {
            Self::Text(text) => numbers::whole_text(text.as_bytes()),
            Self::Unsigned(number) => i64::try_from(*number).ok(),
            Self::Negative(number) => Some(*number),
            Self::Float(number) => numbers::whole_float(*number),
            Self::Other => None,
        }
    }
}

/// What a line, given without its line end, holds under a name.
pub(crate) fn of_line(line: &[u8], name: &str) -> Option<Scalar> {
    match take(line, name) {
        Ok(found) => found,
        Err(_) => take(&mend::mended(line)?, name).ok()?,
    }
}

fn take(line: &[u8], name: &str) -> serde_json::Result<Option<Scalar>> {
    let mut json = serde_json::Deserializer::from_slice(line);
    let found = json.deserialize_map(Object { name: name.as_bytes() })?;
    json.end()?;
    Ok(found)
}

/// Visits the members of a line.
struct Object<'n> {
    name: &'n [u8],
}

impl<'a> Visitor<'a> for Object<'_> {
    type Value = Option<Scalar>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        while let Some(is_wanted) = map.next_key_seed(Member { name: self.name })? {
            // Of several members of that name the last one counts, whatever it holds.
            if is_wanted {
                found = Some(map.next_value_seed(Value)?);
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }
}

/// Tells the member from others. Names are raw bytes: one that is no text is merely unknown.
struct Member<'n> {
    name: &'n [u8],
}

impl<'a> DeserializeSeed<'a> for Member<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_bytes(self)
    }
}

impl Visitor<'_> for Member<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a member name")
    }

    fn visit_bytes<E>(self, name: &[u8]) -> Result<bool, E> {
        Ok(name == self.name)
    }

    fn visit_str<E>(self, name: &str) -> Result<bool, E> {
        Ok(name.as_bytes() == self.name)
    }
}

/// Takes whatever there is.
struct Value;

impl<'a> DeserializeSeed<'a> for Value {
    type Value = Scalar;

    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<Scalar, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'a> Visitor<'a> for Value {
    type Value = Scalar;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_str<E>(self, text: &str) -> Result<Scalar, E> {
        Ok(Scalar::Text(text.to_owned()))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Scalar, E> {
        Ok(Scalar::Unsigned(number))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Scalar, E> {
        Ok(Scalar::Negative(number))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Scalar, E> {
        Ok(Scalar::Float(number))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Scalar, E> {
        Ok(Scalar::Other)
    }

    fn visit_unit<E>(self) -> Result<Scalar, E> {
        Ok(Scalar::Other)
    }

    fn visit_seq<A: SeqAccess<'a>>(self, mut items: A) -> Result<Scalar, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Scalar::Other)
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<Scalar, A::Error> {
        // Names as everywhere: raw bytes, of which nothing is asked.
        while map.next_key_seed(Member { name: b"" })?.is_some() {
            map.next_value::<IgnoredAny>()?;
        }
        Ok(Scalar::Other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_member_of_the_name_counts() {
        for (line, held) in [
            (r#"{"a":{"x":1},"x":2}"#, Some(Scalar::Unsigned(2))),
            (r#"{"x":1,"\u0078":-2}"#, Some(Scalar::Negative(-2))),
            (r#"{"x":1,"x":null}"#, Some(Scalar::Other)),
            (r#"{"x":{"x":1}}"#, Some(Scalar::Other)),
            (r#"{"y":"\ud83d","x":"t"}"#, Some(Scalar::Text("t".into()))),
            (r#"{"x":"\ud83d"}"#, Some(Scalar::Text("\u{fffd}".into()))),
            (r#"{"x":1.5}"#, Some(Scalar::Float(1.5))),
            (r#"{"y":1}"#, None),
            (r#"{"x":1} y"#, None),
            (r#"["x",1]"#, None),
            (r#"{"x":1"#, None),
        ] {
            assert_eq!(of_line(line.as_bytes(), "x"), held, "{line}");
        }
    }
}
