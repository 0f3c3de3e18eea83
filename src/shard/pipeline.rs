//! The event path: block to records in the sink's open transaction. No loop, no retries.
//!
//! Invariants:
//! - What it says of progress is that of the blocks processed since the last commit or fold; rebuilding it from the same
//!   blocks says the same again, but for records that were found to be refused meanwhile.
//! - It stops in front of a new event whose topic the sink does not know, and behind others in front of a dead letter whose event there
//!   may be no room to note as delivered: nothing of that line counts, and nothing after it.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::clock::now_ms;
use crate::event::dedupe::Window;
use crate::event::extract::{ExtractError, Extractor, Line};
use crate::event::route::{Clamped, Router};
use crate::model::block::Block;
use crate::model::checkpoint::Checkpoint;
use crate::model::letters::Letter;
use crate::model::types::{Dated, DeadLetterReason, EventId, Headers, OutRecord, Record, Run};
use crate::sink::Refused;
use crate::sink::{Sink, SinkError};

use super::cursor::Cursor;
use super::mark::ReplayCounts;
use super::progress::{DeadLetters, Progress};

mod duplicates;
mod letters;
mod outcome;
pub mod redaction;
mod replayed;
mod replays;
mod taking;
mod topics;

use letters::DeadLetter;
use redaction::{Forms, Redaction};
use topics::Destination;

/// `ce_type` of an event without a type; CloudEvents requires one.
const UNTYPED: &[u8] = b"unknown";

/// The event path of one shard.
pub struct Pipeline {
    extractor: Extractor,
    router: Router,
    window: Window,
    redaction: Option<Redaction>,
    /// Where redacted lines are made, one after the other.
    scratch: Vec<u8>,
    dead_letter_topic: String,
    /// What is committed with the next batch.
    progress: Progress,
    /// `progress` before the first line that is still in the batch: what `roll_back` returns to.
    base: Progress,
    /// What replays had brought by the last commit.
    counted: ReplayCounts,
    /// Dead letters of this batch by reason, for the metrics.
    dead_letters: DeadLetters,
    /// Times of delivered events of this batch that were beyond their bounds, for the metrics.
    clamped: [u64; Clamped::ALL.len()],
    /// Whether the sink's transaction was begun, and records sent in it.
    begun: bool,
    /// Processing time of the first event since the last commit.
    first_processed_ms: Option<i64>,
    clock_ms: i64,
    /// Lines of this batch so far.
    line: usize,
    /// The dead letter that the line at hand is, where dead letters are replayed.
    letter: Option<Arc<Letter>>,
    /// The offset of the record that the line at hand is, where it is one of an intake topic.
    intake_offset: Option<i64>,
    /// Lines of this batch whose topic refuses them, and why.
    refused: BTreeMap<usize, Refused>,
    /// What records say of the trace of their batch.
    trace: Option<Arc<str>>,
}

/// What was done to a part of a block.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Taken {
    /// Lines that are not blank, or records.
    pub lines: usize,
    /// Bytes from the block's beginning.
    pub bytes: usize,
    /// Why it ends where it does, if neither the block nor the room ended there.
    pub stop: Option<Stop>,
}

/// In front of what a block is taken no further.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stop {
    /// An event whose topic the sink does not know.
    UnknownTopic,
    /// A dead letter without room in the record of those that were replayed. It is taken as the first after a commit, so that it takes
    /// nothing along if it is refused.
    NoRoom,
}

impl Pipeline {
    /// An event path with an empty window.
    pub fn new(
        extractor: Extractor,
        router: Router,
        window: Window,
        redaction: Option<Redaction>,
        dead_letter_topic: String,
    ) -> Self {
        let progress = Progress::new(Cursor::in_line(extractor.reads_offsets()), extractor.filter_reasons());
        Self {
            extractor,
            router,
            window,
            redaction,
            scratch: Vec::new(),
            dead_letter_topic,
            base: progress.clone(),
            progress,
            counted: ReplayCounts::default(),
            dead_letters: DeadLetters::default(),
            clamped: Default::default(),
            begun: false,
            first_processed_ms: None,
            clock_ms: now_ms(),
            line: 0,
            letter: None,
            intake_offset: None,
            refused: BTreeMap::new(),
            trace: None,
        }
    }

    /// Adds ids from the journal. Those of records of older versions have no number.
    pub fn seed(&mut self, dated: Dated, first: Option<u64>, ids: &[EventId]) {
        let first = first.unwrap_or_else(|| self.window.next());
        self.window.seed(&Run { dated, first, ids });
    }

    /// Takes up the numbers of ids where `checkpoint` left them, once they are read back. Without any, what was read back
    /// is numbered now, and written once more.
    pub fn number_ids(&mut self, checkpoint: &Checkpoint) {
        match checkpoint.ids {
            Some(ids) => self.window.number_from(ids.written),
            None => self.rewrite_ids(),
        }
    }

    /// The journal lacks the ids that are known: the next commit writes all of them.
    pub fn rewrite_ids(&mut self) {
        self.window.rewrite();
    }

    /// Takes back what [`Self::seed`] added, for a new attempt to open.
    pub fn forget_ids(&mut self) {
        self.window.clear();
    }

    /// What the records of the batch say of its trace from now on, where headers are to say it.
    pub(crate) fn trace(&mut self, trace: Option<Arc<str>>) {
        self.trace = trace;
    }

    /// Whether the batch has records, and so a begun transaction.
    pub fn has_records(&self) -> bool {
        self.begun
    }

    /// Whether there is something to commit without a record: the position moved, or ids have to be written again.
    pub fn has_moved(&self) -> bool {
        self.progress.cursor.has_moved() || self.window.is_unwritten()
    }

    /// Processing time of the first event since the last commit.
    pub fn first_processed_ms(&self) -> Option<i64> {
        self.first_processed_ms
    }

    /// Takes back what the batch was so far, for it to be made again.
    pub fn roll_back(&mut self) {
        self.window.rollback();
        self.progress.clone_from(&self.base);
        (self.dead_letters, self.clamped) = Default::default();
        self.begun = false;
        self.line = 0;
    }

    /// Puts the blocks of a batch that does not count into a new transaction, all of them if there is no stop. At an unknown topic the
    /// transaction is to be aborted, and the topics prepared.
    pub fn rebuild(&mut self, blocks: &[Block], sink: &mut impl Sink) -> Result<Option<Stop>, SinkError> {
        self.roll_back();
        for block in blocks {
            let stop = self.process(block, usize::MAX, sink)?.stop;
            if stop.is_some() {
                return Ok(stop);
            }
        }
        Ok(None)
    }

    /// Lines of the batch so far.
    pub fn batch_lines(&self) -> usize {
        self.line
    }

    /// These records of the batch will be dead letters when it is made again. Tells how many are new.
    pub fn refuse(&mut self, refused: Vec<Refused>) -> usize {
        let before = self.refused.len();
        self.refused.extend(refused.into_iter().map(|refused| (refused.ordinal, refused)));
        self.refused.len() - before
    }

    /// Of the lines that were refused only the first `lines` are in the batch any more.
    pub fn keep_refused(&mut self, lines: usize) {
        self.refused.split_off(&lines);
    }

    /// Commits the batch with `checkpoint`.
    pub fn commit(&mut self, checkpoint: &Checkpoint, sink: &mut impl Sink) -> Result<(), SinkError> {
        if !std::mem::replace(&mut self.begun, true) {
            sink.begin()?;
        }
        sink.commit(&mut self.window.to_write(checkpoint.dated()), checkpoint)
    }

    /// The batch is committed.
    pub fn committed(&mut self, dated: Dated) {
        self.window.keep_old(self.progress.cursor.needs_old_ids());
        self.window.commit(dated);
        self.progress.commit(self.window.forgotten_ms());
        self.counted = self.progress.cursor.replay_counts();
        self.base.clone_from(&self.progress);
        (self.dead_letters, self.clamped) = Default::default();
        self.begun = false;
        self.first_processed_ms = None;
        self.line = 0;
        self.refused.clear();
    }

    /// The blocks so far hold no record: they need not be kept for the batch to be made again.
    pub fn fold(&mut self) {
        self.base.clone_from(&self.progress);
        self.line = 0;
        self.refused.clear();
    }

    /// What the line is, with the form of it that may be shown. Whoever looks at lines does it by this, so that all see the same.
    fn extracted<'l>(&self, forms: Forms<'l>) -> Result<(Line<'l>, &'l [u8]), ExtractError<'l>> {
        match forms.shown {
            Some(shown) => self.extractor.extract_shown(shown, forms.received).map(|line| (line, shown)),
            None => Err(self.extractor.extract(forms.received).err().unwrap_or_else(redaction::unreadable)),
        }
    }

    /// Tells whether the line was taken; otherwise the sink does not know its topic, and it is as if it had not come.
    fn line(&mut self, line: &[u8], sink: &mut impl Sink) -> Result<bool, SinkError> {
        let mut scratch = std::mem::take(&mut self.scratch);
        let taken = self.line_in(self.forms(line, &mut scratch), sink);
        self.scratch = scratch;
        taken
    }

    fn line_in(&mut self, forms: Forms<'_>, sink: &mut impl Sink) -> Result<bool, SinkError> {
        let line = forms.received;
        match self.extracted(forms) {
            Ok((Line::Event(mut record), shown)) => {
                let destination = self.destination(&record.topic_values, sink);
                // What was delivered before needs no topic: none is made for it.
                if matches!(destination, Destination::Unknown) && !self.window.contains(record.id) {
                    return Ok(false);
                }
                self.progress.added.received += 1;
                if self.takes_received_key(forms) {
                    self.extractor.give_back(record.key.take());
                    record.key = self.extractor.key(forms.received);
                }
                self.event(forms, shown, &record, destination, sink)?;
                [record.key, record.header_values]
                    .into_iter()
                    .for_each(|text| self.extractor.give_back(text));
                self.progress.cursor.pass_line(record.offset.as_deref());
                self.pass_event(record.processed_ms);
            }
            Ok((Line::Filtered { reason, processed_ms, offset }, _)) => {
                self.progress.added.received += 1;
                self.progress.filter(reason);
                if let (Some(mark), Some(processed_ms)) = (self.progress.cursor.mark_mut(), processed_ms) {
                    mark.filter(processed_ms);
                }
                self.progress.cursor.pass_line(offset.as_deref());
                self.pass_event(processed_ms);
            }
            Ok((Line::PositionOnly(offset), _)) => self.progress.cursor.pass_line(offset.as_deref()),
            Err(error) => self.no_event(line, &error, sink)?,
        }
        Ok(true)
    }

    /// Notes when the service processed the latest event.
    fn pass_event(&mut self, processed_ms: Option<i64>) {
        let Some(processed_ms) = processed_ms else { return };
        self.first_processed_ms.get_or_insert(processed_ms);
        self.progress.processed_ms = self.progress.cursor.pass_event(processed_ms, self.clock_ms);
    }

    fn event(
        &mut self,
        forms: Forms<'_>,
        shown: &[u8],
        record: &Record<'_>,
        destination: Destination,
        sink: &mut impl Sink,
    ) -> Result<(), SinkError> {
        let length = forms.received.len() as u64;
        let spot = self.spot_of(record);
        if self.is_repeated(record.id, record.processed_ms) {
            self.progress.added.duplicates += 1;
            return Ok(());
        }
        let (route, accepts) = match destination {
            Destination::Topic(route, accepts) => (route, accepts),
            Destination::Nowhere(reason, detail) => {
                let letter = DeadLetter { reason, detail: &detail, forms, spot };
                return self.dead_letter(&letter, length, sink);
            }
            // A new event does not come as far as this.
            Destination::Unknown => return Ok(()),
        };
        let (timestamp_ms, clamped) =
            self.router.timestamp(record, |text| self.extractor.milliseconds(text), self.clock_ms);
        let key = record.key.as_deref();
        if let Some(detail) = self.refusal(route, accepts, key.is_some(), timestamp_ms) {
            let letter =
                DeadLetter { reason: DeadLetterReason::RefusedByTopic, detail: &detail, forms, spot };
            return self.dead_letter(&letter, length, sink);
        }
        if !std::mem::replace(&mut self.begun, true) {
            sink.begin()?;
        }
        let topic = self.router.name(route);
        let sent = sink.send(&OutRecord {
            ordinal: self.line,
            topic,
            limit: accepts.max_bytes,
            key,
            value: shown,
            timestamp_ms,
            headers: Headers::Event {
                id: &record.id_text,
                event_type: record.event_type.as_deref().unwrap_or(UNTYPED),
                time: record.occurred.as_deref(),
                fields: record.header_values.as_deref().unwrap_or_default(),
                trace: self.trace.as_deref().map(str::as_bytes),
            },
        });
        match sent {
            Ok(()) => {
                self.progress.added.delivered += 1;
                self.clamped
                    .iter_mut()
                    .zip(Clamped::ALL)
                    .for_each(|(count, it)| *count += u64::from(clamped == Some(it)));
            }
            Err(SinkError::TooLarge { limit, .. }) => {
                let detail = format!("topic {topic} takes {limit} bytes");
                let letter =
                    DeadLetter { reason: DeadLetterReason::TooLargeForTopic, detail: &detail, forms, spot };
                self.dead_letter(&letter, length, sink)?;
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }
}
