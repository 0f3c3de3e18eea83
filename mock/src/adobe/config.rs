//! The settings of the Adobe half, as a plain struct and as flags of `tributary mock`.
//!
//! Invariant: the flags' defaults are `Config::default()`, but that a test's first connect begins at hit 0 and the
//! command's at the end of the stream, as the real service's does; and that the command makes hits for ever unless it is
//! told how many.

use std::time::Duration;

use clap::ArgAction::Set;
use clap::builder::ArgPredicate::IsPresent;
use clap::value_parser;

use super::options::{DEFAULT_EPOCH_MS, LogOptions};
use crate::engine::clock::{Epoch, parse_epoch};
use crate::engine::fault::Armed;
use crate::engine::feed::{ENDLESS, LIVE_RATE};
use crate::engine::limits::{self, MOST, MOST_HELD, MOST_MIB, bytes, span};
use crate::engine::transfer::Borders;

/// Settings of the Adobe half. Each unknown of the real service is a knob.
#[derive(Clone, Debug, PartialEq, clap::Args)]
#[command(next_help_heading = "Adobe")]
#[group(skip)]
pub struct Config {
    // These two stand before the number: clap fills defaults in by this order, and one that is filled in counts as given.
    /// Hits a second that become readable; 0 for all at once, as with --adobe-events unless given
    #[arg(id = "ADOBE_RATE", long = "adobe-rate", default_value = LIVE_RATE, default_value_if("ADOBE_EVENTS", IsPresent, "0"), value_parser = limits::rate)]
    pub rate: f64,
    /// When the hit after the backlog was received: milliseconds since 1970, or `now`; with --adobe-events a fixed day
    /// unless given
    #[arg(id = "ADOBE_EPOCH", long = "adobe-epoch", value_parser = parse_epoch, default_value = "now", default_value_if("ADOBE_EVENTS", IsPresent, "1781512800000"))]
    pub epoch: Epoch,
    /// Hits in the log of each stream
    #[arg(id = "ADOBE_EVENTS", long = "adobe-events", default_value_t = ENDLESS, value_parser = value_parser!(u64).range(..=MOST))]
    pub events: u64,
    /// Seed of the first stream's hits; the next stream has the next seed
    #[arg(id = "ADOBE_SEED", long = "adobe-seed", default_value_t = Self::default().seed)]
    pub seed: u64,
    /// Visitors that make the hits
    #[arg(id = "ADOBE_VISITORS", long = "adobe-visitors", default_value_t = Self::default().visitors, value_parser = value_parser!(u64).range(..=MOST))]
    pub visitors: u64,
    /// Groups of visitors that are shared out among the connections
    #[arg(id = "ADOBE_PARTITIONS", long = "adobe-partitions", default_value_t = Self::default().partitions, value_parser = value_parser!(u64).range(1..=MOST_HELD))]
    pub partitions: u64,
    /// Never write ids as strings or as negative numbers
    #[arg(id = "ADOBE_PLAIN_IDS", long = "adobe-plain-ids")]
    pub plain_ids: bool,
    /// Only visitor ids that fit Java's `long` and are not zero; every hit has one
    #[arg(id = "ADOBE_LONG_IDS", long = "adobe-long-ids")]
    pub long_ids: bool,
    /// Write all hits as of 2026, each value of its documented type, with all ids, in valid UTF-8
    #[arg(id = "ADOBE_PLAIN_SHAPES", long = "adobe-plain-shapes")]
    pub plain_shapes: bool,
    /// Time between hits [default: what --adobe-rate says, else 1ms]
    #[arg(id = "ADOBE_STEP", long = "adobe-step", value_parser = span)]
    pub step: Option<Duration>,

    /// Hits that are readable from the start when --adobe-rate is given
    #[arg(id = "ADOBE_BACKLOG", long = "adobe-backlog", default_value_t = Self::default().backlog, value_parser = value_parser!(u64).range(..=MOST))]
    pub backlog: u64,
    /// Hold back hits from this one on until `POST /_mock/adobe/release`
    #[arg(id = "ADOBE_HOLD_AT", long = "adobe-hold-at", value_parser = value_parser!(u64).range(..=MOST))]
    pub hold_at: Option<u64>,
    /// Hits that stay readable, counted from the newest; 0 for all
    #[arg(id = "ADOBE_RETENTION_HITS", long = "adobe-retention-hits", default_value_t = Self::default().retention_hits, value_parser = value_parser!(u64).range(..=MOST))]
    pub retention_hits: u64,

    /// Names of streams
    #[arg(id = "ADOBE_STREAM", long = "adobe-stream", default_values_t = Self::default().names)]
    pub names: Vec<String>,
    /// Begin at the oldest hit at the first connect ever, instead of at the end of the stream
    #[arg(id = "ADOBE_FROM_START", long = "adobe-from-start")]
    pub from_start: bool,
    /// How long all connections wait when one more is opened or one is closed
    #[arg(id = "ADOBE_REBALANCE_PAUSE", long = "adobe-rebalance-pause", value_parser = span, default_value = "100ms")]
    pub rebalance_pause: Duration,
    /// Hits of each partition that are sent again when another connection gets it
    #[arg(id = "ADOBE_REBALANCE_REPLAY", long = "adobe-rebalance-replay", default_value_t = Self::default().rebalance_replay, value_parser = value_parser!(u64).range(..=MOST))]
    pub rebalance_replay: u64,
    /// Whether hits that were handed to a connection that broke are gone
    #[arg(id = "ADOBE_LOSE_IN_FLIGHT", long = "adobe-lose-in-flight", action = Set, default_value_t = Self::default().lose_in_flight)]
    pub lose_in_flight: bool,
    /// Hits of each of its partitions that are sent again after a connection broke, with --adobe-lose-in-flight=false
    #[arg(id = "ADOBE_BREAK_REPLAY", long = "adobe-break-replay", default_value_t = Self::default().break_replay, value_parser = value_parser!(u64).range(..=MOST))]
    pub break_replay: u64,

    /// Where a second port is served, to which connects at the first are redirected
    #[arg(id = "ADOBE_SECOND_LISTEN", long = "adobe-second-listen")]
    pub second_listen: Option<String>,
    /// The status of redirects
    #[arg(id = "ADOBE_REDIRECT_CODE", long = "adobe-redirect-code", default_value_t = Self::default().redirect_code, value_parser = value_parser!(u16).range(300..=399))]
    pub redirect_code: u16,
    /// Whether `Location` has the query
    #[arg(id = "ADOBE_REDIRECT_WITH_QUERY", long = "adobe-redirect-with-query", action = Set, default_value_t = Self::default().redirect_with_query)]
    pub redirect_with_query: bool,
    /// Answer 424 until the stream was enabled
    #[arg(id = "ADOBE_NEEDS_ENABLE", long = "adobe-needs-enable")]
    pub needs_enable: bool,
    /// How long enabling takes
    #[arg(id = "ADOBE_ENABLE_DELAY", long = "adobe-enable-delay", value_parser = span, default_value = "0s")]
    pub enable_delay: Duration,
    /// Answer 503 to a connect that comes sooner than this after a disconnect
    #[arg(id = "ADOBE_MIN_RECONNECT", long = "adobe-min-reconnect", value_parser = span, default_value = "0s")]
    pub min_reconnect: Duration,
    /// How long a connection that the client ended still counts as open
    #[arg(id = "ADOBE_GHOST_LINGER", long = "adobe-ghost-linger", value_parser = span, default_value = "0s")]
    pub ghost_linger: Duration,
    /// Also count connections as open that a fault broke
    #[arg(id = "ADOBE_GHOSTS_OF_FAULTS", long = "adobe-ghosts-of-faults")]
    pub ghosts_of_faults: bool,

    /// Ask for no credentials at all
    #[arg(id = "ADOBE_NO_AUTH", long = "adobe-no-auth")]
    pub no_auth: bool,
    /// A bearer token that is right without having been issued [default: none]
    #[arg(id = "ADOBE_BEARER", long = "adobe-bearer")]
    pub bearer: Option<String>,
    /// The client id that is right [default: any]
    #[arg(id = "ADOBE_CLIENT_ID", long = "adobe-client-id")]
    pub client_id: Option<String>,
    /// Client secrets that are right; repeatable, as there may be two [default: any]
    #[arg(id = "ADOBE_CLIENT_SECRET", long = "adobe-client-secret")]
    pub client_secrets: Vec<String>,
    /// The scope that tokens must be asked for with [default: any]
    #[arg(id = "ADOBE_SCOPE", long = "adobe-scope")]
    pub scope: Option<String>,
    /// How long tokens are good
    #[arg(id = "ADOBE_TOKEN_LIFETIME", long = "adobe-token-lifetime", value_parser = span, default_value = "86399s")]
    pub token_lifetime: Duration,
    /// What happens to a stream whose token expires
    #[arg(id = "ADOBE_ON_EXPIRY", long = "adobe-on-expiry", value_enum, default_value_t = Self::default().on_expiry)]
    pub on_expiry: OnExpiry,
    /// Answer 401 to requests without `x-api-key`
    #[arg(id = "ADOBE_NEEDS_API_KEY", long = "adobe-needs-api-key")]
    pub needs_api_key: bool,
    /// Compress the bodies of errors
    #[arg(id = "ADOBE_GZIP_ERRORS", long = "adobe-gzip-errors")]
    pub gzip_errors: bool,

    /// End lines with CR LF
    #[arg(id = "ADOBE_CRLF", long = "adobe-crlf", action = Set, default_value_t = Self::default().crlf)]
    pub crlf: bool,
    /// Silence after which a blank line is sent; 0s for none
    #[arg(id = "ADOBE_BLANK_EVERY", long = "adobe-blank-every", value_parser = span, default_value = "5s")]
    pub blank_every: Duration,
    /// When compressed bytes leave
    #[arg(id = "ADOBE_FLUSH", long = "adobe-flush", value_enum, default_value_t = Self::default().flush)]
    pub flush: Flush,
    /// Bytes of text that are withheld with --adobe-flush=withheld
    #[arg(id = "ADOBE_WITHHOLD_BYTES", long = "adobe-withhold-bytes", default_value_t = Self::default().withhold_bytes, value_parser = bytes)]
    pub withhold_bytes: usize,
    /// Flush after each so many bytes of text as well, wherever that is; 0 for never
    #[arg(id = "ADOBE_FLUSH_BYTES", long = "adobe-flush-bytes", default_value_t = Self::default().flush_bytes, value_parser = bytes)]
    pub flush_bytes: usize,
    /// Start a new gzip member after so many bytes of text, wherever that is; 0 for never
    #[arg(id = "ADOBE_MEMBER_BYTES", long = "adobe-member-bytes", default_value_t = Self::default().member_bytes, value_parser = bytes)]
    pub member_bytes: usize,
    /// Start a new gzip member after so many hits; 0 for never
    #[arg(id = "ADOBE_MEMBER_HITS", long = "adobe-member-hits", default_value_t = Self::default().member_hits, value_parser = value_parser!(u64).range(..=MOST))]
    pub member_hits: u64,
    /// Bytes in a chunk at most; 0 for any
    #[arg(id = "ADOBE_CHUNK_BYTES", long = "adobe-chunk-bytes", default_value_t = Self::default().chunk_bytes, value_parser = bytes)]
    pub chunk_bytes: usize,
    /// End each connection in order after this many hits; 0 for never
    #[arg(id = "ADOBE_SESSION_HITS", long = "adobe-session-hits", default_value_t = Self::default().session_hits, value_parser = value_parser!(u64).range(..=MOST))]
    pub session_hits: u64,
    /// What to compress before the first connection, for benchmarks
    #[arg(id = "ADOBE_PREPARE", long = "adobe-prepare", value_enum, default_value_t = Self::default().prepare)]
    pub prepare: Prepare,
    /// Compressed hits that are kept for the next connection, in MiB; 0 to compress anew each time
    #[arg(id = "ADOBE_PREPARED_MIB", long = "adobe-prepared-mib", default_value_t = Self::default().prepared_mib, value_parser = value_parser!(u64).range(..=MOST_MIB))]
    pub prepared_mib: u64,
    /// Keep a list of which hit was sent on which connection
    #[arg(id = "ADOBE_JOURNAL", long = "adobe-journal", action = Set, default_value_t = Self::default().journal)]
    pub journal: bool,
    /// Arm a fault: NAME, NAME@AFTER_HITS or NAME@AFTER_HITS*TIMES, or JSON; repeatable
    #[arg(id = "ADOBE_FAULT", long = "adobe-fault")]
    pub faults: Vec<Armed>,
}

/// What happens to an open stream when its token expires.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum OnExpiry {
    /// It goes on
    Keep,
    /// The connection is closed without a last chunk
    Cut,
    /// The line `not authorized`, then an end in order
    Line,
    /// The text `not authorized` without line end, then an end in order
    Text,
}

/// When compressed bytes leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Flush {
    /// After each record
    Record,
    /// After whatever there was to send
    Batch,
    /// When a buffer is full, which is rarely at the end of a record
    Withheld,
}

/// What is compressed before the first connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Prepare {
    /// Nothing
    Off,
    /// What one connection reads
    One,
    /// What several connections read
    Many,
}

impl Default for Config {
    fn default() -> Self {
        let log = LogOptions::default();
        Self {
            events: log.events,
            seed: log.seed,
            visitors: log.visitors,
            partitions: log.partitions,
            plain_ids: false,
            long_ids: false,
            plain_shapes: false,
            epoch: Epoch::At(DEFAULT_EPOCH_MS),
            step: None,
            rate: 0.0,
            backlog: 0,
            hold_at: None,
            retention_hits: 0,
            names: vec!["adobe-livestream-test".to_owned()],
            from_start: true,
            rebalance_pause: Duration::from_millis(100),
            rebalance_replay: 3,
            lose_in_flight: true,
            break_replay: 100,
            second_listen: None,
            redirect_code: 302,
            redirect_with_query: true,
            needs_enable: false,
            enable_delay: Duration::ZERO,
            min_reconnect: Duration::ZERO,
            ghost_linger: Duration::ZERO,
            ghosts_of_faults: false,
            no_auth: false,
            bearer: None,
            client_id: None,
            client_secrets: Vec::new(),
            scope: None,
            token_lifetime: Duration::from_secs(86_399),
            on_expiry: OnExpiry::Keep,
            needs_api_key: false,
            gzip_errors: false,
            crlf: true,
            blank_every: Duration::from_secs(5),
            flush: Flush::Batch,
            withhold_bytes: 64 << 10,
            flush_bytes: 0,
            member_bytes: 0,
            member_hits: 0,
            chunk_bytes: 0,
            session_hits: 0,
            prepare: Prepare::Off,
            prepared_mib: 512,
            journal: true,
            faults: Vec::new(),
        }
    }
}

impl Config {
    /// The log of the stream `number`, from 0; `now_ms` is the time since 1970 for `Epoch::Now`.
    pub fn log_options(&self, number: u64, now_ms: u64) -> LogOptions {
        let by_rate = if self.rate > 0.0 { (1e6 / self.rate) as u64 } else { LogOptions::default().step_us };
        let step_us = self.step.map_or(by_rate, |step| step.as_micros() as u64).max(1);
        let (epoch_ms, backlog) = match self.epoch {
            Epoch::At(ms) => (ms, self.backlog),
            // Otherwise the hits would be of the future.
            Epoch::Now if self.rate <= 0.0 => (now_ms, self.hold_at.unwrap_or(self.events).min(self.events)),
            Epoch::Now => (now_ms, self.backlog),
        };
        LogOptions {
            seed: self.seed.wrapping_add(number),
            events: self.events,
            visitors: self.visitors,
            partitions: self.partitions,
            epoch_ms: epoch_ms.saturating_sub(backlog.saturating_mul(step_us) / 1000),
            step_us,
            plain_ids: self.plain_ids,
            long_ids: self.long_ids,
            plain_shapes: self.plain_shapes,
        }
    }

    /// Where responses are cut.
    pub(super) fn borders(&self) -> Borders {
        Borders {
            each_line: self.flush == Flush::Record,
            withhold: if self.flush == Flush::Withheld { self.withhold_bytes.max(1) } else { 0 },
            flush_bytes: self.flush_bytes,
            member_bytes: self.member_bytes,
            member_lines: self.member_hits,
            chunk_bytes: self.chunk_bytes,
        }
    }

    /// What lines end with.
    pub(super) fn line_end(&self) -> &'static str {
        if self.crlf { "\r\n" } else { "\n" }
    }
}
