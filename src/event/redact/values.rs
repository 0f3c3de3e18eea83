//! What becomes of one value.

use std::borrow::Cow;
use std::fmt;
use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use serde::de::{Deserializer, Error, Visitor};
use sha2::Sha256;

use crate::event::scan::Unreadable;

/// Bits of an IPv6 address that stay: what a site is given.
const IPV6_BITS: u32 = 48;

/// The prefix of 6to4, RFC 3056. An IPv4 address follows it at once, so more of it would stay than of one that stands alone. In
/// all other forms that hold one (compatible, translated, Teredo, ISATAP, RFC 6052 from 40 bits on) no more than its first half
/// is within the bits that stay.
const SIX_TO_FOUR: u16 = 0x2002;

/// Bits of such an address that stay: the prefix, and the IPv4 address without its last octet.
const SIX_TO_FOUR_BITS: u32 = 16 + 24;

/// Letters of 32 bytes in base64url. Short enough for a key that has a prefix to need no memory of its own, see
/// [`crate::model::text`]; hexadecimal digits would not be.
const HASH_LETTERS: usize = 43;

/// Puts down, as a JSON string, the hash of a value: of a string's text, however it is spelled, and of the bytes of anything
/// else. So a number and a string of its digits have the same.
pub(super) fn put_hash(key: &Hmac<Sha256>, value: &[u8], out: &mut Vec<u8>) -> Result<(), Unreadable> {
    let text = text(value)?;
    let mac = key.clone().chain_update(&text).finalize().into_bytes();
    let mut letters = [0; HASH_LETTERS];
    URL_SAFE_NO_PAD.encode_slice(mac, &mut letters).map_err(|_| Unreadable)?;
    out.push(b'"');
    out.extend_from_slice(&letters);
    out.push(b'"');
    Ok(())
}

/// Puts down an address as a JSON string.
pub(super) fn put_address(address: IpAddr, out: &mut Vec<u8>) -> Result<(), Unreadable> {
    write!(out, "\"{address}\"").map_err(|_| Unreadable)
}

/// The address in a value without its end, if it is one.
pub(super) fn truncated(value: &[u8]) -> Option<IpAddr> {
    if !value.starts_with(b"\"") {
        return None;
    }
    let text = text(value).ok()?;
    let address: IpAddr = std::str::from_utf8(&text).ok()?.parse().ok()?;
    Some(match address {
        IpAddr::V4(address) => IpAddr::V4(without_last_octet(address)),
        // The same address in another form.
        IpAddr::V6(address) => IpAddr::V6(match address.to_ipv4_mapped() {
            Some(mapped) => without_last_octet(mapped).to_ipv6_mapped(),
            None => {
                let is_six_to_four = address.segments()[0] == SIX_TO_FOUR;
                let bits = if is_six_to_four { SIX_TO_FOUR_BITS } else { IPV6_BITS };
                Ipv6Addr::from_bits(address.to_bits() & u128::MAX << (Ipv6Addr::BITS - bits))
            }
        }),
    })
}

fn without_last_octet(address: Ipv4Addr) -> Ipv4Addr {
    Ipv4Addr::from_bits(address.to_bits() & !0xff)
}

/// The text of a string, given with its quotes; anything else as it stands.
pub(super) fn text(value: &[u8]) -> Result<Cow<'_, [u8]>, Unreadable> {
    let inside = value.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\""));
    let Some(inside) = inside else { return Ok(Cow::Borrowed(value)) };
    if memchr::memchr(b'\\', inside).is_none() {
        return Ok(Cow::Borrowed(inside));
    }
    // As bytes: halves of surrogate pairs and what is not UTF-8 are no error then.
    let text = serde_json::Deserializer::from_slice(value).deserialize_bytes(Text);
    text.map(Cow::Owned).map_err(|_| Unreadable)
}

/// Takes a string's text.
struct Text;

impl Visitor<'_> for Text {
    type Value = Vec<u8>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_bytes<E: Error>(self, text: &[u8]) -> Result<Vec<u8>, E> {
        Ok(text.to_vec())
    }
}
