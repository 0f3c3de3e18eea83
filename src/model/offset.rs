//! The offset in a line, by which a service is told where to resume: one rule for all who read it, so that the position
//! of a reconnect and that of a checkpoint are the same.
//!
//! Invariant: what cannot be an offset is none at all, and so moves nothing. An offset is opaque: text as it stands, or
//! an integer of 64 bits as it is written.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::member::{self, Scalar};

/// The member that holds it, at the top of each line.
pub(crate) const MEMBER: &str = "offset";

/// Longest offset, bytes. It is part of every checkpoint and request; those of the service have 13 digits.
pub(crate) const MAX_BYTES: usize = 1024;

/// Whether a member's text can be an offset: a service could not know any other as its own.
pub(crate) fn is_usable(text: &[u8]) -> bool {
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

/// The number that an offset stands for, where it is a decimal, plain or in base64url: the spellings of the service's
/// examples. Only so can it be told which of two offsets comes first.
pub(crate) fn number(text: &str) -> Option<u128> {
    let decimal = |text: &str| -> Option<u128> {
        let is_decimal = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        is_decimal.then(|| text.parse().ok()).flatten()
    };
    decimal(text).or_else(|| {
        let bytes = URL_SAFE_NO_PAD.decode(text.trim_end_matches('=')).ok()?;
        decimal(std::str::from_utf8(&bytes).ok()?)
    })
}

/// The offset in a line, given without its line end.
pub(crate) fn of_line(line: &[u8]) -> Option<String> {
    let text = match member::of_line(line, MEMBER)? {
        Scalar::Text(text) => text,
        Scalar::Unsigned(number) => number.to_string(),
        Scalar::Negative(number) => number.to_string(),
        Scalar::Float(_) | Scalar::Other => return None,
    };
    is_usable(text.as_bytes()).then_some(text)
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
    fn decimals_can_be_compared() {
        assert_eq!(number("1000022468589"), Some(1_000_022_468_589));
        assert_eq!(number("MTAwMDAwMDAyMjg1NA"), Some(1_000_000_022_854));
        assert_eq!(number("MTAwMDAwMDAyMjg1NA=="), Some(1_000_000_022_854));
        for text in ["", "-5", "+5", "12a", "YWJj", "340282366920938463463374607431768211456"] {
            assert_eq!(number(text), None, "{text}");
        }
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
