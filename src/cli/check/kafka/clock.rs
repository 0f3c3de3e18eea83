//! Kafka's clock beside that of this machine.

use super::super::report::{Class, Finding};
use super::Asked;
use crate::sink::kafka::StateTopics;
use crate::sink::kafka::topics::inspecting::{Standing, There};
use crate::sink::kafka::trying::{self, Clocks, Dating};

/// What is looked at.
const SUBJECT: &str = "clock of Kafka";

/// What to do where the clocks differ.
const SET_CLOCKS: &str =
    "set the clock of this machine or of the brokers, as by NTP: what has no time of its own is dated by it";

/// It was not compared; why.
pub(in crate::cli::check) fn not_tried(why: &str) -> Finding {
    let text = format!("{why}; each start compares the clocks by what it announces");
    Finding::not_tried(Class::Machine, SUBJECT, text)
}

/// How the clocks differ, by the leader of the first partition of the checkpoints' topic, with which it so `stands`.
pub(super) fn compared(asked: Asked<'_>, stands: Option<&Standing>) -> Finding {
    let Asked { plan, runtime, limit } = asked;
    let topic = StateTopics::new(&plan.kafka.prefix).checkpoints;
    match datable(stands) {
        Ok(after_max_ms) => {
            let dating = Dating { topic: &topic, after_max_ms };
            of_clocks(&topic, &trying::clocks(&plan.kafka, runtime.clone(), dating, limit))
        }
        Err(why) => not_tried(&format!("topic {topic} {why}")),
    }
}

/// The `message.timestamp.after.max.ms` of a topic that a record without a key can never be written to, and that says of times whether
/// they are too late; an error says why it is none.
fn datable(stands: Option<&Standing>) -> Result<i64, &'static str> {
    let there = match stands {
        Some(Standing::There(there)) => there,
        Some(Standing::WouldBeCreated) => return Err("is missing"),
        Some(Standing::Troubled(_)) | None => return Err("cannot be used, or is not shown"),
    };
    match there {
        // A limit that is configured counts as told, but says nothing of the others.
        There { told: false, .. } | There { max_message_bytes: None, .. } => {
            Err("does not tell its settings")
        }
        There { compacted: false, .. } => Err("is not compacted, so that it would take the record"),
        There { keeps_times: false, .. } => Err("does not keep the times of records"),
        There { after_max_ms: Some(ms), .. } if trying::is_limited(*ms) => Ok(*ms),
        _ => Err("refuses no record for its time (message.timestamp.after.max.ms)"),
    }
}

/// What is said of the clocks.
fn of_clocks(topic: &str, clocks: &Clocks) -> Finding {
    let warning = |text: &str| Finding::warning(Class::Machine, SUBJECT, text, SET_CLOCKS);
    match clocks {
        Clocks::Agree => {
            Finding::ok(Class::Machine, SUBJECT, "agrees with that of this machine to about a minute")
        }
        Clocks::Ahead { is_refused: false } => warning("this machine's is more than a minute ahead of it"),
        Clocks::Ahead { is_refused: true } => {
            let text = "this machine's is so far ahead of it that brokers refuse what is dated by it";
            Finding::failed(Class::Machine, SUBJECT, text, SET_CLOCKS)
        }
        Clocks::Behind => warning("this machine's is more than a minute behind it"),
        Clocks::Unknown(why) => not_tried(why),
        Clocks::Taken(offset) => {
            let text = format!(
                "Kafka has WRITTEN records that it must refuse, since {topic} is compacted and one has no key \
                 (partition 0, offset {offset})"
            );
            let todo = "nothing, since they do no harm; tell the makers of Tributary which broker this is";
            Finding::failed(Class::Machine, SUBJECT, text, todo)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{there, told};
    use super::*;

    #[test]
    fn a_topic_that_would_take_the_records_is_not_asked() {
        let of = |there: There| datable(Some(&Standing::There(there)));
        let good = || There { compacted: true, after_max_ms: Some(5), ..there() };
        assert_eq!(of(good()), Ok(5));
        for (there, why) in [
            (There { told: false, ..good() }, "does not tell its settings"),
            (There { max_message_bytes: None, ..good() }, "does not tell its settings"),
            (There { compacted: false, ..good() }, "is not compacted"),
            (There { keeps_times: false, ..good() }, "keep the times"),
            (There { after_max_ms: None, ..good() }, "no record for its time"),
            (There { after_max_ms: Some(i64::MAX), ..good() }, "no record for its time"),
        ] {
            assert!(of(there.clone()).unwrap_err().contains(why), "{there:?}");
        }
        assert_eq!(datable(Some(&Standing::WouldBeCreated)), Err("is missing"));
        assert!(datable(None).is_err());
    }

    #[test]
    fn a_difference_warns_and_what_is_refused_for_it_fails() {
        let of = |clocks| told(of_clocks("t", &clocks));
        assert_eq!(of(Clocks::Agree).0, "ok");
        assert_eq!(of(Clocks::Behind).0, "warning");
        assert_eq!(of(Clocks::Ahead { is_refused: false }).0, "warning");
        assert_eq!(of(Clocks::Ahead { is_refused: true }).0, "failed");
        let (result, found) = of(Clocks::Unknown("no answer".into()));
        assert!(result == "not_tried" && found.starts_with("no answer; each start"), "{found}");
        let (result, found) = of(Clocks::Taken(7));
        assert!(result == "failed" && found.contains("WRITTEN") && found.contains("offset 7"), "{found}");
    }
}
