//! A block's lines or records, one by one into the batch.

use super::letters::DeadLetter;
use super::{Pipeline, Stop, Taken};
use crate::clock::now_ms;
use crate::failpoint;
use crate::model::block::{Block, Records};
use crate::model::letters::{MAX_RANGES, Spot};
use crate::model::types::{DeadLetterReason, Position};
use crate::sink::{Sink, SinkError};

impl Pipeline {
    /// Takes up which records were read before the checkpoint's position.
    pub fn take_up(&mut self, position: Option<&Position>) {
        self.progress.cursor.take_up(position);
        self.base.cursor.take_up(position);
    }

    /// Puts at most `room` lines of a block into the sink's transaction, beginning it with the first record.
    pub fn process(&mut self, block: &Block, room: usize, sink: &mut impl Sink) -> Result<Taken, SinkError> {
        self.clock_ms = now_ms();
        (self.letter, self.intake_offset) = (None, None);
        match block {
            Block::Lines(bytes) => self.lines(bytes, room, sink),
            Block::Records(records) => self.records(records, room, sink),
            Block::Oversize { head, length } => {
                self.oversize(head, *length, sink)?;
                Ok(Taken { lines: 1, bytes: head.len(), stop: None })
            }
        }
    }

    fn lines(&mut self, bytes: &[u8], room: usize, sink: &mut impl Sink) -> Result<Taken, SinkError> {
        let mut taken = Taken { lines: 0, bytes: 0, stop: None };
        while taken.lines < room && taken.bytes < bytes.len() {
            let rest = &bytes[taken.bytes..];
            let end = memchr::memchr(b'\n', rest).unwrap_or(rest.len());
            let line = rest[..end].strip_suffix(b"\r").unwrap_or(&rest[..end]);
            if !line.is_empty() {
                if !self.line(line, sink)? {
                    taken.stop = Some(Stop::UnknownTopic);
                    break;
                }
                taken.lines += 1;
                self.line += 1;
            }
            taken.bytes = (taken.bytes + end + 1).min(bytes.len());
        }
        in_mid_batch(taken)
    }

    fn records(&mut self, records: &Records, room: usize, sink: &mut impl Sink) -> Result<Taken, SinkError> {
        let mut taken = Taken { lines: 0, bytes: 0, stop: None };
        for record in records.iter().take(room) {
            if let Some(letter) = record.letter
                && self.progress.cursor.has_moved()
                && !self.progress.cursor.has_room_for(letter)
            {
                taken.stop = Some(Stop::NoRoom);
                break;
            }
            self.letter = record.letter.cloned();
            self.intake_offset = record.letter.is_none().then_some(record.mark.offset);
            let delivered = self.progress.added.delivered;
            if record.length > record.bytes.len() as u64 {
                self.oversize(record.bytes, record.length, sink)?;
            } else if self.line(record.bytes, sink)? {
                self.line += 1;
            } else {
                taken.stop = Some(Stop::UnknownTopic);
                break;
            }
            match record.letter {
                Some(letter) => {
                    let is_delivered = self.progress.added.delivered > delivered;
                    if !self.progress.cursor.pass_letter(letter, is_delivered) {
                        return Err(no_room());
                    }
                }
                None => self.progress.cursor.pass_record(record.mark),
            }
            taken.lines += 1;
            taken.bytes += record.bytes.len();
        }
        in_mid_batch(taken)
    }

    /// What is left of a line that was too long is a dead letter.
    fn oversize(&mut self, head: &[u8], length: u64, sink: &mut impl Sink) -> Result<(), SinkError> {
        self.progress.added.received += 1;
        let forms = self.forms_of_no_event(head);
        let spot = Spot::Unknown;
        let letter = DeadLetter { reason: DeadLetterReason::LineTooLong, detail: "", forms, spot };
        self.dead_letter(&letter, length, sink)?;
        self.line += 1;
        Ok(())
    }
}

/// What cannot be noted as delivered is not delivered: another letter of the same event would be delivered once more.
fn no_room() -> SinkError {
    SinkError::Misconfigured(format!(
        "letters whose events were delivered would be in more than {MAX_RANGES} pieces, since others between them failed again, and their \
         record has no room for more. What was committed before stays replayed; to go on with the rest, wait until the topic's retention \
         has deleted the oldest letters"
    ))
}

fn in_mid_batch(taken: Taken) -> Result<Taken, SinkError> {
    match failpoint::pass("mid_batch") {
        Some(failpoint::Action::Abort) => Err(SinkError::Abortable("failpoint mid_batch".into())),
        Some(failpoint::Action::Error) => Err(SinkError::OutcomeUnknown("failpoint mid_batch".into())),
        None => Ok(taken),
    }
}
