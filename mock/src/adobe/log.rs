//! All hits of a stream, for the mock and for verifiers.
//!
//! Invariant: everything about hit *i* follows from (`LogOptions`, *i*). Whatever must arrive at a client can be
//! recomputed here, in another process too (`GET /_mock/adobe/config` gives the options). Knows no clock and no HTTP.

use std::ops::Range;

use super::hit::{self, Hit};
use super::options::LogOptions;
use super::visitor::Halves;
use crate::engine::clock::LATEST_MS;
use crate::engine::random::mix;

/// The log of some options.
#[derive(Clone, Debug)]
pub struct Log {
    options: LogOptions,
}

/// A line that must arrive, and what must become of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected {
    /// The hit.
    pub hit: Hit,
    /// Its Kafka key.
    pub key: String,
    /// The line's bytes, without line end.
    pub line: Vec<u8>,
}

impl Log {
    /// The log of `options`; no visitors or partitions count as one.
    pub fn new(mut options: LogOptions) -> Self {
        options.visitors = options.visitors.max(1);
        options.partitions = options.partitions.max(1);
        Self { options }
    }

    /// The options, as used.
    pub fn options(&self) -> &LogOptions {
        &self.options
    }

    /// Hits in the log.
    pub fn len(&self) -> u64 {
        self.options.events
    }

    /// Whether the log has no hits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Hit `index`.
    pub fn hit(&self, index: u64) -> Hit {
        Hit::new(&self.options, index)
    }

    /// `hitIdHigh` and `hitIdLow` of hit `index`.
    pub fn id(&self, index: u64) -> Halves {
        hit::id(&self.options, index)
    }

    /// The number of the visitor of hit `index`.
    pub fn visitor(&self, index: u64) -> u64 {
        hit::visitor_number(&self.options, index)
    }

    /// The group of visitors that hit `index` belongs to.
    pub fn partition(&self, index: u64) -> usize {
        let visitor = mix(self.visitor(index) ^ 0x7061_7274);
        ((u128::from(visitor) * u128::from(self.options.partitions)) >> 64) as usize
    }

    /// The bytes of hit `index`, without line end.
    pub fn line(&self, index: u64) -> Vec<u8> {
        let mut line = Vec::with_capacity(4096);
        self.render(index, &mut line);
        line
    }

    /// Appends the bytes of hit `index`, without line end.
    pub fn render(&self, index: u64, out: &mut Vec<u8>) {
        self.hit(index).render(self.options.seed, out);
    }

    /// What must become of hit `index`.
    pub fn expect(&self, index: u64) -> Expected {
        let hit = self.hit(index);
        Expected { key: hit.key(), line: self.line(index), hit }
    }

    /// The hits at `range`, in order.
    pub fn expected(&self, range: Range<u64>) -> impl Iterator<Item = Expected> + '_ {
        range.map(|index| self.expect(index))
    }
}

impl LogOptions {
    /// The time that belongs to hit `index`, in seconds since 1970.
    pub(super) fn place_s(&self, index: u64) -> u64 {
        let after_ms = index.saturating_mul(self.step_us) / 1000;
        self.epoch_ms.saturating_add(after_ms).min(LATEST_MS) / 1000
    }
}
