//! The bytes of one field: borrowed from the line, or made from it without the heap.
//!
//! Invariant: up to [`INLINE`] bytes are held in place, so that numbers, pairs of ids, times and visitor keys cost no
//! allocation an event.

use std::fmt;
use std::ops::Deref;

use smallvec::SmallVec;

/// Bytes held in place: enough for two unsigned 64-bit numbers with a prefix and a separator, and for a time.
pub(crate) const INLINE: usize = 48;

/// The bytes of a field. Equal when the bytes are, whoever holds them.
#[derive(Clone)]
pub enum Text<'a> {
    /// A part of the line.
    Borrowed(&'a [u8]),
    /// Made from it: a number's digits, text that had JSON escapes, a key of several fields.
    Made(SmallVec<[u8; INLINE]>),
}

impl Text<'_> {
    /// An unsigned number's decimal text.
    pub fn unsigned(number: u64) -> Self {
        let mut text = Self::default();
        text.push_unsigned(number);
        text
    }

    /// A signed number's decimal text.
    pub fn signed(number: i64) -> Self {
        let mut text = Self::default();
        text.push(itoa::Buffer::new().format(number).as_bytes());
        text
    }

    /// Appends bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        match self {
            Self::Made(made) => made.extend_from_slice(bytes),
            Self::Borrowed(before) => {
                let mut made = SmallVec::from_slice(before);
                made.extend_from_slice(bytes);
                *self = Self::Made(made);
            }
        }
    }

    /// Appends an unsigned number's decimal text.
    pub fn push_unsigned(&mut self, number: u64) {
        self.push(itoa::Buffer::new().format(number).as_bytes());
    }
}

impl Default for Text<'_> {
    fn default() -> Self {
        Self::Made(SmallVec::new())
    }
}

impl Deref for Text<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Borrowed(bytes) => bytes,
            Self::Made(made) => made,
        }
    }
}

impl<'a> From<&'a [u8]> for Text<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Self::Borrowed(bytes)
    }
}

impl From<Vec<u8>> for Text<'_> {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Made(SmallVec::from_vec(bytes))
    }
}

impl PartialEq for Text<'_> {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Text<'_> {}

impl fmt::Debug for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.escape_ascii())
    }
}

/// Formatted text is appended.
impl fmt::Write for Text<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.push(text.as_bytes());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_their_decimal_text() {
        assert_eq!(&*Text::unsigned(u64::MAX), b"18446744073709551615");
        assert_eq!(&*Text::signed(i64::MIN), b"-9223372036854775808");
    }

    #[test]
    fn two_ids_with_a_prefix_are_held_in_place() {
        let mut text = Text::Borrowed(b"v:");
        text.push_unsigned(u64::MAX);
        text.push(b":");
        text.push_unsigned(u64::MAX);
        assert_eq!(&*text, b"v:18446744073709551615:18446744073709551615");
        assert!(matches!(text, Text::Made(made) if !made.spilled()));
    }
}
