//! One `[[stream]]` as it is written. Which keys are known depends on its `kind`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::adobe::Adobe;
use super::headers::Headers;
use super::secret::SecretKeys;
use crate::config::units::{Latency, Size, Span};

/// A stream.
#[derive(Clone, PartialEq, Debug, Serialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(in crate::config) enum Stream {
    /// Airship Real-Time Data Streaming.
    Airship(Box<Airship>),
    /// Airship's compliance stream: e-mail and SMS consent events.
    AirshipCompliance(Box<Airship>),
    /// Adobe Analytics Livestream.
    Adobe(Box<Adobe>),
}

/// The keys of kinds `airship` and `airship_compliance`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["name", "auth"]))]
pub(in crate::config) struct Airship {
    /// Unique among the streams; part of the transactional id, so a renamed stream starts anew, and it holds no `.`.
    #[schemars(length(min = 1, max = 100), regex(pattern = "^[a-zA-Z0-9_-]+$"))]
    pub(in crate::config) name: Option<String>,
    /// The address; default: North America's. Europe is `https://connect.asnapieu.com/api/events/`.
    pub(in crate::config) url: Option<String>,
    /// The app key, sent as `X-UA-Appkey`. Required with `bearer`; for the compliance stream default: the
    /// user.
    pub(in crate::config) app_key: Option<String>,
    /// The credential.
    pub(in crate::config) auth: Option<Auth>,
    /// Where to begin when there is no checkpoint.
    pub(in crate::config) start: Start,
    /// What to do when the service no longer holds the position of the checkpoint.
    pub(in crate::config) on_expired_position: OnExpired,
    /// Asks only for events that pass one of these.
    #[schemars(length(min = 1))]
    pub(in crate::config) filters: Option<Vec<Filter>>,
    /// Asks only for a part of the stream.
    pub(in crate::config) subset: Option<Subset>,
    /// The topic: a name or a template with `{type}`. Default: `airship.events`; of the compliance stream:
    /// `airship.compliance`. With a topic for each type the events of one device lose their order across types.
    pub(in crate::config) topic: Option<String>,
    /// Event types with a topic of their own.
    pub(in crate::config) topics: BTreeMap<String, String>,
    /// Where an event goes that has no type for the template of `topic`, or whose topic is missing and may not be made; without
    /// it such an event is a dead letter. Without a template it has no effect, and is refused.
    pub(in crate::config) default_topic: Option<String>,
    /// Which time becomes the Kafka timestamp.
    pub(in crate::config) timestamp: Timestamp,
    /// Which headers events get. Those of CloudEvents cost about 4 CPU seconds a million.
    pub(in crate::config) headers: Headers,
    /// Partitions of event topics it creates; default: the broker's own.
    #[schemars(range(min = 1))]
    pub(in crate::config) partitions: Option<i32>,
    /// Replication factor of event topics it creates; default: the broker's own.
    #[schemars(range(min = 1))]
    pub(in crate::config) replication_factor: Option<i32>,
    /// Retention of event topics it creates; default: the broker's own.
    pub(in crate::config) retention: Option<Span>,
    /// Fields for the key, the first one present wins; `[]` for no key. Default: the device, else the user, else whom
    /// the body names; of the compliance stream: the address first, so that one person's consents stay in order.
    pub(in crate::config) key: Option<Vec<String>>,
    /// Where events that cannot be carried go, bytes intact; default: `<prefix>.dead-letters`.
    pub(in crate::config) dead_letter_topic: Option<String>,
    /// Connections that share the stream.
    #[schemars(range(min = 1, max = 64))]
    pub(in crate::config) shards: u32,
    /// Time without a byte after which it connects anew.
    pub(in crate::config) silence: Span,
    /// Limit for TCP and TLS to be set up.
    pub(in crate::config) connect_timeout: Span,
    /// Longest event; a longer one becomes a dead letter.
    pub(in crate::config) max_line: Size,
    /// Pauses between attempts.
    pub(in crate::config) backoff: Backoff,
    /// Hosts, and whatever is below them, that may get the credential after a redirect; default: the
    /// service's own domain.
    pub(in crate::config) redirect_hosts: Option<Vec<String>>,
    /// Whether `http://` addresses other than loopback are accepted, credential and all.
    pub(in crate::config) allow_plain_http: bool,
}

impl Default for Airship {
    fn default() -> Self {
        Self {
            name: None,
            url: None,
            app_key: None,
            auth: None,
            start: Start::default(),
            on_expired_position: OnExpired::default(),
            filters: None,
            subset: None,
            topic: None,
            topics: BTreeMap::new(),
            default_topic: None,
            timestamp: Timestamp::default(),
            headers: Headers::default(),
            partitions: None,
            replication_factor: None,
            retention: None,
            key: None,
            dead_letter_topic: None,
            shards: 1,
            silence: Span::seconds(90),
            connect_timeout: Span::seconds(10),
            max_line: Size::mebibytes(16),
            backoff: Backoff::default(),
            redirect_hosts: None,
            allow_plain_http: false,
        }
    }
}

/// The credential: exactly one of `bearer` and `basic`.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(
    default,
    deny_unknown_fields,
    expecting = "{ bearer = SECRET } or { basic = { user = \"…\", password = SECRET } }"
)]
#[schemars(extend("minProperties" = 1, "maxProperties" = 1))]
pub(in crate::config) struct Auth {
    /// A token of a direct integration.
    pub(in crate::config) bearer: Option<SecretKeys>,
    /// User and password: app key and master secret for the compliance stream.
    pub(in crate::config) basic: Option<Basic>,
}

/// User and password.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, expecting = "{ user = \"…\", password = SECRET }")]
#[schemars(extend("required" = ["user", "password"]))]
pub(in crate::config) struct Basic {
    /// The user name, which is no secret.
    pub(in crate::config) user: Option<String>,
    /// The password.
    pub(in crate::config) password: Option<SecretKeys>,
}

/// Where to begin when there is no checkpoint.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum Start {
    /// At the oldest event that the service holds.
    Earliest,
    /// With what comes after the connect.
    #[default]
    Latest,
}

/// What to do when the service no longer holds the position.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum OnExpired {
    /// Begin at the oldest event held, with a warning and a counter.
    #[default]
    Earliest,
    /// Begin at the end, with a warning and a counter.
    Latest,
    /// Retry slowly until an operator acts.
    Stop,
}

/// Which time becomes the Kafka timestamp.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum Timestamp {
    /// When the service processed the event.
    #[default]
    Processed,
    /// When the event happened, by the device's clock.
    Occurred,
}

/// Pauses between attempts.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(in crate::config) struct Backoff {
    /// Upper bound of the first pause.
    pub(in crate::config) min: Span,
    /// Upper bound of all pauses.
    pub(in crate::config) max: Span,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { min: Span::seconds(1), max: Span::seconds(30) }
    }
}

/// A part of the stream. For an even split between connections see `shards`.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["sample"]))]
pub(in crate::config) struct Subset {
    /// A random share of the events, 0 to 1.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub(in crate::config) sample: Option<f64>,
}

/// A filter: every key that is given must hold, one value of each list. The compliance stream knows only
/// `device_types` and `latency`.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(in crate::config) struct Filter {
    /// Event types, upper case.
    #[schemars(length(min = 1))]
    pub(in crate::config) types: Option<Vec<String>>,
    /// `ios`, `android`, `amazon`, `web`, `email`, `sms`, `open`.
    #[schemars(length(min = 1))]
    pub(in crate::config) device_types: Option<Vec<String>>,
    /// Events about these devices.
    #[schemars(length(min = 1))]
    pub(in crate::config) devices: Option<Vec<Device>>,
    /// Events about these users.
    #[schemars(length(min = 1))]
    pub(in crate::config) users: Option<Vec<User>>,
    /// Events tied to these pushes or groups.
    #[schemars(length(min = 1))]
    pub(in crate::config) notifications: Option<Vec<Notification>>,
    /// Leaves out what happened longer ago than this.
    pub(in crate::config) latency: Option<Latency>,
    /// Airship JSON predicates, sent as they are written.
    #[schemars(length(min = 1))]
    pub(in crate::config) predicates: Option<Vec<serde_json::Map<String, serde_json::Value>>>,
}

/// A device: exactly one of these keys.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("minProperties" = 1, "maxProperties" = 1))]
pub(in crate::config) struct Device {
    /// A channel id.
    pub(in crate::config) channel: Option<String>,
    /// A named user.
    pub(in crate::config) named_user_id: Option<String>,
    /// A legacy iOS channel id.
    pub(in crate::config) ios_channel: Option<String>,
    /// A legacy Android channel id.
    pub(in crate::config) android_channel: Option<String>,
    /// A legacy Amazon channel id.
    pub(in crate::config) amazon_channel: Option<String>,
}

/// A user: exactly one of these keys.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("minProperties" = 1, "maxProperties" = 1))]
pub(in crate::config) struct User {
    /// A contact id.
    pub(in crate::config) contact_id: Option<String>,
    /// A named user.
    pub(in crate::config) named_user_id: Option<String>,
}

/// A notification: exactly one of these keys.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("minProperties" = 1, "maxProperties" = 1))]
pub(in crate::config) struct Notification {
    /// A push id.
    pub(in crate::config) push_id: Option<String>,
    /// A group id.
    pub(in crate::config) group_id: Option<String>,
}
