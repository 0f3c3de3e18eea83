//! Airship filters: their keys, and their judgement. The service answers 400 to an empty list or an unknown key, so both are refused here.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::checks::one_of;
use crate::config::errors::{Errors, Path};
use crate::config::units::Latency;
use crate::source::airship::{self, DeviceSelector, NotificationSelector, UserSelector};

const DEVICE_TYPES: [&str; 7] = ["ios", "android", "amazon", "web", "email", "sms", "open"];
const COMPLIANCE_DEVICE_TYPES: [&str; 2] = ["email", "sms"];
/// What an event type looks like. New ones appear at any time, so they are not listed.
pub(super) const EVENT_TYPE: &str = "expected an event type in upper case, such as \"OPEN\"";
const EMPTY: &str = "must not be empty, the service refuses it: leave the key out to mean any";

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

/// Whether this may be an event type.
pub(super) fn is_event_type(name: &str) -> bool {
    let is_legal = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    name.starts_with(|c: char| c.is_ascii_uppercase()) && name.chars().all(is_legal)
}

/// Judges the filters of a stream.
pub(super) fn validate(
    filters: Option<&[Filter]>,
    compliance: bool,
    path: &Path,
    errors: &mut Errors,
) -> Vec<airship::Filter> {
    let empty = filters.is_some_and(<[_]>::is_empty);
    errors.add_if(empty, path, "must not be empty: leave the key out for no filter");
    let filters = filters.unwrap_or_default().iter().enumerate();
    filters.map(|(n, filter)| one(filter, compliance, &path.index(n), errors)).collect()
}

fn one(filter: &Filter, compliance: bool, path: &Path, errors: &mut Errors) -> airship::Filter {
    errors.add_if(*filter == Filter::default(), path, "must not be empty: give at least one key");
    if compliance {
        let given = [
            ("types", filter.types.is_some()),
            ("devices", filter.devices.is_some()),
            ("users", filter.users.is_some()),
            ("notifications", filter.notifications.is_some()),
            ("predicates", filter.predicates.is_some()),
        ];
        for (key, _) in given.into_iter().filter(|(_, given)| *given) {
            let message = "the compliance stream's filters take only `device_types` and `latency`";
            errors.add(&path.key(key), message);
        }
    }
    let types = list(filter.types.as_deref(), &path.key("types"), errors, |name, path, errors| {
        errors.add_if(!is_event_type(name), path, EVENT_TYPE);
        Some(name.clone())
    });
    let known = if compliance { &COMPLIANCE_DEVICE_TYPES[..] } else { &DEVICE_TYPES[..] };
    let device_types =
        list(filter.device_types.as_deref(), &path.key("device_types"), errors, |name, path, errors| {
            let message = || format!("expected one of `{}`", known.join("`, `"));
            errors.add_if(!known.contains(&name.as_str()), path, message());
            Some(name.clone())
        });
    if let Some(latency) = &filter.latency {
        errors.add_if(latency.0.as_millis() == 0, &path.key("latency"), "must be 1ms or longer");
    }
    airship::Filter {
        types,
        device_types,
        devices: list(filter.devices.as_deref(), &path.key("devices"), errors, device),
        users: list(filter.users.as_deref(), &path.key("users"), errors, user),
        notifications: list(
            filter.notifications.as_deref(),
            &path.key("notifications"),
            errors,
            notification,
        ),
        latency: filter.latency.map(|latency| u64::try_from(latency.0.as_millis()).unwrap_or(u64::MAX)),
        predicates: list(
            filter.predicates.as_deref(),
            &path.key("predicates"),
            errors,
            |table, path, errors| {
                errors.add_if(table.is_empty(), path, "must not be empty");
                Some(serde_json::Value::Object(table.clone()))
            },
        ),
    }
}

fn list<T, U>(
    items: Option<&[T]>,
    path: &Path,
    errors: &mut Errors,
    make: impl Fn(&T, &Path, &mut Errors) -> Option<U>,
) -> Vec<U> {
    errors.add_if(items.is_some_and(<[_]>::is_empty), path, EMPTY);
    let items = items.unwrap_or_default().iter().enumerate();
    items.filter_map(|(n, item)| make(item, &path.index(n), errors)).collect()
}

fn device(device: &Device, path: &Path, errors: &mut Errors) -> Option<DeviceSelector> {
    let given: [(_, _, fn(String) -> _); 5] = [
        ("channel", device.channel.as_ref(), DeviceSelector::Channel),
        ("named_user_id", device.named_user_id.as_ref(), DeviceSelector::NamedUserId),
        ("ios_channel", device.ios_channel.as_ref(), DeviceSelector::IosChannel),
        ("android_channel", device.android_channel.as_ref(), DeviceSelector::AndroidChannel),
        ("amazon_channel", device.amazon_channel.as_ref(), DeviceSelector::AmazonChannel),
    ];
    one_of(given, path, errors)
}

fn user(user: &User, path: &Path, errors: &mut Errors) -> Option<UserSelector> {
    let given: [(_, _, fn(String) -> _); 2] = [
        ("contact_id", user.contact_id.as_ref(), UserSelector::ContactId),
        ("named_user_id", user.named_user_id.as_ref(), UserSelector::NamedUserId),
    ];
    one_of(given, path, errors)
}

fn notification(
    notification: &Notification,
    path: &Path,
    errors: &mut Errors,
) -> Option<NotificationSelector> {
    let given: [(_, _, fn(String) -> _); 2] = [
        ("push_id", notification.push_id.as_ref(), NotificationSelector::PushId),
        ("group_id", notification.group_id.as_ref(), NotificationSelector::GroupId),
    ];
    one_of(given, path, errors)
}
