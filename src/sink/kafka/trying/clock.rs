//! How this machine's clock stands to that of Kafka, asked by produce batches that are always refused.
//!
//! A compacted topic takes no record without a key, and a batch is taken or refused as a whole. So one that begins with records without a
//! key is never written. But Kafka looks at each record, and also says of the last one, which has a key, whether its time is too far
//! ahead: more than `message.timestamp.after.max.ms` beyond the broker's clock. Two come before it, since librdkafka (2.12.1) tells which
//! records were at fault only where it is more than one.

use std::time::Duration;

use rdkafka::types::RDKafkaErrorCode as Code;
use tokio::runtime::Handle;

use super::refusals::{Answer, PARTITION, Probe, Prober};
use crate::clock::now_ms;
use crate::sink::kafka::client::{Clients, LONGEST_WAIT};
use crate::sink::kafka::config::Config;
use crate::sink::kafka::delivery::Cause;
use crate::sink::kafka::placement::TOLERATED_MS;

/// The key of the last record, which has no value. It is that of no shard, and whoever reads the topic passes over what it does not know:
/// so the record would do no harm even where a broker took it.
const KEY: &str = "tributary-check";

/// The value of those before it.
const NOTE: &[u8] = b"Written by `tributary check`, which expected Kafka to refuse it: a compacted topic takes no record without a key.";

/// Records of a batch.
const TOGETHER: usize = 3;

/// A record that is so much older than our clock says is too far ahead for no broker, milliseconds: ten years.
const LONG_AGO_MS: i64 = 10 * 365 * 86_400_000;

/// Beyond this `message.timestamp.after.max.ms` limits nothing. Kafka's own word for unlimited is `i64::MAX`.
const UNLIMITED_MS: i64 = i64::MAX / 4;

/// A topic whose leader is asked for the time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Dating<'a> {
    /// Its name. It must be compacted, and keep the times of the writers.
    pub topic: &'a str,
    /// Its `message.timestamp.after.max.ms`, which [limits](is_limited) something.
    pub after_max_ms: i64,
}

/// How the clocks differ.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Clocks {
    /// By less than a minute, and what an answer may take.
    Agree,
    /// Ours is ahead by more than a minute.
    Ahead {
        /// Whether by so much that Kafka refuses what is dated by it.
        is_refused: bool,
    },
    /// Ours is behind by more than a minute.
    Behind,
    /// That is not known: why.
    Unknown(String),
    /// Kafka has written the records, at this offset of partition 0.
    Taken(i64),
}

/// What Kafka says of a record's time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Time {
    /// It is not too far ahead.
    Fine,
    /// It is.
    TooLate,
}

/// Whether a topic with this `message.timestamp.after.max.ms` refuses any time.
pub(crate) fn is_limited(after_max_ms: i64) -> bool {
    (0..UNLIMITED_MS).contains(&after_max_ms)
}

/// Compares the clocks by two requests, and by up to four where ours is ahead; each takes `limit` at most. Blocks.
pub(crate) fn clocks(config: &Config, runtime: Handle, dating: Dating<'_>, limit: Duration) -> Clocks {
    let limit = limit.min(LONGEST_WAIT);
    let prober = match Prober::new(&Clients::new(config.clone(), runtime), TOGETHER, limit) {
        Ok(prober) => prober,
        Err(error) => return Clocks::Unknown(error.to_string()),
    };
    let limit_ms = i64::try_from(limit.as_millis()).unwrap_or(i64::MAX);
    let ask = |later_ms| ask(&prober, dating.topic, now_ms().saturating_add(later_ms));
    compare(dating.after_max_ms, limit_ms, ask).unwrap_or_else(|unknown| unknown)
}

/// Compares them by what Kafka says of times that are so much later than ours. An answer may take `limit_ms`, by which a time is
/// less far ahead when Kafka sees it.
fn compare(
    after_max_ms: i64,
    limit_ms: i64,
    ask: impl Fn(i64) -> Result<Time, Clocks>,
) -> Result<Clocks, Clocks> {
    if ask(after_max_ms - TOLERATED_MS)? == Time::TooLate {
        let is_refused = ask(0)? == Time::TooLate;
        if is_refused && ask(-LONG_AGO_MS)? == Time::TooLate {
            return Err(Clocks::Unknown(
                "Kafka does not tell which records it refuses for their time".into(),
            ));
        }
        return Ok(Clocks::Ahead { is_refused });
    }
    match ask(after_max_ms + TOLERATED_MS + limit_ms)? {
        Time::Fine => Ok(Clocks::Behind),
        Time::TooLate => Ok(Clocks::Agree),
    }
}

/// Sends a batch of which the last record has this time.
fn ask(prober: &Prober, topic: &str, timestamp_ms: i64) -> Result<Time, Clocks> {
    let without_key = Probe { topic, key: None, value: Some(NOTE), timestamp_ms: None };
    let dated = Probe { key: Some(KEY), value: None, timestamp_ms: Some(timestamp_ms), ..without_key };
    let batch: [Probe<'_>; TOGETHER] = [without_key, without_key, dated];
    let answers = prober.ask(&batch).map_err(|error| Clocks::Unknown(error.to_string()))?;
    judge(topic, &answers, || prober.why_none())
}

/// What the answers to a batch mean. librdkafka (2.12.1) calls each record that is at fault invalid, whatever is wrong with it, and the
/// others bystanders.
fn judge(topic: &str, answers: &[Answer], why_none: impl Fn() -> String) -> Result<Time, Clocks> {
    let taken = answers
        .iter()
        .find_map(|answer| if let Answer::Taken(offset) = answer { Some(*offset) } else { None });
    if let Some(offset) = taken {
        return Err(Clocks::Taken(offset));
    }
    match answers.last() {
        Some(Answer::Refused(Code::InvalidDifferentRecord)) => Ok(Time::Fine),
        Some(Answer::Refused(Code::InvalidRecord | Code::InvalidTimestamp)) => Ok(Time::TooLate),
        Some(Answer::Refused(code)) => {
            let (topic, code) = (topic.to_owned(), *code);
            Err(Clocks::Unknown(Cause { topic, partition: PARTITION, code }.to_string()))
        }
        _ => Err(Clocks::Unknown(format!("topic {topic}: {}", why_none()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000;
    const LIMIT: i64 = 10_000;

    /// What is found where our clock is ahead by so much and a topic takes what is dated so far ahead.
    fn found(ahead_ms: i64, after_max_ms: i64) -> Clocks {
        let ask =
            |later_ms: i64| Ok(if ahead_ms + later_ms > after_max_ms { Time::TooLate } else { Time::Fine });
        compare(after_max_ms, LIMIT, ask).unwrap()
    }

    #[test]
    fn a_difference_of_more_than_a_minute_is_found() {
        for after_max_ms in [0, TOLERATED_MS, HOUR, UNLIMITED_MS - 1] {
            for ahead_ms in [0, TOLERATED_MS, -TOLERATED_MS] {
                assert_eq!(found(ahead_ms, after_max_ms), Clocks::Agree, "{ahead_ms} {after_max_ms}");
            }
            assert_eq!(found(-TOLERATED_MS - LIMIT, after_max_ms), Clocks::Behind, "{after_max_ms}");
        }
        assert_eq!(found(TOLERATED_MS + 1, HOUR), Clocks::Ahead { is_refused: false });
        assert_eq!(found(HOUR + 1, HOUR), Clocks::Ahead { is_refused: true });
        assert_eq!(found(TOLERATED_MS + 1, 0), Clocks::Ahead { is_refused: true });
    }

    #[test]
    fn some_topics_refuse_no_time() {
        assert!([0, HOUR].into_iter().all(is_limited));
        assert!(![-1, UNLIMITED_MS, i64::MAX].into_iter().any(is_limited));
    }

    #[test]
    fn a_broker_that_names_no_records_tells_nothing() {
        assert!(matches!(compare(HOUR, LIMIT, |_| Ok(Time::TooLate)), Err(Clocks::Unknown(_))));
    }

    #[test]
    fn the_last_record_tells() {
        let of = |first, last| judge("t", &[first, first, last], || "no answer".into());
        let refused = Answer::Refused;
        let invalid = refused(Code::InvalidRecord);
        assert_eq!(of(invalid, refused(Code::InvalidDifferentRecord)), Ok(Time::Fine));
        assert_eq!(of(invalid, invalid), Ok(Time::TooLate));
        assert_eq!(of(refused(Code::InvalidTimestamp), refused(Code::InvalidTimestamp)), Ok(Time::TooLate));
        assert_eq!(of(invalid, Answer::None), Err(Clocks::Unknown("topic t: no answer".into())));
        assert_eq!(of(invalid, Answer::Taken(7)), Err(Clocks::Taken(7)));
        let denied = refused(Code::TopicAuthorizationFailed);
        assert!(matches!(of(denied, denied), Err(Clocks::Unknown(said)) if said.contains("it takes WRITE")));
    }
}
