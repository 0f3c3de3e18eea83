//! Supplied lines to steps.
//!
//! Invariant: every line that is supplied is planned once, in order. Knows no clock.

use std::io;
use std::time::Duration;

use bytes::Bytes;

use super::{Session, Step, Supply};
use crate::engine::prepared::Pack;
use crate::engine::transfer::Tally;

/// Pause inside of a split character: long enough for the halves to be read apart.
const SPLIT_PAUSE: Duration = Duration::from_millis(20);

impl<S: Supply> Session<S> {
    pub(super) fn plan_pack(&mut self, pack: &Pack, duplicates: u64) -> io::Result<()> {
        self.progress.events += pack.lines.len() as u64;
        let tally = Tally { lines: pack.lines.clone(), duplicates, ..Tally::default() };
        let chunks = self.settings.transfer.segment(&pack.segment, tally)?;
        self.push(chunks);
        Ok(())
    }

    pub(super) fn plan_lines(&mut self, mut tally: Tally) -> io::Result<()> {
        self.progress.events += tally.lines.len() as u64;
        if self.settings.transfer.is_by_line() {
            // What is counted besides is counted with the first line: which one it was matters to nobody.
            for line in std::mem::take(&mut tally.lines) {
                self.plan_text(Tally { lines: vec![line], ..std::mem::take(&mut tally) })?;
            }
        }
        self.plan_text(tally)
    }

    /// Plans these lines as one write.
    fn plan_text(&mut self, tally: Tally) -> io::Result<()> {
        let count = tally.lines.len() as u64;
        let mut plain = self.text(&tally.lines);
        if let Some(at) = self.split_next.as_ref().and_then(|_| middle_of_character(&plain)) {
            let rest = plain.split_off(at);
            self.write(&plain, Tally::default())?;
            self.let_out()?;
            self.steps.push_back(Step::Pause(SPLIT_PAUSE));
            self.steps.extend(self.split_next.take());
            plain = rest;
        }
        let chunks = self.settings.transfer.write(&plain, tally)?;
        let Some(drip) = &mut self.drip else {
            self.push(chunks);
            return Ok(());
        };
        for (bytes, tally) in chunks {
            for start in (0..bytes.len()).step_by(drip.bytes) {
                let piece = bytes.slice(start..bytes.len().min(start + drip.bytes));
                self.steps.push_back(Step::Data((piece, Tally::default())));
                self.steps.push_back(Step::Pause(drip.pause));
            }
            self.steps.push_back(Step::Data((Bytes::new(), tally)));
        }
        drip.lines_left = drip.lines_left.saturating_sub(count);
        if drip.lines_left == 0 {
            self.drip = None;
        }
        Ok(())
    }

    /// The text of these lines.
    pub(super) fn text(&self, lines: &[u64]) -> Vec<u8> {
        let mut plain = Vec::with_capacity(lines.len() * 1_700);
        for line in lines {
            self.supply.render(*line, &mut plain);
            plain.extend_from_slice(self.settings.line_end.as_bytes());
        }
        plain
    }
}

/// Where the first multi-byte character can be cut in two.
fn middle_of_character(text: &[u8]) -> Option<usize> {
    // Continuation bytes are 10xxxxxx.
    text.iter().position(|byte| byte & 0b1100_0000 == 0b1000_0000)
}
