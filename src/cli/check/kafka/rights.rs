//! The rights to write to topics and to join the consumer group, each tried by a request that Kafka refuses once it has judged the right.

use std::collections::BTreeMap;

use super::super::report::{Class, Finding};
use super::{Asked, Seen};
use crate::sink::kafka::topics::inspecting::Standing;
use crate::sink::kafka::trying::{self, MOST_BYTES, Sized, Write};

/// Where the rights are listed.
const LISTED: &str = "`Rights on Kafka` in docs/security.md lists the rights";

/// What is said of topics together.
const WRITING: &str = "rights to write";

/// Topics by why they cannot be written to, or why that is not known.
type Reasons<'a> = BTreeMap<&'a str, Vec<&'a str>>;

/// Topics that cannot be tried, how many there are of each kind.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Untried {
    /// They are not there, or something is in their way.
    missing: usize,
    /// Their `max.message.bytes` may not be read.
    untold: usize,
    /// They take records of more than [`MOST_BYTES`].
    large: usize,
}

/// Whether the consumer group that shares the shards may be joined.
pub(super) fn joining(asked: Asked<'_>) -> Option<Finding> {
    let Asked { plan, runtime, limit } = asked;
    plan.group.as_ref()?;
    let subject = "consumer group";
    Some(match trying::group(&plan.kafka, runtime.clone(), limit) {
        Ok(()) => Finding::ok(Class::Kafka, subject, "may be joined (tried, not done)"),
        Err(error) => {
            let todo = format!("give the right Read on the group {}.shards", plan.kafka.prefix);
            Finding::failed(Class::Kafka, subject, error.to_string(), todo)
        }
    })
}

/// Whether the topics that are there may be written to.
pub(super) fn writing(asked: Asked<'_>, seen: &Seen) -> Finding {
    let Asked { plan, runtime, limit } = asked;
    if seen.is_empty() {
        return Finding::not_tried(Class::Topics, WRITING, "the topics cannot be looked at");
    }
    let (topics, untried) = sorted(seen);
    let found = trying::writes(&plan.kafka, runtime.clone(), &topics, limit);
    let names = topics.into_iter().map(|sized| sized.topic);
    of_writes(&names.zip(found).collect::<Vec<_>>(), untried)
}

/// The topics that can be tried.
fn sorted(seen: &Seen) -> (Vec<Sized>, Untried) {
    let (mut topics, mut untried) = (Vec::new(), Untried::default());
    for (topic, standing) in seen {
        let Standing::There(there) = standing else {
            untried.missing += 1;
            continue;
        };
        match there.max_message_bytes {
            None => untried.untold += 1,
            Some(bytes) if bytes > MOST_BYTES => untried.large += 1,
            Some(max_message_bytes) => topics.push(Sized { topic: topic.clone(), max_message_bytes }),
        }
    }
    (topics, untried)
}

/// What the attempts mean together.
fn of_writes(found: &[(String, Write)], untried: Untried) -> Finding {
    let (class, subject) = (Class::Topics, WRITING);
    let (mut denied, mut taken, mut allowed) = (Vec::new(), Vec::new(), 0);
    let (mut refused, mut unknown) = (Reasons::new(), Reasons::new());
    for (topic, write) in found {
        match write {
            Write::Allowed => allowed += 1,
            Write::Denied => denied.push(topic.as_str()),
            Write::Refused(why) => refused.entry(why).or_default().push(topic),
            Write::Unknown(why) => unknown.entry(why).or_default().push(topic),
            Write::Taken(offset) => taken.push(format!("{topic} (partition 0, offset {offset})")),
        }
    }
    let (denied, taken) = (denied.join(", "), taken.join(", "));
    let said = |reasons: &Reasons<'_>| {
        let each = reasons.iter().map(|(why, topics)| format!("{}: {why}", topics.join(", ")));
        each.collect::<Vec<_>>().join("; ")
    };
    let (refused, unknown) = (said(&refused), said(&unknown));
    let mut texts = Vec::new();
    let mut todos = Vec::new();
    if !taken.is_empty() {
        texts.push(format!("Kafka has WRITTEN a record that it must refuse, since it is larger than max.message.bytes: {taken}"));
        todos.push("delete the record where it is in anybody's way, and tell the makers of Tributary which broker this is".to_owned());
    }
    if !denied.is_empty() {
        texts.push(format!("refused: {denied}"));
        todos.push(format!("give the right Write on {denied}; {LISTED}"));
    }
    if !refused.is_empty() {
        texts.push(refused.clone());
        todos.push("do what the finding says".to_owned());
    }
    if !unknown.is_empty() {
        texts.push(format!("not found out: {unknown}"));
        todos.push("try again, or with a longer --timeout".to_owned());
    }
    if allowed > 0 {
        texts.push(format!("topics that may be written to (tried, not done): {allowed}"));
    }
    texts.extend(untried.text());
    let (text, todo) = (texts.join("; "), todos.join("; "));
    if !(taken.is_empty() && denied.is_empty() && refused.is_empty()) {
        Finding::failed(class, subject, text, todo)
    } else if !unknown.is_empty() {
        Finding::warning(class, subject, text, todo)
    } else if allowed > 0 {
        Finding::ok(class, subject, text)
    } else {
        Finding::not_tried(class, subject, text)
    }
}

impl Untried {
    /// How many could not be tried, and why; `None` where all could.
    fn text(self) -> Option<String> {
        let Self { missing, untold, large } = self;
        let above = format!("whose max.message.bytes is above {} MiB", MOST_BYTES >> 20);
        let parts: Vec<String> = [
            (missing, "that are missing or in trouble"),
            (untold, "whose max.message.bytes may not be read"),
            (large, &above),
        ]
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, why)| format!("{count} {why}"))
        .collect();
        (!parts.is_empty()).then(|| format!("topics that cannot be tried: {}", parts.join(", ")))
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{there, told};
    use super::*;
    use crate::sink::kafka::topics::inspecting::There;

    fn of(found: &[Write], untried: Untried) -> (String, String) {
        let topics = ["a", "b", "c", "d"].map(str::to_owned).into_iter();
        told(of_writes(&topics.zip(found.iter().cloned()).collect::<Vec<_>>(), untried))
    }

    #[test]
    fn only_what_kafka_would_refuse_is_tried() {
        let sized = |bytes| Standing::There(There { max_message_bytes: bytes, ..there() });
        let seen = [
            ("a", sized(Some(1))),
            ("b", sized(None)),
            ("c", sized(Some(MOST_BYTES))),
            ("d", sized(Some(MOST_BYTES + 1))),
            ("e", Standing::WouldBeCreated),
        ];
        let (topics, untried) = sorted(&seen.map(|(name, standing)| (name.to_owned(), standing)).into());
        assert_eq!(topics.iter().map(|sized| sized.topic.as_str()).collect::<Vec<_>>(), ["a", "c"]);
        assert_eq!(untried, Untried { missing: 1, untold: 1, large: 1 });
        assert_eq!(
            untried.text().unwrap(),
            "topics that cannot be tried: 1 that are missing or in trouble, 1 whose max.message.bytes may not be read, 1 whose \
             max.message.bytes is above 64 MiB"
        );
    }

    #[test]
    fn the_worst_answer_counts() {
        use Write::{Allowed, Denied, Refused, Taken, Unknown};
        let none = Untried::default();
        let missing = Untried { missing: 2, ..none };
        assert_eq!(of(&[], missing).0, "not_tried");
        let (result, found) = of(&[Allowed, Allowed], missing);
        assert_eq!(
            (result.as_str(), found.as_str()),
            (
                "ok",
                "topics that may be written to (tried, not done): 2; topics that cannot be tried: 2 that are missing or in \
                 trouble"
            )
        );
        assert_eq!(of(&[Allowed, Unknown("why".into())], none).0, "warning");
        let (result, found) = of(&[Denied, Allowed, Denied, Unknown("why".into())], none);
        assert!(result == "failed" && found.starts_with("refused: a, c; not found out: d: why"), "{found}");
        let few = || Refused("too few".into());
        let (result, found) = of(&[few(), Allowed, few()], none);
        assert!(result == "failed" && found.starts_with("a, c: too few; "), "{found}");
        let (result, found) = of(&[Allowed, Taken(7)], none);
        assert!(
            result == "failed" && found.contains("WRITTEN") && found.contains("b (partition 0, offset 7)")
        );
    }
}
