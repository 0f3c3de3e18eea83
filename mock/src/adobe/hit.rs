//! The hits as a pure function of (options, number): who, when, what kind; `render` makes the line of it.
//!
//! Invariant: no two hits have the same id. Everything that a verifier needs is a field here, so that it never has to
//! parse a line. Knows no positions and no HTTP.

pub(super) mod pools;
mod render;
mod text;

use super::options::LogOptions;
use super::visitor::{EXTREMES, Halves, Kind, Visitor, ordinary};
use crate::engine::random::{Draw, Lane, mix};

/// The report suites.
pub const SUITES: [&str; 3] = ["harborlightprod", "harborlightjp", "harborlightapp"];

/// A hit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hit {
    /// Its number, from 0.
    pub index: u64,
    /// `hitIdHigh` and `hitIdLow`.
    pub id: Halves,
    /// Who made it.
    pub visitor: Visitor,
    /// `reportSuite`.
    pub suite: &'static str,
    /// `receivedTimeGMT`, in seconds since 1970.
    pub received_s: u64,
    /// `timeGMT`, in seconds since 1970.
    pub time_s: u64,
    /// Whether `bot` says so.
    pub bot: bool,
    /// Whether `exclude` says so.
    pub excluded: bool,
    /// How it is written.
    pub shape: Shape,
}

/// How a hit is written: what drifts between records of the real service.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shape {
    /// As in 2017: `evarN`, `geoLatitude`, a numeric `exclude.id`, leaked `delim` and `values`.
    pub old: bool,
    /// A value ends inside of a UTF-8 character, so the line is not UTF-8.
    pub truncated_utf8: bool,
    /// Ids as strings.
    pub quoted_ids: bool,
    /// Ids from 2^63 on as negative numbers.
    pub negative_ids: bool,
    /// How ids that are not there are written.
    pub absent: Absent,
    /// Every value is of its documented type, also where samples and older streams have others.
    pub typed: bool,
}

/// How an id that is not there is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Absent {
    /// `0`, `""`
    #[default]
    Zero,
    /// `null`
    Null,
    /// Not at all
    Missing,
}

/// Hit ids of the first hits: every number type's edges.
const FIRST: [Halves; 10] = [
    (0, (1 << 53) + 1),
    ((1 << 53) + 1, 0),
    (1 << 63, u64::MAX),
    (u64::MAX, 1 << 63),
    (u64::MAX, u64::MAX),
    (0, u64::MAX),
    (1 << 63, 0),
    (i64::MAX as u64, 1 << 63),
    ((1 << 53) + 1, (1 << 53) + 1),
    (0, 1 << 63),
];
/// Hits whose visitors come in turn, so that short runs see the special ones.
const IN_TURN: u64 = 20;
/// `receivedTimeGMT` may be this much before its place in the row, so that it is not ordered.
const RECEIVED_JITTER_S: u64 = 4;

/// The visitor number of hit `index`: all that partitions need to know.
pub(super) fn visitor_number(options: &LogOptions, index: u64) -> u64 {
    if index < IN_TURN {
        index % options.visitors
    } else {
        Draw::new(options.seed, Lane::Hit, index).below(options.visitors)
    }
}

/// The id of hit `index`. The low half of those that are drawn is a bijection of the index, and their high half is
/// none of those that the first ones have.
pub(super) fn id(options: &LogOptions, index: u64) -> Halves {
    // Every other of the first ones, so that visitors and hit ids do not go in step.
    let first = index.is_multiple_of(2).then_some(index / 2).and_then(|at| usize::try_from(at).ok());
    if let Some(edge) = first.and_then(|at| FIRST.get(at)) {
        return *edge;
    }
    let high = Draw::new(options.seed, Lane::HitId, index).next();
    (ordinary(high), mix(index ^ mix(options.seed ^ 0x6869_7473)))
}

impl Hit {
    pub(super) fn new(options: &LogOptions, index: u64) -> Self {
        let mut draw = Draw::new(options.seed, Lane::Hit, index);
        // The first number is the visitor's, whether it is used or not.
        draw.next();
        let visitor = Visitor::new(options.seed, visitor_number(options, index));
        let visitor = if options.long_ids { visitor.with_long_ids(options.seed) } else { visitor };
        let place = options.place_s(index);
        let received_s = place.saturating_sub(draw.below(RECEIVED_JITTER_S));
        let late = match draw.below(30) {
            0 => 60 + draw.below(2 * 86_400),
            _ => 0,
        };
        let bot = draw.below(40) == 0;
        let excluded = draw.below(60) == 0;
        let suite = match draw.below(100) {
            0..=69 => SUITES[0],
            70..=89 => SUITES[1],
            _ => SUITES[2],
        };
        let mut odd = |one_in: u64, is_off: bool| draw.below(one_in) == 0 && !is_off;
        let shape = Shape {
            old: odd(50, options.plain_shapes),
            truncated_utf8: odd(100, options.plain_shapes),
            quoted_ids: odd(200, options.plain_ids),
            negative_ids: odd(200, options.plain_ids),
            absent: match (odd(4, options.plain_shapes), odd(8, options.plain_shapes)) {
                (true, _) => Absent::Missing,
                (_, true) => Absent::Null,
                _ => Absent::Zero,
            },
            typed: options.plain_shapes,
        };
        Self {
            index,
            id: id(options, index),
            visitor,
            suite,
            received_s,
            time_s: received_s.saturating_sub(late),
            bot,
            excluded,
            shape,
        }
    }

    /// The Kafka key.
    pub fn key(&self) -> String {
        self.visitor.key(self.id)
    }

    /// `visIdType`.
    fn vis_id_type(&self) -> u64 {
        match self.visitor.kind {
            Kind::Ecid | Kind::McOnly => 5,
            Kind::Cookie => 3,
            Kind::IpAgent => 1,
            Kind::CustomOnly | Kind::Nothing => 0,
        }
    }
}

// The ids of the first hits are made of edges alone; `ordinary` keeps all other ids away from them.
const _: () = {
    let mut at = 0;
    while at < FIRST.len() {
        let mut is_edge = false;
        let mut edge = 0;
        while edge < EXTREMES.len() {
            is_edge |= FIRST[at].0 == EXTREMES[edge];
            edge += 1;
        }
        assert!(is_edge);
        at += 1;
    }
};

#[cfg(test)]
mod tests;
