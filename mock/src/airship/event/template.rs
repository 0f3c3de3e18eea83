//! Event bodies as text with holes: `{"duration":<n:60000>,"page":"<a|b>","sender":<"55510"~15551234567>}`. Of the last
//! kind, the left is as the schema says and the right as official examples have it. `<uuid~p#4>` is a UUID by the schema and
//! else always `p` and a number below 4, `<uuid~p1>` else always `p1`.
//!
//! Invariant: a compiled template that is filled twice from equal draws gives equal bytes. Every value that a hole
//! writes is valid inside the JSON around it. Knows neither event types nor streams.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::identity::{self, User};
use super::pools;
use crate::airship::calendar::write_iso;
use crate::engine::random::Draw;

/// A template, cut into its parts once.
#[derive(Debug)]
pub(super) struct Template(Vec<Part>);

#[derive(Debug)]
enum Part {
    Text(&'static str),
    Pick(Vec<&'static str>),
    Below(u64),
    Numbered(&'static str, u64),
    Hole(Hole),
}

#[derive(Clone, Copy, Debug)]
enum Hole {
    Uuid,
    Push,
    Group,
    Session,
    Past,
    Text,
    Tag,
    Campaigns(&'static [&'static str]),
    BigInteger,
    Money,
    Payload,
    Channel,
    Named,
    Email,
    Msisdn,
    Contact,
    PlatformLower,
    PlatformUpper,
    AppAttributes,
    WebAttributes,
}

/// What the holes are filled from.
#[derive(Debug)]
pub(super) struct Fill<'a> {
    pub(super) seed: u64,
    pub(super) draw: Draw,
    pub(super) user: &'a User,
    pub(super) occurred_ms: u64,
}

impl Template {
    /// Cuts a text. With `by_schema` nothing is written that only the official examples have.
    pub(super) fn compile(text: &'static str, by_schema: bool) -> Self {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some(open) = rest.find('<') {
            let Some(length) = rest[open..].find('>') else { break };
            if open > 0 {
                parts.push(Part::Text(&rest[..open]));
            }
            parts.push(Part::named(&rest[open + 1..open + length], by_schema));
            rest = &rest[open + length + 1..];
        }
        if !rest.is_empty() {
            parts.push(Part::Text(rest));
        }
        Self(parts)
    }

    pub(super) fn fill(&self, fill: &mut Fill<'_>, out: &mut Vec<u8>) {
        for part in &self.0 {
            match part {
                Part::Text(text) => out.extend_from_slice(text.as_bytes()),
                Part::Pick(choices) => out.extend_from_slice(fill.draw.pick(choices).as_bytes()),
                Part::Below(bound) => identity::write_decimal(fill.draw.below(*bound), out),
                Part::Numbered(text, bound) => {
                    out.extend_from_slice(text.as_bytes());
                    identity::write_decimal(fill.draw.below(*bound), out);
                }
                Part::Hole(hole) => fill.write(*hole, out),
            }
        }
    }
}

impl Part {
    fn named(name: &'static str, by_schema: bool) -> Self {
        if let Some(plain) = name.strip_prefix("uuid~") {
            let numbered = plain.split_once('#').and_then(|(text, bound)| Some((text, bound.parse().ok()?)));
            return match numbered {
                _ if by_schema => Self::Hole(Hole::Uuid),
                Some((text, bound)) => Self::Numbered(text, bound),
                None => Self::Text(plain),
            };
        }
        if let Some((schema, example)) = name.split_once('~') {
            return if by_schema { Self::Text(schema) } else { Self::Pick(vec![schema, example]) };
        }
        if name.contains('|') {
            return Self::Pick(name.split('|').collect());
        }
        if let Some(bound) = name.strip_prefix("n:").and_then(|bound| bound.parse().ok()) {
            return Self::Below(bound);
        }
        Self::Hole(match name {
            "uuid" => Hole::Uuid,
            "push" => Hole::Push,
            "group" => Hole::Group,
            "session" => Hole::Session,
            "past" => Hole::Past,
            "text" => Hole::Text,
            "tag" => Hole::Tag,
            "campaigns" if by_schema => Hole::Campaigns(pools::CAMPAIGNS),
            "campaigns" => Hole::Campaigns(pools::CAMPAIGNS_OF_PIPELINES),
            "big" => Hole::BigInteger,
            "money" => Hole::Money,
            "payload" => Hole::Payload,
            "channel" => Hole::Channel,
            "named" => Hole::Named,
            "email" => Hole::Email,
            "msisdn" => Hole::Msisdn,
            "contact" => Hole::Contact,
            "platform" => Hole::PlatformLower,
            "PLATFORM" => Hole::PlatformUpper,
            "app_attributes" => Hole::AppAttributes,
            "web_attributes" => Hole::WebAttributes,
            // A misspelt hole stays visible in the output, where the tests look for it.
            _ => return Self::Text(name),
        })
    }
}

impl Fill<'_> {
    fn write(&mut self, hole: Hole, out: &mut Vec<u8>) {
        match hole {
            Hole::Uuid => {
                let (high, low) = (self.draw.next(), self.draw.next());
                identity::write_uuid_v4(high, low, out);
            }
            Hole::Push => identity::write_push(self.seed, self.draw.below(identity::PUSHES), out),
            Hole::Group => {
                let group = identity::PUSHES + self.draw.below(identity::GROUPS);
                identity::write_push(self.seed, group, out);
            }
            Hole::Session => self.user.write_session(self.draw.below(8), out),
            Hole::Past => {
                let before = self.draw.below(86_400) * 1000;
                write_iso(self.occurred_ms.saturating_sub(before), false, out);
            }
            Hole::Text => out.extend_from_slice(self.draw.pick(pools::TEXTS).as_bytes()),
            Hole::Tag => out.extend_from_slice(self.draw.pick(pools::TAGS).as_bytes()),
            Hole::Campaigns(words) => {
                out.extend_from_slice(self.draw.pick::<&'static str>(words).as_bytes());
            }
            // Odd numbers above 2^53: a reader that goes through a double changes them.
            Hole::BigInteger => {
                identity::write_decimal((1 << 53) + 1 + 2 * self.draw.below(1 << 52), out);
            }
            Hole::Money => {
                identity::write_decimal(self.draw.below(2_000_000_000), out);
                out.push(b'.');
                identity::write_padded(self.draw.below(1_000_000), 6, out);
            }
            Hole::Payload => {
                let plain = format!(
                    r#"{{"audience":{{"tag":"{}"}},"device_types":["ios","android"],"notification":{{"alert":"{}"}}}}"#,
                    self.draw.pick(pools::TAGS),
                    self.draw.pick(pools::TEXTS),
                );
                out.extend_from_slice(STANDARD.encode(plain).as_bytes());
            }
            Hole::Channel => self.user.write_channel(out),
            Hole::Named => self.user.write_named(out),
            Hole::Email => self.user.write_email(out),
            Hole::Msisdn => self.user.write_msisdn(out),
            Hole::Contact => self.user.write_contact(out),
            Hole::PlatformLower => out.extend_from_slice(self.user.platform().lower().as_bytes()),
            Hole::PlatformUpper => out.extend_from_slice(self.user.platform().upper().as_bytes()),
            Hole::AppAttributes => out.extend_from_slice(self.draw.pick(pools::APP_ATTRIBUTES).as_bytes()),
            Hole::WebAttributes => out.extend_from_slice(self.draw.pick(pools::WEB_ATTRIBUTES).as_bytes()),
        }
    }
}
