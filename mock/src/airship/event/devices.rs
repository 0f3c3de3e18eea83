//! The `device` objects of events, by sort of device.
//!
//! Invariant: `key` and `sort` of a form say what its text says, so that a verifier need not parse the line.

use super::identity::User;

/// One way to write a device.
#[derive(Debug)]
pub(super) struct Form {
    /// The object's text, with holes; empty for an event without device.
    pub(super) text: &'static str,
    /// Where the routing key is found.
    pub(super) key: Key,
    /// What `device_types` filters see.
    pub(super) sort: Sort,
    /// Whether only old streams and official examples look so, which the schema does not allow.
    pub(super) only_example: bool,
}

/// The first present of channel, platform channel, named user, address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    Channel,
    Named,
    Email,
    Msisdn,
    None,
}

/// `device.device_type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sort {
    App,
    Web,
    Email,
    Sms,
    Open,
    None,
}

impl Sort {
    /// The upper-case `device_type` of `user`'s device of this sort.
    pub(super) fn device_type(self, user: &User) -> Option<&'static str> {
        match self {
            Self::App => Some(user.platform().upper()),
            Self::Web => Some("WEB"),
            Self::Email => Some("EMAIL"),
            Self::Sms => Some("SMS"),
            Self::Open => Some("OPEN"),
            Self::None => None,
        }
    }
}

const fn form(text: &'static str, key: Key, sort: Sort) -> Form {
    Form { text, key, sort, only_example: false }
}

/// As old streams and official examples show it, against the schema.
const fn example(text: &'static str, key: Key, sort: Sort) -> Form {
    Form { only_example: true, ..form(text, key, sort) }
}

pub(super) const APP: &[Form] = &[
    form(
        r#"{"<platform>_channel":"<channel>","channel":"<channel>","device_type":"<PLATFORM>","named_user_id":"<named>","identifiers":{"com.urbanairship.vendor":"<uuid>","com.urbanairship.limited_ad_tracking_enabled":"<true|false>","GA_CID":"<n:999999999>.<n:999999999>"},"attributes":<app_attributes>}"#,
        Key::Channel,
        Sort::App,
    ),
    form(
        r#"{"<platform>_channel":"<channel>","channel":"<channel>","device_type":"<PLATFORM>","attributes":<app_attributes>}"#,
        Key::Channel,
        Sort::App,
    ),
    form(
        r#"{"channel":"<channel>","device_type":"<PLATFORM>","named_user_id":"<named>","attributes":<app_attributes>}"#,
        Key::Channel,
        Sort::App,
    ),
    form(
        r#"{"<platform>_channel":"<channel>","channel":"<channel>","device_type":"<PLATFORM>"}"#,
        Key::Channel,
        Sort::App,
    ),
    form(
        r#"{"channel":"<channel>","device_type":"<PLATFORM>","named_user_id":"<named>"}"#,
        Key::Channel,
        Sort::App,
    ),
    form(r#"{"channel":"<channel>","device_type":"<PLATFORM>"}"#, Key::Channel, Sort::App),
    form(
        r#"{"channel":"<channel>","device_type":"<PLATFORM>","identifiers":{"session_id":"<n:99999>"}}"#,
        Key::Channel,
        Sort::App,
    ),
    // The streams of 2015: the platform's own key and nothing else.
    example(r#"{"<platform>_channel":"<channel>","device_type":"<PLATFORM>"}"#, Key::Channel, Sort::App),
];

pub(super) const WEB: &[Form] = &[
    form(
        r#"{"channel":"<channel>","device_type":"WEB","named_user_id":"<named>","attributes":<web_attributes>}"#,
        Key::Channel,
        Sort::Web,
    ),
    form(
        r#"{"channel":"<channel>","device_type":"WEB","attributes":<web_attributes>}"#,
        Key::Channel,
        Sort::Web,
    ),
];

pub(super) const EMAIL: &[Form] = &[
    form(
        r#"{"channel":"<channel>","device_type":"EMAIL","delivery_address":"<email>","named_user_id":"<named>"}"#,
        Key::Channel,
        Sort::Email,
    ),
    form(
        r#"{"channel":"<channel>","device_type":"EMAIL","delivery_address":"<email>"}"#,
        Key::Channel,
        Sort::Email,
    ),
];

pub(super) const SMS: &[Form] = &[
    form(
        r#"{"channel":"<channel>","device_type":"SMS","delivery_address":"<msisdn>","named_user_id":"<named>"}"#,
        Key::Channel,
        Sort::Sms,
    ),
    form(
        r#"{"channel":"<channel>","device_type":"SMS","delivery_address":"<msisdn>"}"#,
        Key::Channel,
        Sort::Sms,
    ),
];

/// SMS with the browser that followed a short link.
pub(super) const SMS_LINK: &[Form] = &[form(
    r#"{"channel":"<channel>","device_type":"SMS","delivery_address":"<msisdn>","identifiers":{"sender":"55510"},"attributes":{"web_user_agent_string":"Mozilla/5.0 (iPhone; CPU iPhone OS 18_2 like Mac OS X)"}}"#,
    Key::Channel,
    Sort::Sms,
)];

pub(super) const OPEN_PLATFORM: &[Form] = &[
    form(
        r#"{"channel":"<channel>","device_type":"OPEN","open_platform_name":"smart_fridge","named_user_id":"<named>"}"#,
        Key::Channel,
        Sort::Open,
    ),
    form(r#"{"device_type":"OPEN","named_user_id":"<named>"}"#, Key::Named, Sort::Open),
];

/// The compliance stream spells the named user differently, and may leave the channel out, of telephones the address too.
pub(super) const COMPLIANCE_EMAIL: &[Form] = &[
    form(
        r#"{"channel":"<channel>","device_type":"EMAIL","delivery_address":"<email>","named_user":"<named>"}"#,
        Key::Channel,
        Sort::Email,
    ),
    form(
        r#"{"delivery_address":"<email>","device_type":"EMAIL","named_user":"<named>"}"#,
        Key::Named,
        Sort::Email,
    ),
    form(r#"{"delivery_address":"<email>","device_type":"EMAIL"}"#, Key::Email, Sort::Email),
    example(r#"{"channel":"<channel>","device_type":"EMAIL"}"#, Key::Channel, Sort::Email),
];

pub(super) const COMPLIANCE_SMS: &[Form] = &[
    form(
        r#"{"channel":"<channel>","device_type":"SMS","delivery_address":"<msisdn>","identifiers":{"sender":"55510"}}"#,
        Key::Channel,
        Sort::Sms,
    ),
    form(
        r#"{"device_type":"SMS","delivery_address":"<msisdn>","identifiers":{"sender":"55510"}}"#,
        Key::Msisdn,
        Sort::Sms,
    ),
    // All that the schema asks for.
    form(r#"{"device_type":"SMS","identifiers":{"sender":"55510"}}"#, Key::None, Sort::Sms),
];

/// A named user and nothing else.
pub(super) const NAMED: &[Form] = &[form(r#"{"named_user_id":"<named>"}"#, Key::Named, Sort::None)];

/// No `device` at all.
pub(super) const NONE: &[Form] = &[form("", Key::None, Sort::None)];
