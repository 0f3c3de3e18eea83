//! What `check` asks of Kafka: whether it can be reached, what the topics are like, and what the rights allow. Everything in here
//! blocks.

use std::time::Duration;

use tokio::runtime::Handle;

use super::report::{Class, Finding};
use super::streams::Committed;
use crate::plan::Plan;
use crate::sink::kafka::placement::overview;
use crate::sink::kafka::settings::{self, Wrong};
use crate::sink::kafka::topics::Wanted;
use crate::sink::kafka::topics::inspecting::{Standing, There, Trouble, inspect};
use crate::sink::kafka::{StateTopics, reach, trying};
use crate::supervisor;

pub(super) mod clock;
mod rights;

/// What to do where the first broker answers and another one does not.
const ADVERTISED: &str = "check that this machine resolves and reaches the addresses that the brokers advertise (advertised.listeners)";

/// What to do where transactions are refused.
const TRANSACTIONS: &str = "do what the finding says; `Rights on Kafka` in docs/security.md lists the rights, and a cluster without \
                            transactions will not do";

/// What is asked of Kafka, by whom and for how long.
#[derive(Clone, Copy)]
pub(super) struct Asked<'a> {
    /// The plan.
    pub(super) plan: &'a Plan,
    /// Where the requests of admin clients run.
    pub(super) runtime: &'a Handle,
    /// Limit of each request.
    pub(super) limit: Duration,
}

/// What was found of it.
pub(super) struct Found {
    /// What is to be shown.
    pub(super) findings: Vec<Finding>,
    /// What was committed.
    pub(super) committed: Committed,
    /// How many brokers there are; 0 where that is not known.
    pub(super) brokers: usize,
    /// Its clock, which belongs to what is shown of this machine's.
    pub(super) clock: Finding,
}

/// How it stands with each topic that is known before any event, by its name; none where that could not be asked.
type Seen = Vec<(String, Standing)>;

/// All that can be found out about Kafka.
pub(super) fn check(asked: Asked<'_>) -> Found {
    let (reached, brokers) = reached(asked);
    if reached.is_failure() {
        let why = "Kafka cannot be reached";
        let unseen = [(Class::Kafka, "transactions"), (Class::Topics, "all topics")]
            .map(|(class, subject)| Finding::not_tried(class, subject, why));
        let findings = [vec![reached], unseen.into()].concat();
        return Found { findings, committed: Committed::Unknown, brokers, clock: clock::not_tried(why) };
    }
    let mut findings = vec![reached, transactions(asked)];
    findings.extend(rights::joining(asked));
    let (of_topics, seen) = topics(asked, brokers);
    findings.extend(of_topics);
    let names = StateTopics::new(&asked.plan.kafka.prefix);
    let standing = |topic: &str| seen.iter().find(|(name, _)| name == topic).map(|(_, standing)| standing);
    let (state, committed) = state(asked, standing(&names.shards));
    findings.push(state);
    findings.push(rights::writing(asked, &seen));
    let clock = clock::compared(asked, standing(&names.checkpoints));
    Found { findings, committed, brokers, clock }
}

/// Whether the brokers take the transactions of this configuration.
fn transactions(asked: Asked<'_>) -> Finding {
    let Asked { plan, runtime, limit } = asked;
    let subject = "transactions";
    match trying::transactions(&plan.kafka, runtime.clone(), limit) {
        Ok(()) => Finding::ok(Class::Kafka, subject, "transactional ids with the prefix can be opened"),
        Err(error) => {
            let reason = error.to_string();
            let is_away = ["resolve", "Connect to", "timed out"].iter().any(|sign| reason.contains(sign));
            let todo = if is_away { ADVERTISED } else { TRANSACTIONS };
            Finding::failed(Class::Kafka, subject, reason, todo)
        }
    }
}

/// What was committed, with the right to read the state topics. `record` is the topic of the placement record, where that is known.
fn state(asked: Asked<'_>, record: Option<&Standing>) -> (Finding, Committed) {
    let Asked { plan, runtime, .. } = asked;
    let subject = "state";
    match record {
        Some(Standing::There(_)) => {}
        Some(Standing::WouldBeCreated) => {
            let text = format!("nothing ever ran under the prefix {}", plan.kafka.prefix);
            return (Finding::ok(Class::Topics, subject, text), Committed::Shards(Vec::new()));
        }
        Some(Standing::Troubled(_)) | None => {
            let text = "the topics that hold it cannot be used, or are not shown";
            return (Finding::not_tried(Class::Topics, subject, text), Committed::Unknown);
        }
    }
    match overview(&plan.kafka, runtime.clone()) {
        Ok(Some(rows)) => {
            let text = format!("can be read; shards that were placed: {}", rows.len());
            (Finding::ok(Class::Topics, subject, text), Committed::Shards(rows))
        }
        Ok(None) => {
            let text = format!("nothing was ever announced under the prefix {}", plan.kafka.prefix);
            (Finding::ok(Class::Topics, subject, text), Committed::Shards(Vec::new()))
        }
        Err(error) => {
            let todo = "give the right Read on the state topics, which begin with state.prefix";
            (Finding::failed(Class::Topics, subject, error.to_string(), todo), Committed::Unknown)
        }
    }
}

/// The first answer, and the number of brokers: it takes a name that resolves, a way, TLS and the credentials.
fn reached(asked: Asked<'_>) -> (Finding, usize) {
    let Asked { plan, runtime, limit } = asked;
    let subject = "reach";
    match reach::ask_once(&plan.kafka, runtime.clone(), limit) {
        Ok(brokers) => {
            let servers = &plan.kafka.bootstrap_servers;
            let login =
                if plan.kafka.properties.contains_key("sasl.mechanism") { ", login accepted" } else { "" };
            let text = format!("{servers} answers; brokers: {brokers}{login}");
            (Finding::ok(Class::Kafka, subject, text), brokers)
        }
        Err(error) => {
            let reason = error.to_string();
            let todo = way_to_reach(&reason);
            (Finding::failed(Class::Kafka, subject, reason, todo), 0)
        }
    }
}

/// What to do about Kafka that cannot be reached, by librdkafka's words.
fn way_to_reach(reason: &str) -> &'static str {
    let says = |parts: &[&str]| parts.iter().any(|part| reason.contains(part));
    if says(&["uthentication", "SASL"]) {
        "check sasl.mechanism, user and password in kafka.properties, and that the listener takes this mechanism"
    } else if says(&["SSL", "certificate", "ssl/tls"]) {
        "check the certificates: ssl.ca.location in kafka.properties must hold the authority of the brokers' certificates, which \
         must not have expired and must name the host"
    } else if says(&["resolve", "Resolve"]) {
        "check the name server, and the host's name in kafka.bootstrap_servers or in the advertised.listeners of the brokers"
    } else if says(&["kafka.properties"]) {
        "set the property right"
    } else if says(&["refused"]) {
        "check host and port in kafka.bootstrap_servers, and that the broker runs"
    } else {
        "check kafka.bootstrap_servers, the network, and security.protocol in kafka.properties: a listener that wants TLS or a login \
         closes the connections of those who begin without"
    }
}

/// The topics that are known before any event.
fn topics(asked: Asked<'_>, brokers: usize) -> (Vec<Finding>, Seen) {
    let Asked { plan, runtime, limit } = asked;
    let wanted = supervisor::all_topics(plan);
    let standings = match inspect(&plan.kafka, runtime.clone(), &wanted, limit) {
        Ok(standings) => standings,
        Err(error) => {
            return (
                vec![Finding::failed(Class::Topics, "all topics", error.to_string(), ADVERTISED)],
                Vec::new(),
            );
        }
    };
    let state = StateTopics::new(&plan.kafka.prefix);
    let is_there = |topic: &str| {
        let mut found = wanted.iter().zip(&standings).filter(|(wanted, _)| wanted.name == topic);
        found.any(|(_, standing)| matches!(standing, Standing::There(_)))
    };
    let mut rules = Vec::from(state.rules(&plan.kafka));
    rules.retain(|rules| plan.kafka.check_settings && is_there(&rules.topic));
    let (wrong, unread) = match settings::inspect(&plan.kafka, runtime, &rules) {
        Ok(wrong) => (wrong, None),
        Err(error) => {
            let (subject, todo) = ("settings of state topics", "mend what Kafka says");
            (Vec::new(), Some(Finding::failed(Class::Topics, subject, error.to_string(), todo)))
        }
    };
    let finding = |(wanted, standing): (&Wanted, &Standing)| {
        let wrong = wrong.iter().find(|wrong| wrong.topic == wanted.name);
        judge(&wanted.name, standing, wrong, state.has(&wanted.name), plan.kafka.create_topics, brokers)
    };
    let findings = wanted.iter().zip(&standings).map(finding).chain(unread).collect();
    (findings, wanted.into_iter().map(|wanted| wanted.name).zip(standings).collect())
}

/// What a topic's standing means in a cluster of so many brokers. `may_change` tells whether the start sets settings of state topics
/// right.
fn judge(
    topic: &str,
    standing: &Standing,
    wrong: Option<&Wrong>,
    is_state: bool,
    may_change: bool,
    brokers: usize,
) -> Finding {
    let there = match standing {
        Standing::There(there) => there,
        Standing::WouldBeCreated => {
            let text = "is missing; the start creates it (tried, not done)";
            return Finding::ok(Class::Topics, topic, text);
        }
        Standing::Troubled(Trouble::Lacks(why)) => {
            let todo = "create it as `Topics made beforehand` in docs/topics.md says, or give the right that is named";
            return Finding::failed(Class::Topics, topic, format!("missing or too small: {why}"), todo);
        }
        Standing::Troubled(Trouble::Short(why)) => {
            let todo = "bring the brokers back that have its replicas, or lower its min.insync.replicas";
            return Finding::failed(Class::Topics, topic, why, todo);
        }
    };
    let text = described(there);
    if let Some(wrong) = wrong {
        let todo = wrong.complaint.as_str();
        return match (may_change, wrong.deletes_state) {
            (true, _) => {
                let todo = format!("nothing where the start may change it (AlterConfigs); else {todo}");
                Finding::warning(Class::Topics, topic, format!("{text}; settings are wrong"), todo)
            }
            (false, true) => {
                Finding::failed(Class::Topics, topic, format!("{text}; settings would delete state"), todo)
            }
            (false, false) => {
                Finding::warning(Class::Topics, topic, format!("{text}; keeps too little"), todo)
            }
        };
    }
    if !there.told {
        let todo = "give the right DescribeConfigs on it, or set kafka.max_message_bytes";
        return Finding::warning(Class::Topics, topic, format!("{text}; its settings may not be read"), todo);
    }
    if there.compacted && !is_state {
        let todo = "set cleanup.policy=delete, unless the latest event of a key is all that is wanted";
        let text =
            format!("{text}; compacted: takes only events that have a key, and keeps the last of each");
        return Finding::warning(Class::Topics, topic, text, todo);
    }
    match weakness(there, brokers) {
        Some((weak, todo)) => Finding::warning(Class::Topics, topic, format!("{text}; {weak}"), todo),
        None => Finding::ok(Class::Topics, topic, text),
    }
}

/// What a lost broker would take along, though Kafka has acknowledged it; and what to do about it.
fn weakness(there: &There, brokers: usize) -> Option<(&'static str, &'static str)> {
    match (there.replicas, there.min_in_sync) {
        (1, _) if brokers > 1 => Some((
            "one replica: what it holds is lost with its broker",
            "give it more replicas (kafka-reassign-partitions), or set state.replication_factor before it is made",
        )),
        (3.., Some(1)) => Some((
            "one replica in sync is enough for an acknowledgement: a broker that is lost may take along what was acknowledged",
            "set min.insync.replicas=2",
        )),
        _ => None,
    }
}

fn described(there: &There) -> String {
    let There { partitions, replicas, added, max_message_bytes, min_in_sync, .. } = there;
    let mut text = format!("partitions {partitions}, replicas {replicas}");
    if *added > 0 {
        text += &format!(", {added} partitions more at the start");
    }
    if let Some(least) = min_in_sync {
        text += &format!(", min.insync.replicas {least}");
    }
    if let Some(bytes) = max_message_bytes {
        text += &format!(", max.message.bytes {bytes}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn there() -> There {
        There {
            partitions: 3,
            replicas: 2,
            added: 0,
            max_message_bytes: Some(1000),
            min_in_sync: Some(1),
            compacted: false,
            keeps_times: true,
            after_max_ms: None,
            told: true,
        }
    }

    /// Result and text of a finding, as JSON has them.
    pub(super) fn told(finding: Finding) -> (String, String) {
        let json = super::super::report::json(&[finding]);
        let text = |key: &str| json["checks"][0][key].as_str().unwrap_or_default().to_owned();
        (text("result"), text("found"))
    }

    fn of(there: There, wrong: Option<&Wrong>, is_state: bool, may_change: bool) -> (String, String) {
        told(judge("t", &Standing::There(there), wrong, is_state, may_change, 3))
    }

    #[test]
    fn what_the_start_mends_is_no_failure() {
        let wrong = |deletes_state| Wrong { topic: "t".into(), complaint: "c".into(), deletes_state };
        assert_eq!(of(there(), Some(&wrong(true)), true, true).0, "warning");
        assert_eq!(of(there(), Some(&wrong(true)), true, false).0, "failed");
        assert_eq!(of(there(), Some(&wrong(false)), true, false).0, "warning");
        assert_eq!(of(there(), None, true, false).0, "ok");
    }

    #[test]
    fn a_topic_is_described_and_what_is_doubtful_is_said() {
        let (result, text) = of(There { added: 2, ..there() }, None, false, true);
        assert_eq!(result, "ok");
        assert_eq!(
            text,
            "partitions 3, replicas 2, 2 partitions more at the start, min.insync.replicas 1, max.message.bytes 1000"
        );
        let compacted = There { compacted: true, ..there() };
        assert_eq!(of(compacted.clone(), None, false, true).0, "warning");
        assert_eq!(of(compacted, None, true, true).0, "ok", "as it must be");
        assert_eq!(of(There { told: false, ..there() }, None, false, true).0, "warning");
    }

    #[test]
    fn what_a_lost_broker_takes_along_is_said() {
        let of = |replicas, least, brokers| {
            weakness(&There { replicas, min_in_sync: Some(least), ..there() }, brokers).map(|(_, todo)| todo)
        };
        assert_eq!(of(1, 1, 1), None, "there is no other broker");
        assert!(of(1, 1, 2).is_some_and(|todo| todo.contains("more replicas")));
        assert_eq!((of(2, 1, 3), of(3, 2, 3)), (None, None));
        assert!(of(3, 1, 3).is_some_and(|todo| todo.contains("min.insync.replicas=2")));
    }

    #[test]
    fn each_way_to_fail_has_its_own_advice() {
        for (reason, advice) in [
            (
                "no answer within 10 s: timed out (k:1: SASL authentication error: Authentication failed)",
                "password",
            ),
            ("(ssl://k:1: SSL handshake failed: certificate has expired)", "ssl.ca.location"),
            ("(k:1: Failed to resolve 'k:1': Name or service not known)", "name server"),
            ("(k:1: Connect to ipv4#127.0.0.1:1 failed: Connection refused)", "that the broker runs"),
            ("kafka.properties.sasl.password: the file cannot be read", "set the property right"),
            ("timed out", "security.protocol"),
        ] {
            assert!(way_to_reach(reason).contains(advice), "{reason}: {}", way_to_reach(reason));
        }
    }
}
