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

use super::client::{Clients, Context, close_beside, explain_admin};
use super::config::Config;
use crate::sink::SinkError;

/// Limit of one request to the cluster.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(15);

/// Looks at topics whose settings are not told yet, and the pause between them.
const LOOKS: u32 = 5;
const SETTLE_PAUSE: Duration = Duration::from_millis(100);

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
pub(crate) fn uphold(
    clients: &Clients,
    runtime: &Handle,
    may_change: bool,
    rules: &[Rules],
) -> Result<(), SinkError> {
    if clients.uses_tokens() {
        warn!(
            topics = names(rules).join(", "),
            "the settings of the state topics cannot be checked over SASL/OAUTHBEARER; docs/topics.md says how they must be"
        );
        return Ok(());
    }
    let admin = Admin::new(clients, runtime)?;
    let upheld = admin.uphold(may_change, rules);
    admin.close();
    upheld
}

/// What is wrong with a topic's settings.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Wrong {
    /// The topic.
    pub topic: String,
    /// What is wrong, and the command that mends it.
    pub complaint: String,
    /// Whether what the topic holds is deleted for that.
    pub deletes_state: bool,
}

/// What is wrong with the settings of topics that are there, by their rules. Changes nothing. Says nothing of those whose settings
/// may not be read. Blocks.
pub(crate) fn inspect(config: &Config, runtime: &Handle, rules: &[Rules]) -> Result<Vec<Wrong>, SinkError> {
    let clients = Clients::new(config.clone(), runtime.clone());
    if clients.uses_tokens() || rules.is_empty() {
        return Ok(Vec::new());
    }
    let admin = Admin::new(&clients, runtime)?;
    let described = admin.describe(&names(rules));
    admin.close();
    let wrong = rules.iter().zip(described).filter_map(|(rules, settings)| {
        let settings = settings?;
        let broken = rules.broken(&settings);
        let deletes_state = broken.iter().any(deletes_state);
        let complaint = rules.complaint(&settings, &broken);
        (!broken.is_empty()).then(|| Wrong { topic: rules.topic.clone(), complaint, deletes_state })
    });
    Ok(wrong.collect())
}

/// Whether what a topic holds is deleted while a setting is not as it must be.
fn deletes_state((_, must): &(&'static str, Must)) -> bool {
    matches!(must, Must::Be(_))
}

/// An admin client, and what asking it takes.
struct Admin<'a> {
    clients: &'a Clients,
    runtime: &'a Handle,
    client: AdminClient<Context>,
}

impl<'a> Admin<'a> {
    fn new(clients: &'a Clients, runtime: &'a Handle) -> Result<Self, SinkError> {
        Ok(Self { clients, runtime, client: clients.admin()? })
    }

    /// Without waiting for its end.
    fn close(self) {
        close_beside(self.client);
    }

    /// What [`uphold`] does.
    fn uphold(&self, may_change: bool, rules: &[Rules]) -> Result<(), SinkError> {
        let mut refused = Vec::new();
        for (rules, settings) in rules.iter().zip(self.describe(&names(rules))) {
            let Some(mut settings) = settings else { continue };
            let mut broken = rules.broken(&settings);
            if broken.is_empty() {
                continue;
            }
            let mut why = "kafka.create_topics is false".to_owned();
            if may_change {
                let failed = self.alter(&rules.topic, &Rules::mended(&settings, &broken));
                let is_taken = failed.is_none();
                why = failed.unwrap_or_else(|| {
                    "Kafka did not let it be changed: that takes ALTER_CONFIGS on the topic".to_owned()
                });
                let look = || self.describe(&[&rules.topic]).pop().flatten();
                let Some(mut now) = look() else { continue };
                let mut left = rules.broken(&now);
                // Not every broker knows of a change at once.
                for _ in 1..LOOKS {
                    if left.is_empty() || !is_taken {
                        break;
                    }
                    std::thread::sleep(SETTLE_PAUSE);
                    let Some(again) = look() else { break };
                    (left, now) = (rules.broken(&again), again);
                }
                if left.is_empty() {
                    let changed: Vec<&str> = broken.iter().map(|(name, _)| *name).collect();
                    info!(topic = rules.topic, changed = changed.join(", "), "set a state topic right");
                    continue;
                }
                (settings, broken) = (now, left);
            }
            let complaint = format!("{} ({why})", rules.complaint(&settings, &broken));
            if broken.iter().any(deletes_state) {
                refused.push(complaint);
            } else {
                error!(topic = rules.topic, "{complaint}");
            }
        }
        if refused.is_empty() { Ok(()) } else { Err(SinkError::Unusable(refused.join("; "))) }
    }

    /// Settings of topics, in their order; `None` where they are not told, which is said. That stops nobody: not every broker
    /// answers, and what is lost for that shows when it is needed.
    fn describe(&self, topics: &[&str]) -> Vec<Option<Settings>> {
        let options = AdminOptions::new().request_timeout(Some(REQUEST_TIMEOUT));
        let resources: Vec<_> = topics.iter().map(|topic| ResourceSpecifier::Topic(topic)).collect();
        let look = || {
            self.runtime.block_on(self.client.describe_configs(&resources, &options)).unwrap_or_else(
                |error| {
                    let reason = explain_admin(self.clients, &error);
                    warn!(reason, "cannot read the settings of the state topics; they are not checked");
                    Vec::new()
                },
            )
        };
        let is_untold = |told: &Result<ConfigResource, _>| {
            told.as_ref().is_ok_and(|resource| resource.entries.is_empty())
        };
        let mut described = look();
        for _ in 1..LOOKS {
            if !described.iter().any(is_untold) {
                break;
            }
            // A topic that was created a moment ago has none yet.
            std::thread::sleep(SETTLE_PAUSE);
            described = look();
        }
        let answered = !described.is_empty();
        let mut described = described.into_iter();
        let settings = topics.iter().map(|topic| match described.next() {
            Some(Ok(ConfigResource { entries, .. })) if !entries.is_empty() => {
                Some(entries.into_iter().map(|entry| (entry.name.clone(), entry)).collect())
            }
            // rdkafka drops the error of a single topic: what may not be read comes as a topic without settings.
            _ => {
                if answered {
                    warn!(
                        topic,
                        "the settings of a state topic may not be read, which takes DESCRIBE_CONFIGS on it; they are not \
                         checked"
                    );
                }
                None
            }
        });
        settings.collect()
    }

    /// Why Kafka did not even take the request.
    fn alter(&self, topic: &str, settings: &BTreeMap<String, String>) -> Option<String> {
        let change = AlterConfig::new(ResourceSpecifier::Topic(topic));
        let change = settings.iter().fold(change, |change, (name, value)| change.set(name, value));
        let options = AdminOptions::new().request_timeout(Some(REQUEST_TIMEOUT));
        let altered = self.runtime.block_on(self.client.alter_configs([&change], &options));
        altered.err().map(|error| explain_admin(self.clients, &error))
    }
}

fn names(rules: &[Rules]) -> Vec<&str> {
    rules.iter().map(|rules| rules.topic.as_str()).collect()
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
