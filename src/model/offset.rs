//! The offset in a line, by which a service is told where to resume: one rule for all who read it, so that the position
//! of a reconnect and that of a checkpoint are the same.
//!
//! Invariant: what cannot be an offset is none at all, and so moves nothing. An offset is opaque: text as it stands, or
//! an integer of 64 bits as it is written.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::mend;

/// The member that holds it, at the top of each line.
pub const MEMBER: &str = "offset";

/// Longest offset, bytes. It is part of every checkpoint and request; those of the service have 13 digits.
pub const MAX_BYTES: usize = 1024;

/// Whether a member's text can be an offset: a service could not know any other as its own.
pub fn is_usable(text: &[u8]) -> bool {
    if text.is_empty() || text.len() > MAX_BYTES {
        return false;
    }
    // What stands for broken text is not what the service wrote.
    let is_sound = |text: &str| {
        let is_broken = |c: char| c.is_control() || c == char::REPLACEMENT_CHARACTER;
        !text.trim().is_empty() && !text.contains(is_broken)
    };
    text.iter().all(u8::is_ascii_graphic) || std::str::from_utf8(text).is_ok_and(is_sound)
}

/// The offset in a line, given without its line end.
pub fn of_line(line: &[u8]) -> Option<String> {
    let found = match take(line) {
        Ok(found) => found,
        Err(_) => take(&mend::mended(line)?).ok()?,
    };
    found.filter(|text| is_usable(text.as_bytes()))
}

fn take(line: &[u8]) -> serde_json::Result<Option<String>> {
    let mut json = serde_json::Deserializer::from_slice(line);
    let found = json.deserialize_map(Object)?;
    json.end()?;
    Ok(found)
}

/// Visits the members of a line.
struct Object;

impl<'a> Visitor<'a> for Object {
    type Value = Option<String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        while let Some(is_wanted) = map.next_key_seed(Member)? {
            // Of several members of that name the last one counts, whatever it holds.
            if is_wanted {
                found = map.next_value_seed(Value)?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }
}

/// Tells the member from others. Names are raw bytes: one that is no text is merely unknown.
struct Member;

impl<'a> DeserializeSeed<'a> for Member {
    type Value = bool;

    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_bytes(self)
    }
}

impl Visitor<'_> for Member {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a member name")
    }

    fn visit_bytes<E>(self, name: &[u8]) -> Result<bool, E> {
        Ok(name == MEMBER.as_bytes())
    }

    fn visit_str<E>(self, name: &str) -> Result<bool, E> {
        Ok(name == MEMBER)
    }
}

/// Takes text and integers; anything else is no offset.
struct Value;

impl<'a> DeserializeSeed<'a> for Value {
    type Value = Option<String>;

    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'a> Visitor<'a> for Value {
    type Value = Option<String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Some(text.to_owned()))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Self::Value, E> {
        Ok(Some(number.to_string()))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Self::Value, E> {
        Ok(Some(number.to_string()))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_seq<A: SeqAccess<'a>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(None)
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        // Names as everywhere: raw bytes, of which nothing is asked.
        while map.next_key_seed(Member)?.is_some() {
            map.next_value::<IgnoredAny>()?;
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_whole_numbers_are_offsets_as_they_stand() {
        for (line, offset) in [
            (r#"{"offset":"MTAw"}"#, "MTAw"),
            (r#"{"offset":700009}"#, "700009"),
            (r#"{"offset" : -5 , "x":{"offset":"9"}}"#, "-5"),
            (r#"{"offset":18446744073709551615}"#, "18446744073709551615"),
            (r#"{"\u006fffset":"a\/b\u0020c"}"#, "a/b c"),
            (r#"{"offset":"1","offset":"2"}"#, "2"),
            (r#"{"x":"\ud83d","offset":"7"}"#, "7"),
            (r#" {"offset":"0007"} "#, "0007"),
        ] {
            assert_eq!(of_line(line.as_bytes()).as_deref(), Some(offset), "{line}");
        }
        assert_eq!(of_line(b"{\"x\":\"\xff\",\"offset\":\"8\"}").as_deref(), Some("8"));
    }

    #[test]
    fn nothing_else_is_an_offset() {
        for line in [
            r#"{"offset":""}"#,
            r#"{"offset":"  "}"#,
            r#"{"offset":"a\nb"}"#,
            r#"{"offset":"\ud83d"}"#,
            r#"{"offset":null}"#,
            r#"{"offset":true}"#,
            r#"{"offset":1.5}"#,
            r#"{"offset":1e3}"#,
            r#"{"offset":18446744073709551616}"#,
            r#"{"offset":["1"]}"#,
            r#"{"offset":{"offset":"1"}}"#,
            r#"{"offset":"1","offset":""}"#,
            r#"{"x":{"offset":"1"}}"#,
            r#"{"offset":"1"} x"#,
            r#"{"offset":"1""#,
            r#"["offset"]"#,
            "garbage",
            "",
        ] {
            assert_eq!(of_line(line.as_bytes()), None, "{line}");
        }
        assert_eq!(of_line(format!(r#"{{"offset":"{}"}}"#, "9".repeat(MAX_BYTES + 1)).as_bytes()), None);
    }
}
