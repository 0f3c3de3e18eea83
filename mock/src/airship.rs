//! The Airship half of the mock: its state, and what its parts share.
//!
//! Invariant: what is delivered is `log` at the positions that `feed` lets through, nothing else but what a counted
//! fault invents. Knows no sockets.

mod auth;
mod calendar;
pub mod config;
pub(crate) mod control;
pub mod event;
pub mod fault;
pub mod filter;
pub mod log;
pub mod offset;
mod pin;
mod predicate;
mod reply;
pub mod request;
pub(crate) mod service;
mod session;
mod slots;
pub mod webhook;

pub use crate::engine::clock::Epoch;
pub use config::{Config, Encoding, OnBadOffset, Pin};
pub use event::{Event, Events};
pub use fault::{Armed, ErrorBody, Fault};
pub use log::{Entry, Expected, Log, LogOptions};
pub use offset::OffsetStyle;
pub use reply::Refusal;
pub use request::{Endpoint, Selection, Start, Subscription};

use std::sync::Arc;

use tokio::time::Instant;

use crate::engine::clock::now_ms;
use crate::engine::fault::Board;
use crate::engine::feed::Feed;
use crate::engine::prepared::{Pack, Prepared};
use crate::stats::Counters;
use auth::Credentials;

use pin::Pins;
use slots::Slots;

/// Positions in a pack of compressed lines: about 300 kB of text, so that flush and call costs vanish.
const PACK: u64 = 512;

/// Everything that the connections share.
#[derive(Debug)]
pub(crate) struct Airship {
    config: Config,
    log: Log,
    feed: Feed,
    prepared: Prepared,
    board: Board,
    credentials: Credentials,
    slots: Arc<Slots>,
    pins: Pins,
    counters: Arc<Counters>,
}

impl Airship {
    pub(crate) fn new(config: Config, counters: Arc<Counters>) -> Self {
        let log = Log::new(config.log_options(now_ms()));
        let retention = if config.retention_events == 0 { u64::MAX } else { config.retention_events };
        let board = Board::default();
        for armed in &config.faults {
            board.arm(armed.clone());
        }
        Self {
            feed: Feed::new(log.len(), config.backlog, config.rate, config.hold_at, retention),
            prepared: Prepared::new(log.len() / PACK, config.prepared_mib << 20),
            board,
            credentials: Credentials::new(config.token.clone()),
            slots: Slots::new(config.max_streams, config.linger),
            pins: Pins::new(config.pin, config.pin_cookies),
            log,
            config,
            counters,
        }
    }

    /// Compresses the log ahead of the first connection, if so configured. Takes seconds.
    pub(crate) fn prepare(&self) -> std::io::Result<()> {
        let packs = if self.config.prepare { self.log.len() / PACK } else { 0 };
        for number in 0..packs {
            let pack = self.pack(number)?;
            if !self.prepared.has_room_for(&pack) {
                break;
            }
        }
        Ok(())
    }

    /// The pack with this number, which starts at position `number * PACK`.
    fn pack(&self, number: u64) -> std::io::Result<Arc<Pack>> {
        self.prepared.get(number, || {
            Pack::compress((number * PACK..(number + 1) * PACK).collect(), |position, out| {
                self.log.render(position, out);
                out.extend_from_slice(self.config.line_end().as_bytes());
            })
        })
    }

    pub(crate) fn log(&self) -> &Log {
        &self.log
    }

    pub(crate) fn arm(&self, armed: Armed) {
        self.board.arm(armed);
        self.feed.changed();
    }

    pub(crate) fn armed(&self) -> Vec<Armed> {
        self.board.armed()
    }

    pub(crate) fn disarm(&self) {
        self.board.clear();
    }

    /// The positions that are readable now.
    pub(crate) fn window(&self) -> std::ops::Range<u64> {
        self.feed.window(Instant::now())
    }

    pub(crate) fn release(&self, up_to: u64) {
        self.feed.release(up_to);
    }

    pub(crate) fn expire(&self, oldest: u64) {
        self.feed.expire(oldest);
    }

    pub(crate) fn rotate_token(&self, token: String) {
        self.credentials.rotate(token);
    }

    /// Makes all cookies handed out so far worthless.
    pub(crate) fn expire_cookies(&self) {
        self.pins.expire();
    }

    /// Ends all streams that are open now with `fault`.
    pub(crate) fn end_streams(&self, fault: Fault) {
        let open = self.slots.open() as u64;
        if open > 0 {
            self.arm(Armed::now(fault).times(open));
        }
    }
}
