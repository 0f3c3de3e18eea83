//! What Kafka's word on a record that it did not take means, and what became of the records of a batch. No calls of Kafka in
//! here.
//!
//! Invariant: a record counts as refused for itself only where it was alone in its produce batch: so nothing that another
//! attempt could deliver becomes a dead letter. Kafka tells which records of a batch it means, but librdkafka (2.12.1) passes
//! that on only where it is more than one, and then as "invalid record" whatever is wrong with them.

use std::fmt;

use rdkafka::message::{DeliveryResult, Message};
use rdkafka::types::RDKafkaErrorCode as Code;

use crate::sink::Refused;

/// The ordinal of records that are the connector's own: ids and checkpoints.
pub(crate) const STATE: usize = usize::MAX;

/// Said of a record that librdkafka (2.12.1) counts as acknowledged, since one that was sent after it was. That proves nothing: to a
/// partition that knows nothing of the producer yet, a broker takes whatever comes first. So where it does not have the partition
/// for a moment, as one that was just made, it refuses the first batch and takes the second; and librdkafka gives up the first,
/// as delivered, without a word.
pub(crate) const UNPROVEN: Code = Code::Inconsistent;

/// What a refusal is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Meaning {
    /// The record itself.
    Record,
    /// The record was fine; another one of its produce batch was not, or the transaction was given up.
    Bystander,
    /// The produce batch is larger than its topic takes.
    TooLarge,
    /// There is no such topic any more.
    NoTopic,
    /// The time was over.
    Slow,
    /// Something that only an operator can change; what to do.
    Operator(&'static str),
    /// Something that passes.
    Passing,
}

/// A record that was not delivered.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Failure<'a> {
    /// Its line in the batch, or [`STATE`].
    pub ordinal: usize,
    /// Where it was to go.
    pub topic: &'a str,
    /// Where it was to go; negative where that was not known yet.
    pub partition: i32,
    /// Kafka's or librdkafka's word.
    pub code: Code,
    /// Bytes of key and value.
    pub bytes: usize,
}

/// What was reported of a batch's records.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Report {
    /// The word that says most.
    pub cause: Option<Cause>,
    /// Records that were refused for themselves.
    pub refused: Vec<Refused>,
    /// Topics that are gone.
    pub gone: Vec<String>,
    /// Topics that refused a produce batch as too large although none of its records was alone in it.
    pub too_large: Vec<String>,
    /// Topics that refused records among others, so that it is not known which.
    pub unclear: Vec<String>,
}

/// The word that says most about a failed batch.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Cause {
    /// The topic of the record that it was said of.
    pub topic: String,
    /// Its partition; negative where that was not known yet.
    pub partition: i32,
    /// The word.
    pub code: Code,
}

/// What a code means that comes back for a record.
pub(crate) fn meaning(code: Code) -> Meaning {
    match code {
        Code::InvalidRecord => Meaning::Record,
        Code::InvalidTimestamp => Meaning::Operator(
            "the topic does not take the record's time (message.timestamp.after.max.ms, before.max.ms): compare this \
             machine's clock with the broker's",
        ),
        Code::InvalidDifferentRecord | Code::PurgeQueue | Code::PurgeInflight => Meaning::Bystander,
        Code::MessageSizeTooLarge | Code::MessageBatchTooLarge => Meaning::TooLarge,
        Code::UnknownTopicOrPartition
        | Code::UnknownTopic
        | Code::UnknownPartition
        | Code::UnknownTopicId => Meaning::NoTopic,
        Code::MessageTimedOut | Code::TimedOutQueue | Code::OperationTimedOut | Code::QueueFull => {
            Meaning::Slow
        }
        Code::TopicAuthorizationFailed => Meaning::Operator("it takes WRITE on the topic"),
        Code::ClusterAuthorizationFailed => Meaning::Operator("it takes IDEMPOTENT_WRITE on the cluster"),
        Code::TransactionalIdAuthorizationFailed => {
            Meaning::Operator("it takes WRITE on the transactional id")
        }
        Code::NotEnoughReplicas | Code::NotEnoughReplicasAfterAppend | Code::ISRInsufficient => {
            Meaning::Operator(
                "too few replicas are in sync: bring brokers back, or lower min.insync.replicas",
            )
        }
        Code::PolicyViolation => Meaning::Operator("a policy of the cluster refuses it"),
        Code::ThrottlingQuotaExceeded => Meaning::Operator("a quota of the cluster is exceeded: raise it"),
        Code::KafkaStorageError | Code::LogDirNotFound => Meaning::Operator("look at the broker's disk"),
        Code::UnsupportedCompressionType | Code::UnsupportedForMessageFormat => {
            Meaning::Operator("the topic does not take kafka.properties.\"compression.type\" or headers")
        }
        _ => Meaning::Passing,
    }
}

/// Why a record is not known to be in Kafka, of what a producer reports; `None` where it is.
pub(crate) fn failure_code(result: &DeliveryResult<'_>) -> Option<Code> {
    match result {
        // Where Kafka acknowledged the record itself it has said where it is.
        Ok(message) if message.offset() >= 0 => None,
        Ok(_) => Some(UNPROVEN),
        Err((error, _)) => Some(error.rdkafka_error_code().unwrap_or(Code::Unknown)),
    }
}

/// A code's name in metrics, such as `invalid_record`.
pub(crate) fn name(code: Code) -> String {
    let text = format!("{code:?}");
    let mut name = String::with_capacity(text.len() + 8);
    let mut before = None;
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        let begins_word = letter.is_ascii_uppercase()
            && before.is_some_and(|before: char| {
                before.is_ascii_lowercase() || letters.peek().is_some_and(char::is_ascii_lowercase)
            });
        if begins_word {
            name.push('_');
        }
        name.push(letter.to_ascii_lowercase());
        before = Some(letter);
    }
    name
}

impl Report {
    /// Whether it says why, and not only what followed from it.
    pub(crate) fn has_cause(&self) -> bool {
        self.cause.as_ref().is_some_and(|cause| weight(cause.code) > 0)
    }

    /// Notes a record that was not delivered. `batch_bytes` is the limit of a produce batch: a record that reaches it is
    /// alone in its own.
    pub(crate) fn note(&mut self, failure: &Failure<'_>, batch_bytes: usize) {
        let Failure { ordinal, topic, partition, code, bytes } = *failure;
        // Our own records are nobody's fault, and a large one can be cut.
        let is_alone = bytes >= batch_bytes && ordinal != STATE;
        let is_about_record = meaning(code) == Meaning::Record || code == Code::InvalidTimestamp;
        match meaning(code) {
            Meaning::TooLarge if !is_alone => note_name(&mut self.too_large, topic),
            Meaning::NoTopic => note_name(&mut self.gone, topic),
            meaning if is_about_record || meaning == Meaning::TooLarge => {
                if is_alone {
                    let (topic, if_old) = (topic.to_owned(), code == Code::InvalidTimestamp);
                    let detail = format!("topic {topic} refuses the record: {code}");
                    let too_many = (meaning == Meaning::TooLarge).then_some(bytes);
                    self.refused.push(Refused { ordinal, topic, detail, too_many, if_old });
                } else {
                    note_name(&mut self.unclear, topic);
                }
            }
            _ => {}
        }
        if self.cause.as_ref().is_none_or(|known| weight(known.code) < weight(code)) {
            self.cause = Some(Cause { topic: topic.to_owned(), partition, code });
        }
    }
}

fn note_name(names: &mut Vec<String>, name: &str) {
    if names.iter().all(|known| known != name) {
        names.push(name.to_owned());
    }
}

/// How much a code says: what is only a consequence of another record's failure says least.
fn weight(code: Code) -> u8 {
    match meaning(code) {
        Meaning::Bystander => 0,
        Meaning::Slow => 1,
        Meaning::Passing => 2,
        _ => 3,
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { topic, partition, code } = self;
        write!(f, "topic {topic}")?;
        if *partition >= 0 {
            write!(f, ", partition {partition}")?;
        }
        if *code == UNPROVEN {
            return f.write_str(": acknowledged only by what was sent after it, which proves nothing");
        }
        write!(f, ": {code}")?;
        match meaning(*code) {
            Meaning::Operator(advice) => write!(f, "; {advice}"),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(ordinal: usize, code: Code) -> Failure<'static> {
        Failure { ordinal, topic: "t", partition: 3, code, bytes: 100 }
    }

    fn report(ordinal: usize, code: Code, batch_bytes: usize) -> Report {
        let mut report = Report::default();
        report.note(&failure(ordinal, code), batch_bytes);
        report
    }

    fn ordinals(report: &Report) -> Vec<usize> {
        report.refused.iter().map(|refused| refused.ordinal).collect()
    }

    #[test]
    fn a_record_is_at_fault_only_when_it_is_alone_in_its_batch() {
        for code in [Code::InvalidRecord, Code::InvalidTimestamp] {
            let among_others = report(1, code, 101);
            assert_eq!((ordinals(&among_others), &among_others.unclear[..]), (vec![], &["t".to_owned()][..]));
            let alone = report(1, code, 100);
            assert_eq!((ordinals(&alone), alone.unclear.len()), (vec![1], 0));
            assert_eq!(alone.refused[0].if_old, code == Code::InvalidTimestamp, "our clock may be wrong");
        }
        let among_others = report(1, Code::MessageSizeTooLarge, 101);
        assert_eq!((ordinals(&among_others), &among_others.too_large[..]), (vec![], &["t".to_owned()][..]));
        let alone = report(1, Code::MessageSizeTooLarge, 100);
        assert_eq!((ordinals(&alone), alone.too_large.len()), (vec![1], 0));
        let of_state = report(STATE, Code::MessageSizeTooLarge, 100);
        assert_eq!((ordinals(&of_state), of_state.too_large.len()), (vec![], 1));
    }

    #[test]
    fn the_cause_is_not_what_followed_from_it() {
        let mut report = Report::default();
        report.note(&failure(1, Code::InvalidDifferentRecord), 1000);
        assert!(!report.has_cause());
        report.note(&failure(2, Code::InvalidRecord), 1000);
        report.note(&failure(3, Code::PurgeQueue), 1000);
        let cause = report.cause.unwrap();
        assert_eq!((cause.code, cause.partition), (Code::InvalidRecord, 3));
    }

    #[test]
    fn what_an_operator_must_change_is_no_records_fault() {
        for code in [
            Code::TopicAuthorizationFailed,
            Code::ClusterAuthorizationFailed,
            Code::TransactionalIdAuthorizationFailed,
            Code::NotEnoughReplicas,
            Code::PolicyViolation,
            Code::ThrottlingQuotaExceeded,
        ] {
            let report = report(0, code, 1);
            assert!(matches!(meaning(code), Meaning::Operator(_)), "{code}");
            assert_eq!(report.refused, [], "{code}");
            assert!(report.cause.unwrap().to_string().contains("; "), "it says what to do");
        }
    }

    #[test]
    fn names_are_those_of_metrics() {
        assert_eq!(name(Code::InvalidRecord), "invalid_record");
        assert_eq!(name(Code::ISRInsufficient), "isr_insufficient");
        assert_eq!(name(Code::SSL), "ssl");
        assert_eq!(name(Code::UnsupportedSASLMechanism), "unsupported_sasl_mechanism");
    }
}
