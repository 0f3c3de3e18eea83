//! A fault to the steps that make it happen.
//!
//! Invariant: `Fired` comes after the bytes that are the fault and ahead of the end that is the fault, so that a count
//! never runs ahead; only of a drip, which lasts, it marks the beginning. Knows no clock.

use std::io;
use std::time::Duration;

use bytes::Bytes;

use super::{Drip, Session, Step};
use crate::adobe::log::Log;
use crate::adobe::transfer::Tally;
use crate::engine::fault::{Fault, array_line, garbage_line};
use crate::stats::Fired;

/// Lines that go into a deflate block which is then cut: enough that its half is more than a header.
const TORN_BLOCK_LINES: u64 = 8;

impl Session {
    /// Plans what `fault` does.
    pub(super) fn inject(&mut self, fault: Fault) -> io::Result<()> {
        let fired = Step::Fired(Fired {
            fault: fault.name().to_owned(),
            connection: self.opening.number,
            position: self.progress.position,
            events: self.progress.events,
        });
        let position = self.progress.position;
        match fault {
            Fault::Eof {} => {
                let chunks = self.transfer.finish()?;
                self.push(chunks);
                self.steps.extend([fired, Step::EndBody]);
            }
            Fault::MissingTrailer {} => {
                let chunks = self.transfer.let_out()?;
                self.push(chunks);
                self.steps.extend([fired, Step::EndBody]);
            }
            Fault::TornLine {} => {
                self.push_half_line()?;
                let chunks = self.transfer.finish()?;
                self.push(chunks);
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
            Fault::GarbageLine {} => self.push_line(garbage_line(position), fired)?,
            Fault::ArrayLine {} => self.push_line(array_line(position), fired)?,
            Fault::HugeLine { bytes, valid } => {
                let line = huge_line(&self.opening.stream.log, position, bytes, valid);
                self.push_line(line, fired)?;
            }
            Fault::Repeat { events } => {
                let skipped = self.recent.len().saturating_sub(events as usize);
                let hits: Vec<u64> = self.recent.iter().skip(skipped).copied().collect();
                let text = self.text(&hits);
                let tally = Tally { duplicates: hits.len() as u64, hits, blank_lines: 0 };
                let chunks = self.transfer.write(&text, tally)?;
                self.push(chunks);
                self.steps.push_back(fired);
            }
            Fault::SplitUtf8 {} => self.split_next = Some(fired),
            Fault::SlowDrip { bytes, pause_ms, events } => {
                let pause = Duration::from_millis(pause_ms);
                self.drip = Some(Drip { bytes: bytes.max(1), pause, hits_left: events.max(1) });
                self.steps.push_back(fired);
            }
            // These take the place of a stream and are never claimed by one.
            Fault::Status { .. } | Fault::Redirect { .. } | Fault::Hang {} | Fault::Drop {} => {}
        }
        Ok(())
    }

    fn push_line(&mut self, mut line: Vec<u8>, fired: Step) -> io::Result<()> {
        line.extend_from_slice(self.adobe.config.line_end().as_bytes());
        let chunks = self.transfer.write(&line, Tally::default())?;
        self.push(chunks);
        self.steps.push_back(fired);
        Ok(())
    }

    /// The first half of a line that is next, or of some text at the end of the log. The position stays.
    fn push_half_line(&mut self) -> io::Result<()> {
        let log = &self.opening.stream.log;
        let mut line = match log.len() {
            0 => garbage_line(0),
            hits => log.line(self.progress.position.min(hits - 1)),
        };
        line.truncate(line.len() / 2);
        let mut chunks = self.transfer.write(&line, Tally::default())?;
        chunks.extend(self.transfer.let_out()?);
        self.push(chunks);
        Ok(())
    }

    /// The first half of a block with lines that are next.
    fn push_half_block(&mut self) -> io::Result<()> {
        let chunks = self.transfer.let_out()?;
        self.push(chunks);
        let start = self.progress.position;
        let hits: Vec<u64> = (start..self.opening.stream.log.len().min(start + TORN_BLOCK_LINES)).collect();
        let mut plain = self.text(&hits);
        if plain.is_empty() {
            plain = garbage_line(start);
        }
        let mut chunks = self.transfer.write(&plain, Tally::default())?;
        chunks.extend(self.transfer.let_out()?);
        let bytes: Vec<u8> = chunks.iter().flat_map(|(bytes, _)| bytes.iter().copied()).collect();
        let half = Bytes::from(bytes).slice(..chunks.iter().map(|(bytes, _)| bytes.len()).sum::<usize>() / 2);
        self.push(vec![(half, Tally::default())]);
        Ok(())
    }
}

/// The line that `huge_line` writes when `position` is next, exactly `bytes` long if that is at least 300; if valid, a
/// hit with the id 1-`position`.
pub fn huge_line(log: &Log, position: u64, bytes: usize, valid: bool) -> Vec<u8> {
    let mut line = if valid {
        let time = log.options().place_s(position);
        format!(
            r#"{{"reportSuite":"harborlightprod","hitIdHigh":1,"hitIdLow":{position},"visIdHigh":1,"visIdLow":1,"timeGMT":{time},"receivedTimeGMT":{time},"evars":{{"evars":{{"eVar1":""#
        )
        .into_bytes()
    } else {
        format!("huge garbage before position {position}: ").into_bytes()
    };
    let end: &[u8] = if valid { br#""}}}"# } else { b"" };
    line.resize(bytes.saturating_sub(end.len()).max(line.len()), b'x');
    line.extend_from_slice(end);
    line
}
