//! Record to topic and timestamp. Knows nothing of Kafka clients.
//!
//! Invariant: every name that comes out is a legal Kafka topic name. One that was made of an event's value is never a topic
//! of the connector's own or of Kafka's. The names of one router are bounded in number ([`MAX_VALUES`]), so a stream of
//! made-up values cannot fill a cluster with topics.

use std::collections::BTreeMap;

use hashbrown::HashMap;

use crate::model::types::Record;

/// Longest topic name that Kafka accepts, bytes.
pub const MAX_TOPIC_LENGTH: usize = 249;

/// Values of the placeholder that one stream may make topics of. Airship documents 43 event types.
pub const MAX_VALUES: usize = 1000;

/// How topics are chosen.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Config {
    /// A fixed topic name or a template with a field in braces, such as `{type}`.
    pub topic: String,
    /// Values of the field with a topic of their own, before the template.
    pub topics: BTreeMap<String, String>,
    /// Where an event goes whose template cannot be filled; `None` makes it a dead letter.
    pub default_topic: Option<String>,
    /// Which time becomes the Kafka timestamp.
    pub timestamp: Timestamp,
    /// Topics that an event's value must not name: those of the connector's state, and of dead letters.
    pub reserved: Vec<String>,
}

/// Which time becomes the Kafka timestamp.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Timestamp {
    /// When the service processed the event, or, if it does not tell that, when the event happened.
    #[default]
    Processed,
    /// When the event happened, by the device's clock, or, if unknown, when the service processed it. Old ones may fall out of the topic's retention at once.
    Occurred,
}

/// No topic for an event.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Unroutable {
    /// The template needs a value that the event has not.
    #[error("the event has no {field} for the topic template, and no default_topic is set")]
    NoValue {
        /// The template's field.
        field: String,
    },
    /// The value would make the name of a topic that is not for events.
    #[error("its {field} makes the topic {topic}, which is the connector's own or Kafka's")]
    Reserved {
        /// The template's field.
        field: String,
        /// The name.
        topic: String,
    },
    /// The stream brought more values than may make topics.
    #[error("more than {MAX_VALUES} values of {field} made topics already, and no default_topic is set")]
    TooManyValues {
        /// The template's field.
        field: String,
    },
}

/// Whether Kafka itself uses names like this one.
pub fn is_internal(topic: &str) -> bool {
    topic.starts_with("__")
}

/// Whether Kafka takes two names for one: it does not tell `.` from `_`, since its metrics cannot.
pub fn collide(one: &str, other: &str) -> bool {
    one.len() == other.len() && fold(one) == fold(other)
}

/// What is the same for all names that Kafka takes for one.
pub fn fold(name: &str) -> Vec<u8> {
    name.bytes().map(|byte| if byte == b'.' { b'_' } else { byte }).collect()
}

/// A template cut at its placeholder.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Template<'a> {
    /// What stands before it.
    pub before: &'a str,
    /// The field that it names.
    pub field: &'a str,
    /// What stands after it.
    pub after: &'a str,
}

impl<'a> Template<'a> {
    /// Cuts a configured topic at its first placeholder; `None` for a fixed name.
    pub fn parse(topic: &'a str) -> Option<Self> {
        let (before, rest) = topic.split_once('{')?;
        let (field, after) = rest.split_once('}')?;
        Some(Self { before, field, after })
    }

    /// Fills the template, putting `_` for what a topic name may not hold.
    fn fill(self, value: &[u8]) -> String {
        let legal = |byte: &u8| {
            let keep = byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
            if keep { char::from(*byte) } else { '_' }
        };
        let mut topic = self.before.to_owned();
        topic.extend(value.iter().map(legal));
        topic.push_str(self.after);
        topic.truncate(MAX_TOPIC_LENGTH);
        if matches!(topic.as_str(), "." | "..") { topic.replace('.', "_") } else { topic }
    }
}

/// A topic that a [`Router`] chose.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Route(usize);

/// The configured topic, where it is a fixed one.
const FIXED: Route = Route(0);

/// Chooses topics. The answer for a value is worked out once and looked up from then on.
#[derive(Debug)]
pub struct Router {
    config: Config,
    by_value: HashMap<Vec<u8>, Route>,
    /// The configured topic or template first.
    names: Vec<String>,
    default: Option<Route>,
}

impl Router {
    /// Prepares a configuration.
    pub fn new(config: Config) -> Self {
        let mut names = vec![config.topic.clone()];
        let mut route = |name: &String| {
            names.push(name.clone());
            Route(names.len() - 1)
        };
        let mapped = config.topics.iter();
        let by_value = mapped.map(|(value, topic)| (value.clone().into_bytes(), route(topic))).collect();
        let default = config.default_topic.as_ref().map(route);
        Self { config, by_value, names, default }
    }

    /// The topics that are known before any event: fixed, mapped and default ones.
    pub fn known_topics(&self) -> impl Iterator<Item = &str> {
        let fixed = Template::parse(&self.config.topic).is_none().then_some(self.config.topic.as_str());
        fixed
            .into_iter()
            .chain(self.config.topics.values().map(String::as_str))
            .chain(self.config.default_topic.as_deref())
    }

    /// The name of a topic.
    pub fn name(&self, route: Route) -> &str {
        &self.names[route.0]
    }

    /// Where events go that have no topic.
    pub fn default_route(&self) -> Option<Route> {
        self.default
    }

    /// The topic of an event whose topic field holds `value`.
    pub fn route(&mut self, value: Option<&[u8]>) -> Result<Route, Unroutable> {
        let value = value.filter(|value| !value.is_empty());
        if let Some(known) = value.and_then(|value| self.by_value.get(value)) {
            return Ok(*known);
        }
        let Some(template) = Template::parse(&self.config.topic) else { return Ok(FIXED) };
        let field = || template.field.to_owned();
        let Some(value) = value else {
            return self.fallback(|| Unroutable::NoValue { field: field() });
        };
        if self.by_value.len() >= MAX_VALUES {
            return self.fallback(|| Unroutable::TooManyValues { field: field() });
        }
        let topic = template.fill(value);
        let is_reserved = self.config.reserved.iter().any(|reserved| collide(reserved, &topic));
        if is_reserved || is_internal(&topic) {
            return Err(Unroutable::Reserved { field: field(), topic });
        }
        let route = Route(self.names.len());
        self.names.push(topic);
        self.by_value.insert(value.to_vec(), route);
        Ok(route)
    }

    fn fallback(&self, reason: impl FnOnce() -> Unroutable) -> Result<Route, Unroutable> {
        self.default.ok_or_else(reason)
    }

    /// The Kafka timestamp of an event, milliseconds: the wanted time, else the other one, else the clock. `occurred_ms` is
    /// asked only when it is needed.
    ///
    /// Times ahead of the clock are clamped to it: brokers refuse records more than an hour in the future.
    pub fn timestamp(
        &self,
        record: &Record<'_>,
        occurred_ms: impl Fn(&[u8]) -> Option<i64>,
        now_ms: i64,
    ) -> i64 {
        // A time before 1970 is no Kafka timestamp; -1 would even mean "none".
        let usable = |time: &i64| *time >= 0;
        let processed = || record.processed_ms.filter(usable);
        let occurred = || record.occurred.as_deref().and_then(&occurred_ms).filter(usable);
        let time = match self.config.timestamp {
            Timestamp::Processed => processed().or_else(occurred),
            Timestamp::Occurred => occurred().or_else(processed),
        };
        time.map_or(now_ms, |time| time.min(now_ms))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::text::Text;
    use crate::model::types::EventId;

    proptest! {
        #[test]
        fn no_value_names_a_topic_that_is_not_for_events(
            before in prop::sample::select(vec!["", "p", "p.", "p_", "_", "__", "x."]),
            value in prop_oneof![
                "[a-z._-]{0,12}",
                prop::sample::select(vec!["p.checkpoints", "checkpoints", ".checkpoints", "/ids", ".ids", "p_ids",
                    "shards", "p/shards", "dead-letters", "__consumer_offsets", "_x", "é", "..", "."])
                    .prop_map(str::to_owned),
                any::<String>(),
            ],
        ) {
            let mut router = router(&format!("{before}{{type}}"));
            let reserved = router.config.reserved.clone();
            match router.topic(Some(value.as_bytes())) {
                Ok(topic) => {
                    let legal = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
                    prop_assert!(topic.chars().all(legal) && !topic.is_empty() && topic.len() <= MAX_TOPIC_LENGTH);
                    prop_assert!(topic != "." && topic != ".." && !topic.starts_with("__"), "{topic}");
                    let folded = topic.replace('.', "_");
                    prop_assert!(reserved.iter().all(|name| name.replace('.', "_") != folded), "{topic}");
                }
                Err(Unroutable::Reserved { topic, .. }) => {
                    let folded = topic.replace('.', "_");
                    let is_ours = reserved.iter().any(|name| name.replace('.', "_") == folded);
                    prop_assert!(is_ours || topic.starts_with("__"), "{topic} is for events");
                }
                Err(Unroutable::NoValue { .. }) => prop_assert!(value.is_empty()),
                Err(other) => prop_assert!(false, "{other}"),
            }
        }
    }

    #[test]
    fn a_state_topic_is_no_topic_for_an_event() {
        let mut router = router("p.{type}");
        for (value, topic) in [("checkpoints", "p.checkpoints"), ("dead-letters", "p.dead-letters")] {
            let refused = Unroutable::Reserved { field: "type".into(), topic: topic.into() };
            assert_eq!(router.topic(Some(value.as_bytes())), Err(refused));
        }
        assert_eq!(router.topic(Some(b"checkpoint")), Ok("p.checkpoint"));
    }

    impl Router {
        fn topic(&mut self, value: Option<&[u8]>) -> Result<&str, Unroutable> {
            let route = self.route(value)?;
            Ok(self.name(route))
        }
    }

    fn router(topic: &str) -> Router {
        Router::new(Config {
            topic: topic.into(),
            topics: BTreeMap::from([("OPEN".into(), "opens".into())]),
            default_topic: None,
            timestamp: Timestamp::Processed,
            reserved: ["p.checkpoints", "p.ids", "p.shards", "p.dead-letters"].map(str::to_owned).to_vec(),
        })
    }

    #[test]
    fn a_mapped_type_goes_before_the_template() {
        let mut router = router("airship.{type}");
        assert_eq!(router.topic(Some(b"OPEN")), Ok("opens"));
        assert_eq!(router.topic(Some(b"SEND")), Ok("airship.SEND"));
        assert_eq!(router.topic(None), Err(Unroutable::NoValue { field: "type".into() }));
        assert_eq!(router.known_topics().collect::<Vec<_>>(), ["opens"]);
    }

    #[test]
    fn a_fixed_topic_needs_no_type() {
        let mut router = router("all");
        assert_eq!(router.topic(None), Ok("all"));
        assert_eq!(router.topic(Some(b"SEND")), Ok("all"));
        assert_eq!(router.topic(Some(b"OPEN")), Ok("opens"));
        assert_eq!(router.by_value.len(), 1, "types of a fixed topic are not remembered");
    }

    #[test]
    fn a_time_that_is_missing_is_replaced_by_the_other_one_and_only_then_by_the_clock() {
        const NOW: i64 = 2_000_000_000_000;
        let timestamp = |wanted, processed_ms, occurred: Option<&str>| {
            let config = Config {
                topic: "t".into(),
                topics: BTreeMap::new(),
                default_topic: None,
                reserved: Vec::new(),
                timestamp: wanted,
            };
            let record = Record {
                id_text: Text::default(),
                id: EventId(1),
                key: None,
                event_type: None,
                topic_value: None,
                occurred: occurred.map(|text| Text::Borrowed(text.as_bytes())),
                processed_ms,
                offset: None,
            };
            let parse = |text: &[u8]| std::str::from_utf8(text).ok()?.parse().ok();
            Router::new(config).timestamp(&record, parse, NOW)
        };
        for (processed, occurred, by_processed, by_occurred) in [
            (Some(5), Some("7"), 5, 7),
            (None, Some("7"), 7, 7),
            (Some(5), None, 5, 5),
            (Some(5), Some("no time"), 5, 5),
            (Some(-1), Some("7"), 7, 7),
            (Some(5), Some("-1"), 5, 5),
            (None, None, NOW, NOW),
            (Some(-1), Some("-1"), NOW, NOW),
            (None, Some("2000000000001"), NOW, NOW),
        ] {
            assert_eq!(timestamp(Timestamp::Processed, processed, occurred), by_processed);
            assert_eq!(timestamp(Timestamp::Occurred, processed, occurred), by_occurred);
        }
    }

    #[test]
    fn any_field_can_fill_a_template() {
        let template = Template::parse("adobe.{evars.evars.eVar5}.x").unwrap();
        assert_eq!((template.before, template.field, template.after), ("adobe.", "evars.evars.eVar5", ".x"));
        let error = router("adobe.{reportSuite}").topic(None).unwrap_err();
        assert!(error.to_string().contains("reportSuite"), "{error}");
    }

    #[test]
    fn names_are_sanitised_and_bounded() {
        let fill = |topic, value| Template::parse(topic).unwrap().fill(value);
        assert_eq!(fill("a.{type}", "caf\u{e9}/x y".as_bytes()), "a.caf___x_y");
        assert_eq!(fill("{type}", b".."), "__");
        assert_eq!(fill("{type}", &[b'x'; 400]).len(), MAX_TOPIC_LENGTH);
        let mut router = router("{type}");
        for n in 0..MAX_VALUES * 2 {
            assert!(router.topic(Some(n.to_string().as_bytes())).is_ok() == (n + 1 < MAX_VALUES));
        }
        assert_eq!(router.topic(Some(b"one more")), Err(Unroutable::TooManyValues { field: "type".into() }));
        assert_eq!(router.topic(Some(b"7")), Ok("7"), "known types go on");
    }
}
