//! What the Airship half supplies to a stream: the positions of the log that its subscription takes, from one on.
//!
//! Invariant: lines are supplied in the order of the log, each once. Knows nothing of requests.

use std::io;
use std::sync::Arc;

use tokio::time::Instant;

use super::calendar::write_iso;
use super::fault::huge_line;
use super::offset::OffsetNumber;
use super::request::Subscription;
use super::slots::Slot;
use super::{Airship, PACK};
use crate::engine::clock::now_ms;
use crate::engine::fault::{Board, Fired};
use crate::engine::reply::Body;
use crate::engine::session::{End, Limits, Next, Session, Settings, Supply};
use crate::engine::transfer::{Borders, Tally, Transfer};
use crate::engine::wire::WireEnd;

/// What a stream is opened with.
#[derive(Debug)]
pub(super) struct Opening {
    pub(super) subscription: Subscription,
    /// Where to begin.
    pub(super) position: u64,
    pub(super) compress: bool,
    pub(super) slot: Slot,
}

/// A stream that is open.
#[derive(Debug)]
struct Open {
    airship: Arc<Airship>,
    subscription: Subscription,
    slot: Slot,
}

impl Opening {
    /// Opens the stream on the connection with this number.
    pub(super) fn into_body(self, airship: Arc<Airship>, connection: u64, wire: WireEnd) -> Body {
        airship.counters.update(|stats| {
            stats.streams += 1;
            stats.open_streams += 1;
        });
        let config = &airship.config;
        let borders = Borders { member_lines: config.member_events, ..Borders::default() };
        let settings = Settings {
            number: connection,
            position: self.position,
            line_end: config.line_end(),
            lines: config.session_events,
            silence: config.keep_alive,
            transfer: Transfer::new(self.compress, borders),
            wire,
            changes: airship.feed.subscribe(),
        };
        let Self { subscription, slot, .. } = self;
        Session::new(Open { airship, subscription, slot }, settings).into_body()
    }
}

impl Open {
    fn tally(&self, positions: impl Iterator<Item = u64>, most: u64) -> (Tally, u64) {
        let (mut tally, mut passed) = (Tally::default(), 0);
        for position in positions {
            if tally.lines.len() as u64 == most {
                break;
            }
            passed += 1;
            if self.subscription.selection.takes(&self.airship.log, position) {
                tally.duplicates += u64::from(self.airship.log.entry(position).is_duplicate);
                tally.lines.push(position);
            } else {
                tally.filtered += 1;
            }
        }
        (tally, passed)
    }
}

impl Supply for Open {
    fn board(&self) -> &Board {
        &self.airship.board
    }

    fn position(&self, reached: u64) -> u64 {
        reached
    }

    fn next(&mut self, position: &mut u64, limits: Limits, now: Instant) -> io::Result<Next> {
        let available = self.airship.feed.available(now);
        let start = *position;
        if start >= available {
            return Ok(Next::Wait(self.airship.feed.due(start)));
        }
        let positions = limits.positions.min(available - start).min(PACK - start % PACK);
        if positions == PACK && limits.lines >= PACK && limits.packs && self.subscription.selection.is_all() {
            let log = &self.airship.log;
            *position += PACK;
            let duplicates = PACK - (log.distinct(*position) - log.distinct(start));
            return Ok(Next::Pack(self.airship.pack(start / PACK)?, duplicates));
        }
        let (tally, passed) = self.tally(start..start + positions, limits.lines);
        *position += passed;
        Ok(Next::Lines(tally))
    }

    fn keep_alive(&self, position: u64) -> (Vec<u8>, Tally) {
        if !self.subscription.enable_offset_updates {
            return (Vec::new(), Tally { keep_alives: 1, ..Tally::default() });
        }
        let now = now_ms();
        let style = self.airship.log.options().offsets;
        let offset = style.json(&OffsetNumber::last_before(position).text(style));
        let mut line = format!(r#"{{"type":"OFFSET_UPDATE","offset":{offset},"occurred":""#).into_bytes();
        write_iso(now, false, &mut line);
        line.extend_from_slice(br#"","processed":""#);
        write_iso(now, false, &mut line);
        line.extend_from_slice(br#""}"#);
        (line, Tally { offset_updates: 1, ..Tally::default() })
    }

    fn repeated(&self, position: u64, count: u64) -> Tally {
        self.tally(position.saturating_sub(count)..position, u64::MAX).0
    }

    fn ahead(&self, position: u64, count: u64) -> Vec<u64> {
        self.tally(position..self.airship.window().end, count).0.lines
    }

    fn len(&self) -> u64 {
        self.airship.log.len()
    }

    fn render(&self, number: u64, out: &mut Vec<u8>) {
        self.airship.log.render(number, out);
    }

    fn huge_line(&self, position: u64, bytes: usize, valid: bool) -> Vec<u8> {
        huge_line(&self.airship.log, position, bytes, valid)
    }

    fn sent(&self, bytes: usize, tally: &Tally) {
        self.airship.counters.update(|stats| {
            stats.bytes += bytes as u64;
            stats.events += tally.lines.len() as u64;
            stats.duplicates += tally.duplicates;
            stats.filtered += tally.filtered;
            stats.keep_alives += tally.keep_alives;
            stats.offset_updates += tally.offset_updates;
        });
    }

    fn fired(&self, fired: Fired) {
        self.airship.counters.update(|stats| stats.fault_fired(fired));
    }

    fn ended(&mut self, end: End) {
        if end == End::Orderly {
            self.slot.end_cleanly();
        }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.airship.counters.update(|stats| stats.open_streams -= 1);
    }
}
