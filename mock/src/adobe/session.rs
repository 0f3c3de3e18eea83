//! One stream: from what its group lets it claim to the chunks of a response body.
//!
//! Invariant: hits leave in the order of the claims; the body is pulled, so a slow reader costs no memory. The fault
//! that is due is always done before the next hit. Leaves its group exactly once. Knows nothing of requests.

mod inject;
mod lines;

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
use crate::engine::fault::Progress;
use crate::engine::reply::Body;
use crate::engine::wire::WireEnd;
use crate::stats::Fired;

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
    last_write: Instant,
}

/// The plan of a stream, one step after the other.
enum Step {
    Data(Chunk),
    Pause(Duration),
    Fired(Fired),
    /// Nothing more but other faults.
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
                Some(Step::Stall) => {
                    if let Err(error) = self.stall().await {
                        return Some(Err(error));
                    }
                }
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

    /// Nothing, until another fault is armed for this stream.
    async fn stall(&mut self) -> io::Result<()> {
        loop {
            if let Some(fault) = self.adobe.board.claim(&mut self.progress) {
                return self.inject(fault);
            }
            if self.changes.changed().await.is_err() {
                std::future::pending::<()>().await;
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
        if config.session_hits != 0 && self.progress.events >= config.session_hits {
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
        let window = self.adobe.window_at(now);
        let wake = match self.claim(&window, now) {
            Claimed { claim: Claim::Nothing, .. } => self.adobe.feed.due(window.end),
            Claimed { claim: Claim::Paused(until), .. } => Some(until),
            Claimed { claim, duplicates } => {
                self.plan_hits(claim, duplicates)?;
                tokio::task::yield_now().await;
                return Ok(());
            }
        };
        if blank.is_some_and(|blank| blank <= now) {
            return self.plan_blank_line();
        }
        let deadline = [wake, blank, expiry].into_iter().flatten().min();
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
        let effects = self.opening.stream.group().leave(number, self.end, Instant::now());
        self.adobe.board.forget(number);
        self.adobe.counters.update(|stats| {
            stats.adobe.closed(number);
            stats.adobe.happened(effects);
        });
        // The others have more to send now.
        self.adobe.feed.changed();
    }
}

async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
