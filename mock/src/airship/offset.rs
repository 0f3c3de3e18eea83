//! The text of offsets, and what a client's offset says about where to go on.
//!
//! Invariant: offsets rise with positions and leave gaps, so that a line between two positions can have an offset
//! of its own. Knows no events.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::event::write_decimal;

/// The number just before the first position's; real offsets have 13 digits too.
const BASE: u64 = 1_000_412_900_000;
/// Distance between the numbers of neighbouring positions.
const STRIDE: u64 = 4;

/// How offsets are spelt; the first two are in the official examples.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize, clap::ValueEnum,
)]
#[serde(rename_all = "kebab-case")]
pub enum OffsetStyle {
    /// `1000412900003`
    #[default]
    Decimal,
    /// `MTAwMDQxMjkwMDAwMw`: the decimal in base64url without padding
    Base64,
    /// A JSON number, against the documents; a client sends it back as text
    Number,
}

impl OffsetStyle {
    /// How an offset stands in a line.
    pub(super) fn json(self, text: &str) -> String {
        if self == Self::Number { text.to_owned() } else { format!("\"{text}\"") }
    }
}

/// The number behind an offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct OffsetNumber(u64);

impl OffsetNumber {
    /// That of the event at `position`.
    pub(super) fn at(position: u64) -> Self {
        Self(BASE + STRIDE * (position + 1))
    }

    /// That of a line which is not in the log, written just before the event at `position`.
    pub(super) fn before(position: u64) -> Self {
        Self(BASE + STRIDE * position + 1)
    }

    /// That of the last event considered when the next one is at `next`; before the first event there is still one.
    pub(super) fn last_before(next: u64) -> Self {
        Self(BASE + STRIDE * next)
    }

    /// Reads what a client sent; `None` if it is no offset of this style.
    pub(super) fn parse(text: &str, style: OffsetStyle) -> Option<Self> {
        let decimal = match style {
            OffsetStyle::Decimal | OffsetStyle::Number => text.to_owned(),
            OffsetStyle::Base64 => String::from_utf8(URL_SAFE_NO_PAD.decode(text).ok()?).ok()?,
        };
        if decimal.is_empty() || !decimal.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        decimal.parse().ok().map(Self)
    }

    /// The first position whose offset is greater. `None` for an offset from
    /// before this log began.
    pub(super) fn resume(self) -> Option<u64> {
        Some(self.0.checked_sub(BASE)? / STRIDE)
    }

    pub(super) fn text(self, style: OffsetStyle) -> String {
        let mut decimal = Vec::with_capacity(20);
        write_decimal(self.0, &mut decimal);
        match style {
            OffsetStyle::Decimal | OffsetStyle::Number => String::from_utf8(decimal).unwrap_or_default(),
            OffsetStyle::Base64 => URL_SAFE_NO_PAD.encode(decimal),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resume_is_strictly_greater_than() {
        for position in [0, 1, 2, 77, 1_000_000] {
            let number = OffsetNumber::at(position);
            assert_eq!(number.resume(), Some(position + 1));
            assert_eq!(OffsetNumber::before(position).resume(), Some(position));
            assert_eq!(OffsetNumber::last_before(position).resume(), Some(position));
            assert!(number > OffsetNumber::before(position));
            assert!(OffsetNumber::before(position) > OffsetNumber::last_before(position));
            assert!(OffsetNumber::at(position + 1) > number);
        }
        assert_eq!(OffsetNumber::parse("17", OffsetStyle::Decimal).and_then(|number| number.resume()), None);
    }

    #[test]
    fn both_spellings_round_trip_and_refuse_the_other() {
        let number = OffsetNumber::at(5);
        for style in [OffsetStyle::Decimal, OffsetStyle::Base64, OffsetStyle::Number] {
            assert_eq!(OffsetNumber::parse(&number.text(style), style), Some(number));
        }
        assert_eq!(OffsetNumber::parse(&number.text(OffsetStyle::Base64), OffsetStyle::Decimal), None);
        assert_eq!(OffsetNumber::parse(&number.text(OffsetStyle::Decimal), OffsetStyle::Base64), None);
        for bad in ["", "abc", "-1", "1.5", "99999999999999999999999"] {
            assert_eq!(OffsetNumber::parse(bad, OffsetStyle::Decimal), None);
        }
    }
}
