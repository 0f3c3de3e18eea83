//! What of a stream is asked for: the filter objects of a request.
//! Facts: the service's API reference, "Event stream", `filters`.

use serde::Serialize;

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
    /// Events tied to these pushes or groups. One is sent as an object, as the specification has it, several as
    /// an array, as the official clients send them.
    #[serde(skip_serializing_if = "Vec::is_empty", serialize_with = "one_or_many")]
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

fn one_or_many<S: serde::Serializer>(
    selectors: &[NotificationSelector],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match selectors {
        [one] => one.serialize(serializer),
        many => many.serialize(serializer),
    }
}
