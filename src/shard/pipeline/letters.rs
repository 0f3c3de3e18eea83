//! Dead letters: bytes intact where their topic takes them, else as much of their head as it takes; in a stream with redaction
//! as they may be shown, or no bytes at all.

use std::borrow::Cow;

use super::Pipeline;
use super::redaction::{Forms, WITHHELD};
use crate::event::extract::ExtractError;
use crate::model::block::OVERSIZE_HEAD;
use crate::model::errors::no_object;
use crate::model::letters::{LetterBytes, Spot};
use crate::model::types::{DeadLetterReason, Headers, OutRecord, Record};
use crate::sink::{Sink, SinkError, Topic};

/// Longest detail of a dead letter, bytes.
const MAX_DETAIL: usize = 256;

/// A line that cannot be carried.
pub(super) struct DeadLetter<'a> {
    pub(super) reason: DeadLetterReason,
    pub(super) detail: &'a str,
    pub(super) forms: Forms<'a>,
    /// Where it stood, as far as the line itself says.
    pub(super) spot: Spot<'a>,
}

impl Pipeline {
    /// What is no event becomes a dead letter.
    pub(super) fn no_event(
        &mut self,
        line: &[u8],
        error: &ExtractError<'_>,
        sink: &mut impl Sink,
    ) -> Result<(), SinkError> {
        self.progress.added.received += 1;
        let (offset, is_object) = match error {
            ExtractError::NoId { offset } => (offset.as_deref().map(Cow::Borrowed), true),
            // As the reader of the stream sees it, so that both go on from the same place.
            ExtractError::NotAnObject(_) => {
                let offset = self.extractor.offset_in_no_object(line);
                (offset.map(|offset| Cow::Owned(offset.into_bytes())), false)
            }
        };
        let letter = DeadLetter {
            reason: error.reason(),
            detail: &detail(error),
            forms: self.forms_of_no_event(line),
            spot: spot_at(offset.as_deref()),
        };
        self.dead_letter(&letter, line.len() as u64, sink)?;
        match is_object {
            true => self.progress.cursor.pass_line(offset.as_deref()),
            false => self.progress.cursor.pass_garbage(offset.as_deref()),
        }
        Ok(())
    }

    /// Where an event stood, as far as it says so itself.
    pub(super) fn spot_of<'r>(&self, record: &'r Record<'_>) -> Spot<'r> {
        match (spot_at(record.offset.as_deref()), record.processed_ms) {
            (Spot::Unknown, Some(received_ms)) if self.progress.cursor.mark().is_some() => {
                Spot::Received(received_ms)
            }
            (spot, _) => spot,
        }
    }

    /// What a dead letter holds of a line that was received with this length, and what that is.
    fn letter_bytes<'l>(&self, forms: Forms<'l>, length: u64) -> (Option<&'l [u8]>, LetterBytes) {
        let Some(value) = self.letter_of(forms) else { return (None, LetterBytes::Withheld) };
        let was_redacted = self.letter.as_ref().is_some_and(|before| before.bytes == LetterBytes::Redacted);
        let bytes = if was_redacted || !std::ptr::eq(value, forms.received) {
            LetterBytes::Redacted
        } else if length > value.len() as u64 {
            LetterBytes::Head
        } else {
            LetterBytes::Whole
        };
        (Some(value), bytes)
    }

    /// Writes a dead letter.
    pub(super) fn dead_letter(
        &mut self,
        letter: &DeadLetter<'_>,
        length: u64,
        sink: &mut impl Sink,
    ) -> Result<(), SinkError> {
        let topic = &self.dead_letter_topic;
        let Topic::Takes(accepts) = sink.topic(topic) else {
            return Err(SinkError::Unusable(format!("the dead-letter topic {topic} is not there")));
        };
        if !std::mem::replace(&mut self.begun, true) {
            sink.begin()?;
        }
        let (value, bytes) = self.letter_bytes(letter.forms, length);
        let separator = if letter.detail.is_empty() { "" } else { "; " };
        let detail = match value {
            Some(_) => Cow::Borrowed(letter.detail),
            None => Cow::Owned(format!("{}{separator}{WITHHELD}", letter.detail)),
        };
        let before = self.letter.clone();
        let (before, position) = match (before.as_deref(), self.intake_offset) {
            (Some(before), _) => (Some(before), Spot::Said(&before.position)),
            (None, Some(offset)) => (None, Spot::Intake(offset)),
            (None, None) => (None, letter.spot),
        };
        let length = before.map_or(length, |before| before.length);
        let (reason, detail) = (letter.reason, cut(&detail));
        let is_shown = value.zip(letter.forms.shown).is_some_and(|(value, shown)| std::ptr::eq(value, shown));
        let rules = match is_shown {
            true => self.rules(),
            false => before.and_then(|before| before.rules.as_deref()),
        };
        let rules = rules.filter(|_| bytes == LetterBytes::Redacted);
        let record = OutRecord {
            ordinal: self.line,
            topic,
            limit: accepts.max_bytes,
            key: None,
            value: value.unwrap_or_default(),
            timestamp_ms: self.clock_ms,
            headers: Headers::DeadLetter { reason, detail, length, bytes, rules, position, before },
        };
        match sink.send(&record) {
            Err(SinkError::TooLarge { limit, room }) => send_less(&record, limit, room, sink)?,
            other => other?,
        }
        self.progress.added.dead_letters += 1;
        if let Some(index) = DeadLetterReason::ALL.iter().position(|reason| *reason == letter.reason) {
            self.dead_letters[index] += 1;
        }
        Ok(())
    }
}

/// Writes what there is room for: the bytes of a letter are worth more than the words about it. A letter that has a whole line is
/// not replayed for one with less.
fn send_less(
    record: &OutRecord<'_>,
    limit: usize,
    room: usize,
    sink: &mut impl Sink,
) -> Result<(), SinkError> {
    let Headers::DeadLetter { reason, detail, length, bytes, rules, position, before } = record.headers
    else {
        return sink.send(record);
    };
    if let Some(detail) = shortened(detail, record.value.len().saturating_sub(room)) {
        let headers = Headers::DeadLetter { reason, detail, length, bytes, rules, position, before };
        match sink.send(&OutRecord { headers, ..*record }) {
            Err(SinkError::TooLarge { .. }) => {}
            other => return other,
        }
    }
    if let Some(before) = before {
        return Err(SinkError::Misconfigured(format!(
            "the dead letter at offset {} of {} partition {} failed again, and the topic, which takes {limit} bytes, does not take its \
             {} bytes once more: raise its max.message.bytes by 1024 at least",
            before.stamp.offset,
            record.topic,
            before.partition,
            record.value.len()
        )));
    }
    let head = &record.value[..record.value.len().min(OVERSIZE_HEAD).min(room)];
    let bytes = LetterBytes::Head;
    let headers = Headers::DeadLetter { reason, detail, length, bytes, rules: None, position, before };
    match sink.send(&OutRecord { value: head, headers, ..*record }) {
        Err(SinkError::TooLarge { limit, .. }) => Err(SinkError::Unusable(format!(
            "the dead-letter topic {} takes {limit} bytes, less than the headers of a dead letter: raise its \
             max.message.bytes",
            record.topic
        ))),
        other => other,
    }
}

/// A detail with so many bytes less; `None` where it has not so many.
fn shortened(detail: &str, less: usize) -> Option<&str> {
    let most = detail.len().checked_sub(less)?;
    Some(&detail[..detail.floor_char_boundary(most)])
}

/// Where a line stood that has this offset.
fn spot_at(offset: Option<&[u8]>) -> Spot<'_> {
    let offset = offset.and_then(|offset| std::str::from_utf8(offset).ok());
    offset.map_or(Spot::Unknown, Spot::Offset)
}

fn detail(error: &ExtractError<'_>) -> String {
    match error {
        ExtractError::NotAnObject(cause) => no_object(cause),
        ExtractError::NoId { .. } => error.to_string(),
    }
}

fn cut(detail: &str) -> &str {
    &detail[..detail.floor_char_boundary(MAX_DETAIL)]
}
