//! Dead letters: bytes intact where their topic takes them, else as much of their head as it takes; in a stream with redaction
//! as they may be shown, or no bytes at all.

use std::borrow::Cow;

use super::Pipeline;
use super::redaction::{Forms, WITHHELD};
use crate::event::extract::ExtractError;
use crate::model::block::OVERSIZE_HEAD;
use crate::model::types::{DeadLetterReason, Headers, OutRecord};
use crate::sink::{Sink, SinkError, Topic};

/// Longest detail of a dead letter, bytes.
const MAX_DETAIL: usize = 256;

/// A line that cannot be carried.
pub(super) struct DeadLetter<'a> {
    pub(super) reason: DeadLetterReason,
    pub(super) detail: &'a str,
    pub(super) forms: Forms<'a>,
}

impl Pipeline {
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
        let value = self.letter(letter.forms);
        let separator = if letter.detail.is_empty() { "" } else { "; " };
        let detail = match value {
            Some(_) => Cow::Borrowed(letter.detail),
            None => Cow::Owned(format!("{}{separator}{WITHHELD}", letter.detail)),
        };
        let record = OutRecord {
            ordinal: self.line,
            topic,
            limit: accepts.max_bytes,
            key: None,
            value: value.unwrap_or_default(),
            timestamp_ms: self.clock_ms,
            headers: Headers::DeadLetter { reason: letter.reason, detail: cut(&detail), length },
        };
        match sink.send(&record) {
            Err(SinkError::TooLarge { room, .. }) => send_head(&record, room, sink)?,
            other => other?,
        }
        self.progress.added.dead_letters += 1;
        if let Some(index) = DeadLetterReason::ALL.iter().position(|reason| *reason == letter.reason) {
            self.dead_letters[index] += 1;
        }
        Ok(())
    }
}

fn send_head(record: &OutRecord<'_>, room: usize, sink: &mut impl Sink) -> Result<(), SinkError> {
    let head = &record.value[..record.value.len().min(OVERSIZE_HEAD).min(room)];
    match sink.send(&OutRecord { value: head, ..*record }) {
        Err(SinkError::TooLarge { limit, .. }) => Err(SinkError::Unusable(format!(
            "the dead-letter topic {} takes {limit} bytes, less than the headers of a dead letter: raise its \
             max.message.bytes",
            record.topic
        ))),
        other => other,
    }
}

pub(super) fn detail(error: &ExtractError<'_>) -> String {
    match error {
        ExtractError::NotAnObject(cause) => cause.to_string(),
        ExtractError::NoId { .. } => error.to_string(),
    }
}

fn cut(detail: &str) -> &str {
    &detail[..detail.floor_char_boundary(MAX_DETAIL)]
}
