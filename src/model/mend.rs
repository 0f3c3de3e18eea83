//! A line whose text is broken, made readable: bytes that are not UTF-8, and halves of surrogate pairs (`"\ud83d"`), which
//! are what is left where a service cuts text without looking; and numbers that no float can hold (`1e400`), which are JSON all the
//! same. Rare, so it may allocate.
//!
//! Only for taking fields out: what is carried are the line's own bytes.

use serde::de::IgnoredAny;

/// Bytes of an escape: a backslash, the letter u, four hexadecimal digits.
const ESCAPE: usize = 6;

/// What stands for a number that no float can hold: another one that is of no use as an id, a key or a time.
const NUMBER: &[u8] = b"0.5";

/// What stands for what is broken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Mark {
    /// U+FFFD, as everybody puts it.
    Replacement,
    /// U+FFFC: what changes with the mark is broken, and what does not has U+FFFD of its own.
    Other,
}

impl Mark {
    fn letter(self) -> &'static [u8] {
        match self {
            Self::Replacement => "\u{fffd}".as_bytes(),
            Self::Other => "\u{fffc}".as_bytes(),
        }
    }

    fn digits(self) -> &'static [u8] {
        match self {
            Self::Replacement => b"fffd",
            Self::Other => b"fffc",
        }
    }
}

/// The line with U+FFFD for what is broken, and without numbers that are too large; `None` if there is nothing of it.
pub(crate) fn mended(line: &[u8]) -> Option<Vec<u8>> {
    mended_by(line, Mark::Replacement)
}

/// The line with this mark for what is broken; `None` if nothing is.
pub(crate) fn mended_by(line: &[u8], mark: Mark) -> Option<Vec<u8>> {
    let mut text = Vec::with_capacity(line.len());
    for chunk in line.utf8_chunks() {
        text.extend_from_slice(chunk.valid().as_bytes());
        if !chunk.invalid().is_empty() {
            text.extend_from_slice(mark.letter());
        }
    }
    let is_changed = text != line;
    let found = mend_surrogates(&mut text, mark.digits());
    match without_too_large(&text) {
        Some(text) => Some(text),
        None => (is_changed || found).then_some(text),
    }
}

/// The text with other numbers for those that no float can hold; `None` if there are none.
fn without_too_large(text: &[u8]) -> Option<Vec<u8>> {
    let (mut out, mut copied, mut at) = (Vec::new(), 0, 0);
    while let Some(byte) = text.get(at) {
        match byte {
            b'"' => at = end_of_string(text, at + 1),
            b'-' | b'0'..=b'9' => {
                let is_in = |byte: &u8| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E');
                let length = text[at..].iter().take_while(|byte| is_in(byte)).count();
                if is_too_large(&text[at..at + length]) {
                    out.extend_from_slice(&text[copied..at]);
                    out.extend_from_slice(NUMBER);
                    copied = at + length;
                }
                at += length;
            }
            _ => at += 1,
        }
    }
    (copied > 0).then(|| {
        out.extend_from_slice(&text[copied..]);
        out
    })
}

/// Whether this is a number as JSON writes them, and no float can hold it. One with a zero before it, say, is none.
fn is_too_large(text: &[u8]) -> bool {
    let number = std::str::from_utf8(text).ok().and_then(|text| text.parse::<f64>().ok());
    number.is_some_and(f64::is_infinite) && serde_json::from_slice::<IgnoredAny>(text).is_ok()
}

/// Where a string ends whose inside begins at `at`: behind its closing quotation mark.
fn end_of_string(text: &[u8], mut at: usize) -> usize {
    while let Some(byte) = text.get(at) {
        at += match byte {
            b'"' => return at + 1,
            b'\\' => 2,
            _ => 1,
        };
    }
    at
}

/// Puts an escape with these digits for halves of pairs, and says whether there were any.
fn mend_surrogates(text: &mut [u8], digits: &[u8]) -> bool {
    let (mut at, mut found) = (0, false);
    while let Some(next) = text.get(at..).and_then(|rest| memchr::memchr(b'\\', rest)) {
        at += next;
        at += match (surrogate(text, at), surrogate(text, at + ESCAPE)) {
            (Some(Half::High), Some(Half::Low)) => 2 * ESCAPE,
            (Some(_), _) => {
                text[at + 2..at + ESCAPE].copy_from_slice(digits);
                found = true;
                ESCAPE
            }
            // Any other escape: what follows the backslash is no backslash of its own.
            (None, _) => 2,
        };
    }
    found
}

enum Half {
    High,
    Low,
}

/// The half of a pair that is written at `at`, if one is.
fn surrogate(text: &[u8], at: usize) -> Option<Half> {
    let digits = text.get(at..at + ESCAPE)?.strip_prefix(b"\\u")?;
    let number = u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    match number {
        0xd800..=0xdbff => Some(Half::High),
        0xdc00..=0xdfff => Some(Half::Low),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn halves_of_pairs_are_mended_and_nothing_else() {
        for (line, expected) in [
            (r#"{"a":"x\ud83d"}"#, Some(r#"{"a":"x\ufffd"}"#)),
            (r#"{"a":"\uDE00\ud83d\ud83d\ude00"}"#, Some(r#"{"a":"\ufffd\ufffd\ud83d\ude00"}"#)),
            (r#"{"a":"\\ud83d"}"#, None),
            (r#"{"a":"\\\ud83d"}"#, Some(r#"{"a":"\\\ufffd"}"#)),
            (r#"{"a":"\ud83d\ude00 \u0041\n"}"#, None),
            (r#"{"a":"\ud83"#, None),
            ("\\", None),
        ] {
            assert_eq!(mended(line.as_bytes()).as_deref(), expected.map(str::as_bytes), "{line}");
        }
        assert_eq!(mended(b"a\xff").as_deref(), Some("a\u{fffd}".as_bytes()));
        let other = mended_by("\\ud83d\u{fffd}".as_bytes(), Mark::Other);
        assert_eq!(other.as_deref(), Some("\\ufffc\u{fffd}".as_bytes()));
        assert_eq!(mended_by(b"a\xff\xfe", Mark::Other).as_deref(), Some("a\u{fffc}\u{fffc}".as_bytes()));
    }

    #[test]
    fn numbers_that_no_float_holds_are_replaced_and_no_others() {
        for (line, expected) in [
            (r#"{"a":1e400,"b":1}"#, Some(r#"{"a":0.5,"b":1}"#)),
            (r#"[-1.5E+999]"#, Some("[0.5]")),
            (r#"{"1e400":"\\\"1e400"}"#, None),
            // No numbers of JSON, which must not become some: the line is no JSON.
            (r#"[01e400,-01e400,1.e400,1e400-,1e400.5]"#, None),
            (r#"{"a":1e308,"b":18446744073709551616,"c":1e-400}"#, None),
        ] {
            assert_eq!(mended(line.as_bytes()).as_deref(), expected.map(str::as_bytes), "{line}");
        }
        let long = format!("[{}]", "9".repeat(400));
        assert_eq!(mended(long.as_bytes()).as_deref(), Some(&b"[0.5]"[..]));
    }

    proptest! {
        #[test]
        fn what_is_mended_is_sound(line in "([a\\\\u\"d8cf3]|\\\\ud83d|\\\\ude00){0,12}") {
            let once = mended(line.as_bytes()).unwrap_or_else(|| line.clone().into_bytes());
            prop_assert_eq!(mended(&once), None);
        }
    }
}
