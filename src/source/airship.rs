//! The Airship RTDS protocol as pure functions: request body, response classes, the position in a line.
//! Facts: the service's API reference, "Event stream" and "Compliance event stream".

use std::time::Duration;

use serde::Serialize;

/// What is asked of Airship.
#[derive(Clone, PartialEq, Debug)]
pub struct Config {
    /// `X-UA-Appkey`; absent for the public test server.
    pub app_key: Option<String>,
    /// Where to begin when there is no checkpoint.
    pub start: Start,
    /// What to do when the service no longer holds the position.
    pub on_expired: OnExpired,
    /// Union of filters; empty for none.
    pub filters: Vec<Filter>,
    /// A random share of the stream, 0 to 1. Not together with several shards: the service takes one subset.
    pub sample: Option<f64>,
    /// Number of shards; above 1 each asks for its `PARTITION`.
    pub shards: u32,
    /// First and longest pause between attempts (full jitter).
    pub backoff: (Duration, Duration),
}

/// Where to begin when there is no checkpoint.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Start {
    /// The oldest event that the service still holds.
    Earliest,
    /// Only what comes after the connect.
    #[default]
    Latest,
}

/// What to do when the service refuses the position as too old.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum OnExpired {
    /// Begin at the oldest event held, with a loud warning and a counter.
    #[default]
    Earliest,
    /// Begin at the end, with a loud warning and a counter.
    Latest,
    /// Keep retrying slowly until an operator acts.
    Stop,
}

/// One filter object: every part that is present must hold.
#[derive(Clone, PartialEq, Debug, Default, Serialize)]
pub struct Filter {
    /// Event types, upper case.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub types: Vec<String>,
    /// Device types, lower case.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub device_types: Vec<String>,
    /// Events about these devices.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub devices: Vec<DeviceSelector>,
    /// Events about these users.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub users: Vec<UserSelector>,
    /// Events tied to these pushes or groups.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notifications: Vec<NotificationSelector>,
    /// Drops events that occurred more than this many milliseconds ago.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency: Option<u64>,
    /// JSON predicates, sent as they are.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub predicates: Vec<serde_json::Value>,
}

/// A device of a filter. Serialises as an object with one member.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DeviceSelector {
    /// A channel id.
    Channel(String),
    /// A named user.
    NamedUserId(String),
    /// A legacy iOS channel id.
    IosChannel(String),
    /// A legacy Android channel id.
    AndroidChannel(String),
    /// A legacy Amazon channel id.
    AmazonChannel(String),
}

/// A user of a filter. Serialises as an object with one member.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum UserSelector {
    /// A contact id.
    ContactId(String),
    /// A named user.
    NamedUserId(String),
}

/// A notification of a filter. Serialises as an object with one member.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum NotificationSelector {
    /// A push id.
    PushId(String),
    /// A group id.
    GroupId(String),
}
