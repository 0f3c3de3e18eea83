//! What topics take, by what Kafka says of their settings. No calls of Kafka in here.
//!
//! Invariant: only what may not be asked is guessed. An event that is taken for too large becomes a dead letter, so a request that
//! failed for a moment is made again.

use std::time::Duration;

use super::cluster::Described;
use crate::sink::{Accepts, SinkError};

/// `max.message.bytes` where it cannot be read: Kafka's default.
const DEFAULT_MAX_MESSAGE_BYTES: usize = 1_048_588;

/// Milliseconds before topics are asked again for their settings, where some of them were just created. What a broker does
/// not know yet looks like what may not be read.
const DESCRIBE_PAUSES: [u64; 6] = [5, 20, 50, 100, 200, 400];

/// What is known of some topics.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Limits {
    /// What each takes.
    pub(super) accepts: Vec<Accepts>,
    /// Those whose settings may not be read, though others' may.
    pub(super) denied: Vec<String>,
    /// Why all of it is guessed, if it is.
    pub(super) guessed: Option<String>,
}

/// An answer about topics.
type Answer = Result<Vec<Option<Described>>, SinkError>;

/// Asks until everything is known, where some topics are new: not every broker knows them at once.
pub(super) fn settled(
    has_new: bool,
    mut describe: impl FnMut() -> Answer,
    mut pause: impl FnMut(Duration),
) -> Answer {
    let mut described = describe();
    let mut pauses = DESCRIBE_PAUSES.iter().filter(|_| has_new);
    while described.as_ref().is_ok_and(|described| described.iter().any(Option::is_none))
        && let Some(millis) = pauses.next()
    {
        pause(Duration::from_millis(*millis));
        described = describe();
    }
    described
}

/// What an answer about `names` means. `refuses` tells whether no client can ask for settings at all; `lowered` is what a topic
/// was found to take at most.
pub(super) fn judge(
    names: &[&str],
    described: Answer,
    refuses: bool,
    lowered: impl Fn(&str) -> usize,
) -> Result<Limits, SinkError> {
    let (described, guessed) = match described {
        Ok(described) => (described, None),
        Err(error) if refuses => (Vec::new(), Some(error.to_string())),
        Err(error) => {
            return Err(SinkError::Unusable(format!(
                "cannot read the topics' configuration: {error}; brokers that do not answer this take \
                 kafka.max_message_bytes instead"
            )));
        }
    };
    let mut described = described.into_iter();
    let mut denied = Vec::new();
    let accepts = names.iter().map(|name| {
        let described = described.next().flatten().unwrap_or_else(|| {
            denied.push((*name).to_owned());
            Described::default()
        });
        let max_bytes = described.max_message_bytes.unwrap_or(DEFAULT_MAX_MESSAGE_BYTES);
        Accepts { max_bytes: max_bytes.min(lowered(name)), needs_key: described.compacted }
    });
    let accepts = accepts.collect();
    if guessed.is_some() {
        denied.clear();
    }
    Ok(Limits { accepts, denied, guessed })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn takes(max_bytes: usize) -> Accepts {
        Accepts { max_bytes, needs_key: false }
    }

    fn says(bytes: usize) -> Option<Described> {
        Some(Described { max_message_bytes: Some(bytes), ..Described::default() })
    }

    fn failed() -> Answer {
        Err(SinkError::Unusable("timed out".into()))
    }

    fn any(_: &str) -> usize {
        usize::MAX
    }

    #[test]
    fn a_request_that_failed_is_an_error_and_no_limit() {
        let error = judge(&["a", "b"], failed(), false, any).unwrap_err();
        assert!(matches!(error, SinkError::Unusable(_)), "it is tried again");
        let said = "cannot read the topics' configuration: timed out; brokers that do not answer this take \
                    kafka.max_message_bytes instead";
        assert_eq!(error.to_string(), said);
    }

    #[test]
    fn what_no_client_may_ask_is_guessed_and_said_once() {
        let limits =
            judge(&["a", "b"], failed(), true, |name| if name == "b" { 7 } else { usize::MAX }).unwrap();
        assert_eq!(limits.accepts, [takes(DEFAULT_MAX_MESSAGE_BYTES), takes(7)]);
        assert_eq!((limits.guessed.as_deref(), limits.denied.len()), (Some("timed out"), 0));
    }

    #[test]
    fn each_topic_takes_what_it_says_or_was_found_to_take() {
        let compacted = Some(Described { compacted: true, ..Described::default() });
        let lowered = |name: &str| if name == "low" { 100 } else { usize::MAX };
        let names = ["large", "low", "denied", "compacted"];
        let limits =
            judge(&names, Ok(vec![says(5_000_000), says(2_000), None, compacted]), false, lowered).unwrap();
        let by_default = takes(DEFAULT_MAX_MESSAGE_BYTES);
        let expected = [takes(5_000_000), takes(100), by_default, Accepts { needs_key: true, ..by_default }];
        assert_eq!(limits.accepts, expected);
        assert_eq!((limits.denied, limits.guessed), (vec!["denied".to_owned()], None));
    }

    #[test]
    fn new_topics_are_asked_for_again_until_brokers_know_them() {
        let ask = |has_new, answers: Vec<Answer>| {
            let (mut answers, mut pauses) = (answers.into_iter(), Vec::new());
            let last = settled(
                has_new,
                || answers.next().unwrap_or_else(|| Ok(vec![None])),
                |pause| pauses.push(pause),
            );
            (last.map_err(|error| error.to_string()), pauses.len())
        };
        let unknown = || Ok(vec![says(1), None]);
        let known = || Ok(vec![says(1), says(2)]);
        assert_eq!(ask(true, vec![unknown(), unknown(), known()]), (Ok(vec![says(1), says(2)]), 2));
        assert_eq!(
            ask(false, vec![unknown(), known()]),
            (Ok(vec![says(1), None]), 0),
            "that is a right that is missing"
        );
        assert_eq!(ask(true, vec![unknown(), failed()]), (Err("timed out".into()), 1));
        assert_eq!(ask(true, vec![]), (Ok(vec![None]), DESCRIBE_PAUSES.len()), "it ends");
    }
}
