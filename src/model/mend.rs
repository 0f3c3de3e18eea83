//! A line whose text is broken, made readable: bytes that are not UTF-8, and halves of surrogate pairs (`"\ud83d"`), which
//! are what is left where a service cuts text without looking. Rare, so it may allocate.
//!
//! Only for taking fields out: what is carried are the line's own bytes.

use std::borrow::Cow;

/// Bytes of an escape: a backslash, the letter u, four hexadecimal digits.
const ESCAPE: usize = 6;

/// The line with U+FFFD for what is broken; `None` if nothing is.
pub(crate) fn mended(line: &[u8]) -> Option<Vec<u8>> {
    let text = String::from_utf8_lossy(line);
    let is_changed = matches!(text, Cow::Owned(_));
    let mut text = text.into_owned().into_bytes();
    let found = mend_surrogates(&mut text);
    (is_changed || found).then_some(text)
}

/// Puts `\ufffd` for halves of pairs, and says whether there were any.
fn mend_surrogates(text: &mut [u8]) -> bool {
    let (mut at, mut found) = (0, false);
    while let Some(next) = text.get(at..).and_then(|rest| memchr::memchr(b'\\', rest)) {
        at += next;
        at += match (surrogate(text, at), surrogate(text, at + ESCAPE)) {
            (Some(Half::High), Some(Half::Low)) => 2 * ESCAPE,
            (Some(_), _) => {
                text[at + 2..at + ESCAPE].copy_from_slice(b"fffd");
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
    }

    proptest! {
        #[test]
        fn what_is_mended_is_sound(line in "([a\\\\u\"d8cf3]|\\\\ud83d|\\\\ude00){0,12}") {
            let once = mended(line.as_bytes()).unwrap_or_else(|| line.clone().into_bytes());
            prop_assert_eq!(mended(&once), None);
        }
    }
}
