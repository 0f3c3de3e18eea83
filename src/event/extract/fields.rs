//! The values taken from one line, in numbered slots. Borrowed from the line wherever JSON text has no escapes.
//!
//! Invariant: an integer is held as an integer, never as a float, so nothing of its 64 bits is lost. A float that is
//! whole counts as a time alone: whoever wrote an id so has lost its last digits already.

use super::MAX_FIELDS;
use crate::model::numbers::{numeral, whole_float, whole_text};
use crate::model::text::Text;

/// What a wanted member holds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Value<'a> {
    /// Text without JSON escapes.
    Borrowed(&'a [u8]),
    /// Text with them.
    Owned(Box<[u8]>),
    /// An integer from 0 to 2^64 - 1.
    Unsigned(u64),
    /// An integer below 0, down to -2^63.
    Negative(i64),
    /// A whole number that was written as a float, such as `1372782179.0`, up to 2^53 either way.
    Whole(i64),
    /// A boolean, which can be compared and nothing else.
    Bool(bool),
    /// A fraction, a number beyond all those, an array or an object: none of them can be an id, a key, a
    /// type, a time or an offset.
    Unusable,
}

/// One line's values. A slot is `None` when the member is absent or is null.
#[derive(Debug, Default)]
pub(super) struct Fields<'a> {
    slots: [Option<Value<'a>>; MAX_FIELDS],
}

impl<'a> Value<'a> {
    /// What a float is worth.
    pub(super) fn of_float(number: f64) -> Self {
        whole_float(number).map_or(Self::Unusable, Self::Whole)
    }

    /// Its bytes, if it has any: an integer's are its decimal text.
    pub(super) fn text(&self) -> Option<Text<'a>> {
        match self {
            Self::Borrowed(text) => Some(Text::Borrowed(text)),
            Self::Owned(text) => Some(Text::Made(smallvec::SmallVec::from_slice(text))),
            Self::Unsigned(number) => Some(Text::unsigned(*number)),
            Self::Negative(number) => Some(Text::signed(*number)),
            Self::Whole(_) | Self::Bool(_) | Self::Unusable => None,
        }
    }

    /// The same for comparisons: a boolean's bytes are its word.
    pub(super) fn word(&self) -> Option<Text<'a>> {
        match self {
            Self::Bool(true) => Some(Text::Borrowed(b"true")),
            Self::Bool(false) => Some(Text::Borrowed(b"false")),
            other => other.text(),
        }
    }

    /// An unsigned 64-bit number, or one that was written as if it were signed, also as decimal text.
    pub(super) fn unsigned(&self) -> Option<u64> {
        match self.number()? {
            Self::Unsigned(number) => Some(number),
            Self::Negative(number) => Some(number.cast_unsigned()),
            _ => None,
        }
    }

    /// A signed 64-bit number, also as text, and also one that is written as a float.
    pub(super) fn whole(&self) -> Option<i64> {
        match self {
            Self::Borrowed(text) => whole_text(text),
            Self::Owned(text) => whole_text(text),
            Self::Unsigned(number) => i64::try_from(*number).ok(),
            Self::Negative(number) | Self::Whole(number) => Some(*number),
            Self::Bool(_) | Self::Unusable => None,
        }
    }

    /// Whether it is text of no bytes.
    pub(super) fn is_empty(&self) -> bool {
        self.bytes().is_some_and(<[u8]>::is_empty)
    }

    fn bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Borrowed(text) => Some(text),
            Self::Owned(text) => Some(text),
            Self::Unsigned(_) | Self::Negative(_) | Self::Whole(_) | Self::Bool(_) | Self::Unusable => None,
        }
    }

    /// The integer that it is or that its text spells.
    fn number(&self) -> Option<Value<'static>> {
        let text = match self {
            Self::Borrowed(text) => text,
            Self::Owned(text) => &**text,
            Self::Unsigned(number) => return Some(Value::Unsigned(*number)),
            Self::Negative(number) => return Some(Value::Negative(*number)),
            Self::Whole(_) | Self::Bool(_) | Self::Unusable => return None,
        };
        let text = numeral(text)?;
        let unsigned = || text.parse().ok().map(Value::Unsigned);
        unsigned().or_else(|| text.parse().ok().map(Value::Negative))
    }

    fn into_owned(self) -> Value<'static> {
        match self {
            Self::Borrowed(text) => Value::Owned(text.into()),
            Self::Owned(text) => Value::Owned(text),
            Self::Unsigned(number) => Value::Unsigned(number),
            Self::Negative(number) => Value::Negative(number),
            Self::Whole(number) => Value::Whole(number),
            Self::Bool(switch) => Value::Bool(switch),
            Self::Unusable => Value::Unusable,
        }
    }
}

impl<'a> Fields<'a> {
    pub(super) fn get(&self, slot: usize) -> Option<&Value<'a>> {
        self.slots.get(slot)?.as_ref()
    }

    /// Whether nothing stands there: no member, null, or text of no bytes.
    pub(super) fn is_absent(&self, slot: usize) -> bool {
        self.get(slot).is_none_or(Value::is_empty)
    }

    /// The value's bytes.
    pub(super) fn text(&self, slot: usize) -> Option<Text<'a>> {
        self.get(slot)?.text()
    }

    /// The value's bytes, if there are any.
    pub(super) fn non_empty(&self, slot: usize) -> Option<Text<'a>> {
        self.get(slot).filter(|value| !value.is_empty())?.text()
    }

    /// The value as an unsigned 64-bit number.
    pub(super) fn unsigned(&self, slot: usize) -> Option<u64> {
        self.get(slot)?.unsigned()
    }

    pub(super) fn set(&mut self, slot: usize, value: Value<'a>) {
        if let Some(place) = self.slots.get_mut(slot) {
            *place = Some(value);
        }
    }

    /// Forgets a member and all below it: JSON's last duplicate wins, whatever its type.
    pub(super) fn clear(&mut self, slots: &[usize]) {
        for slot in slots {
            if let Some(place) = self.slots.get_mut(*slot) {
                *place = None;
            }
        }
    }

    /// The same, independent of the line.
    pub(super) fn into_owned(self) -> Fields<'static> {
        Fields { slots: self.slots.map(|slot| slot.map(Value::into_owned)) }
    }
}
