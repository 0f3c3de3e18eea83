//! A fault to the steps that make it happen.
//!
//! Invariant: `Fired` comes after the bytes that are the fault and ahead of the end that is the fault, so that a count
//! never runs ahead; only of a drip, which lasts, it marks the beginning. Knows no clock.

use std::io;
use std::time::Duration;

use bytes::Bytes;

use super::{Drip, Session, Step, Tally};
use crate::airship::fault::{Fault, array_line, garbage_line, huge_line};
use crate::stats::Fired;

/// Lines that go into a deflate block which is then cut: enough that its half is more than a header.
const TORN_BLOCK_LINES: u64 = 8;

impl Session {
    /// Plans what `fault` does.
    pub(super) fn inject(&mut self, fault: Fault) -> io::Result<()> {
        let fired = self.fired(&fault);
        match fault {
            Fault::Eof {} => {
                let end = self.encoder.finish()?;
                self.push(end);
                self.steps.extend([fired, Step::EndBody]);
            }
            Fault::MissingTrailer {} => self.steps.extend([fired, Step::EndBody]),
            Fault::TornLine {} => {
                self.push_half_line()?;
                let end = self.encoder.finish()?;
                self.push(end);
                self.steps.extend([fired, Step::EndBody]);
            }
            Fault::TruncatedGzip {} => {
                self.push_half_block()?;
                self.steps.extend([fired, Step::EndBody]);
            }
            Fault::CutMidLine {} => {
                self.push_half_line()?;
                self.steps.extend([fired, Step::Close]);
            }
            Fault::CutMidGzip {} => {
                self.push_half_block()?;
                self.steps.extend([fired, Step::Close]);
            }
            Fault::Reset {} => self.steps.extend([fired, Step::Reset]),
            Fault::Stall { ms } => {
                let pause = ms.map_or(Step::Stall, |ms| Step::Pause(Duration::from_millis(ms)));
                self.steps.extend([fired, pause]);
            }
            Fault::GarbageLine {} => {
                self.push_line(garbage_line(self.progress.position))?;
                self.steps.push_back(fired);
            }
            Fault::ArrayLine {} => {
                self.push_line(array_line(self.progress.position))?;
                self.steps.push_back(fired);
            }
            Fault::HugeLine { bytes, valid } => {
                self.push_line(huge_line(&self.airship.log, self.progress.position, bytes, valid))?;
                self.steps.push_back(fired);
            }
            Fault::Repeat { events } => {
                let position = self.progress.position;
                let mut plain = Vec::new();
                let mut tally = Tally::default();
                for repeated in position.saturating_sub(events)..position {
                    self.render(repeated, &mut plain, &mut tally);
                }
                let bytes = self.encoder.write(plain)?;
                self.steps.extend([Step::Data { bytes, tally }, fired]);
            }
            Fault::SplitUtf8 {} => self.split_next = Some(fired),
            Fault::SlowDrip { bytes, pause_ms, events } => {
                let pause = Duration::from_millis(pause_ms);
                self.drip = Some(Drip { bytes: bytes.max(1), pause, events_left: events.max(1) });
                self.steps.push_back(fired);
            }
            // These take the place of a stream and are never claimed by one.
            Fault::Status { .. } | Fault::Redirect { .. } | Fault::Hang {} | Fault::Drop {} => {}
        }
        Ok(())
    }

    fn fired(&self, fault: &Fault) -> Step {
        Step::Fired(Fired {
            fault: fault.name().to_owned(),
            connection: self.connection,
            position: self.progress.position,
            events: self.progress.events,
        })
    }

    fn push(&mut self, bytes: Bytes) {
        self.steps.push_back(Step::Data { bytes, tally: Tally::default() });
    }

    fn push_line(&mut self, mut line: Vec<u8>) -> io::Result<()> {
        line.extend_from_slice(self.line_end.as_bytes());
        let bytes = self.encoder.write(line)?;
        self.push(bytes);
        Ok(())
    }

    /// The first half of the next event's line, or of some text at the end of the log.
    fn push_half_line(&mut self) -> io::Result<()> {
        let mut line = Vec::new();
        if self.airship.log.is_empty() {
            line = garbage_line(0);
        } else {
            let last = self.airship.log.len() - 1;
            self.airship.log.render(self.progress.position.min(last), &mut line);
        }
        line.truncate(line.len() / 2);
        let bytes = self.encoder.write(line)?;
        self.push(bytes);
        Ok(())
    }

    /// The first half of a block with the next events; without compression, of their text.
    fn push_half_block(&mut self) -> io::Result<()> {
        let start = self.progress.position;
        let mut plain = garbage_line(start);
        for position in start..self.airship.log.len().min(start + TORN_BLOCK_LINES) {
            if position == start {
                plain.clear();
            }
            self.airship.log.render(position, &mut plain);
            plain.extend_from_slice(self.line_end.as_bytes());
        }
        let block = self.encoder.write(plain)?;
        self.push(block.slice(..block.len() / 2));
        Ok(())
    }
}
