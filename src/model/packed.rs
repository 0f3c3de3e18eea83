//! Several values, any of which may be absent, in one run of bytes: what fields of an event say, on their way from where they are taken
//! to where they are headers.

use super::text::Text;

/// Bytes of a length.
const LENGTH: usize = 4;

/// Stands for the length of what is absent.
const ABSENT: u32 = u32::MAX;

/// Appends a value; one that is longer than 4 GiB counts as absent.
pub(crate) fn push(packed: &mut Text<'_>, value: Option<&[u8]>) {
    let length = value.and_then(|value| u32::try_from(value.len()).ok()).filter(|length| *length != ABSENT);
    packed.push(&length.unwrap_or(ABSENT).to_le_bytes());
    if let (Some(value), Some(_)) = (value, length) {
        packed.push(value);
    }
}

/// The values, in their order.
pub(crate) fn values(mut packed: &[u8]) -> impl Iterator<Item = Option<&[u8]>> {
    std::iter::from_fn(move || {
        let (length, rest) = packed.split_first_chunk::<LENGTH>()?;
        let length = u32::from_le_bytes(*length);
        if length == ABSENT {
            packed = rest;
            return Some(None);
        }
        let (value, rest) = rest.split_at_checked(usize::try_from(length).ok()?)?;
        packed = rest;
        Some(Some(value))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_was_packed_comes_out(all in prop::collection::vec(prop::option::of(prop::collection::vec(any::<u8>(), 0..70)), 0..6)) {
            let mut packed = Text::default();
            all.iter().for_each(|value| push(&mut packed, value.as_deref()));
            let found: Vec<_> = values(&packed).map(|value| value.map(<[u8]>::to_vec)).collect();
            prop_assert_eq!(found, all);
        }

        #[test]
        fn any_bytes_are_read_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            prop_assert!(values(&bytes).count() <= bytes.len());
        }
    }
}
