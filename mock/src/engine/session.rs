//! One stream: from what a service supplies to the chunks of a response body.
//!
//! Invariant: lines leave in the order in which they are supplied; the body is pulled, so a slow reader costs no memory.
//! The fault that is due is always done before the next line. Knows no service and no requests.

mod inject;
mod lines;

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::Frame;
use tokio::sync::watch;
use tokio::time::Instant;

use super::fault::{Board, Fired, Progress};
use super::prepared::Pack;
use super::reply::Body;
use super::transfer::{Chunk, Tally, Transfer};
use super::wire::WireEnd;

/// What a service decides about one of its streams.
pub(crate) trait Supply: Send + 'static {
    /// The faults that may happen on the stream.
    fn board(&self) -> &Board;

    /// Where the stream is, if it had come to `reached` with what it sent.
    fn position(&self, reached: u64) -> u64;

    /// What is next; moves the position behind it.
    fn next(&mut self, position: &mut u64, limits: Limits, now: Instant) -> io::Result<Next>;

    /// The line of a keep-alive, without line end.
    fn keep_alive(&self, position: u64) -> (Vec<u8>, Tally);

    /// The lines that are sent again when the last `count` are to be repeated.
    fn repeated(&self, position: u64, count: u64) -> Tally;

    /// At most `count` lines that are next, as far as they may be sent by now: what a fault cuts off in the middle.
    fn ahead(&self, position: u64, count: u64) -> Vec<u64>;

    /// Lines in the log.
    fn len(&self) -> u64;

    /// Appends line `number` of the log, without line end.
    fn render(&self, number: u64, out: &mut Vec<u8>);

    /// A line of this length that is not in the log.
    fn huge_line(&self, position: u64, bytes: usize, valid: bool) -> Vec<u8>;

    /// Counts what was handed to the connection.
    fn sent(&self, bytes: usize, tally: &Tally);

    /// Counts a fault.
    fn fired(&self, fired: Fired);

    /// The server ended the stream, and how.
    fn ended(&mut self, end: End);
}

/// How much is wanted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Lines, at least 1.
    pub(crate) lines: u64,
    /// Positions from the next one on, at least 1.
    pub(crate) positions: u64,
    /// Whether packs are wanted.
    pub(crate) packs: bool,
}

/// What comes next on a stream.
#[derive(Debug)]
pub(crate) enum Next {
    /// The lines of this tally, and what was passed over to come to them.
    Lines(Tally),
    /// Lines that were compressed beforehand, so many of which had been sent before.
    Pack(Arc<Pack>, u64),
    /// Nothing before this time, unless something changes.
    Wait(Option<Instant>),
    /// Some last text, then an end in order.
    End(Vec<u8>),
    /// An end without a last chunk.
    Close,
}

/// How the server ended a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// With the last chunk.
    Orderly,
    /// Without.
    Fault,
}

/// How a stream goes on, whatever it consists of.
#[derive(Debug)]
pub(crate) struct Settings {
    /// The stream's number, as faults and statistics have it.
    pub(crate) number: u64,
    /// Where it begins.
    pub(crate) position: u64,
    pub(crate) line_end: &'static str,
    /// Lines after which it ends in order; 0 for no end.
    pub(crate) lines: u64,
    /// Silence after which there is a keep-alive; zero for none.
    pub(crate) silence: Duration,
    pub(crate) transfer: Transfer,
    pub(crate) wire: WireEnd,
    /// Says that there may be more to send.
    pub(crate) changes: watch::Receiver<u64>,
}

pub(crate) struct Session<S> {
    supply: S,
    settings: Settings,
    progress: Progress,
    steps: VecDeque<Step>,
    drip: Option<Drip>,
    /// Split the next multi-byte character, then note this.
    split_next: Option<Step>,
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
    lines_left: u64,
}

impl<S: Supply> Session<S> {
    pub(crate) fn new(supply: S, settings: Settings) -> Self {
        Self {
            progress: Progress::starting_at(settings.number, settings.position),
            supply,
            settings,
            steps: VecDeque::new(),
            drip: None,
            split_next: None,
            last_write: Instant::now(),
        }
    }

    pub(crate) fn into_body(self) -> Body {
        let chunks = futures_util::stream::unfold(self, |mut session| async move {
            let chunk = session.next().await?;
            Some((chunk.map(Frame::data), session))
        });
        StreamBody::new(chunks).boxed_unsync()
    }

    async fn next(&mut self) -> Option<io::Result<Bytes>> {
        loop {
            let planned = match self.steps.pop_front() {
                Some(Step::Data((bytes, tally))) => {
                    self.supply.sent(bytes.len(), &tally);
                    if !bytes.is_empty() {
                        self.last_write = Instant::now();
                        return Some(Ok(bytes));
                    }
                    Ok(())
                }
                Some(Step::Pause(pause)) => {
                    tokio::time::sleep(pause).await;
                    Ok(())
                }
                Some(Step::Fired(fired)) => {
                    self.supply.fired(fired);
                    Ok(())
                }
                Some(Step::Stall) => self.stall().await,
                Some(Step::EndBody) => {
                    self.supply.ended(End::Orderly);
                    return None;
                }
                Some(step @ (Step::Close | Step::Reset)) => {
                    self.supply.ended(End::Fault);
                    match step {
                        Step::Reset => self.settings.wire.reset(),
                        _ => self.settings.wire.close(),
                    }
                    // The connection is gone at the next flush, and this with it.
                    std::future::pending().await
                }
                None => self.plan().await,
            };
            if let Err(error) = planned {
                return Some(Err(error));
            }
        }
    }

    /// Nothing, until another fault is armed for this stream.
    async fn stall(&mut self) -> io::Result<()> {
        loop {
            if let Some(fault) = self.supply.board().claim(&mut self.progress) {
                return self.inject(fault);
            }
            if self.settings.changes.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    /// Plans at least one step, or waits until there may be one.
    async fn plan(&mut self) -> io::Result<()> {
        let now = Instant::now();
        if self.lines_left() == 0 {
            return self.plan_end(&[]);
        }
        self.progress.position = self.supply.position(self.progress.position);
        if let Some(fault) = self.supply.board().claim(&mut self.progress) {
            return self.inject(fault);
        }
        let silence = self.settings.silence;
        let keep_alive = (!silence.is_zero()).then(|| self.last_write + silence);
        let is_silent = keep_alive.is_some_and(|due| due <= now);
        let limits = self.limits();
        match self.supply.next(&mut self.progress.position, limits, now)? {
            Next::Lines(tally) => {
                let has_lines = !tally.lines.is_empty();
                self.plan_lines(tally)?;
                // A filter may leave out a million lines in a row: others get their turn, the client its keep-alives.
                if is_silent && !has_lines {
                    self.plan_keep_alive()?;
                }
                tokio::task::yield_now().await;
            }
            Next::Pack(pack, duplicates) => {
                self.plan_pack(&pack, duplicates)?;
                tokio::task::yield_now().await;
            }
            Next::Wait(_) if is_silent => self.plan_keep_alive()?,
            Next::Wait(wake) => {
                let deadline = [wake, keep_alive].into_iter().flatten().min();
                tokio::select! {
                    _ = self.settings.changes.changed() => {}
                    () = sleep_until(deadline) => {}
                }
            }
            Next::End(text) => self.plan_end(&text)?,
            Next::Close => self.steps.push_back(Step::Close),
        }
        Ok(())
    }

    /// Lines that the stream may still have.
    fn lines_left(&self) -> u64 {
        match self.settings.lines {
            0 => u64::MAX,
            limit => limit.saturating_sub(self.progress.events),
        }
    }

    /// What may be sent up to whatever comes first: a fault, the end of a member, of a drip or of the stream.
    fn limits(&self) -> Limits {
        let (fault_lines, fault_positions) = self.supply.board().distance(&self.progress);
        let lines = fault_lines
            .min(self.lines_left())
            .min(self.settings.transfer.lines_left())
            .min(self.drip.as_ref().map_or(u64::MAX, |drip| drip.lines_left));
        Limits {
            lines: lines.max(1),
            positions: fault_positions.max(1),
            packs: self.settings.transfer.takes_segments()
                && self.split_next.is_none()
                && self.drip.is_none(),
        }
    }

    fn plan_keep_alive(&mut self) -> io::Result<()> {
        let (mut line, tally) = self.supply.keep_alive(self.progress.position);
        line.extend_from_slice(self.settings.line_end.as_bytes());
        self.write(&line, tally)?;
        // Even if it is withheld, the next one is due later.
        self.last_write = Instant::now();
        Ok(())
    }

    /// Some last text, then an end in order.
    fn plan_end(&mut self, text: &[u8]) -> io::Result<()> {
        self.write(text, Tally::default())?;
        self.finish()?;
        self.steps.push_back(Step::EndBody);
        Ok(())
    }

    fn write(&mut self, plain: &[u8], tally: Tally) -> io::Result<()> {
        let chunks = self.settings.transfer.write(plain, tally)?;
        self.push(chunks);
        Ok(())
    }

    /// Lets out what is withheld.
    fn let_out(&mut self) -> io::Result<()> {
        let chunks = self.settings.transfer.let_out()?;
        self.push(chunks);
        Ok(())
    }

    /// The same, and the end of the compressed data.
    fn finish(&mut self) -> io::Result<()> {
        let chunks = self.settings.transfer.finish()?;
        self.push(chunks);
        Ok(())
    }

    fn push(&mut self, chunks: Vec<Chunk>) {
        self.steps.extend(chunks.into_iter().map(Step::Data));
    }
}

async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
