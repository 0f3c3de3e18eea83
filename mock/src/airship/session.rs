//! One stream: from a position of the log to the chunks of a response body.
//!
//! Invariant: lines leave in the order of the log, each at most once but for `repeat`; the body is pulled, so a slow
//! reader costs no memory. The fault that is due is always done before the next event. Knows nothing of requests.

mod encoder;
mod inject;

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::Frame;
use tokio::sync::watch;
use tokio::time::Instant;

use super::calendar::write_iso;
use super::offset::OffsetNumber;
use super::prepared::SEGMENT_POSITIONS;
use super::request::Subscription;
use super::slots::Slot;
use super::{Airship, line_end};
use crate::engine::clock::now_ms;
use crate::engine::fault::Progress;
use crate::engine::reply::Body;
use crate::engine::wire::WireEnd;
use crate::stats::{Fired, Stats};
use encoder::Encoder;

/// Pause inside of a split character: long enough for the halves to be read apart.
const SPLIT_PAUSE: Duration = Duration::from_millis(20);

/// What a stream is opened with.
pub(super) struct Opening {
    pub(super) subscription: Subscription,
    /// Where to begin.
    pub(super) position: u64,
    pub(super) compress: bool,
    /// The connection's number.
    pub(super) connection: u64,
    pub(super) wire: WireEnd,
    pub(super) slot: Slot,
}

pub(super) struct Session {
    airship: Arc<Airship>,
    subscription: Subscription,
    connection: u64,
    wire: WireEnd,
    slot: Slot,
    line_end: &'static str,
    encoder: Encoder,
    progress: Progress,
    /// Events in the open gzip member.
    member_events: u64,
    steps: VecDeque<Step>,
    drip: Option<Drip>,
    /// Split the next multi-byte character, then note this.
    split_next: Option<Step>,
    changes: watch::Receiver<u64>,
    last_write: Instant,
}

/// The plan of a stream, one step after the other.
enum Step {
    Data {
        bytes: Bytes,
        tally: Tally,
    },
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

/// What a chunk adds to the statistics.
#[derive(Clone, Copy, Default)]
struct Tally {
    events: u64,
    duplicates: u64,
    filtered: u64,
    keep_alives: u64,
    offset_updates: u64,
}

struct Drip {
    bytes: usize,
    pause: Duration,
    events_left: u64,
}

impl Session {
    pub(super) fn new(airship: Arc<Airship>, opening: Opening) -> Self {
        let now = Instant::now();
        airship.counters.update(|stats| {
            stats.streams += 1;
            stats.open_streams += 1;
        });
        Self {
            line_end: line_end(&airship.config),
            changes: airship.feed.subscribe(),
            airship,
            encoder: Encoder::new(opening.compress),
            progress: Progress::starting_at(opening.connection, opening.position),
            subscription: opening.subscription,
            connection: opening.connection,
            wire: opening.wire,
            slot: opening.slot,
            member_events: 0,
            steps: VecDeque::new(),
            drip: None,
            split_next: None,
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
                Some(Step::Data { bytes, tally }) => {
                    self.airship.counters.update(|stats| tally.count(bytes.len(), stats));
                    if !bytes.is_empty() {
                        self.last_write = Instant::now();
                        return Some(Ok(bytes));
                    }
                }
                Some(Step::Pause(pause)) => tokio::time::sleep(pause).await,
                Some(Step::Fired(fired)) => self.airship.counters.update(|stats| stats.fault_fired(fired)),
                Some(Step::Stall) => std::future::pending().await,
                Some(Step::EndBody) => {
                    self.slot.end_cleanly();
                    return None;
                }
                Some(Step::Close) => {
                    self.wire.close();
                    // The connection is gone at the next flush, and this with it.
                    std::future::pending().await
                }
                Some(Step::Reset) => {
                    self.wire.reset();
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

    /// Plans at least one step, or waits until there may be one.
    async fn plan(&mut self) -> io::Result<()> {
        let now = Instant::now();
        let config = &self.airship.config;
        if config.session_events != 0 && self.progress.events >= config.session_events {
            let bytes = self.encoder.finish()?;
            self.steps.extend([Step::Data { bytes, tally: Tally::default() }, Step::EndBody]);
            return Ok(());
        }
        if let Some(fault) = self.airship.board.claim(&mut self.progress) {
            return self.inject(fault);
        }
        let keep_alive = (!config.keep_alive.is_zero()).then(|| self.last_write + config.keep_alive);
        let available = self.airship.feed.available(now);
        let is_due = keep_alive.is_some_and(|due| due <= now);
        if self.progress.position < available {
            // A filter may leave out a million events in a row: others get their turn, the client its keep-alives.
            if self.plan_events(available)? == 0 && is_due {
                self.plan_keep_alive()?;
            }
            tokio::task::yield_now().await;
        } else if is_due {
            self.plan_keep_alive()?;
        } else {
            let due = self.airship.feed.due(self.progress.position);
            let deadline = [due, keep_alive].into_iter().flatten().min();
            tokio::select! {
                _ = self.changes.changed() => {}
                () = sleep_until(deadline) => {}
            }
        }
        Ok(())
    }

    /// Plans the events up to whatever comes first: a fault, the end of a segment, member, session or of what is
    /// there. Returns how many.
    fn plan_events(&mut self, available: u64) -> io::Result<u64> {
        let (fault_events, fault_positions) = self.airship.board.distance(&self.progress);
        let config = &self.airship.config;
        let position = self.progress.position;
        let left = |limit: u64, done: u64| if limit == 0 { u64::MAX } else { limit.saturating_sub(done) };
        let events = fault_events
            .min(left(config.session_events, self.progress.events))
            .min(left(config.member_events, self.member_events))
            .min(self.drip.as_ref().map_or(u64::MAX, |drip| drip.events_left))
            .max(1);
        let positions = fault_positions
            .min(available - position)
            .min(SEGMENT_POSITIONS - position % SEGMENT_POSITIONS)
            .max(1);
        let whole_segment = positions == SEGMENT_POSITIONS
            && events >= SEGMENT_POSITIONS
            && self.encoder.takes_segments()
            && self.subscription.selection.is_all()
            && self.split_next.is_none()
            && self.drip.is_none();
        let tally = if whole_segment {
            self.plan_segment(position / SEGMENT_POSITIONS)?
        } else {
            self.plan_lines(events, position + positions)?
        };
        self.progress.events += tally.events;
        self.member_events += tally.events;
        if self.airship.config.member_events != 0 && self.member_events >= self.airship.config.member_events {
            let bytes = self.encoder.finish()?;
            self.steps.push_back(Step::Data { bytes, tally: Tally::default() });
            self.member_events = 0;
        }
        Ok(tally.events)
    }

    fn plan_segment(&mut self, number: u64) -> io::Result<Tally> {
        let segment = self.airship.prepared.segment(number)?;
        let start = self.progress.position;
        let end = start + SEGMENT_POSITIONS;
        let log = &self.airship.log;
        let events = SEGMENT_POSITIONS;
        let duplicates = events - (log.distinct(end) - log.distinct(start));
        let tally = Tally { events, duplicates, ..Tally::default() };
        let bytes = self.encoder.before_segment(&segment);
        self.steps.push_back(Step::Data { bytes, tally: Tally::default() });
        self.steps.push_back(Step::Data { bytes: segment.deflated.clone(), tally });
        self.progress.position = end;
        Ok(tally)
    }

    fn plan_lines(&mut self, events: u64, end: u64) -> io::Result<Tally> {
        let mut plain = Vec::new();
        let mut tally = Tally::default();
        while tally.events < events && self.progress.position < end {
            let position = self.progress.position;
            self.render(position, &mut plain, &mut tally);
            self.progress.position += 1;
        }
        if plain.is_empty() {
            self.steps.push_back(Step::Data { bytes: Bytes::new(), tally });
            return Ok(tally);
        }
        if let Some(at) = self.split_next.as_ref().and_then(|_| middle_of_character(&plain)) {
            let rest = plain.split_off(at);
            let bytes = self.encoder.write(plain)?;
            self.steps.push_back(Step::Data { bytes, tally: Tally::default() });
            self.steps.push_back(Step::Pause(SPLIT_PAUSE));
            self.steps.extend(self.split_next.take());
            plain = rest;
        }
        let bytes = self.encoder.write(plain)?;
        match &mut self.drip {
            None => self.steps.push_back(Step::Data { bytes, tally }),
            Some(drip) => {
                for start in (0..bytes.len()).step_by(drip.bytes) {
                    let piece = bytes.slice(start..bytes.len().min(start + drip.bytes));
                    self.steps.push_back(Step::Data { bytes: piece, tally: Tally::default() });
                    self.steps.push_back(Step::Pause(drip.pause));
                }
                self.steps.push_back(Step::Data { bytes: Bytes::new(), tally });
                drip.events_left = drip.events_left.saturating_sub(tally.events);
                if drip.events_left == 0 {
                    self.drip = None;
                }
            }
        }
        Ok(tally)
    }

    /// Appends the line at `position`, if the selection takes it.
    fn render(&self, position: u64, plain: &mut Vec<u8>, tally: &mut Tally) {
        if !self.subscription.selection.takes(&self.airship.log, position) {
            tally.filtered += 1;
            return;
        }
        self.airship.log.render(position, plain);
        plain.extend_from_slice(self.line_end.as_bytes());
        tally.events += 1;
        tally.duplicates += u64::from(self.airship.log.entry(position).is_duplicate);
    }

    fn plan_keep_alive(&mut self) -> io::Result<()> {
        let mut line = Vec::new();
        let mut tally = Tally::default();
        if self.subscription.enable_offset_updates {
            tally.offset_updates = 1;
            self.render_offset_update(&mut line);
        } else {
            tally.keep_alives = 1;
        }
        line.extend_from_slice(self.line_end.as_bytes());
        let bytes = self.encoder.write(line)?;
        self.steps.push_back(Step::Data { bytes, tally });
        Ok(())
    }

    fn render_offset_update(&self, line: &mut Vec<u8>) {
        let now = now_ms();
        let style = self.airship.log.options().offsets;
        let offset = OffsetNumber::last_before(self.progress.position).text(style);
        line.extend_from_slice(br#"{"type":"OFFSET_UPDATE","#);
        line.extend_from_slice(format!(r#""offset":{},"occurred":""#, style.json(&offset)).as_bytes());
        write_iso(now, false, line);
        line.extend_from_slice(br#"","processed":""#);
        write_iso(now, false, line);
        line.extend_from_slice(br#""}"#);
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.airship.counters.update(|stats| stats.open_streams -= 1);
    }
}

impl Tally {
    fn count(self, bytes: usize, stats: &mut Stats) {
        stats.bytes += bytes as u64;
        stats.events += self.events;
        stats.duplicates += self.duplicates;
        stats.filtered += self.filtered;
        stats.keep_alives += self.keep_alives;
        stats.offset_updates += self.offset_updates;
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
