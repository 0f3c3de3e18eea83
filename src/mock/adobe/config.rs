//! The settings of the Adobe half, as a plain struct and as flags of `tributary mock`.
//!
//! Invariant: the flags' defaults are `Config::default()`, but that a test's first connect begins at hit 0 and the
//! command's at the end of the stream, as the real service's does.

use std::time::Duration;

use clap::ArgAction::Set;
use humantime::parse_duration;

use super::log::{DEFAULT_EPOCH_MS, LogOptions};
use crate::mock::clock::{Epoch, parse_epoch};
use crate::mock::fault::Armed;

/// Settings of the Adobe half. Each unknown of the real service is a knob.
#[derive(Clone, Debug, PartialEq, clap::Args)]
#[command(next_help_heading = "Adobe")]
#[group(skip)]
pub struct Config {
    /// Hits in the log of each stream
    #[arg(id = "adobe-events", long, default_value_t = Self::default().events)]
    pub events: u64,
    /// Seed of the first stream's hits; the next stream has the next seed
    #[arg(id = "adobe-seed", long, default_value_t = Self::default().seed)]
    pub seed: u64,
    /// Visitors that make the hits
    #[arg(id = "adobe-visitors", long, default_value_t = Self::default().visitors)]
    pub visitors: u64,
    /// Groups of visitors that are shared out among the connections
    #[arg(id = "adobe-partitions", long, default_value_t = Self::default().partitions)]
    pub partitions: u64,
    /// Never write ids as strings or as negative numbers
    #[arg(id = "adobe-plain-ids", long)]
    pub plain_ids: bool,
    /// Write all hits as of 2026, with all ids, in valid UTF-8
    #[arg(id = "adobe-plain-shapes", long)]
    pub plain_shapes: bool,
    /// When the hit after the backlog was received: milliseconds since 1970, or `now`
    #[arg(id = "adobe-epoch", long, value_parser = parse_epoch, default_value = "1781512800000")]
    pub epoch: Epoch,
    /// Time between hits [default: what --adobe-rate says, else 1ms]
    #[arg(id = "adobe-step", long, value_parser = parse_duration)]
    pub step: Option<Duration>,

    /// Hits a second that become readable; 0 for all at once
    #[arg(id = "adobe-rate", long, default_value_t = Self::default().rate)]
    pub rate: f64,
    /// Hits that are readable from the start when --adobe-rate is given
    #[arg(id = "adobe-backlog", long, default_value_t = Self::default().backlog)]
    pub backlog: u64,
    /// Hold back hits from this one on until `POST /_mock/adobe/release`
    #[arg(id = "adobe-hold-at", long)]
    pub hold_at: Option<u64>,
    /// Hits that stay readable, counted from the newest; 0 for all
    #[arg(id = "adobe-retention-hits", long, default_value_t = Self::default().retention_hits)]
    pub retention_hits: u64,

    /// Names of streams
    #[arg(id = "adobe-stream", long = "adobe-stream", default_values_t = Self::default().names)]
    pub names: Vec<String>,
    /// Begin at the oldest hit at the first connect ever, instead of at the end of the stream
    #[arg(id = "adobe-from-start", long)]
    pub from_start: bool,
    /// Go on at the end of the stream after a gap that is longer than this [default: never]
    #[arg(id = "adobe-resume-window", long, value_parser = parse_duration)]
    pub resume_window: Option<Duration>,
    /// How long all connections wait when one more is opened or one is closed
    #[arg(id = "adobe-rebalance-pause", long, value_parser = parse_duration, default_value = "100ms")]
    pub rebalance_pause: Duration,
    /// Hits of each partition that are sent again when another connection gets it
    #[arg(id = "adobe-rebalance-replay", long, default_value_t = Self::default().rebalance_replay)]
    pub rebalance_replay: u64,
    /// Whether hits that were handed to a connection that broke are gone
    #[arg(id = "adobe-lose-in-flight", long, action = Set, default_value_t = Self::default().lose_in_flight)]
    pub lose_in_flight: bool,
    /// Hits of each of its partitions that are sent again after a connection broke, with --adobe-lose-in-flight=false
    #[arg(id = "adobe-break-replay", long, default_value_t = Self::default().break_replay)]
    pub break_replay: u64,

    /// Where a second port is served, to which connects at the first are redirected
    #[arg(id = "adobe-second-listen", long)]
    pub second_listen: Option<String>,
    /// Base address that connects are redirected to [default: the second port]
    #[arg(id = "adobe-redirect-to", long)]
    pub redirect_to: Option<String>,
    /// The status of redirects
    #[arg(id = "adobe-redirect-code", long, default_value_t = Self::default().redirect_code)]
    pub redirect_code: u16,
    /// Whether `Location` has the query
    #[arg(id = "adobe-redirect-with-query", long, action = Set, default_value_t = Self::default().redirect_with_query)]
    pub redirect_with_query: bool,
    /// Values of `reset` that are known, separated by commas
    #[arg(id = "adobe-reset-values", long, value_delimiter = ',', default_values_t = Self::default().reset_values)]
    pub reset_values: Vec<String>,
    /// Answer 424 until the stream was enabled
    #[arg(id = "adobe-needs-enable", long)]
    pub needs_enable: bool,
    /// How long enabling takes
    #[arg(id = "adobe-enable-delay", long, value_parser = parse_duration, default_value = "0s")]
    pub enable_delay: Duration,
    /// Answer 503 to a connect that comes sooner than this after a disconnect
    #[arg(id = "adobe-min-reconnect", long, value_parser = parse_duration, default_value = "0s")]
    pub min_reconnect: Duration,
    /// How long a connection that the client ended still counts as open
    #[arg(id = "adobe-ghost-linger", long, value_parser = parse_duration, default_value = "0s")]
    pub ghost_linger: Duration,
    /// Also count connections as open that a fault broke
    #[arg(id = "adobe-ghosts-of-faults", long)]
    pub ghosts_of_faults: bool,

    /// Ask for no credentials at all
    #[arg(id = "adobe-no-auth", long)]
    pub no_auth: bool,
    /// A bearer token that is right without having been issued [default: none]
    #[arg(id = "adobe-bearer", long)]
    pub bearer: Option<String>,
    /// The client id that is right [default: any]
    #[arg(id = "adobe-client-id", long)]
    pub client_id: Option<String>,
    /// Client secrets that are right; repeatable, as there may be two [default: any]
    #[arg(id = "adobe-client-secret", long = "adobe-client-secret")]
    pub client_secrets: Vec<String>,
    /// The scope that tokens must be asked for with [default: any]
    #[arg(id = "adobe-scope", long)]
    pub scope: Option<String>,
    /// How long tokens are good
    #[arg(id = "adobe-token-lifetime", long, value_parser = parse_duration, default_value = "86399s")]
    pub token_lifetime: Duration,
    /// Tokens that may be issued in each --adobe-mint-window; 0 for any number
    #[arg(id = "adobe-mint-limit", long, default_value_t = Self::default().mint_limit)]
    pub mint_limit: usize,
    /// See --adobe-mint-limit
    #[arg(id = "adobe-mint-window", long, value_parser = parse_duration, default_value = "1m")]
    pub mint_window: Duration,
    /// The status of `invalid_client`
    #[arg(id = "adobe-invalid-client-status", long, default_value_t = Self::default().invalid_client_status)]
    pub invalid_client_status: u16,
    /// What happens to a stream whose token expires
    #[arg(id = "adobe-on-expiry", long, value_enum, default_value_t = Self::default().on_expiry)]
    pub on_expiry: OnExpiry,
    /// Answer 401 to requests without `x-api-key`
    #[arg(id = "adobe-needs-api-key", long)]
    pub needs_api_key: bool,
    /// Compress the bodies of errors
    #[arg(id = "adobe-gzip-errors", long)]
    pub gzip_errors: bool,

    /// End lines with CR LF
    #[arg(id = "adobe-crlf", long, action = Set, default_value_t = Self::default().crlf)]
    pub crlf: bool,
    /// Silence after which a blank line is sent; 0s for none
    #[arg(id = "adobe-blank-every", long, value_parser = parse_duration, default_value = "5s")]
    pub blank_every: Duration,
    /// When compressed bytes leave
    #[arg(id = "adobe-flush", long, value_enum, default_value_t = Self::default().flush)]
    pub flush: Flush,
    /// Bytes of text that are withheld with --adobe-flush=withheld
    #[arg(id = "adobe-withhold-bytes", long, default_value_t = Self::default().withhold_bytes)]
    pub withhold_bytes: usize,
    /// Flush after each so many bytes of text as well, wherever that is; 0 for never
    #[arg(id = "adobe-flush-bytes", long, default_value_t = Self::default().flush_bytes)]
    pub flush_bytes: usize,
    /// Start a new gzip member after so many bytes of text, wherever that is; 0 for never
    #[arg(id = "adobe-member-bytes", long, default_value_t = Self::default().member_bytes)]
    pub member_bytes: usize,
    /// Start a new gzip member after at least so many hits; 0 for never
    #[arg(id = "adobe-member-hits", long, default_value_t = Self::default().member_hits)]
    pub member_hits: u64,
    /// Bytes in a chunk at most; 0 for any
    #[arg(id = "adobe-chunk-bytes", long, default_value_t = Self::default().chunk_bytes)]
    pub chunk_bytes: usize,
    /// End each connection in order after this many hits; 0 for never
    #[arg(id = "adobe-session-hits", long, default_value_t = Self::default().session_hits)]
    pub session_hits: u64,
    /// End each connection in order after this time
    #[arg(id = "adobe-session-time", long, value_parser = parse_duration)]
    pub session_time: Option<Duration>,
    /// Send the first hit of connections with `smoothing` this late
    #[arg(id = "adobe-smoothing-delay", long, value_parser = parse_duration, default_value = "0s")]
    pub smoothing_delay: Duration,
    /// Close a connection that takes no bytes for this long [default: never]
    #[arg(id = "adobe-slow-reader", long, value_parser = parse_duration)]
    pub slow_reader: Option<Duration>,
    /// What to compress before the first connection, for benchmarks
    #[arg(id = "adobe-prepare", long, value_enum, default_value_t = Self::default().prepare)]
    pub prepare: Prepare,
    /// Compressed hits that are kept for the next connection, in MiB; 0 to compress anew each time
    #[arg(id = "adobe-prepared-mib", long, default_value_t = Self::default().prepared_mib)]
    pub prepared_mib: u64,
    /// Keep a list of which hit was sent on which connection
    #[arg(id = "adobe-journal", long, action = Set, default_value_t = Self::default().journal)]
    pub journal: bool,
    /// Arm a fault: NAME, NAME@AFTER_HITS or NAME@AFTER_HITS*TIMES, or JSON; repeatable
    #[arg(id = "adobe-fault", long = "adobe-fault")]
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
            plain_shapes: false,
            epoch: Epoch::At(DEFAULT_EPOCH_MS),
            step: None,
            rate: 0.0,
            backlog: 0,
            hold_at: None,
            retention_hits: 0,
            names: vec!["adobe-livestream-test".to_owned()],
            from_start: true,
            resume_window: None,
            rebalance_pause: Duration::from_millis(100),
            rebalance_replay: 3,
            lose_in_flight: true,
            break_replay: 100,
            second_listen: None,
            redirect_to: None,
            redirect_code: 302,
            redirect_with_query: true,
            reset_values: ["smallest", "largest", "earliest", "latest"].map(str::to_owned).to_vec(),
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
            mint_limit: 0,
            mint_window: Duration::from_secs(60),
            invalid_client_status: 401,
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
            session_time: None,
            smoothing_delay: Duration::ZERO,
            slow_reader: None,
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
            plain_shapes: self.plain_shapes,
        }
    }

    /// What lines end with.
    pub(super) fn line_end(&self) -> &'static str {
        if self.crlf { "\r\n" } else { "\n" }
    }
}
