//! Whether topics may be written to, asked by records that are too large for them.
//!
//! Kafka judges the right first, then whether enough replicas are in sync, and then the size of the batch. So a record that is larger than
//! its topic's `max.message.bytes` is always refused, and the refusal tells whether the right was there.

use std::time::Duration;

use rdkafka::types::RDKafkaErrorCode as Code;
use tokio::runtime::Handle;

use super::refusals::{Answer, Probe, Prober};
use crate::sink::SinkError;
use crate::sink::kafka::client::Clients;
use crate::sink::kafka::config::Config;
use crate::sink::kafka::delivery::{Meaning, meaning};

/// The largest `max.message.bytes` with which a topic is tried. Brokers close connections that send more than 100 MiB
/// (`socket.request.max.bytes`), and the machine has to hold it.
pub(crate) const MOST_BYTES: usize = 64 << 20;

/// Bytes of records that are sent at a time, unless a single one has more.
const TURN_BYTES: usize = 16 << 20;

/// What the record begins with, should a broker ever take one.
const NOTE: &[u8] =
    b"Written by `tributary check`, which expected Kafka to refuse it: it is larger than max.message.bytes. ";

/// A topic that is there.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Sized {
    /// Its name.
    pub topic: String,
    /// Its `max.message.bytes`, [`MOST_BYTES`] at most.
    pub max_message_bytes: usize,
}

/// Whether a topic may be written to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Write {
    /// It may.
    Allowed,
    /// It takes the right to.
    Denied,
    /// An operator must change something else: what Kafka says.
    Refused(String),
    /// That is not known: why.
    Unknown(String),
    /// Kafka has written the record, at this offset of partition 0.
    Taken(i64),
}

/// Tries to write to each of `topics`; what was found is in their order. Waits for the answers of each turn for `limit` at most. Blocks.
pub(crate) fn writes(config: &Config, runtime: Handle, topics: &[Sized], limit: Duration) -> Vec<Write> {
    let mut found = Vec::with_capacity(topics.len());
    if let Err(error) = try_all(config, runtime, topics, limit, &mut found) {
        // Nobody is to wait so long for each turn.
        found.resize(topics.len(), Write::Unknown(error.to_string()));
    }
    found
}

/// The same, until nothing is answered.
fn try_all(
    config: &Config,
    runtime: Handle,
    topics: &[Sized],
    limit: Duration,
    found: &mut Vec<Write>,
) -> Result<(), SinkError> {
    if topics.is_empty() {
        return Ok(());
    }
    let prober = Prober::new(&Clients::new(config.clone(), runtime), 1, limit)?;
    let longest = topics.iter().map(Sized::record_bytes).max().unwrap_or_default();
    let mut value = NOTE.to_vec();
    value.resize(longest.max(NOTE.len()), b' ');
    for turn in turns(topics) {
        let probe = |topic: &Sized| value.get(..topic.record_bytes());
        let probes: Vec<Probe<'_>> = turn
            .iter()
            .map(|topic| Probe { topic: &topic.topic, key: None, value: probe(topic), timestamp_ms: None })
            .collect();
        let answers = prober.ask(&probes)?;
        let why_none = prober.why_none();
        found.extend(answers.iter().map(|answer| judge(*answer, &why_none)));
        if answers.contains(&Answer::None) {
            return Err(SinkError::Unusable(why_none));
        }
    }
    Ok(())
}

impl Sized {
    /// Bytes of the value that is too large, whatever is around it.
    fn record_bytes(&self) -> usize {
        self.max_message_bytes + 1
    }
}

/// Cuts topics into turns of [`TURN_BYTES`] at most, or of one.
fn turns(topics: &[Sized]) -> Vec<&[Sized]> {
    let mut turns = Vec::new();
    let (mut rest, mut at, mut sum) = (topics, 0, 0);
    while at < rest.len() {
        let next = rest[at].record_bytes();
        if at > 0 && sum + next > TURN_BYTES {
            let (turn, left) = rest.split_at(at);
            turns.push(turn);
            (rest, at, sum) = (left, 0, 0);
            continue;
        }
        (at, sum) = (at + 1, sum + next);
    }
    if !rest.is_empty() {
        turns.push(rest);
    }
    turns
}

/// What an answer means.
fn judge(answer: Answer, why_none: &str) -> Write {
    match answer {
        Answer::Refused(Code::MessageSizeTooLarge) => Write::Allowed,
        Answer::Refused(Code::TopicAuthorizationFailed) => Write::Denied,
        Answer::Refused(code) => match meaning(code) {
            Meaning::Operator(advice) => Write::Refused(format!("{code}; {advice}")),
            _ => Write::Unknown(code.to_string()),
        },
        Answer::None => Write::Unknown(why_none.to_owned()),
        Answer::Taken(offset) => Write::Taken(offset),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_refusal_of_the_size_proves_the_right() {
        let of = |answer| judge(answer, "no answer");
        assert_eq!(of(Answer::Refused(Code::MessageSizeTooLarge)), Write::Allowed);
        assert_eq!(of(Answer::Refused(Code::TopicAuthorizationFailed)), Write::Denied);
        assert!(
            matches!(of(Answer::Refused(Code::NotEnoughReplicas)), Write::Refused(said) if said.contains("in sync"))
        );
        assert!(matches!(of(Answer::Refused(Code::NotLeaderForPartition)), Write::Unknown(_)));
        assert_eq!(of(Answer::None), Write::Unknown("no answer".into()));
        assert_eq!(of(Answer::Taken(7)), Write::Taken(7));
    }

    #[test]
    fn what_is_sent_at_a_time_is_bounded() {
        let topic = |bytes| Sized { topic: "t".into(), max_message_bytes: bytes };
        let cut = |sizes: &[usize]| {
            let topics: Vec<Sized> = sizes.iter().map(|bytes| topic(*bytes)).collect();
            turns(&topics).iter().map(|turn| turn.len()).collect::<Vec<_>>()
        };
        assert_eq!(cut(&[]), Vec::<usize>::new());
        assert_eq!(cut(&[MOST_BYTES, 1, MOST_BYTES]), [1, 1, 1]);
        let quarter = TURN_BYTES / 4 - 1;
        assert_eq!(cut(&[quarter; 9]), [4, 4, 1]);
    }
}
