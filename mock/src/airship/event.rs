//! Event *i* as a pure function of (seed, *i*): its id, type, device and body.
//!
//! Invariant: equal seeds and indices give equal events, in every process and version of this file; offsets and
//! times are not decided here but passed in, since a duplicate differs in them alone. Knows no log and no HTTP.

mod catalog;
mod devices;
mod identity;
mod kinds;
mod kinds_in_app;
mod pools;
mod template;
#[cfg(test)]
mod tests;

pub(super) use identity::write_decimal;

use super::calendar::write_iso;
use crate::engine::random::{Draw, Lane};
use catalog::{Choice, Shape};
use devices::Key;
use identity::User;
use kinds::Named;
use template::Fill;

/// All events of a seed.
#[derive(Clone, Copy, Debug)]
pub struct Events {
    seed: u64,
    by_schema: bool,
}

/// One event, not yet written. Cheap: nothing is rendered until it is asked for.
#[derive(Debug)]
pub struct Event {
    seed: u64,
    index: u64,
    shape: &'static Shape,
    choice: Choice,
    user: User,
    user_object: UserObject,
    type_first: bool,
}

/// What differs between the copies of an event.
#[derive(Clone, Copy, Debug)]
pub struct Stamp<'a> {
    /// The `offset`, as it stands in JSON.
    pub offset: &'a str,
    /// `occurred`, in milliseconds since 1970.
    pub occurred_ms: u64,
    /// `processed`, in milliseconds since 1970.
    pub processed_ms: u64,
}

#[derive(Clone, Copy, Debug)]
enum UserObject {
    Absent,
    Contact,
    ContactAndNamed,
}

/// The names of all 43 types.
pub fn type_names() -> impl Iterator<Item = &'static str> {
    catalog::names()
}

impl Events {
    /// The events of `seed`. With `by_schema` all of them are as the official schema says; otherwise some are as official
    /// examples and old streams have it.
    pub fn new(seed: u64, by_schema: bool) -> Self {
        Self { seed, by_schema }
    }

    /// Event `index`.
    pub fn event(&self, index: u64) -> Event {
        let mut draw = Draw::new(self.seed, Lane::Shape, index);
        let shape = catalog::pick(&mut draw, self.by_schema);
        let choice = shape.choose(&mut draw);
        let user = User::new(self.seed, draw.below(identity::USERS));
        let user_object = match draw.below(10) {
            _ if !shape.kind.user => UserObject::Absent,
            0..=3 => UserObject::Absent,
            4..=6 => UserObject::Contact,
            _ => UserObject::ContactAndNamed,
        };
        let type_first = draw.below(16) == 0;
        Event { seed: self.seed, index, shape, choice, user, user_object, type_first }
    }
}

impl Event {
    /// The `id`: 36 characters, not always a UUID.
    pub fn id(&self) -> String {
        let mut out = Vec::with_capacity(identity::ID_LENGTH);
        identity::write_event_id(self.seed, self.index, &mut out);
        text(out)
    }

    /// The `type`, in upper case.
    pub fn type_name(&self) -> &'static str {
        self.shape.kind.name
    }

    /// `device.device_type`, in upper case.
    pub fn device_type(&self) -> Option<&'static str> {
        self.choice.device.form.sort.device_type(&self.user)
    }

    /// The first present of `device.channel`, the platform's own `…_channel`, `device.named_user_id`,
    /// `device.named_user`, `device.delivery_address`, `user.named_user_id`, `user.contact_id`,
    /// `body.identifiers.msisdn`, `body.identifiers.address`, `body.channel_id`, `body.contact_id`.
    pub fn device_key(&self) -> Option<String> {
        let mut out = Vec::new();
        match (self.choice.device.form.key, self.user_object) {
            (Key::Channel, _) => self.user.write_channel(&mut out),
            (Key::Named, _) | (Key::None, UserObject::ContactAndNamed) => self.user.write_named(&mut out),
            (Key::Email, _) => self.user.write_email(&mut out),
            (Key::Msisdn, _) => self.user.write_msisdn(&mut out),
            (Key::None, UserObject::Contact) => self.user.write_contact(&mut out),
            (Key::None, UserObject::Absent) => match self.choice.names {
                Named::Msisdn => self.user.write_msisdn(&mut out),
                Named::Address => self.user.write_email(&mut out),
                Named::Channel => self.user.write_channel(&mut out),
                Named::Contact => self.user.write_contact(&mut out),
                Named::Nobody => return None,
            },
        }
        Some(text(out))
    }

    /// Appends the JSON line, without line end.
    pub fn render(&self, stamp: Stamp<'_>, out: &mut Vec<u8>) {
        let draw = Draw::new(self.seed, Lane::Fill, self.index);
        let mut fill = Fill { seed: self.seed, draw, user: &self.user, occurred_ms: stamp.occurred_ms };
        out.extend_from_slice(br#"{"id":""#);
        identity::write_event_id(self.seed, self.index, out);
        if self.type_first {
            out.extend_from_slice(br#"","type":""#);
            out.extend_from_slice(self.type_name().as_bytes());
        }
        out.extend_from_slice(br#"","offset":"#);
        out.extend_from_slice(stamp.offset.as_bytes());
        out.extend_from_slice(br#","occurred":""#);
        write_iso(stamp.occurred_ms, true, out);
        out.extend_from_slice(br#"","processed":""#);
        write_iso(stamp.processed_ms, false, out);
        out.extend_from_slice(br#"","#);
        if !self.choice.device.form.text.is_empty() {
            out.extend_from_slice(br#""device":"#);
            self.choice.device.template.fill(&mut fill, out);
            out.push(b',');
        }
        self.render_user(out);
        self.choice.extra.fill(&mut fill, out);
        if let Some(body) = self.choice.body {
            out.extend_from_slice(br#""body":"#);
            body.fill(&mut fill, out);
            out.push(b',');
        }
        if self.type_first {
            // The comma that every member leaves behind.
            out.pop();
            out.push(b'}');
        } else {
            out.extend_from_slice(br#""type":""#);
            out.extend_from_slice(self.type_name().as_bytes());
            out.extend_from_slice(br#""}"#);
        }
    }

    fn render_user(&self, out: &mut Vec<u8>) {
        if matches!(self.user_object, UserObject::Absent) {
            return;
        }
        out.extend_from_slice(br#""user":{"contact_id":""#);
        self.user.write_contact(out);
        if matches!(self.user_object, UserObject::ContactAndNamed) {
            out.extend_from_slice(br#"","named_user_id":""#);
            self.user.write_named(out);
        }
        out.extend_from_slice(br#""},"#);
    }
}

/// The writers only ever write UTF-8.
fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_default()
}
