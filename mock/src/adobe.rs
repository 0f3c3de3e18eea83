//! The Adobe half of the mock: its state, and what its parts share.
//!
//! Invariant: what is delivered are the hits of `log` that `feed` lets through, at the positions of `group`, nothing
//! else but what a counted fault invents. Knows no sockets.

pub mod config;
pub(crate) mod control;
mod group;
mod handle;
pub mod hit;
pub mod log;
pub mod options;
mod parameters;
pub(crate) mod service;
mod session;
pub mod stats;
mod token;
pub mod visitor;

pub use config::{Config, Flush, OnExpiry, Prepare};
pub use handle::{Connection, Handle};
pub use hit::Hit;
pub use log::{Expected, Log};
pub use options::LogOptions;
pub use session::huge_line;
pub use stats::{Seen, Stats, StreamStats};
pub use visitor::Visitor;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

use crate::engine::clock::now_ms;
use crate::engine::fault::Board;
use crate::engine::feed::Feed;
use crate::engine::prepared::{Pack, Prepared};
use crate::stats::Counters;
use group::{BLOCK, Group, Rules};
use token::Tokens;

/// Everything that the connections share.
#[derive(Debug)]
pub(crate) struct Adobe {
    config: Config,
    streams: Vec<Arc<Stream>>,
    feed: Feed,
    board: Board,
    /// Faults of requests for tokens.
    token_board: Board,
    tokens: Tokens,
    /// Where connects at the first port are sent to.
    redirect_to: Mutex<Option<String>>,
    /// Streams opened so far.
    numbers: AtomicU64,
    journal: Mutex<Vec<Sent>>,
    counters: Arc<Counters>,
}

/// A hit that was handed to a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Sent {
    /// The number of the connection to the stream.
    pub stream: u64,
    /// The hit's number.
    pub hit: u64,
}

/// One stream name.
#[derive(Debug)]
struct Stream {
    name: String,
    log: Log,
    prepared: Prepared,
    line_end: &'static str,
    group: Mutex<Group>,
    switches: Mutex<Switches>,
}

/// What is set by command.
#[derive(Clone, Copy, Debug, Default)]
struct Switches {
    /// As after 90 days without a client.
    disabled: bool,
    /// Since when it is being enabled.
    enabled: Option<Instant>,
}

impl Adobe {
    pub(crate) fn new(config: Config, counters: Arc<Counters>) -> Self {
        let (board, now) = (Board::default(), now_ms());
        for armed in &config.faults {
            board.arm(armed.clone());
        }
        let room = (config.prepared_mib << 20) / config.names.len().max(1) as u64;
        let streams = config.names.iter().zip(0..).map(|(name, number)| {
            let log = Log::new(config.log_options(number, now));
            Arc::new(Stream {
                name: name.clone(),
                prepared: Prepared::new(
                    (log.len() / BLOCK).saturating_mul(1 + log.options().partitions),
                    room,
                ),
                line_end: config.line_end(),
                group: Mutex::new(Group::new(Rules::new(&config), log.clone())),
                switches: Mutex::default(),
                log,
            })
        });
        let retention = if config.retention_hits == 0 { u64::MAX } else { config.retention_hits };
        Self {
            streams: streams.collect(),
            feed: Feed::new(config.events, config.backlog, config.rate, config.hold_at, retention),
            board,
            token_board: Board::default(),
            tokens: Tokens::new(&config),
            redirect_to: Mutex::default(),
            numbers: AtomicU64::new(0),
            journal: Mutex::default(),
            config,
            counters,
        }
    }

    /// Compresses the logs ahead of the first connection, if so configured. Takes seconds.
    pub(crate) fn prepare(&self) -> std::io::Result<()> {
        let parts = match self.config.prepare {
            Prepare::Off => return Ok(()),
            Prepare::One => false,
            Prepare::Many => true,
        };
        self.streams.iter().try_for_each(|stream| stream.prepare(parts))
    }

    fn stream(&self, name: &str) -> Option<&Arc<Stream>> {
        self.streams.iter().find(|stream| stream.name == name)
    }

    fn next_number(&self) -> u64 {
        self.numbers.fetch_add(1, Ordering::Relaxed) + 1
    }

    fn note_sent(&self, stream: u64, hits: &[u64]) {
        if !hits.is_empty() {
            lock(&self.journal).extend(hits.iter().map(|hit| Sent { stream, hit: *hit }));
        }
    }

    /// Where connects at the first port are sent to from now on.
    pub(crate) fn redirect_to(&self, base: Option<String>) {
        *lock(&self.redirect_to) = base;
    }

    /// The address of the second port is known.
    pub(crate) fn second_at(&self, base: &str) {
        lock(&self.redirect_to).get_or_insert_with(|| base.to_owned());
    }
}

impl Stream {
    /// Makes packs until all are kept or there is no more room: blocks for one connection, or parts for several.
    fn prepare(&self, parts: bool) -> std::io::Result<()> {
        for block in 0..self.log.len() / BLOCK {
            let partitions = if parts { self.log.options().partitions as usize } else { 1 };
            for partition in 0..partitions {
                let pack = self.pack(block, parts.then_some(partition))?;
                if !self.prepared.has_room_for(&pack) {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// The block with this number, which starts at hit `block * BLOCK`; or what a partition has in it.
    fn pack(&self, block: u64, partition: Option<usize>) -> std::io::Result<Arc<Pack>> {
        // The block itself, then its parts.
        let place = partition.map_or(0, |partition| 1 + partition as u64);
        self.prepared.get(block * (1 + self.log.options().partitions) + place, || {
            let hits = block * BLOCK..(block + 1) * BLOCK;
            let of_part = |hit: &u64| partition.is_none_or(|partition| self.log.partition(*hit) == partition);
            Pack::compress(hits.filter(of_part).collect(), |hit, out| {
                self.log.render(hit, out);
                out.extend_from_slice(self.line_end.as_bytes());
            })
        })
    }

    fn group(&self) -> MutexGuard<'_, Group> {
        lock(&self.group)
    }

    fn switches(&self) -> MutexGuard<'_, Switches> {
        lock(&self.switches)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
