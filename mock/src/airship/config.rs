//! The settings of the Airship half, as a plain struct and as flags of `tributary mock`.
//!
//! Invariant: the flags' defaults are `Config::default()`, so the command and the tests start from the same service; but that
//! the command makes events for ever unless it is told how many, so that whoever starts it has something to see.

use std::time::Duration;

use clap::builder::ArgPredicate::IsPresent;
use clap::value_parser;

use super::fault::Armed;
use super::log::{DEFAULT_EPOCH_MS, LogOptions};
use super::offset::OffsetStyle;
use crate::engine::clock::{Epoch, parse_epoch};
use crate::engine::feed::{ENDLESS, LIVE_RATE};
use crate::engine::limits::{self, MOST, MOST_MIB, bytes, span};

/// Settings of the Airship half. Each unknown of the real service is a knob.
#[derive(Clone, Debug, PartialEq, clap::Args)]
#[command(next_help_heading = "Airship")]
#[group(skip)]
pub struct Config {
    // These two stand before the number: clap fills defaults in by this order, and one that is filled in counts as given.
    /// Events a second that become readable; 0 for all at once, as with --events unless given
    #[arg(long, default_value = LIVE_RATE, default_value_if("events", IsPresent, "0"), value_parser = limits::rate)]
    pub rate: f64,
    /// When the event after the backlog was processed: milliseconds since 1970, or `now`, for which without a rate the
    /// backlog is all that is readable; with --events a fixed day unless given
    #[arg(long, value_parser = parse_epoch, default_value = "now", default_value_if("events", IsPresent, "1772437200000"))]
    pub epoch: Epoch,
    /// Lines in the log, duplicates included
    #[arg(long, default_value_t = ENDLESS, value_parser = value_parser!(u64).range(..=MOST))]
    pub events: u64,
    /// Seed of all events; other seeds give other ids
    #[arg(long, default_value_t = Self::default().seed)]
    pub seed: u64,
    /// Make each n-th line a duplicate of an earlier event, with a new offset; 0 for none
    #[arg(long, default_value_t = Self::default().duplicate_every, value_parser = value_parser!(u64).range(..=MOST))]
    pub duplicate_every: u64,
    /// How many events a duplicate reaches back at most
    #[arg(long, default_value_t = Self::default().duplicate_reach, value_parser = value_parser!(u64).range(..=MOST))]
    pub duplicate_reach: u64,
    /// How offsets are spelt
    #[arg(long, value_enum, default_value_t = Self::default().offsets)]
    pub offsets: OffsetStyle,
    /// Write all events as the official schema says, and none as its examples and old streams deviate from it
    #[arg(long)]
    pub by_schema: bool,
    /// Time between the events' `processed` [default: what --rate says, else 1ms]
    #[arg(long, value_parser = span)]
    pub step: Option<Duration>,

    /// Events that are readable from the start when --rate is given
    #[arg(long, default_value_t = Self::default().backlog, value_parser = value_parser!(u64).range(..=MOST))]
    pub backlog: u64,
    /// Hold back events from this position on until `POST /_mock/release`
    #[arg(long, value_parser = value_parser!(u64).range(..=MOST))]
    pub hold_at: Option<u64>,
    /// Events that stay readable, counted from the newest; 0 for all
    #[arg(long, default_value_t = Self::default().retention_events, value_parser = value_parser!(u64).range(..=MOST))]
    pub retention_events: u64,

    /// When to compress
    #[arg(long, value_enum, default_value_t = Self::default().encoding)]
    pub encoding: Encoding,
    /// Compress the whole log before the first connection, for benchmarks
    #[arg(long)]
    pub prepare: bool,
    /// Compressed events that are kept for the next connection, in MiB; 0 to compress anew each time
    #[arg(long, default_value_t = Self::default().prepared_mib, value_parser = value_parser!(u64).range(..=MOST_MIB))]
    pub prepared_mib: u64,
    /// Start a new gzip member after this many events; 0 for one member
    #[arg(long, default_value_t = Self::default().member_events, value_parser = value_parser!(u64).range(..=MOST))]
    pub member_events: u64,
    /// End lines with CR LF
    #[arg(long)]
    pub crlf: bool,
    /// Silence after which a keep-alive is sent; 0s for none
    #[arg(long, value_parser = span, default_value = "2s")]
    pub keep_alive: Duration,
    /// End each stream in order after this many events; 0 for never
    #[arg(long, default_value_t = Self::default().session_events, value_parser = value_parser!(u64).range(..=MOST))]
    pub session_events: u64,

    /// Ask for no credentials at all, for programs that send none
    #[arg(long)]
    pub no_auth: bool,
    /// The bearer token that is right [default: any]
    #[arg(long)]
    pub token: Option<String>,
    /// Simultaneous streams, beyond which the answer is 402; 0 for no limit
    #[arg(long, default_value_t = Self::default().max_streams, value_parser = bytes)]
    pub max_streams: usize,
    /// How long a stream that did not end in order still counts against --max-streams
    #[arg(long, value_parser = span, default_value = "0s")]
    pub linger: Duration,

    /// What to do with an offset that is older than the retention
    #[arg(long, value_enum, default_value_t = Self::default().expired)]
    pub expired: OnBadOffset,
    /// What to do with an offset that is none
    #[arg(long, value_enum, default_value_t = Self::default().malformed)]
    pub malformed: OnBadOffset,

    /// Answer 307 with a cookie to requests without it
    #[arg(long, value_enum, default_value_t = Self::default().pin)]
    pub pin: Pin,
    /// How many cookies --pin asks for, 1 to 3
    #[arg(long, default_value_t = Self::default().pin_cookies, value_parser = value_parser!(u8).range(1..=3))]
    pub pin_cookies: u8,
    /// Arm a fault: NAME, NAME@AFTER_EVENTS or NAME@AFTER_EVENTS*TIMES, or JSON as for `POST /_mock/faults`; repeatable
    #[arg(long = "fault")]
    pub faults: Vec<Armed>,
}

/// When responses are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Encoding {
    /// Always: the Node client does not ask for it, but needs it
    Gzip,
    /// When `Accept-Encoding` has gzip
    Auto,
    /// Never
    Identity,
}

/// What to do with an offset that names no readable position.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum OnBadOffset {
    /// Answer 400
    Reject,
    /// Start with the oldest event that is retained
    Earliest,
    /// Start with whatever comes next
    Latest,
}

/// Forms of the redirect that pins a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Pin {
    /// No redirect
    Off,
    /// 307 with a cookie, without `Location`
    Cookie,
    /// 307 with a cookie, and `Location` with the same address
    Location,
    /// 307 to every request
    Loop,
}

impl Default for Config {
    fn default() -> Self {
        let log = LogOptions::default();
        Self {
            events: log.events,
            seed: log.seed,
            duplicate_every: log.duplicate_every,
            duplicate_reach: log.duplicate_reach,
            offsets: log.offsets,
            by_schema: log.by_schema,
            epoch: Epoch::At(DEFAULT_EPOCH_MS),
            step: None,
            rate: 0.0,
            backlog: 0,
            hold_at: None,
            retention_events: 0,
            encoding: Encoding::Gzip,
            prepare: false,
            prepared_mib: 256,
            member_events: 0,
            crlf: false,
            keep_alive: Duration::from_secs(2),
            session_events: 0,
            no_auth: false,
            token: None,
            max_streams: 0,
            linger: Duration::ZERO,
            expired: OnBadOffset::Earliest,
            malformed: OnBadOffset::Reject,
            pin: Pin::Off,
            pin_cookies: 1,
            faults: Vec::new(),
        }
    }
}

impl Config {
    /// The log that these settings describe; `now_ms` is the time since 1970 for `Epoch::Now`.
    pub fn log_options(&self, now_ms: u64) -> LogOptions {
        let step_us = self.step_us();
        let (epoch_ms, backlog) = match self.epoch {
            Epoch::At(ms) => (ms, self.backlog),
            // Otherwise the events would be of the future.
            Epoch::Now if self.rate <= 0.0 => (now_ms, self.hold_at.unwrap_or(self.events).min(self.events)),
            Epoch::Now => (now_ms, self.backlog),
        };
        LogOptions {
            seed: self.seed,
            events: self.events,
            duplicate_every: self.duplicate_every,
            duplicate_reach: self.duplicate_reach,
            offsets: self.offsets,
            epoch_ms: epoch_ms.saturating_sub(backlog.saturating_mul(step_us) / 1000),
            step_us,
            by_schema: self.by_schema,
        }
    }

    /// What lines end with.
    pub(super) fn line_end(&self) -> &'static str {
        if self.crlf { "\r\n" } else { "\n" }
    }

    fn step_us(&self) -> u64 {
        let by_rate = if self.rate > 0.0 { (1e6 / self.rate) as u64 } else { LogOptions::default().step_us };
        self.step.map_or(by_rate, |step| step.as_micros() as u64).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::airship::log::Log;

    #[test]
    fn no_event_is_processed_after_it_is_readable() {
        let now = 1_800_000_000_000;
        let live = Config { rate: 50.0, backlog: 10, epoch: Epoch::Now, ..Config::default() };
        let log = Log::new(live.log_options(now));
        assert!((0..10).all(|position| log.processed_ms(position) < now));
        // Position 59 is readable after a second.
        assert!((750..=1_000).contains(&(log.processed_ms(59) - now)));
        let stored = Config { events: 5_000, epoch: Epoch::Now, ..Config::default() };
        let log = Log::new(stored.log_options(now));
        assert!((0..5_000).all(|position| log.processed_ms(position) < now));
    }
}
