//! What is done with one dead letter: a pure decision.

use crate::model::letters::{Letter, LetterBytes, Partition};
use crate::model::types::DeadLetterReason;
use crate::shard::pipeline::redaction::WITHHELD;
use crate::sink::kafka::readback;

/// Which dead letters are to be replayed, of those of the stream that were not.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Choice {
    /// Those with this reason.
    pub reason: Option<DeadLetterReason>,
    /// Those written since then, milliseconds since the Unix epoch.
    pub since_ms: Option<i64>,
    /// Those written before then, likewise.
    pub until_ms: Option<i64>,
    /// At most so many.
    pub limit: Option<u64>,
}

/// Why a letter cannot be replayed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Obstacle {
    /// Its bytes were withheld by redaction.
    Withheld,
    /// Only the head of the line was kept.
    Head,
    /// Other rules than those of now have redacted it, and what they hashed would be hashed once more.
    Hashed,
}

impl Obstacle {
    /// Whether it may go, as when the configuration changes.
    pub(super) fn may_go(self) -> bool {
        match self {
            Self::Withheld | Self::Head => false,
            Self::Hashed => true,
        }
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Withheld => "withheld",
            Self::Head => "head_only",
            Self::Hashed => "hashed",
        }
    }
}

/// What is done with a letter.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Verdict {
    /// It is of another stream.
    OtherStream,
    /// It was replayed before.
    ReplayedBefore,
    /// It is not among those that are asked for.
    NotChosen,
    /// It stays as it is.
    Kept(Obstacle),
    /// It is replayed.
    Taken(Letter),
}

/// What a stream's letters are judged by.
#[derive(Clone, Debug)]
pub(super) struct Judge {
    /// The stream.
    pub(super) stream: String,
    /// What is asked for.
    pub(super) choice: Choice,
    /// Whether the stream hashes what it redacts.
    pub(super) hashes: bool,
    /// What tells its rules of redaction from others.
    pub(super) rules: Option<String>,
}

impl Judge {
    /// What is done with a letter, before which offsets from `from` on hold none of this stream, where `known` was replayed before.
    pub(super) fn judge(
        &self,
        letter: &readback::Letter<'_>,
        from: i64,
        known: Option<&Partition>,
    ) -> Verdict {
        if letter.header("tributary-stream") != *self.stream {
            return Verdict::OtherStream;
        }
        let length = length(letter);
        let bytes = bytes(letter, length);
        if was_replayed(letter, known) {
            return Verdict::ReplayedBefore;
        }
        if !self.is_chosen(letter) {
            return Verdict::NotChosen;
        }
        let rules = Some(letter.header("tributary-redaction").into_owned()).filter(|rules| !rules.is_empty());
        let is_current = rules.is_some() && rules == self.rules;
        match bytes {
            LetterBytes::Withheld => return Verdict::Kept(Obstacle::Withheld),
            LetterBytes::Head => return Verdict::Kept(Obstacle::Head),
            LetterBytes::Redacted if self.hashes && !is_current => return Verdict::Kept(Obstacle::Hashed),
            LetterBytes::Redacted | LetterBytes::Whole => {}
        }
        Verdict::Taken(Letter {
            partition: letter.partition,
            from,
            stamp: letter.stamp(),
            attempts: number(letter, "tributary-attempts").unwrap_or(1),
            length,
            bytes,
            rules,
            shard: letter.header("tributary-shard").into_owned(),
            position: letter.header("tributary-position").into_owned(),
        })
    }

    fn is_chosen(&self, letter: &readback::Letter<'_>) -> bool {
        let Choice { reason, since_ms, until_ms, .. } = self.choice;
        reason.is_none_or(|reason| letter.header("tributary-reason") == reason.name())
            && since_ms.is_none_or(|since_ms| letter.timestamp_ms >= since_ms)
            && until_ms.is_none_or(|until_ms| letter.timestamp_ms < until_ms)
    }
}

/// Whether a letter was replayed, where that is known of its partition. Ranges of what was replayed go on over those that never can be.
pub(crate) fn was_replayed(letter: &readback::Letter<'_>, known: Option<&Partition>) -> bool {
    known.is_some_and(|known| known.done.contains(letter.offset))
        && !matches!(bytes(letter, length(letter)), LetterBytes::Withheld | LetterBytes::Head)
}

/// Bytes of the line as it was received.
fn length(letter: &readback::Letter<'_>) -> u64 {
    number(letter, "tributary-length").unwrap_or(letter.value.len() as u64)
}

fn number<T: std::str::FromStr>(letter: &readback::Letter<'_>, name: &str) -> Option<T> {
    letter.header(name).parse().ok()
}

/// What the bytes of a letter are. Releases that did not say it wrote no less than the length, unless something was missing.
fn bytes(letter: &readback::Letter<'_>, length: u64) -> LetterBytes {
    let said = letter.header("tributary-bytes");
    if let Some(bytes) = LetterBytes::ALL.into_iter().find(|bytes| bytes.name() == said) {
        return bytes;
    }
    if letter.value.is_empty() && letter.header("tributary-detail").ends_with(WITHHELD) {
        LetterBytes::Withheld
    } else if (letter.value.len() as u64) < length {
        LetterBytes::Head
    } else {
        LetterBytes::Whole
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::letters::Replayed;

    fn judge(choice: Choice, hashes: bool, headers: &[(&'static str, &'static str)], value: &str) -> Verdict {
        let headers = headers.iter().map(|(name, value)| (*name, value.as_bytes())).collect();
        let letter = readback::Letter {
            topic: "t",
            partition: 0,
            offset: 7,
            timestamp_ms: 1_000,
            headers,
            value: value.as_bytes(),
        };
        let judge = Judge { stream: "mobile".into(), choice, hashes, rules: Some("a1".into()) };
        let mut replayed = Replayed::default();
        if let Verdict::Taken(taken) = judge.judge(&letter, 5, None) {
            replayed.add("t", &taken, false);
            assert_eq!(judge.judge(&letter, 5, replayed.of("t", 0)), Verdict::ReplayedBefore);
        }
        judge.judge(&letter, 5, None)
    }

    const OWN: (&str, &str) = ("tributary-stream", "mobile");

    #[test]
    fn letters_of_the_stream_that_are_asked_for_are_taken() {
        let all = Choice::default();
        let Verdict::Taken(letter) = judge(
            all,
            true,
            &[OWN, ("tributary-shard", "3"), ("tributary-position", "offset a"), ("tributary-attempts", "2")],
            "{}",
        ) else {
            panic!()
        };
        assert_eq!((letter.from, letter.stamp.offset, letter.attempts, letter.length), (5, 7, 2, 2));
        assert_eq!((&letter.shard[..], &letter.position[..]), ("3", "offset a"));
        assert_eq!(judge(all, false, &[("tributary-stream", "web")], "{}"), Verdict::OtherStream);
        assert_eq!(judge(all, false, &[], "{}"), Verdict::OtherStream, "whoever wrote that");
        let is_chosen = |choice: Choice| {
            judge(choice, false, &[OWN, ("tributary-reason", "no_id")], "{}") != Verdict::NotChosen
        };
        assert!(is_chosen(Choice { reason: Some(DeadLetterReason::NoId), ..all }));
        assert!(!is_chosen(Choice { reason: Some(DeadLetterReason::Unroutable), ..all }));
        assert!(is_chosen(Choice { since_ms: Some(1_000), until_ms: Some(1_001), ..all }));
        assert!(!is_chosen(Choice { since_ms: Some(1_001), ..all }));
        assert!(!is_chosen(Choice { until_ms: Some(1_000), ..all }));
    }

    #[test]
    fn what_is_not_there_in_full_is_kept() {
        let bytes = |hashes, said: &'static str, length: &'static str, value: &str| {
            let headers = [OWN, ("tributary-bytes", said), ("tributary-length", length)];
            match judge(Choice::default(), hashes, &headers, value) {
                Verdict::Kept(obstacle) => obstacle.name(),
                Verdict::Taken(_) => "taken",
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(bytes(false, "whole", "2", "{}"), "taken");
        assert_eq!(bytes(false, "redacted", "9", "{}"), "taken");
        assert_eq!(bytes(true, "redacted", "9", "{}"), "hashed");
        let redacted = |rules: &'static str| {
            let headers = [
                OWN,
                ("tributary-bytes", "redacted"),
                ("tributary-length", "9"),
                ("tributary-redaction", rules),
            ];
            matches!(judge(Choice::default(), true, &headers, "{}"), Verdict::Taken(_))
        };
        assert!(redacted("a1") && !redacted("b2"), "only what these rules have redacted is not hashed twice");
        assert_eq!(bytes(false, "head", "9", "{}"), "head_only");
        assert_eq!(bytes(false, "withheld", "9", ""), "withheld");
        // As earlier releases wrote them.
        assert_eq!(bytes(false, "", "2", "{}"), "taken");
        assert_eq!(bytes(false, "", "3", "{}"), "head_only");
        let headers = [OWN, ("tributary-detail", WITHHELD), ("tributary-length", "3")];
        assert_eq!(judge(Choice::default(), false, &headers, ""), Verdict::Kept(Obstacle::Withheld));
    }
}
