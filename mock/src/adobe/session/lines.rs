//! Claimed hits to steps.
//!
//! Invariant: every claimed hit is planned once, in the order of the claim. Knows no clock.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::{Session, Step};
use crate::adobe::config::Flush;
use crate::adobe::group::Claim;
use crate::adobe::transfer::Tally;

/// Pause inside of a split character: long enough for the halves to be read apart.
const SPLIT_PAUSE: Duration = Duration::from_millis(20);
/// Hits that can be repeated.
const RECENT: usize = 100;

impl Session {
    pub(super) fn plan_hits(&mut self, claim: Claim, duplicates: u64) -> io::Result<()> {
        let stream = Arc::clone(&self.opening.stream);
        let pack = match claim {
            Claim::Block(block) => stream.prepared.block(block)?,
            Claim::Part(block, partition) => stream.prepared.part(block, partition)?,
            Claim::Hits(hits) => return self.plan_lines(hits, duplicates),
            Claim::Nothing | Claim::Paused(_) => return Ok(()),
        };
        self.note(&pack.hits);
        let tally = Tally { hits: pack.hits.clone(), duplicates, blank_lines: 0 };
        let chunks = self.transfer.segment(&pack.segment, tally)?;
        self.push(chunks);
        Ok(())
    }

    fn plan_lines(&mut self, hits: Vec<u64>, duplicates: u64) -> io::Result<()> {
        self.note(&hits);
        if self.adobe.config.flush == Flush::Record {
            // The duplicates are counted with the first of them: which one it was matters to nobody.
            let mut duplicates = duplicates;
            for hit in hits {
                self.plan_text(vec![hit], std::mem::take(&mut duplicates))?;
            }
            return Ok(());
        }
        self.plan_text(hits, duplicates)
    }

    /// Plans these hits as one write.
    fn plan_text(&mut self, hits: Vec<u64>, duplicates: u64) -> io::Result<()> {
        let count = hits.len() as u64;
        let mut plain = self.text(&hits);
        if let Some(at) = self.split_next.as_ref().and_then(|_| middle_of_character(&plain)) {
            let rest = plain.split_off(at);
            let mut chunks = self.transfer.write(&plain, Tally::default())?;
            chunks.extend(self.transfer.let_out()?);
            self.push(chunks);
            self.steps.push_back(Step::Pause(SPLIT_PAUSE));
            self.steps.extend(self.split_next.take());
            plain = rest;
        }
        let chunks = self.transfer.write(&plain, Tally { hits, duplicates, blank_lines: 0 })?;
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
        drip.hits_left = drip.hits_left.saturating_sub(count);
        if drip.hits_left == 0 {
            self.drip = None;
        }
        Ok(())
    }

    /// The lines of these hits.
    pub(super) fn text(&self, hits: &[u64]) -> Vec<u8> {
        let mut plain = Vec::with_capacity(hits.len() * 1_700);
        for hit in hits {
            self.opening.stream.log.render(*hit, &mut plain);
            plain.extend_from_slice(self.adobe.config.line_end().as_bytes());
        }
        plain
    }

    fn note(&mut self, hits: &[u64]) {
        self.progress.events += hits.len() as u64;
        self.progress.position = hits.iter().map(|hit| hit + 1).fold(self.progress.position, u64::max);
        self.recent.extend(&hits[hits.len().saturating_sub(RECENT)..]);
        let surplus = self.recent.len().saturating_sub(RECENT);
        self.recent.drain(..surplus);
    }
}

/// Where the first multi-byte character can be cut in two.
fn middle_of_character(text: &[u8]) -> Option<usize> {
    // Continuation bytes are 10xxxxxx.
    text.iter().position(|byte| byte & 0b1100_0000 == 0b1000_0000)
}
