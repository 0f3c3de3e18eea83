//! What the Adobe half supplies to a stream: the hits that its group lets it claim.
//!
//! Invariant: hits are supplied in the order of the claims. Leaves its group exactly once. Knows nothing of requests.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use tokio::time::Instant;

use super::config::OnExpiry;
use super::group::{self, BLOCK, Claim, Claimed};
use super::log::Log;
use super::token::Grant;
use super::{Adobe, Stream};
use crate::engine::fault::{Board, Fired, stretched};
use crate::engine::reply::Body;
use crate::engine::session::{End, Limits, Next, Session, Settings, Supply};
use crate::engine::transfer::{Tally, Transfer};
use crate::engine::wire::WireEnd;

/// Hits that can be repeated.
const RECENT: usize = 100;

/// What a stream is opened with.
#[derive(Debug)]
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

/// A stream that is open.
#[derive(Debug)]
struct Open {
    adobe: Arc<Adobe>,
    stream: Arc<Stream>,
    number: u64,
    grant: Grant,
    end: group::End,
    /// The latest hits, for those that are repeated.
    recent: VecDeque<u64>,
}

impl Opening {
    /// Opens the stream. The opening has joined its group, which the stream leaves.
    pub(super) fn into_body(self, adobe: Arc<Adobe>) -> Body {
        let Self { stream, number, connection, wire, grant } = self;
        adobe.counters.update(|stats| stats.adobe.opened(number, &stream.name, connection));
        let config = &adobe.config;
        let settings = Settings {
            number,
            position: 0,
            line_end: config.line_end(),
            lines: config.session_hits,
            silence: config.blank_every,
            transfer: Transfer::new(true, config.borders()),
            wire,
            changes: adobe.feed.subscribe(),
        };
        let open = Open { adobe, stream, number, grant, end: group::End::Client, recent: VecDeque::new() };
        Session::new(open, settings).into_body()
    }
}

impl Open {
    fn note(&mut self, hits: &[u64], position: &mut u64) {
        *position = hits.iter().map(|hit| hit + 1).fold(*position, u64::max);
        self.recent.extend(&hits[hits.len().saturating_sub(RECENT)..]);
        let surplus = self.recent.len().saturating_sub(RECENT);
        self.recent.drain(..surplus);
    }
}

impl Supply for Open {
    fn board(&self) -> &Board {
        &self.adobe.board
    }

    fn position(&self, reached: u64) -> u64 {
        self.stream.group().next_of(self.number).map_or(reached, |next| reached.max(next))
    }

    fn next(&mut self, position: &mut u64, limits: Limits, now: Instant) -> io::Result<Next> {
        let config = &self.adobe.config;
        let expiry = self.adobe.tokens.expiry(self.grant).filter(|_| config.on_expiry != OnExpiry::Keep);
        if expiry.is_some_and(|expiry| expiry <= now) {
            return Ok(match config.on_expiry {
                OnExpiry::Line => Next::End(format!("not authorized{}", config.line_end()).into_bytes()),
                OnExpiry::Text => Next::End(b"not authorized".to_vec()),
                OnExpiry::Cut | OnExpiry::Keep => Next::Close,
            });
        }
        let limits = group::Limits {
            hits: limits.lines,
            below: position.saturating_add(limits.positions),
            blocks: limits.packs && config.prepared_mib > 0 && limits.positions > BLOCK,
        };
        let window = self.adobe.feed.window(now);
        let Claimed { claim, duplicates } = self.stream.group().claim(self.number, limits, &window, now);
        let pack = match claim {
            Claim::Nothing => {
                return Ok(Next::Wait(self.adobe.feed.due(window.end).into_iter().chain(expiry).min()));
            }
            Claim::Paused(until) => return Ok(Next::Wait(expiry.into_iter().chain([until]).min())),
            Claim::Hits(lines) => {
                self.note(&lines, position);
                return Ok(Next::Lines(Tally { lines, duplicates, ..Tally::default() }));
            }
            Claim::Block(block) => self.stream.pack(block, None)?,
            Claim::Part(block, partition) => self.stream.pack(block, Some(partition))?,
        };
        self.note(&pack.lines, position);
        Ok(Next::Pack(pack, duplicates))
    }

    fn keep_alive(&self, _: u64) -> (Vec<u8>, Tally) {
        (Vec::new(), Tally { keep_alives: 1, ..Tally::default() })
    }

    fn repeated(&self, _: u64, count: u64) -> Tally {
        let skipped = self.recent.len().saturating_sub(count as usize);
        let lines: Vec<u64> = self.recent.iter().skip(skipped).copied().collect();
        Tally { duplicates: lines.len() as u64, lines, ..Tally::default() }
    }

    fn ahead(&self, position: u64, count: u64) -> Vec<u64> {
        let readable = self.adobe.feed.window(Instant::now()).end;
        (position..readable.min(position.saturating_add(count))).collect()
    }

    fn len(&self) -> u64 {
        self.stream.log.len()
    }

    fn render(&self, number: u64, out: &mut Vec<u8>) {
        self.stream.log.render(number, out);
    }

    fn huge_line(&self, position: u64, bytes: usize, valid: bool) -> Vec<u8> {
        huge_line(&self.stream.log, position, bytes, valid)
    }

    fn sent(&self, bytes: usize, tally: &Tally) {
        if self.adobe.config.journal {
            self.adobe.note_sent(self.number, &tally.lines);
        }
        self.adobe.counters.update(|stats| {
            stats.adobe.sent(self.number, tally.lines.len() as u64, tally.duplicates, bytes as u64);
            stats.adobe.blank_lines += tally.keep_alives;
        });
    }

    fn fired(&self, fired: Fired) {
        self.adobe.counters.update(|stats| stats.adobe.fault_fired(fired));
    }

    fn ended(&mut self, end: End) {
        self.end = match end {
            End::Orderly => group::End::Orderly,
            End::Fault => group::End::Fault,
        };
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let effects = self.stream.group().leave(self.number, self.end, Instant::now());
        self.adobe.board.forget(self.number);
        self.adobe.counters.update(|stats| {
            stats.adobe.closed(self.number);
            stats.adobe.happened(effects);
        });
        // The others have more to send now.
        self.adobe.feed.changed();
    }
}

/// The line that `huge_line` writes when `position` is next, exactly `bytes` long if that is at least 300; if valid, a
/// hit with the id 1-`position`.
pub fn huge_line(log: &Log, position: u64, bytes: usize, valid: bool) -> Vec<u8> {
    if !valid {
        return stretched(format!("huge garbage before position {position}: "), "", bytes);
    }
    let time = log.options().place_s(position);
    let start = format!(
        r#"{{"reportSuite":"harborlightprod","hitIdHigh":1,"hitIdLow":{position},"visIdHigh":1,"visIdLow":1,"timeGMT":{time},"receivedTimeGMT":{time},"evars":{{"evars":{{"eVar1":""#
    );
    stretched(start, r#""}}}"#, bytes)
}
