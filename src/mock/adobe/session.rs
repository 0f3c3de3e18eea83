//! One stream: from what its group lets it claim to the chunks of a response body.
//!
//! Invariant: hits leave in the order of the claims; the body is pulled, so a slow reader costs no memory. The fault
//! that is due is always done before the next hit. Leaves its group exactly once. Knows nothing of requests.

mod inject;

pub use inject::huge_line;

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::Frame;
use tokio::sync::watch;
use tokio::time::Instant;

use super::config::{Flush, OnExpiry};
use super::group::{BLOCK, Claim, Claimed, End, Limits};
use super::token::Grant;
use super::transfer::{Chunk, Tally, Transfer};
use super::{Adobe, Stream};
use crate::mock::fault::Progress;
use crate::mock::reply::Body;
use crate::mock::stats::Fired;
use crate::mock::wire::WireEnd;

/// Pause inside of a split character: long enough for the halves to be read apart.
const SPLIT_PAUSE: Duration = Duration::from_millis(20);
/// Hits that can be repeated.
const RECENT: usize = 100;

/// What a stream is opened with.
pub(super) struct Opening {
    /// Which stream.
    pub(super) stream: Arc<Stream>,
    /// The number of this connection to it.
    pub(super) number: u64,
    /// The number of the TCP connection.
    pub(super) connection: u64,
    pub(super) wire: WireEnd,
    pub(super) grant: Grant,
    pub(super) smoothing: bool,
}

pub(super) struct Session {
    adobe: Arc<Adobe>,
    opening: Opening,
    end: End,
    transfer: Transfer,
    progress: Progress,
    steps: VecDeque<Step>,
    drip: Option<Drip>,
    /// Split the next multi-byte character, then note this.
    split_next: Option<Step>,
    /// The latest hits, for those that are repeated.
    recent: VecDeque<u64>,
    changes: watch::Receiver<u64>,
    started: Instant,
    last_write: Instant,
}

/// The plan of a stream, one step after the other.
enum Step {
    Data(Chunk),
    Pause(Duration),
    Fired(Fired),
    /// Nothing more, ever.
    Stall,
    /// The last chunk.
    EndBody,
    /// FIN without a last chunk.
    Close,
    /// RST.
    Reset,
}

struct Drip {
    bytes: usize,
    pause: Duration,
    hits_left: u64,
}

impl Session {
    /// The opening has joined its group, which this leaves.
    pub(super) fn new(adobe: Arc<Adobe>, opening: Opening) -> Self {
        let now = Instant::now();
        if let Some(patience) = adobe.config.slow_reader {
            opening.wire.set_patience(patience);
        }
        adobe.counters.update(|stats| {
            stats.adobe.opened(opening.number, &opening.stream.name, opening.connection);
        });
        Self {
            changes: adobe.feed.subscribe(),
            transfer: Transfer::new(&adobe.config),
            progress: Progress::starting_at(opening.number, 0),
            adobe,
            opening,
            end: End::Client,
            steps: VecDeque::new(),
            drip: None,
            split_next: None,
            recent: VecDeque::new(),
            started: now,
            last_write: now,
        }
    }

    pub(super) fn into_body(self) -> Body {
        let chunks = futures_util::stream::unfold(self, |mut session| async move {
            let chunk = session.next().await?;
            Some((chunk.map(Frame::data), session))
        });
        StreamBody::new(chunks).boxed_unsync()
    }

    async fn next(&mut self) -> Option<io::Result<Bytes>> {
        loop {
            match self.steps.pop_front() {
                Some(Step::Data((bytes, tally))) => {
                    self.count(bytes.len(), &tally);
                    if !bytes.is_empty() {
                        self.last_write = Instant::now();
                        return Some(Ok(bytes));
                    }
                }
                Some(Step::Pause(pause)) => tokio::time::sleep(pause).await,
                Some(Step::Fired(fired)) => {
                    self.adobe.counters.update(|stats| stats.adobe.fault_fired(fired));
                }
                Some(Step::Stall) => std::future::pending().await,
                Some(Step::EndBody) => {
                    self.end = End::Orderly;
                    return None;
                }
                Some(Step::Close) => {
                    self.end = End::Fault;
                    self.opening.wire.close();
                    // The connection is gone at the next flush, and this with it.
                    std::future::pending().await
                }
                Some(Step::Reset) => {
                    self.end = End::Fault;
                    self.opening.wire.reset();
                    std::future::pending().await
                }
                None => {
                    if let Err(error) = self.plan().await {
                        return Some(Err(error));
                    }
                }
            }
        }
    }

    fn count(&self, bytes: usize, tally: &Tally) {
        let number = self.opening.number;
        if self.adobe.config.journal {
            self.adobe.note_sent(number, &tally.hits);
        }
        self.adobe.counters.update(|stats| {
            stats.adobe.sent(number, tally.hits.len() as u64, tally.duplicates, bytes as u64);
            stats.adobe.blank_lines += tally.blank_lines;
        });
    }

    /// Plans at least one step, or waits until there may be one.
    async fn plan(&mut self) -> io::Result<()> {
        let now = Instant::now();
        let config = &self.adobe.config;
        let session_end = config.session_time.map(|time| self.started + time);
        let is_over = (config.session_hits != 0 && self.progress.events >= config.session_hits)
            || session_end.is_some_and(|end| now >= end);
        if is_over {
            return self.plan_end(&[]);
        }
        let expiry =
            self.adobe.tokens.expiry(self.opening.grant).filter(|_| config.on_expiry != OnExpiry::Keep);
        if expiry.is_some_and(|expiry| expiry <= now) {
            return match config.on_expiry {
                OnExpiry::Line => self.plan_end(format!("not authorized{}", config.line_end()).as_bytes()),
                OnExpiry::Text => self.plan_end(b"not authorized"),
                OnExpiry::Cut | OnExpiry::Keep => {
                    self.steps.push_back(Step::Close);
                    Ok(())
                }
            };
        }
        if let Some(next) = self.opening.stream.group().next_of(self.opening.number) {
            self.progress.position = self.progress.position.max(next);
        }
        if let Some(fault) = self.adobe.board.claim(&mut self.progress) {
            return self.inject(fault);
        }
        let blank = (!config.blank_every.is_zero()).then(|| self.last_write + config.blank_every);
        let smooth = self.opening.smoothing.then(|| self.started + config.smoothing_delay);
        let window = self.adobe.window_at(now);
        let wake = match smooth.filter(|smooth| *smooth > now) {
            Some(smooth) => Some(smooth),
            None => match self.claim(&window, now) {
                Claimed { claim: Claim::Nothing, .. } => self.adobe.feed.due(window.end),
                Claimed { claim: Claim::Paused(until), .. } => Some(until),
                Claimed { claim, duplicates } => {
                    self.plan_hits(claim, duplicates)?;
                    tokio::task::yield_now().await;
                    return Ok(());
                }
            },
        };
        if blank.is_some_and(|blank| blank <= now) {
            return self.plan_blank_line();
        }
        let deadline = [wake, blank, session_end, expiry].into_iter().flatten().min();
        tokio::select! {
            _ = self.changes.changed() => {}
            () = sleep_until(deadline) => {}
        }
        Ok(())
    }

    /// Claims the hits up to whatever comes first: a fault, the end of a block, of the session or of what is there.
    fn claim(&self, window: &std::ops::Range<u64>, now: Instant) -> Claimed {
        let (fault_hits, fault_positions) = self.adobe.board.distance(&self.progress);
        let config = &self.adobe.config;
        let left = match config.session_hits {
            0 => u64::MAX,
            limit => limit.saturating_sub(self.progress.events),
        };
        let hits =
            fault_hits.min(left).min(self.drip.as_ref().map_or(u64::MAX, |drip| drip.hits_left)).max(1);
        let below = self.progress.position.saturating_add(fault_positions);
        let limits = Limits {
            hits,
            below,
            blocks: config.prepared_mib > 0
                && config.flush == Flush::Batch
                && self.transfer.takes_segments()
                && self.split_next.is_none()
                && self.drip.is_none()
                && fault_positions > BLOCK,
        };
        self.opening.stream.group().claim(self.opening.number, limits, window, now)
    }

    fn plan_hits(&mut self, claim: Claim, duplicates: u64) -> io::Result<()> {
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
    fn text(&self, hits: &[u64]) -> Vec<u8> {
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

    fn plan_blank_line(&mut self) -> io::Result<()> {
        let line_end = self.adobe.config.line_end();
        let chunks =
            self.transfer.write(line_end.as_bytes(), Tally { blank_lines: 1, ..Tally::default() })?;
        // Even if it is withheld, the next one is due later.
        self.last_write = Instant::now();
        self.push(chunks);
        Ok(())
    }

    /// Some last text, then an end in order.
    fn plan_end(&mut self, text: &[u8]) -> io::Result<()> {
        let chunks = self.transfer.write(text, Tally::default())?;
        self.push(chunks);
        let chunks = self.transfer.finish()?;
        self.push(chunks);
        self.steps.push_back(Step::EndBody);
        Ok(())
    }

    fn push(&mut self, chunks: Vec<Chunk>) {
        self.steps.extend(chunks.into_iter().map(Step::Data));
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let number = self.opening.number;
        let was_too_slow = self.opening.wire.was_too_slow();
        let end = if was_too_slow { End::Fault } else { self.end };
        let effects = self.opening.stream.group().leave(number, end, Instant::now());
        self.adobe.counters.update(|stats| {
            stats.adobe.closed(number);
            stats.adobe.slow_readers += u64::from(was_too_slow);
            stats.adobe.happened(effects);
        });
        // The others have more to send now.
        self.adobe.feed.changed();
    }
}

/// Where the first multi-byte character can be cut in two.
fn middle_of_character(text: &[u8]) -> Option<usize> {
    // Continuation bytes are 10xxxxxx.
    text.iter().position(|byte| byte & 0b1100_0000 == 0b1000_0000)
}

async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
