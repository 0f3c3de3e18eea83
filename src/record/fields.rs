//! The values taken from one line, in numbered slots. Borrowed from the line wherever JSON text has no escapes.

use std::borrow::Cow;

use super::MAX_FIELDS;

/// One line's values. A slot is `None` when the member is absent or is null, a boolean, a fraction, an array
/// or an object: none of those can be an id, a key, a type, a time or an offset.
#[derive(Debug, Default)]
pub(super) struct Fields<'a> {
    slots: [Option<Cow<'a, [u8]>>; MAX_FIELDS],
}

impl<'a> Fields<'a> {
    pub(super) fn get(&self, slot: usize) -> Option<&[u8]> {
        self.slots.get(slot)?.as_deref()
    }

    pub(super) fn take(&mut self, slot: usize) -> Option<Cow<'a, [u8]>> {
        self.slots.get_mut(slot)?.take()
    }

    /// The value, left in place for its other use.
    pub(super) fn share(&self, slot: usize) -> Option<Cow<'a, [u8]>> {
        self.slots.get(slot)?.clone()
    }

    pub(super) fn set(&mut self, slot: usize, value: Cow<'a, [u8]>) {
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
}
