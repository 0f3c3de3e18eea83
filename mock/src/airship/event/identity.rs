//! Identifiers: events, users with their channels and addresses, pushes.
//!
//! Invariant: an event id is a function of (seed, index) alone, and everything about a user of (seed, user number)
//! alone, so that many events share a device and a verifier can name it without the line.

use crate::engine::random::{Draw, Lane};

/// Users per log: enough that keys spread over partitions, few enough that each has many events.
pub(super) const USERS: u64 = 5_000;
/// Pushes that events refer to.
pub(super) const PUSHES: u64 = 400;
/// Push groups, numbered after the pushes.
pub(super) const GROUPS: u64 = 40;

/// Length of every id, valid UUID or not.
pub(super) const ID_LENGTH: usize = 36;

const HEX: &[u8; 16] = b"0123456789abcdef";

/// A person with one device of each sort.
#[derive(Clone, Debug)]
pub(super) struct User {
    number: u64,
    channel: (u64, u64),
    contact: (u64, u64),
    session: u64,
}

/// Platform of the app device of a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Platform {
    Ios,
    Android,
    Amazon,
}

impl Platform {
    pub(super) fn lower(self) -> &'static str {
        match self {
            Self::Ios => "ios",
            Self::Android => "android",
            Self::Amazon => "amazon",
        }
    }

    pub(super) fn upper(self) -> &'static str {
        match self {
            Self::Ios => "IOS",
            Self::Android => "ANDROID",
            Self::Amazon => "AMAZON",
        }
    }
}

impl User {
    pub(super) fn new(seed: u64, number: u64) -> Self {
        let mut draw = Draw::new(seed, Lane::User, number);
        Self {
            number,
            channel: (draw.next(), draw.next()),
            contact: (draw.next(), draw.next()),
            session: draw.next(),
        }
    }

    pub(super) fn platform(&self) -> Platform {
        match self.number % 10 {
            0..=4 => Platform::Ios,
            5..=8 => Platform::Android,
            _ => Platform::Amazon,
        }
    }

    pub(super) fn write_channel(&self, out: &mut Vec<u8>) {
        write_uuid_v4(self.channel.0, self.channel.1, out);
    }

    pub(super) fn write_named(&self, out: &mut Vec<u8>) {
        // One in fifty is not ASCII, so keys are not either.
        out.extend_from_slice(if self.number % 50 == 7 { "zoë-".as_bytes() } else { b"cust-" });
        write_decimal(10_000 + self.number, out);
    }

    pub(super) fn write_email(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"user.");
        write_decimal(10_000 + self.number, out);
        out.extend_from_slice(b"@example.net");
    }

    pub(super) fn write_msisdn(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"1555");
        write_padded(5_550_000 + self.number, 7, out);
    }

    /// The contact id, which in the documents' examples is often no valid UUID.
    pub(super) fn write_contact(&self, out: &mut Vec<u8>) {
        let start = out.len();
        write_uuid_v4(self.contact.0, self.contact.1, out);
        if self.number.is_multiple_of(3) {
            out[start + 9] = b'r';
        }
    }

    pub(super) fn write_session(&self, which: u64, out: &mut Vec<u8>) {
        write_uuid_v4(self.session ^ (which << 40), self.session.rotate_left(17), out);
    }
}

/// Writes the id of event `index`: 80 % look like UUIDs of version 4, 10 % of version 1, 8 % are time-ordered
/// (`000001xx-…`) and 2 % contain the letter R and so are no UUIDs at all.
pub(super) fn write_event_id(seed: u64, index: u64, out: &mut Vec<u8>) {
    let mut draw = Draw::new(seed, Lane::Id, index);
    let (shape, high, low) = (draw.below(100), draw.next(), draw.next());
    let start = out.len();
    match shape {
        0..=79 => write_uuid_v4(high, low, out),
        80..=89 => {
            let high = (high & !0xf000 & !0xffff_0000) | 0x91b7_0000 | 0x1000;
            // The node id of the documents' examples; the sequence above it stays random.
            let low = (low & 0x3fff_0000_0000_0000) | 0x8000_0000_0000_0000 | 0x0242_ac12_0004;
            // The index takes part, because few random bits are left in this shape.
            write_uuid(high ^ (index << 32), low, out);
        }
        90..=97 => {
            let high = 0x0000_0195_0000_0000 | (high & 0xffff_0fff) | 0x4000;
            write_uuid_v4(high, low, out);
        }
        _ => {
            write_uuid_v4(high, low, out);
            out[start + 10 + (high % 3) as usize] = b'R';
        }
    }
}

/// Writes the id of push or group `number`, of version 1 as Airship's are.
pub(super) fn write_push(seed: u64, number: u64, out: &mut Vec<u8>) {
    let mut draw = Draw::new(seed, Lane::Push, number);
    let high = (draw.next() & 0xffff_ffff_0000_0000) | 0x91b6_11f0;
    write_uuid(high, 0x9b57_0242_ac12_0002, out);
}

/// Writes 128 bits in the form of a UUID, version and variant forced to 4.
pub(super) fn write_uuid_v4(high: u64, low: u64, out: &mut Vec<u8>) {
    write_uuid((high & !0xf000) | 0x4000, (low & !(0b11 << 62)) | (0b10 << 62), out);
}

fn write_uuid(high: u64, low: u64, out: &mut Vec<u8>) {
    let mut text = [b'-'; ID_LENGTH];
    let bits = (u128::from(high) << 64) | u128::from(low);
    let mut at = 0;
    for (number, byte) in bits.to_be_bytes().into_iter().enumerate() {
        if matches!(number, 4 | 6 | 8 | 10) {
            at += 1;
        }
        text[at] = HEX[usize::from(byte >> 4)];
        text[at + 1] = HEX[usize::from(byte & 15)];
        at += 2;
    }
    out.extend_from_slice(&text);
}

/// Writes `value` in decimal.
pub(in crate::airship) fn write_decimal(value: u64, out: &mut Vec<u8>) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    let mut rest = value;
    loop {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

/// Writes the last `width` decimal digits of `value`.
pub(super) fn write_padded(value: u64, width: usize, out: &mut Vec<u8>) {
    let start = out.len();
    out.resize(start + width, b'0');
    let mut rest = value;
    for digit in out[start..].iter_mut().rev() {
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn ids_are_distinct_and_of_all_shapes() {
        let ids: HashSet<String> = (0..50_000)
            .map(|index| {
                let mut out = Vec::new();
                write_event_id(1, index, &mut out);
                String::from_utf8(out).unwrap()
            })
            .collect();
        assert_eq!(ids.len(), 50_000);
        assert!(ids.iter().all(|id| id.len() == ID_LENGTH));
        let valid = |id: &String| uuid::Uuid::parse_str(id).ok();
        assert!(ids.iter().any(|id| id.contains('R') && valid(id).is_none()));
        assert!(ids.iter().any(|id| id.starts_with("00000195-")));
        for version in [1, 4] {
            assert!(ids.iter().filter_map(valid).any(|id| id.get_version_num() == version));
        }
    }

    #[test]
    fn decimals() {
        for value in [0, 7, 10, 65_535, u64::MAX] {
            let mut out = Vec::new();
            write_decimal(value, &mut out);
            assert_eq!(out, value.to_string().as_bytes());
        }
        let mut out = Vec::new();
        write_padded(42, 6, &mut out);
        assert_eq!(out, b"000042");
    }
}
