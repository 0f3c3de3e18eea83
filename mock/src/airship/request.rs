//! The request body: what a client asks for, and what is wrong with it.
//!
//! Invariant: what parses is complete and consistent. Pure; knows no HTTP and no log.

use serde::Deserialize;
use serde_json::Value;

use super::event;
use super::predicate::Predicate;
use super::reply::Refusal;

/// Which of the two streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// `/api/events`
    Events,
    /// `/api/events/general`
    Compliance,
}

/// A request body that makes sense.
#[derive(Clone, Debug, PartialEq)]
pub struct Subscription {
    /// Where to begin.
    pub start: Option<Start>,
    /// After which offset to go on.
    pub resume_offset: Option<String>,
    /// `OFFSET_UPDATE` lines instead of blank ones.
    pub enable_offset_updates: bool,
    /// Which events.
    pub selection: Selection,
}

/// The two ends of the retained window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Start {
    /// The oldest event that is retained
    Earliest,
    /// Whatever comes next
    Latest,
}

/// Filters and subset.
#[derive(Clone, Debug, PartialEq)]
pub struct Selection {
    pub(super) endpoint: Endpoint,
    pub(super) subset: Option<Subset>,
    /// Any of these; all events if empty.
    pub(super) filters: Vec<Filter>,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(tag = "type", rename_all = "UPPERCASE", deny_unknown_fields)]
pub(super) enum Subset {
    Sample { proportion: f64 },
    Partition { count: u64, selection: u64 },
}

/// All of what is present must hold, and any value of each list.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Filter {
    pub(super) types: Option<Vec<String>>,
    /// In upper case, as in events.
    pub(super) device_types: Option<Vec<String>>,
    pub(super) devices: Option<Vec<DeviceRef>>,
    pub(super) users: Option<Vec<UserRef>>,
    pub(super) notifications: Option<Vec<PushRef>>,
    /// In milliseconds.
    pub(super) latency: Option<u64>,
    pub(super) predicates: Option<Vec<Predicate>>,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum DeviceRef {
    Channel(String),
    NamedUserId(String),
    IosChannel(String),
    AndroidChannel(String),
    AmazonChannel(String),
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum UserRef {
    ContactId(String),
    NamedUserId(String),
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum PushRef {
    PushId(String),
    GroupId(String),
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum DeviceType {
    Ios,
    Android,
    Amazon,
    Web,
    Email,
    Sms,
    Open,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSubscription {
    start: Option<Start>,
    resume_offset: Option<String>,
    #[serde(default)]
    enable_offset_updates: bool,
    subset: Option<Subset>,
    #[serde(default)]
    filters: Vec<RawFilter>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFilter {
    types: Option<Vec<String>>,
    device_types: Option<Vec<DeviceType>>,
    devices: Option<Vec<DeviceRef>>,
    users: Option<Vec<UserRef>>,
    notifications: Option<Vec<PushRef>>,
    latency: Option<u64>,
    predicates: Option<Vec<Value>>,
}

impl Subscription {
    /// Reads a body. Whether `start` may go together with `resume_offset` is for the caller to decide.
    pub fn parse(endpoint: Endpoint, body: &[u8]) -> Result<Self, Refusal> {
        let bad = |message: String| Refusal::new(400, message);
        let mut value: Value = serde_json::from_slice(body)
            .map_err(|error| bad(format!("could not parse request body: {error}")))?;
        refuse_empty_arrays(&value, "").map_err(bad)?;
        wrap_single_objects(&mut value);
        let raw: RawSubscription = serde_json::from_value(value).map_err(|error| bad(error.to_string()))?;
        if let Some(subset) = &raw.subset {
            subset.check().map_err(bad)?;
        }
        let filters = raw
            .filters
            .into_iter()
            .map(|filter| filter.check(endpoint))
            .collect::<Result<_, _>>()
            .map_err(bad)?;
        Ok(Self {
            start: raw.start,
            resume_offset: raw.resume_offset,
            enable_offset_updates: raw.enable_offset_updates,
            selection: Selection { endpoint, subset: raw.subset, filters },
        })
    }
}

impl Selection {
    /// All events of the main stream.
    pub fn all() -> Self {
        Self::of(Endpoint::Events)
    }

    fn of(endpoint: Endpoint) -> Self {
        Self { endpoint, subset: None, filters: Vec::new() }
    }

    /// Whether nothing is left out.
    pub(super) fn is_all(&self) -> bool {
        self.endpoint == Endpoint::Events && self.subset.is_none() && self.filters.is_empty()
    }
}

impl Subset {
    fn check(&self) -> Result<(), String> {
        match self {
            Self::Sample { proportion } if !(0.0..=1.0).contains(proportion) => {
                Err("subset.proportion must be between 0 and 1".to_owned())
            }
            Self::Partition { count, selection } if selection >= count => {
                Err("subset.selection must be less than subset.count".to_owned())
            }
            _ => Ok(()),
        }
    }
}

impl RawFilter {
    fn check(self, endpoint: Endpoint) -> Result<Filter, String> {
        if let Some(name) =
            self.types.iter().flatten().find(|name| !event::type_names().any(|known| known == **name))
        {
            return Err(format!("unknown event type '{name}'"));
        }
        let only_latency_and_device_types = self.types.is_none()
            && self.devices.is_none()
            && self.users.is_none()
            && self.notifications.is_none()
            && self.predicates.is_none();
        let only_addresses = self
            .device_types
            .iter()
            .flatten()
            .all(|sort| matches!(sort, DeviceType::Email | DeviceType::Sms));
        if endpoint == Endpoint::Compliance && !(only_latency_and_device_types && only_addresses) {
            return Err("compliance filters take only device_types (email, sms) and latency".to_owned());
        }
        let predicates = self
            .predicates
            .map(|predicates| predicates.iter().map(Predicate::parse).collect::<Result<_, _>>())
            .transpose()?;
        Ok(Filter {
            types: self.types,
            device_types: self
                .device_types
                .map(|sorts| sorts.into_iter().map(|sort| sort.upper().to_owned()).collect()),
            devices: self.devices,
            users: self.users,
            notifications: self.notifications,
            latency: self.latency,
            predicates,
        })
    }
}

impl DeviceType {
    fn upper(self) -> &'static str {
        match self {
            Self::Ios => "IOS",
            Self::Android => "ANDROID",
            Self::Amazon => "AMAZON",
            Self::Web => "WEB",
            Self::Email => "EMAIL",
            Self::Sms => "SMS",
            Self::Open => "OPEN",
        }
    }
}

fn refuse_empty_arrays(value: &Value, path: &str) -> Result<(), String> {
    match value {
        Value::Array(elements) if elements.is_empty() => Err(format!("empty array at '{path}'")),
        Value::Array(elements) => elements.iter().try_for_each(|element| refuse_empty_arrays(element, path)),
        Value::Object(members) => {
            members.iter().try_for_each(|(key, member)| refuse_empty_arrays(member, &format!("{path}/{key}")))
        }
        _ => Ok(()),
    }
}

/// `filters`, `notifications` and `predicates` are one object in some official examples and an array in others.
fn wrap_single_objects(body: &mut Value) {
    if let Some(filters) = body.get_mut("filters")
        && filters.is_object()
    {
        *filters = Value::Array(vec![filters.take()]);
    }
    let filters = body.get_mut("filters").and_then(Value::as_array_mut);
    for filter in filters.into_iter().flatten() {
        for key in ["notifications", "predicates"] {
            if let Some(member) = filter.get_mut(key)
                && member.is_object()
            {
                *member = Value::Array(vec![member.take()]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(body: &str) -> Result<Subscription, Refusal> {
        Subscription::parse(Endpoint::Events, body.as_bytes())
    }

    #[test]
    fn every_form_of_the_reference_is_taken() {
        for body in [
            "{}",
            r#"{"start":"EARLIEST","enable_offset_updates":true}"#,
            r#"{"resume_offset":"17","subset":{"type":"PARTITION","count":10,"selection":0}}"#,
            r#"{"subset":{"type":"SAMPLE","proportion":0.5}}"#,
            r#"{"filters":[{"types":["OPEN"],"device_types":["ios","web"],"latency":1000}]}"#,
            r#"{"filters":[{"devices":[{"channel":"x"},{"named_user_id":"y"},{"ios_channel":"z"}]}]}"#,
            r#"{"filters":[{"users":[{"contact_id":"x"}],"notifications":{"push_id":"p"}}]}"#,
            r#"{"filters":[{"notifications":[{"push_id":"p"},{"group_id":"g"}]}]}"#,
            r#"{"filters":{"types":["OPEN"],"notifications":{"push_id":"p"}}}"#,
            r#"{"filters":[{"predicates":{"key":"type","value":{"equals":"OPEN"}}}]}"#,
        ] {
            assert!(parse(body).is_ok(), "{body}: {:?}", parse(body));
        }
    }

    #[test]
    fn every_mistake_of_the_reference_is_400() {
        for body in [
            "",
            "not json",
            "[]",
            r#"{"filters":[]}"#,
            r#"{"filters":[{"types":[]}]}"#,
            r#"{"filter":[{}]}"#,
            r#"{"filters":[{"type":["OPEN"]}]}"#,
            r#"{"filters":{"type":["OPEN"]}}"#,
            r#"{"filters":"OPEN"}"#,
            r#"{"filters":[{"types":["CLICK"]}]}"#,
            r#"{"filters":[{"device_types":["IOS"]}]}"#,
            r#"{"filters":[{"devices":[{"channel":"x","named_user_id":"y"}]}]}"#,
            r#"{"filters":[{"latency":"x"}]}"#,
            r#"{"filters":[{"predicates":{"key":"x"}}]}"#,
            r#"{"start":"earliest"}"#,
            r#"{"resume_offset":17}"#,
            r#"{"subset":{"type":"SAMPLE"}}"#,
            r#"{"subset":{"type":"SAMPLE","proportion":2}}"#,
            r#"{"subset":{"type":"PARTITION","count":2,"selection":2}}"#,
            r#"{"subset":{"type":"PARTITION","count":0,"selection":0}}"#,
            r#"{"subset":{"type":"PARTITION","count":2,"selection":-1}}"#,
            r#"{"subset":{"type":"PARTITION","count":2,"selection":1,"x":1}}"#,
        ] {
            assert_eq!(parse(body).err().map(|refusal| refusal.status), Some(400), "{body}");
        }
    }

    #[test]
    fn compliance_takes_two_filters_only() {
        let parse = |body: &str| Subscription::parse(Endpoint::Compliance, body.as_bytes()).is_ok();
        assert!(parse(r#"{"filters":[{"device_types":["email","sms"],"latency":5}]}"#));
        assert!(!parse(r#"{"filters":[{"device_types":["ios"]}]}"#));
        assert!(!parse(r#"{"filters":[{"types":["COMPLIANCE"]}]}"#));
    }
}
