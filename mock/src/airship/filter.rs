//! Whether a selection takes the event at a position.
//!
//! Invariant: array = OR, object = AND, at every level; a subset is decided by the event's id alone, so copies of an
//! event always go together. Pure; the line is rendered only where a filter needs it.

use std::cell::OnceCell;

use serde_json::Value;

use super::event::Event;
use super::log::{Expected, Log};
use super::request::{DeviceRef, Endpoint, Filter, PushRef, Selection, Subset, UserRef};
use crate::engine::random::{hash, mix};

/// An event under test.
struct Candidate<'a> {
    log: &'a Log,
    position: u64,
    index: u64,
    event: Event,
    json: OnceCell<Value>,
}

impl Selection {
    /// Whether the event at `position` is part of this. `latency` counts back from when the event was
    /// processed.
    pub fn takes(&self, log: &Log, position: u64) -> bool {
        if self.is_all() {
            return true;
        }
        let index = log.entry(position).index;
        let candidate = Candidate { log, position, index, event: log.event(position), json: OnceCell::new() };
        let name = candidate.event.type_name();
        (self.endpoint == Endpoint::Events || name == "COMPLIANCE")
            && self.subset.as_ref().is_none_or(|subset| subset.takes(&candidate.event.id()))
            && (self.filters.is_empty() || self.filters.iter().any(|filter| filter.takes(&candidate)))
    }

    /// The lines among `positions` that this takes, in order.
    pub fn expected<'a>(
        &'a self,
        log: &'a Log,
        positions: std::ops::Range<u64>,
    ) -> impl Iterator<Item = Expected> + 'a {
        positions
            .filter(|position| self.takes(log, *position))
            .flat_map(|position| log.expected(position..position + 1))
    }
}

impl Subset {
    fn takes(&self, id: &str) -> bool {
        let hash = hash(id.as_bytes());
        match self {
            Self::Partition { count, selection } => hash % count == *selection,
            // Mixed once more, so that a sample is independent of partitions.
            Self::Sample { proportion } => (mix(hash) as f64) < proportion * (u64::MAX as f64),
        }
    }
}

impl Filter {
    fn takes(&self, candidate: &Candidate<'_>) -> bool {
        let event = &candidate.event;
        any(&self.types, |name| name == event.type_name())
            && any(&self.device_types, |sort| event.device_type() == Some(sort.as_str()))
            && self.latency.is_none_or(|latency| {
                candidate
                    .log
                    .processed_ms(candidate.position)
                    .saturating_sub(candidate.log.occurred_ms(candidate.index))
                    <= latency
            })
            && any(&self.devices, |device| candidate.is_about_device(device))
            && any(&self.users, |user| candidate.is_about_user(user))
            && any(&self.notifications, |push| candidate.is_about_push(push))
            && any(&self.predicates, |predicate| predicate.holds(candidate.json()))
    }
}

impl Candidate<'_> {
    fn json(&self) -> &Value {
        self.json.get_or_init(|| {
            let mut line = Vec::new();
            self.log.render(self.position, &mut line);
            serde_json::from_slice(&line).unwrap_or_default()
        })
    }

    fn has(&self, path: &str, value: &str) -> bool {
        self.json().pointer(path).and_then(Value::as_str) == Some(value)
    }

    fn is_about_device(&self, device: &DeviceRef) -> bool {
        match device {
            DeviceRef::Channel(id) => [
                "/device/channel",
                "/device/ios_channel",
                "/device/android_channel",
                "/device/amazon_channel",
            ]
            .iter()
            .any(|path| self.has(path, id)),
            DeviceRef::NamedUserId(id) => {
                self.has("/device/named_user_id", id) || self.has("/device/named_user", id)
            }
            DeviceRef::IosChannel(id) => self.has("/device/ios_channel", id),
            DeviceRef::AndroidChannel(id) => self.has("/device/android_channel", id),
            DeviceRef::AmazonChannel(id) => self.has("/device/amazon_channel", id),
        }
    }

    fn is_about_user(&self, user: &UserRef) -> bool {
        match user {
            UserRef::ContactId(id) => self.has("/user/contact_id", id),
            UserRef::NamedUserId(id) => self.has("/user/named_user_id", id),
        }
    }

    fn is_about_push(&self, push: &PushRef) -> bool {
        let (key, id) = match push {
            PushRef::PushId(id) => ("push_id", id),
            PushRef::GroupId(id) => ("group_id", id),
        };
        ["/body", "/body/triggering_push"].iter().any(|parent| self.has(&format!("{parent}/{key}"), id))
    }
}

/// An absent list means any value.
fn any<T>(list: &Option<Vec<T>>, holds: impl FnMut(&T) -> bool) -> bool {
    list.as_ref().is_none_or(|list| list.iter().any(holds))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::airship::log::LogOptions;
    use crate::airship::request::Subscription;
    use serde_json::json;
    use std::collections::BTreeSet;

    const POSITIONS: u64 = 3_000;

    fn log() -> Log {
        Log::new(LogOptions { duplicate_every: 7, ..LogOptions::default() })
    }

    fn taken(body: Value) -> BTreeSet<u64> {
        let log = log();
        let endpoint = Endpoint::Events;
        let selection = Subscription::parse(endpoint, body.to_string().as_bytes()).unwrap().selection;
        (0..POSITIONS).filter(|position| selection.takes(&log, *position)).collect()
    }

    fn filtered(filters: Value) -> BTreeSet<u64> {
        taken(json!({ "filters": filters }))
    }

    #[test]
    fn array_is_or_and_object_is_and() {
        let opens = filtered(json!([{ "types": ["OPEN"] }]));
        let sends = filtered(json!([{ "types": ["SEND"] }]));
        let ios = filtered(json!([{ "device_types": ["ios"] }]));
        let web = filtered(json!([{ "device_types": ["web"] }]));
        assert!([&opens, &sends, &ios, &web].iter().all(|set| !set.is_empty()));
        let union = |left: &BTreeSet<u64>, right: &BTreeSet<u64>| left | right;
        assert_eq!(filtered(json!([{ "types": ["OPEN", "SEND"] }])), union(&opens, &sends));
        assert_eq!(filtered(json!([{ "types": ["OPEN"] }, { "types": ["SEND"] }])), union(&opens, &sends));
        assert_eq!(filtered(json!([{ "types": ["OPEN"], "device_types": ["ios"] }])), &opens & &ios);
        assert_eq!(
            filtered(json!([{ "types": ["OPEN"] }, { "device_types": ["web"] }])),
            union(&opens, &web)
        );
        assert_eq!(
            filtered(json!([{ "types": ["OPEN", "SEND"], "device_types": ["ios", "web"] }])),
            &union(&opens, &sends) & &union(&ios, &web)
        );
        assert_eq!(
            taken(json!({ "filters": { "types": ["OPEN"], "device_types": ["ios"] } })),
            &opens & &ios
        );
        assert_eq!(taken(json!({})).len() as u64, POSITIONS);
        assert_eq!(filtered(json!([{}])).len() as u64, POSITIONS);
    }

    #[test]
    fn devices_users_and_pushes_are_found() {
        let log = log();
        let lines: Vec<Value> =
            log.expected(0..POSITIONS).map(|line| serde_json::from_slice(&line.line).unwrap()).collect();
        let first = |path: &str| {
            lines.iter().find_map(|line| line.pointer(path)).and_then(Value::as_str).unwrap().to_owned()
        };
        for (filter, path) in [
            (json!({ "devices": [{ "channel": first("/device/channel") }] }), "/device/channel"),
            (json!({ "devices": [{ "ios_channel": first("/device/ios_channel") }] }), "/device/ios_channel"),
            (
                json!({ "devices": [{ "named_user_id": first("/device/named_user_id") }] }),
                "/device/named_user_id",
            ),
            (json!({ "users": [{ "contact_id": first("/user/contact_id") }] }), "/user/contact_id"),
            (json!({ "notifications": { "push_id": first("/body/push_id") } }), "/body/push_id"),
            (json!({ "notifications": [{ "group_id": first("/body/group_id") }] }), "/body/group_id"),
            (
                json!({ "predicates": { "scope": "body", "key": "push_id", "value": { "equals": first("/body/push_id") } } }),
                "/body/push_id",
            ),
        ] {
            let expected: BTreeSet<u64> = (0..POSITIONS)
                .filter(|position| {
                    lines[*position as usize].pointer(path).is_some_and(|value| *value == first(path))
                })
                .collect();
            let found = filtered(json!([filter]));
            assert!(!expected.is_empty() && found.is_superset(&expected), "{filter}");
            assert!(found.len() < POSITIONS as usize / 10, "{filter}");
        }
    }

    #[test]
    fn latency_drops_what_occurred_long_before() {
        let log = log();
        let late = |position: u64| {
            log.processed_ms(position).saturating_sub(log.occurred_ms(log.entry(position).index)) > 60_000
        };
        let expected: BTreeSet<u64> = (0..POSITIONS).filter(|position| !late(*position)).collect();
        assert!(expected.len() < POSITIONS as usize);
        assert_eq!(filtered(json!([{ "latency": 60_000 }])), expected);
    }

    #[test]
    fn partitions_are_disjoint_and_complete_and_keep_copies_together() {
        let log = log();
        let parts: Vec<BTreeSet<u64>> = (0..3)
            .map(|part| taken(json!({ "subset": { "type": "PARTITION", "count": 3, "selection": part } })))
            .collect();
        assert_eq!(parts.iter().map(BTreeSet::len).sum::<usize>() as u64, POSITIONS);
        assert_eq!(parts.iter().flatten().collect::<BTreeSet<_>>().len() as u64, POSITIONS);
        for part in &parts {
            assert!(part.len() as u64 > POSITIONS / 4);
            for position in part.iter().filter(|position| log.entry(**position).is_duplicate) {
                assert!(part.contains(&log.first_position(log.entry(*position).index)));
            }
        }
    }

    #[test]
    fn a_sample_is_of_its_proportion() {
        let sample = |proportion: f64| {
            taken(json!({ "subset": { "type": "SAMPLE", "proportion": proportion } })).len()
        };
        assert_eq!((sample(0.0), sample(1.0) as u64), (0, POSITIONS));
        assert!((400..800).contains(&sample(0.2)), "{}", sample(0.2));
    }
}
