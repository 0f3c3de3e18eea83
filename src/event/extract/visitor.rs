//! The key of an Adobe hit: one visitor, one key, by the best identification that the hit carries.
//!
//! Invariant: the kinds of keys never meet, since each has a prefix of its own. The order is fixed: another order in
//! another release would move visitors to other partitions.

use sha2::{Digest, Sha256};

use super::fields::Fields;
use super::tree::Paths;
use super::{ConfigError, Pair};
use crate::model::text::Text;

/// Bytes of the hash that stands for address and user agent.
const HASH_BYTES: usize = 8;

/// The slots of the fields that identify a visitor.
#[derive(Debug)]
pub(super) struct Visitor {
    visitor_id: Pair,
    experience_cloud_id: Pair,
    custom_id: usize,
    address: usize,
    user_agent: usize,
}

impl Visitor {
    pub(super) fn new(paths: &mut Paths) -> Result<Self, ConfigError> {
        Ok(Self {
            visitor_id: Pair::new("visIdHigh", "visIdLow", paths)?,
            experience_cloud_id: Pair::new("mcVisIdHigh", "mcVisIdLow", paths)?,
            custom_id: paths.slot("customVisId")?,
            address: paths.slot("ip")?,
            user_agent: paths.slot("userAgent")?,
        })
    }

    /// The visitor's key, if the hit says who the visitor is.
    pub(super) fn key(&self, fields: &Fields<'_>) -> Option<Text<'static>> {
        if let Some((high, low)) = self.visitor_id.visitor(fields) {
            return Some(pair_key(b"v:", high, b":", low));
        }
        if let Some((high, low)) = self.experience_cloud_id.visitor(fields) {
            return Some(pair_key(b"m:", high, b":", low));
        }
        if let Some(custom) = fields.non_empty(self.custom_id) {
            let mut key = Text::default();
            key.push(b"c:");
            key.push(&custom);
            return Some(key);
        }
        let address = fields.non_empty(self.address)?;
        let agent = fields.text(self.user_agent).unwrap_or_default();
        Some(address_key(&address, &agent))
    }
}

/// The key of a hit whose visitor is not known. It spreads hits over partitions, and keeps no order.
pub(super) fn hit_key(high: u64, low: u64) -> Text<'static> {
    pair_key(b"h:", high, b"-", low)
}

fn pair_key(prefix: &[u8], high: u64, between: &[u8], low: u64) -> Text<'static> {
    let mut key = Text::default();
    key.push(prefix);
    key.push_unsigned(high);
    key.push(between);
    key.push_unsigned(low);
    key
}

fn address_key(address: &[u8], agent: &[u8]) -> Text<'static> {
    let digest = Sha256::new().chain_update(address).chain_update(b"\n").chain_update(agent).finalize();
    let mut key = Text::default();
    key.push(b"i:");
    let digit = |value: u8| b"0123456789abcdef"[usize::from(value & 15)];
    for byte in &digest[..HASH_BYTES] {
        key.push(&[digit(byte >> 4), digit(*byte)]);
    }
    key
}
