//! The types of event outside the app's in-app messages, with their bodies.
//!
//! Invariant: each text is a JSON object once its holes are filled. What the schema and the official examples write
//! differently is here in both spellings: `<schema~example>` for a value, [`example`] for a whole body.

use super::devices::{
    APP, COMPLIANCE_EMAIL, COMPLIANCE_SMS, EMAIL, Form, NAMED, NONE, OPEN_PLATFORM, SMS, SMS_LINK, WEB,
};

/// A type of event.
#[derive(Debug)]
pub(super) struct Kind {
    pub(super) name: &'static str,
    /// Its share of the log, among the sum of all weights.
    pub(super) weight: u64,
    /// Whether the envelope may carry `user`.
    pub(super) user: bool,
    pub(super) variants: &'static [Variant],
}

/// Devices and bodies that go together: any of the one with any of the other.
#[derive(Debug)]
pub(super) struct Variant {
    pub(super) devices: &'static [Form],
    /// Text of `body`; empty for an event without body.
    pub(super) bodies: &'static [&'static str],
    /// Further members of the envelope, each ending in a comma; mostly empty.
    pub(super) extra: &'static str,
    /// Whom the bodies name, for events whose device and user name nobody.
    pub(super) names: Named,
    /// Whether only official examples look so, which the schema does not allow.
    pub(super) only_example: bool,
}

/// Whom a body names: the first present of `identifiers.msisdn`, `identifiers.address`, `channel_id`, `contact_id`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Named {
    Msisdn,
    Address,
    Channel,
    Contact,
    Nobody,
}

pub(super) const fn kind(name: &'static str, weight: u64, user: bool, variants: &'static [Variant]) -> Kind {
    Kind { name, weight, user, variants }
}

pub(super) const fn with(devices: &'static [Form], bodies: &'static [&'static str]) -> Variant {
    Variant { devices, bodies, extra: "", names: Named::Nobody, only_example: false }
}

/// As the official examples show it, against the schema.
pub(super) const fn example(devices: &'static [Form], bodies: &'static [&'static str]) -> Variant {
    Variant { only_example: true, ..with(devices, bodies) }
}

const fn naming(names: Named, variant: Variant) -> Variant {
    Variant { names, ..variant }
}

const fn extended(extra: &'static str, variant: Variant) -> Variant {
    Variant { extra, ..variant }
}

const CUSTOM_SDK: &[&str] = &[
    r#"{"name":"ticket_purchased","source":"SDK","value":<money>,"transaction":"ord-2026-<n:999999>","session_id":"<session>","triggering_push":{"push_id":"<push>"},"properties":{"route":"LIS-OPO","passengers":<n:9>,"seat_ids":[<big>,<big>],"flexible":<true|false>,"note":"<text>","fare":{"currency":"EUR","amount":"61.40"}}}"#,
    r#"{"name":"search","source":"SDK","session_id":"<session>","interaction_type":"<ua_landing_page~url>","properties":{"query":"<text>","results":<n:500>,"ratio":-1.5e-3,"nothing":null}}"#,
];
const CUSTOM_API: &[&str] = &[
    r#"{"name":"loyalty_points","source":"API","value":<n:5000>.<n:9>,"customer_id":"c-<n:99999>","properties":{"balance":<big>,"comment":"<text>"}}"#,
];
const CUSTOM_EMAIL: &[&str] = &[
    r#"{"name":"bounce","source":"API","triggering_push":{"push_id":"<push>","time":"<past>"},"properties":{"bounce_class":"<1|10|30|100>","bounce_event_type":"bounce","email":"<email>","sender":"news@example.com","subject":"<text>"}}"#,
    r#"{"name":"click","source":"API","triggering_push":{"push_id":"<push>"},"properties":{"email":"<email>","sender":"news@example.com","subject":"<text>","link_name":"<tag>","link_url":"https://example.com/a?b=c&d=%C3%A9","agent_family":"Chrome","os_family":"Android","is_mobile":<true~"true">,"is_prefetched":<false~"false">}}"#,
    r#"{"name":"<injection|delivery|delay|initial_open|open>","source":"API","triggering_push":{"push_id":"<push>"},"properties":{"email":"<email>","sender":"news@example.com","subject":"<text>"}}"#,
];
const CUSTOM_SMS: &[&str] = &[
    r#"{"name":"<dispatched|delivered|failed|expired|undeliverable>","source":"API","interaction_type":"delivery_report","triggering_push":{"push_id":"<push>"},"properties":{"sender":<"55510"~15551234567>,"vendor":"<CLX|TWILIO>","vendorDeliveryId":"<uuid>","is_rcs":<true|false>}}"#,
];

const COMPLIANCE_EMAIL_BODIES: &[&str] = &[
    r#"{"event_type":"registration","identifiers":{"address":"<email>"},"properties":{"registration_type":"<create|unbounce|update|opt_in>","commercial_opted_in":"<past>","suppression_state":"<imported|bounce|none>","source":"ui"}}"#,
    r#"{"event_type":"registration","identifiers":{"address":"<email>"},"properties":{"registration_type":"unsubscribe","message_type":"commercial"},"subscription_lists":{"canceled":["<tag>"]}}"#,
    r#"{"event_type":"bounce","identifiers":{"address":"<email>"},"properties":{"bounce_class":<1|10|30|100>,"bounce_event_type":"bounce","email":"<email>","sender":"news@example.com","subject":"<text>"}}"#,
    r#"{"event_type":"create_and_send","identifiers":{"address":"<email>"},"properties":{"channel_registered":<true~"true">,"commercial_opted_in":"<past>"}}"#,
];
const COMPLIANCE_EMAIL_EXAMPLES: &[&str] = &[
    r#"{"event_type":"bounce","properties":{"bounce_class":<1|10|30|100>,"bounce_event_type":"bounce","email":"<email>","sender":"news@example.com","subject":"<text>"}}"#,
];
const COMPLIANCE_SMS_BODIES: &[&str] = &[
    r#"{"event_type":"mobile_opt_out","identifiers":{"msisdn":"<msisdn>","sender":"55510"},"properties":{"inbound_message":"<stop|Stop!|arrêt>","keyword":"<STOP|QUIT|END|ARRET>","outbound_message":"<text>"}}"#,
    r#"{"event_type":"<mobile_opt_in|mobile_keyword_matched>","identifiers":{"msisdn":"<msisdn>","sender":"55510"},"properties":{"inbound_message":"<text>","keyword":"JOIN","outbound_message":"<text>"}}"#,
    r#"{"event_type":"<api_initiate_opt_in|opted_out|uninstall|mobile_terminated_message>","identifiers":{"msisdn":"<msisdn>","sender":"55510"}}"#,
    r#"{"event_type":"registration","identifiers":{"msisdn":"<msisdn>","sender":"55510"},"properties":{"opted_in":"<past>","registration_type":"create"}}"#,
    r#"{"event_type":"rnd_scan","identifiers":{"msisdn":"<msisdn>","sender":"55510"},"properties":{"action":"<suppression_removed|uninstalled|none>","reassigned":<true|false>,"source":"<monthly_scan|app_scan>","scan_id":"<uuid>"}}"#,
    r#"{"event_type":"carrier_deactivation","identifiers":{"msisdn":"<msisdn>","sender":"55510"},"properties":{"action":"<uninstalled|suppressed>"}}"#,
    r#"{"event_type":"suppression_removed","identifiers":{"msisdn":"<msisdn>","sender":"55510"},"properties":{"source":"ui"}}"#,
    r#"{"event_type":"<custom_keyword_response|mobile_keyword_unmatched>","identifiers":{"msisdn":"<msisdn>","sender":"55510"},"properties":{"inbound_message":"<text>","outbound_message":"<text>"}}"#,
    r#"{"event_type":"mobile_create_channel","identifiers":{"msisdn":"<msisdn>","sender":"55510"},"properties":{"opted_in":"<past>","registration_type":"create"}}"#,
    r#"{"event_type":"create_and_send","identifiers":{"msisdn":"<msisdn>","sender":"55510"},"properties":{"channel_registered":<true|false>,"opted_in":"<past>"}}"#,
];

const SEND: &[&str] = &[
    r#"{"push_id":"<push>","group_id":"<group>","variant_id":<n:3>,"alerting":<true|false>,"campaigns":<campaigns>}"#,
    r#"{"push_id":"<push>","alerting":true,"campaigns":<campaigns>,"context":{"triggered_by":"custom_event","event_uuid":"<uuid>","transaction":"ord-2026-<n:999999>"},"open_tracking":true,"click_tracking":false}"#,
];
const SESSION: &[&str] = &[
    r#"{"session_id":"<session>","triggering_push":{"push_id":"<push>","time":"<past>","campaigns":<campaigns>},"last_delivered":{"push_id":"<push>","time":"<past>"}}"#,
    r#"{"session_id":"<session>"}"#,
];
const CLOSE: &[&str] = &[r#"{"session_id":"<session>"}"#];
const ATTRIBUTES: &[&str] = &[
    r#"{"set":[{"key":"home_station","value":"<text>"},{"key":"trips_ytd","value":<n:400>}],"remove":[{"key":"promo_code"}]}"#,
    r#"{"set":[{"key":"account_number","value":<big>}]}"#,
];
const CONTACT: &[&str] = &[
    r#"{"change_type":"<ASSOCIATION|DISSOCIATION|UNINSTALL>","channel_id":"<channel>","contact_id":"<contact>","named_user_id":"<named>"}"#,
];
const CONTACT_ONLY: &[&str] = &[r#"{"change_type":"UNINSTALL","contact_id":"<contact>"}"#];
const CONTROL: &[&str] =
    &[r#"{"push_id":"<push>","group_id":"<group>","campaigns":<campaigns>,"experiment_id":"<uuid>"}"#];
const FLAG: &[&str] =
    &[r#"{"flag_id":"<uuid>","flag_name":"<tag>","eligible":<true|false>,"variant_id":"<n:4>"}"#];
const LABEL: &[&str] = &[
    r#"{"push_id":"<push>","group_id":"<group>","labels":[{"id":"<uuid>","label":"<tag>"},{"id":"<uuid>","label":"<text>"}]}"#,
];
const LOCATION: &[&str] = &[
    r#"{"latitude":"41.<n:999999>","longitude":"-8.<n:999999>","foreground":<true|false>,"session_id":"<session>"}"#,
];
const ORIGINATED: &[&str] = &[
    r#"{"event_type":"mobile_originated_sms","identifiers":{"msisdn":"<msisdn>","sender":"55510"},"properties":{"inbound_message":"<text>","outbound_message":"<text>","keyword":"INFO"}}"#,
];
const PUSH_BODY: &[&str] = &[
    r#"{"push_id":"<push>","resource":"<PUSH|PIPELINES|SCHEDULES>","trimmed":<true|false>,"payload":"<payload>","campaigns":<campaigns>}"#,
];
const REGION: &[&str] = &[
    r#"{"action":"<enter|exit>","region_id":"<uuid~r-#900>","source_info":{"source":"<gimbal|manual>","region_id":"<uuid>"},"name":"<text>","session_id":"<session>"}"#,
];
const RICH_CONTROL: &[&str] = &[r#"{"push_id":"<push>","group_id":"<group>","campaigns":<campaigns>}"#];
const RICH: &[&str] = &[
    r#"{"push_id":"<push>","group_id":"<group>","campaigns":<campaigns>,"context":{"extra":{"deep":[1,{"x":"<text>"}],"n":<big>}}}"#,
];
const RICH_READ: &[&str] = &[r#"{"push_id":"<push>","campaigns":<campaigns>,"time":"<past>"}"#];
const SCREEN: &[&str] =
    &[r#"{"viewed_screen":"<tag>","previous_screen":"<tag>","duration":<n:60000>,"session_id":"<session>"}"#];
const ABORTED: &[&str] = &[
    r#"{"push_id":"<push>","reason":"<FEED_BANNED_RESPONSE|FREQUENCY_LIMIT_REACHED|UNKNOWN>","group_id":"<group>","campaigns":<campaigns>}"#,
];
const REJECTED: &[&str] = &[
    r#"{"push_id":"<push>","variant_id":<n:3>,"campaigns":<campaigns>,"status":"<BadDeviceToken|Unavailable|MessageTooBig|Uninstalled>"}"#,
];
const SHORT_LINK: &[&str] = &[
    r#"{"push_id":"<push>","campaigns":<campaigns>,"properties":{"original_url":"https://example.com/é?x=1"}}"#,
];
const SUBSCRIPTION: &[&str] = &[
    r#"{"event_type":"<registration|bounce|list_unsubscribe|spam_complaint>","identifiers":{"address":"<email>"},"properties":{"commercial_opted_in":"<past>","click_tracking_opted_out":"<past>"}}"#,
    r#"{"event_type":"link_unsubscribe","identifiers":{"address":"<email>"},"subscription_lists":{"canceled":["<tag>"],"enrolled":[]}}"#,
];
const LISTS: &[&str] =
    &[r#"{"enrolled":["<tag>"],"canceled":[],"current":["<tag>","<tag>"],"scope":"<app|web|email|sms>"}"#];
const TAGS: &[&str] = &[
    r#"{"add":{"loyalty":["<tag>"]},"remove":{"loyalty":["silver"]},"current":{"loyalty":["<tag>"],"device":["beta_tester","<tag>"]}}"#,
];
const UNINSTALL: &[&str] = &[r#"{"decay":<true|false>}"#];
const WEB_CLICK: &[&str] = &[r#"{"push_id":"<push>","time":"<past>","campaigns":<campaigns>}"#];
const NO_BODY: &[&str] = &[""];

/// All types of this file.
pub(super) const KINDS: &[Kind] = &[
    kind(
        "ATTRIBUTE_OPERATION",
        3,
        true,
        &[
            with(APP, ATTRIBUTES),
            with(WEB, ATTRIBUTES),
            with(EMAIL, ATTRIBUTES),
            with(OPEN_PLATFORM, ATTRIBUTES),
        ],
    ),
    kind("CLOSE", 10, true, &[with(APP, CLOSE)]),
    kind(
        "COMPLIANCE",
        5,
        false,
        &[
            naming(Named::Address, with(COMPLIANCE_EMAIL, COMPLIANCE_EMAIL_BODIES)),
            example(COMPLIANCE_EMAIL, COMPLIANCE_EMAIL_EXAMPLES),
            naming(Named::Msisdn, with(COMPLIANCE_SMS, COMPLIANCE_SMS_BODIES)),
        ],
    ),
    kind(
        "CONTACT_CHANGE",
        2,
        true,
        &[
            with(APP, CONTACT),
            naming(Named::Channel, with(NONE, CONTACT)),
            naming(Named::Contact, with(NONE, CONTACT_ONLY)),
        ],
    ),
    kind("CONTROL", 1, true, &[extended(r#""experiment_id":"<uuid>","#, with(APP, CONTROL))]),
    kind(
        "CUSTOM",
        20,
        false,
        &[
            with(APP, CUSTOM_SDK),
            with(APP, CUSTOM_SDK),
            with(WEB, CUSTOM_SDK),
            with(APP, CUSTOM_API),
            example(NAMED, CUSTOM_API),
            with(EMAIL, CUSTOM_EMAIL),
            with(SMS, CUSTOM_SMS),
        ],
    ),
    kind("FEATURE_FLAG_INTERACTION", 2, true, &[with(APP, FLAG), with(WEB, FLAG)]),
    kind("FIRST_OPEN", 4, true, &[with(APP, NO_BODY), with(WEB, NO_BODY)]),
    kind("FIRST_OPT_IN", 1, true, &[with(EMAIL, NO_BODY), with(SMS, NO_BODY), with(OPEN_PLATFORM, NO_BODY)]),
    kind("LABEL_EVENT", 1, false, &[with(NONE, LABEL)]),
    kind("LOCATION", 3, true, &[with(APP, LOCATION)]),
    kind("MOBILE_ORIGINATED", 1, false, &[naming(Named::Msisdn, with(COMPLIANCE_SMS, ORIGINATED))]),
    kind(
        "OPEN",
        14,
        true,
        &[with(APP, SESSION), with(APP, SESSION), with(APP, NO_BODY), with(NONE, SESSION)],
    ),
    kind("PUSH_BODY", 2, false, &[with(NONE, PUSH_BODY)]),
    kind("REGION", 2, true, &[with(APP, REGION)]),
    kind("RICH_CONTROL", 1, true, &[extended(r#""experiment_id":"<uuid>","#, with(APP, RICH_CONTROL))]),
    kind("RICH_DELETE", 1, true, &[with(APP, RICH)]),
    kind("RICH_DELIVERY", 2, true, &[with(APP, RICH)]),
    kind("RICH_READ", 1, true, &[with(APP, RICH_READ)]),
    kind("SCREEN_VIEWED", 8, true, &[with(APP, SCREEN), with(WEB, SCREEN)]),
    kind(
        "SEND",
        22,
        true,
        &[
            with(APP, SEND),
            with(APP, SEND),
            with(WEB, SEND),
            with(EMAIL, SEND),
            with(OPEN_PLATFORM, SEND),
            extended(
                r#""experiments":{"experiment_id":"<uuid>","type":"EXP_GROUP","variant_id":"1"},"#,
                with(SMS, SEND),
            ),
        ],
    ),
    kind("SEND_ABORTED", 1, true, &[with(APP, ABORTED)]),
    kind("SEND_REJECTED", 1, true, &[with(APP, REJECTED)]),
    kind("SHORT_LINK_CLICK", 1, true, &[with(SMS_LINK, SHORT_LINK)]),
    kind("SUBSCRIPTION", 1, false, &[with(COMPLIANCE_EMAIL, SUBSCRIPTION)]),
    kind(
        "SUBSCRIPTION_LIST",
        1,
        false,
        &[with(APP, LISTS), with(EMAIL, LISTS), with(NAMED, LISTS), with(OPEN_PLATFORM, LISTS)],
    ),
    kind("TAG_CHANGE", 4, true, &[with(APP, TAGS), with(SMS, TAGS), with(OPEN_PLATFORM, TAGS)]),
    kind("UNINSTALL", 2, true, &[with(APP, UNINSTALL), with(WEB, UNINSTALL), example(APP, NO_BODY)]),
    kind("WEB_CLICK", 1, true, &[with(WEB, WEB_CLICK)]),
    kind("WEB_SESSION", 3, true, &[with(WEB, SESSION)]),
];
