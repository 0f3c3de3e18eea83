//! A fault to the steps that make it happen.
//!
//! Invariant: `Fired` comes after the bytes that are the fault and ahead of the end that is the fault, so that a count
//! never runs ahead; only of a drip, which lasts, it marks the beginning. Knows no clock.

use std::io;
use std::time::Duration;

use bytes::Bytes;

use super::{Drip, Session, Step, Supply};
use crate::engine::fault::{Fault, Fired, array_line, garbage_line};
use crate::engine::transfer::Tally;

/// Lines that go into a deflate block which is then cut: enough that its half is more than a header.
const TORN_BLOCK_LINES: u64 = 8;

impl<S: Supply> Session<S> {
    /// Plans what `fault` does.
    pub(super) fn inject(&mut self, fault: Fault) -> io::Result<()> {
        let position = self.progress.position;
        let fired = Step::Fired(Fired {
            fault: fault.name().to_owned(),
            connection: self.settings.number,
            position,
            events: self.progress.events,
        });
        let mut end = None;
        match fault {
            Fault::Eof {} => {
                self.finish()?;
                end = Some(Step::EndBody);
            }
            Fault::MissingTrailer {} => {
                self.let_out()?;
                end = Some(Step::EndBody);
            }
            Fault::TornLine {} => {
                self.push_half_line()?;
                self.finish()?;
                end = Some(Step::EndBody);
            }
            Fault::TruncatedGzip {} => {
                self.push_half_block()?;
                end = Some(Step::EndBody);
            }
            Fault::CutMidLine {} => {
                self.push_half_line()?;
                end = Some(Step::Close);
            }
            Fault::CutMidGzip {} => {
                self.push_half_block()?;
                end = Some(Step::Close);
            }
            Fault::Reset {} => end = Some(Step::Reset),
            Fault::Stall { ms } => {
                end = Some(ms.map_or(Step::Stall, |ms| Step::Pause(Duration::from_millis(ms))));
            }
            Fault::GarbageLine {} => self.push_line(garbage_line(position))?,
            Fault::ArrayLine {} => self.push_line(array_line(position))?,
            Fault::HugeLine { bytes, valid } => {
                self.push_line(self.supply.huge_line(position, bytes, valid))?;
            }
            Fault::Repeat { events } => {
                let tally = self.supply.repeated(position, events);
                let text = self.text(&tally.lines);
                self.write(&text, tally)?;
            }
            Fault::SplitUtf8 {} => {
                self.split_next = Some(fired);
                return Ok(());
            }
            Fault::SlowDrip { bytes, pause_ms, events } => {
                let pause = Duration::from_millis(pause_ms);
                self.drip = Some(Drip { bytes: bytes.max(1), pause, lines_left: events.max(1) });
            }
            // These take the place of a stream and are never claimed by one.
            Fault::Status { .. } | Fault::Redirect { .. } | Fault::Hang {} | Fault::Drop {} => return Ok(()),
        }
        self.steps.push_back(fired);
        self.steps.extend(end);
        Ok(())
    }

    fn push_line(&mut self, mut line: Vec<u8>) -> io::Result<()> {
        line.extend_from_slice(self.settings.line_end.as_bytes());
        self.write(&line, Tally::default())
    }

    /// The first half of a line that is next, or of some text at the end of the log. The position stays.
    fn push_half_line(&mut self) -> io::Result<()> {
        let mut line = Vec::new();
        match self.supply.len() {
            0 => line = garbage_line(0),
            lines => self.supply.render(self.progress.position.min(lines - 1), &mut line),
        }
        line.truncate(line.len() / 2);
        self.write(&line, Tally::default())?;
        self.let_out()
    }

    /// The first half of a block with lines that are next; without compression, of their text.
    fn push_half_block(&mut self) -> io::Result<()> {
        self.let_out()?;
        let start = self.progress.position;
        // None of another selection, and none of the future: a client takes what is whole.
        let lines = self.supply.ahead(start, TORN_BLOCK_LINES);
        let mut plain = self.text(&lines);
        if plain.is_empty() {
            plain = garbage_line(start);
        }
        let mut chunks = self.settings.transfer.write(&plain, Tally::default())?;
        chunks.extend(self.settings.transfer.let_out()?);
        let mut bytes: Vec<u8> = chunks.iter().flat_map(|(bytes, _)| bytes.iter().copied()).collect();
        bytes.truncate(bytes.len() / 2);
        self.push(vec![(Bytes::from(bytes), Tally::default())]);
        Ok(())
    }
}
