//! The settings of the topics that hold the connector's own state: checked at each start, and set right where that is
//! allowed, also in topics that somebody made beforehand or an older configuration made.
//!
//! Invariant: what somebody else set in a topic stays. Kafka's AlterConfigs, which is all that rdkafka has, replaces every
//! setting of a topic by those that it is given, so those that stand there are given again. It reports no refusal either:
//! whether a change took effect is read back.

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::admin::{
    AdminClient, AdminOptions, AlterConfig, ConfigEntry, ConfigResource, ConfigSource, ResourceSpecifier,
};
use tokio::runtime::Handle;
use tracing::{error, info, warn};

use super::SinkError;
use super::client::{Clients, Context, explain_admin};

/// Limit of one request to the cluster.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(15);

/// How a setting must be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Must {
    /// Exactly so, or what the topic holds is deleted.
    Be(&'static str),
    /// At least so much, or unlimited (-1).
    AtLeast(i64),
}

/// What a topic must be like.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rules {
    /// The topic.
    pub topic: String,
    /// Its settings.
    pub settings: Vec<(&'static str, Must)>,
}

/// Settings of one topic, as they are in force.
type Settings = BTreeMap<String, ConfigEntry>;

impl Must {
    fn holds(self, value: &str) -> bool {
        match self {
            Self::Be(wanted) => value == wanted,
            Self::AtLeast(least) => value.parse().is_ok_and(|value: i64| value == -1 || value >= least),
        }
    }

    fn value(self) -> String {
        match self {
            Self::Be(wanted) => wanted.to_owned(),
            Self::AtLeast(least) => least.to_string(),
        }
    }
}

impl Rules {
    /// The settings that are not as they must be.
    fn broken(&self, settings: &Settings) -> Vec<(&'static str, Must)> {
        let value = |name: &str| settings.get(name)?.value.as_deref();
        let holds = |(name, must): &(&str, Must)| value(name).is_some_and(|value| must.holds(value));
        self.settings.iter().filter(|rule| !holds(rule)).copied().collect()
    }

    /// All that the topic sets itself, with `broken` set right.
    fn mended(settings: &Settings, broken: &[(&'static str, Must)]) -> BTreeMap<String, String> {
        let own = settings.values().filter(|entry| entry.source == ConfigSource::DynamicTopic);
        let own = own.filter_map(|entry| Some((entry.name.clone(), entry.value.clone()?)));
        own.chain(broken.iter().map(|(name, must)| ((*name).to_owned(), must.value()))).collect()
    }

    /// What is wrong, and the command that mends it.
    fn complaint(&self, settings: &Settings, broken: &[(&'static str, Must)]) -> String {
        let list = |of: &dyn Fn(&(&'static str, Must)) -> String, separator: &str| {
            broken.iter().map(of).collect::<Vec<_>>().join(separator)
        };
        let wrong = list(
            &|(name, must)| {
                let is = settings.get(*name).and_then(|entry| entry.value.as_deref()).unwrap_or("unknown");
                let least = if matches!(must, Must::AtLeast(_)) { "at least " } else { "" };
                format!("{name} is {is} and must be {least}{}", must.value())
            },
            ", ",
        );
        let mends = list(&|(name, must)| format!("{name}={}", must.value()), ",");
        format!(
            "topic {}: {wrong}; mend it with kafka-configs --bootstrap-server … --alter --entity-type topics \
             --entity-name {} --add-config {mends}",
            self.topic, self.topic
        )
    }
}

/// Checks topics and sets them right, if they may be changed. What would delete state is an error; what keeps it for too
/// short a time is said, and the journal itself shows whether it mattered.
pub fn uphold(
    clients: &Clients,
    runtime: &Handle,
    may_change: bool,
    rules: &[Rules],
) -> Result<(), SinkError> {
    let topics = || rules.iter().map(|rules| rules.topic.as_str()).collect::<Vec<_>>().join(", ");
    if clients.uses_tokens() {
        warn!(
            topics = topics(),
            "the settings of the state topics cannot be checked over SASL/OAUTHBEARER; the README says how they must be"
        );
        return Ok(());
    }
    let admin = clients.admin()?;
    let mut refused = Vec::new();
    for rules in rules {
        let Some(settings) = describe(clients, &admin, runtime, &rules.topic)? else { continue };
        let broken = rules.broken(&settings);
        if broken.is_empty() {
            continue;
        }
        let mut left = (settings, broken);
        if may_change {
            alter(clients, &admin, runtime, &rules.topic, &Rules::mended(&left.0, &left.1))?;
            let Some(settings) = describe(clients, &admin, runtime, &rules.topic)? else { continue };
            let broken = rules.broken(&settings);
            if broken.is_empty() {
                let changed: Vec<&str> = left.1.iter().map(|(name, _)| *name).collect();
                info!(topic = rules.topic, changed = changed.join(", "), "set a state topic right");
                continue;
            }
            left = (settings, broken);
        }
        let why = if may_change {
            "Kafka did not let it be changed: that takes ALTER_CONFIGS on the topic"
        } else {
            "kafka.create_topics is false"
        };
        let complaint = format!("{} ({why})", rules.complaint(&left.0, &left.1));
        if left.1.iter().any(|(_, must)| matches!(must, Must::Be(_))) {
            refused.push(complaint);
        } else {
            error!(topic = rules.topic, "{complaint}");
        }
    }
    if refused.is_empty() { Ok(()) } else { Err(SinkError::Unusable(refused.join("; "))) }
}

/// `None` where they may not be read, which is said.
fn describe(
    clients: &Clients,
    admin: &AdminClient<Context>,
    runtime: &Handle,
    topic: &str,
) -> Result<Option<Settings>, SinkError> {
    let options = AdminOptions::new().request_timeout(Some(REQUEST_TIMEOUT));
    let resource = [ResourceSpecifier::Topic(topic)];
    let mut described = runtime.block_on(admin.describe_configs(&resource, &options)).map_err(|error| {
        SinkError::Unusable(format!(
            "cannot read the settings of {topic}: {}",
            explain_admin(clients, &error)
        ))
    })?;
    match described.pop() {
        Some(Ok(ConfigResource { entries, .. })) if !entries.is_empty() => {
            Ok(Some(entries.into_iter().map(|entry| (entry.name.clone(), entry)).collect()))
        }
        // rdkafka drops the error of a single topic: what may not be read comes as a topic without settings.
        _ => {
            warn!(
                topic,
                "the settings of a state topic may not be read, which takes DESCRIBE_CONFIGS on it; they are not checked"
            );
            Ok(None)
        }
    }
}

fn alter(
    clients: &Clients,
    admin: &AdminClient<Context>,
    runtime: &Handle,
    topic: &str,
    settings: &BTreeMap<String, String>,
) -> Result<(), SinkError> {
    let change = AlterConfig::new(ResourceSpecifier::Topic(topic));
    let change = settings.iter().fold(change, |change, (name, value)| change.set(name, value));
    let options = AdminOptions::new().request_timeout(Some(REQUEST_TIMEOUT));
    let altered = runtime.block_on(admin.alter_configs([&change], &options));
    altered.map(drop).map_err(|error| {
        SinkError::Unusable(format!(
            "cannot change the settings of {topic}: {}",
            explain_admin(clients, &error)
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(entries: &[(&str, &str, ConfigSource)]) -> Settings {
        let entry = |(name, value, source): &(&str, &str, ConfigSource)| ConfigEntry {
            name: (*name).to_owned(),
            value: Some((*value).to_owned()),
            source: match source {
                ConfigSource::DynamicTopic => ConfigSource::DynamicTopic,
                _ => ConfigSource::Default,
            },
            is_read_only: false,
            is_default: false,
            is_sensitive: false,
        };
        entries.iter().map(|known| (known.0.to_owned(), entry(known))).collect()
    }

    fn rules() -> Rules {
        let settings = vec![("cleanup.policy", Must::Be("delete")), ("retention.ms", Must::AtLeast(1000))];
        Rules { topic: "t".into(), settings }
    }

    #[test]
    fn what_is_broken_is_mended_and_the_rest_stays() {
        use ConfigSource::{Default, DynamicTopic};
        let found = settings(&[
            ("cleanup.policy", "compact,delete", DynamicTopic),
            ("retention.ms", "999", Default),
            ("segment.bytes", "7", DynamicTopic),
            ("max.message.bytes", "8", Default),
        ]);
        let broken = rules().broken(&found);
        assert_eq!(
            broken.iter().map(|(name, _)| *name).collect::<Vec<_>>(),
            ["cleanup.policy", "retention.ms"]
        );
        let mended = Rules::mended(&found, &broken);
        let expected = [("cleanup.policy", "delete"), ("retention.ms", "1000"), ("segment.bytes", "7")];
        assert_eq!(mended, expected.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
        assert_eq!(
            rules().complaint(&found, &broken),
            "topic t: cleanup.policy is compact,delete and must be delete, retention.ms is 999 and must be at least \
             1000; mend it with kafka-configs --bootstrap-server … --alter --entity-type topics --entity-name t \
             --add-config cleanup.policy=delete,retention.ms=1000"
        );
    }

    #[test]
    fn more_than_enough_is_left_alone() {
        for enough in ["1000", "99999", "-1"] {
            let found = settings(&[
                ("cleanup.policy", "delete", ConfigSource::DynamicTopic),
                ("retention.ms", enough, ConfigSource::DynamicTopic),
            ]);
            assert_eq!(rules().broken(&found), [], "{enough}");
        }
        assert_eq!(rules().broken(&settings(&[])).len(), 2, "what is not told is not taken for granted");
    }
}
