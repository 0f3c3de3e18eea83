//! Who made a hit: visitors by number, and the Kafka key that belongs to each.
//!
//! Invariant: a visitor is a pure function of (seed, number); two visitors never share an identifier, so their keys
//! differ as well. The key follows the precedence of the reference, section 6.2, and is computed from the values, not
//! from the text of a hit. Knows no JSON.

use sha2::{Digest as _, Sha256};

use crate::engine::random::{Draw, Lane, mix};

/// A 128-bit identifier in two halves, high first.
pub type Halves = (u64, u64);

/// A visitor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Visitor {
    /// Its number, from 0.
    pub number: u64,
    /// Which identifiers it has.
    pub kind: Kind,
    /// `visIdHigh` and `visIdLow`; both 0 for none.
    pub vis: Halves,
    /// `mcVisIdHigh` and `mcVisIdLow`; both 0 for none.
    pub mc: Halves,
    /// `customVisId`; empty for none.
    pub custom: String,
    /// `ip`; empty for none.
    pub ip: String,
    /// `userAgent`; empty for none.
    pub user_agent: &'static str,
}

/// Which identifiers a visitor has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The visitor id and the Experience Cloud id, which are equal.
    Ecid,
    /// A visitor id from a cookie, and no Experience Cloud id.
    Cookie,
    /// The Experience Cloud id alone.
    McOnly,
    /// `customVisId` alone.
    CustomOnly,
    /// An address, and perhaps a user agent.
    IpAgent,
    /// Nothing at all.
    Nothing,
}

/// Halves at the edges of what number types hold: of 64 bits, of 63, of a double's mantissa.
pub(super) const EXTREMES: [u64; 5] = [0, (1 << 53) + 1, i64::MAX as u64, 1 << 63, u64::MAX];

/// The visitor ids of the first visitors.
const FIRST: [Halves; 4] = [(0, (1 << 53) + 1), (1 << 63, 0), (u64::MAX, u64::MAX), ((1 << 53) + 1, 1 << 63)];

pub(super) const USER_AGENTS: &[&str] = &[
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1",
    "Mozilla/5.0 (X11; Linux x86_64; rv:127.0) Gecko/20100101 Firefox/127.0",
    "HarborApp/7.41 (Android 14; Pixel 8; \u{6771}\u{4eac})",
];

impl Visitor {
    /// Visitor `number` of `seed`.
    pub fn new(seed: u64, number: u64) -> Self {
        let mut draw = Draw::new(seed, Lane::Visitor, number);
        // The first ones show each kind, whatever is drawn.
        let kind = match (number, draw.below(100)) {
            (4, _) => Kind::McOnly,
            (5, _) => Kind::CustomOnly,
            (6 | 8, _) => Kind::IpAgent,
            (7, _) => Kind::Nothing,
            (0..=3, _) | (_, 0..=74) => Kind::Ecid,
            (_, 75..=86) => Kind::Cookie,
            (_, 87..=90) => Kind::McOnly,
            (_, 91..=94) => Kind::CustomOnly,
            (_, 95..=97) => Kind::IpAgent,
            _ => Kind::Nothing,
        };
        let own = id(seed, number);
        let halves =
            usize::try_from(number).ok().and_then(|number| FIRST.get(number)).copied().unwrap_or(own);
        let (vis, mc) = match kind {
            Kind::Ecid => (halves, halves),
            Kind::Cookie => (halves, (0, 0)),
            Kind::McOnly => ((0, 0), halves),
            _ => ((0, 0), (0, 0)),
        };
        let has_login =
            kind == Kind::CustomOnly || (matches!(kind, Kind::Ecid | Kind::McOnly) && draw.below(4) == 0);
        let custom = if has_login { custom(&mut draw, number) } else { String::new() };
        let agent = *draw.pick(USER_AGENTS);
        let has_agent = match kind {
            Kind::IpAgent => number != 8 && draw.below(2) == 0 || number == 6,
            _ => draw.below(5) == 0,
        };
        Self {
            number,
            kind,
            vis,
            mc,
            custom,
            ip: if kind == Kind::Nothing { String::new() } else { ip(number) },
            user_agent: if has_agent && kind != Kind::Nothing { agent } else { "" },
        }
    }

    /// The same visitor with a visitor id of two halves that fit Java's `long` and are not zero, as those were that Adobe's
    /// own samples could read.
    pub(super) fn with_long_ids(self, seed: u64) -> Self {
        let vis = long_id(seed, self.number);
        match self.kind {
            Kind::Cookie => Self { vis, ..self },
            _ => Self { kind: Kind::Ecid, vis, mc: vis, ..self },
        }
    }

    /// The Kafka key of this visitor's hits; `hit_id` is for those of whom nothing is known.
    pub fn key(&self, hit_id: Halves) -> String {
        if self.vis != (0, 0) {
            format!("v:{}:{}", self.vis.0, self.vis.1)
        } else if self.mc != (0, 0) {
            format!("m:{}:{}", self.mc.0, self.mc.1)
        } else if !self.custom.is_empty() {
            format!("c:{}", self.custom)
        } else if !self.ip.is_empty() {
            let digest = Sha256::digest(format!("{}\n{}", self.ip, self.user_agent).as_bytes());
            let digits: String = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
            format!("i:{digits}")
        } else {
            format!("h:{}-{}", hit_id.0, hit_id.1)
        }
    }
}

/// An identifier that no other visitor has: the low half is a bijection of the number.
fn id(seed: u64, number: u64) -> Halves {
    let high = mix(mix(seed ^ 0x7669_7369) ^ number);
    (ordinary(high), mix(number ^ mix(seed)))
}

/// The same within 1 to 2^63 - 1: the number itself stands in the low half.
fn long_id(seed: u64, number: u64) -> Halves {
    let (high, low) = id(seed, number);
    (high >> 1 | 1, 1 << 62 | low & 0x3fff_ffff_0000_0000 | number & 0xffff_ffff)
}

/// `half`, but none of `EXTREMES`, so that no drawn identifier can equal one that is made of those.
pub(super) fn ordinary(half: u64) -> u64 {
    if EXTREMES.contains(&half) { half ^ 0x10 } else { half }
}

fn custom(draw: &mut Draw, number: u64) -> String {
    match draw.below(10) {
        0 => format!("m\u{fc}ller \"{number}\""),
        1 => format!("\u{9867}\u{5ba2}:{number}"),
        2 => format!("a\\b/{number}"),
        _ => format!("crm:{number:010}"),
    }
}

/// An address of a private or documentation network that no other visitor has.
fn ip(number: u64) -> String {
    if number < 1 << 24 && !number.is_multiple_of(3) {
        format!("10.{}.{}.{}", number >> 16, number >> 8 & 255, number & 255)
    } else {
        format!(
            "2001:db8:{:x}:{:x}:{:x}:{:x}::1",
            number >> 48,
            number >> 32 & 0xffff,
            number >> 16 & 0xffff,
            number & 0xffff
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn keys_are_unique_and_of_every_kind() {
        let visitors: Vec<Visitor> = (0..20_000).map(|number| Visitor::new(1, number)).collect();
        let keys: HashSet<String> = visitors.iter().map(|visitor| visitor.key((1, visitor.number))).collect();
        assert_eq!(keys.len(), visitors.len());
        for prefix in ["v:", "m:", "c:", "i:", "h:"] {
            assert!(keys.iter().filter(|key| key.starts_with(prefix)).count() > 100, "{prefix}");
        }
        let ips: HashSet<&str> =
            visitors.iter().map(|visitor| visitor.ip.as_str()).filter(|ip| !ip.is_empty()).collect();
        assert_eq!(ips.len(), visitors.iter().filter(|visitor| visitor.kind != Kind::Nothing).count());
    }

    #[test]
    fn the_first_visitors_show_each_kind_and_the_edges() {
        let key = |number| Visitor::new(9, number).key((3, 4));
        assert_eq!(key(0), "v:0:9007199254740993");
        assert_eq!(key(1), "v:9223372036854775808:0");
        assert_eq!(key(2), "v:18446744073709551615:18446744073709551615");
        assert!(key(4).starts_with("m:") && key(5).starts_with("c:") && key(6).starts_with("i:"));
        assert_eq!(key(7), "h:3-4");
        assert!(!Visitor::new(9, 6).user_agent.is_empty() && Visitor::new(9, 8).user_agent.is_empty());
    }

    #[test]
    fn long_ids_fit_a_signed_number_and_are_unique() {
        let visitors: Vec<Visitor> =
            (0..20_000).map(|number| Visitor::new(1, number).with_long_ids(1)).collect();
        let fits = |half: u64| (1..=i64::MAX as u64).contains(&half);
        for Visitor { vis, mc, .. } in &visitors {
            assert!(fits(vis.0) && fits(vis.1) && (mc == vis || *mc == (0, 0)), "{vis:?} {mc:?}");
        }
        let ids: HashSet<Halves> = visitors.iter().map(|visitor| visitor.vis).collect();
        assert_eq!(ids.len(), visitors.len());
    }

    #[test]
    fn the_digest_is_of_address_and_agent() {
        let visitor = Visitor { ip: "192.0.2.1".into(), user_agent: "x", ..Visitor::new(1, 7) };
        // printf '192.0.2.1\nx' | sha256sum
        assert_eq!(visitor.key((0, 0)), "i:f0cd7234fc3f52dc");
    }
}
