//! What the mock can do wrong on command, and how that is asked for.
//!
//! Invariant: what reads is complete; lines that faults invent are pure functions, so that a verifier can tell them
//! from events. When a fault fires is for `board`; nothing is written here, and no protocol is known.

mod board;

pub(crate) use board::{Board, Progress};

use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Something that goes wrong. The names in JSON and in flags are in snake case.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Fault {
    /// The response ends in order: gzip trailer, last chunk.
    Eof {},
    /// The response ends with the last chunk, between two lines, but without the gzip trailer.
    MissingTrailer {},
    /// Half a line, then the response ends in order.
    TornLine {},
    /// The response ends with the last chunk in the middle of a deflate block.
    TruncatedGzip {},
    /// Half a line, all of it readable, then the connection is closed without a last chunk.
    CutMidLine {},
    /// The connection is closed in the middle of a deflate block.
    CutMidGzip {},
    /// The connection is reset (RST), and what the kernel still holds is thrown away.
    Reset {},
    /// No bytes at all.
    Stall {
        /// How long, in milliseconds; for ever if absent.
        #[serde(default)]
        ms: Option<u64>,
    },
    /// A line that is not JSON: `garbage_line`.
    GarbageLine {},
    /// A line that is a JSON array: `array_line`.
    ArrayLine {},
    /// One very long line: `huge_line`.
    HugeLine {
        /// Its length without line end.
        #[serde(default = "default_huge")]
        bytes: usize,
        /// Whether it is an event of valid JSON.
        #[serde(default = "default_true")]
        valid: bool,
    },
    /// A chunk, and a flush, ends inside of a multi-byte character.
    SplitUtf8 {},
    /// The next lines come a few bytes at a time.
    SlowDrip {
        /// Bytes in a chunk.
        #[serde(default = "default_drip_bytes")]
        bytes: usize,
        /// Pause between chunks, in milliseconds.
        #[serde(default = "default_drip_pause")]
        pause_ms: u64,
        /// How many events come like this.
        #[serde(default = "default_drip_events")]
        events: u64,
    },
    /// The last events are sent once more, offsets unchanged.
    Repeat {
        /// How many positions.
        #[serde(default = "default_repeat")]
        events: u64,
    },
    /// A connect is answered with an error.
    Status {
        /// The status code: 400 to 599, or 200 for a page that is no stream.
        code: u16,
        /// The form of the body.
        #[serde(default)]
        body: ErrorBody,
        /// The body's message, instead of the code's usual one.
        #[serde(default)]
        message: Option<String>,
        /// `Retry-After`, in seconds.
        #[serde(default)]
        retry_after: Option<u64>,
    },
    /// A connect is answered with a redirect.
    Redirect {
        /// 301, 302, 303, 307 or 308.
        #[serde(default = "default_redirect")]
        code: u16,
        /// `Location`, verbatim; none if absent.
        #[serde(default)]
        location: Option<String>,
        /// `Set-Cookie` values, verbatim.
        #[serde(default)]
        cookies: Vec<String>,
    },
    /// A connect is never answered.
    Hang {},
    /// A connect is closed without an answer.
    Drop {},
}

/// The form of an error's body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum ErrorBody {
    /// The shape of Airship's main API
    #[default]
    Json,
    /// The message alone
    Text,
    /// A page, as a load balancer sends it
    Html,
}

/// A fault and when it fires. As a flag: JSON, or `NAME[@AFTER_EVENTS][*TIMES]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Armed {
    /// What happens.
    pub fault: Fault,
    /// After how many events on a connection, and after how many more on the same; for faults of connects, after
    /// how many connects.
    #[serde(default)]
    pub after_events: u64,
    /// On any connection whose next position is this or later, instead of `after_events`; once a connection.
    #[serde(default)]
    pub at_position: Option<u64>,
    /// How often in all; 0 for no end.
    #[serde(default = "default_times")]
    pub times: u64,
    /// Only on the stream with this number, which is the number of its connection.
    #[serde(default)]
    pub stream: Option<u64>,
}

fn default_huge() -> usize {
    5 * 1024 * 1024
}
fn default_true() -> bool {
    true
}
fn default_drip_bytes() -> usize {
    3
}
fn default_drip_pause() -> u64 {
    2
}
fn default_drip_events() -> u64 {
    5
}
fn default_repeat() -> u64 {
    1
}
fn default_redirect() -> u16 {
    307
}
fn default_times() -> u64 {
    1
}

impl Fault {
    /// A redirect without cookies.
    pub fn redirect(code: u16, location: impl Into<String>) -> Self {
        Self::Redirect { code, location: Some(location.into()), cookies: Vec::new() }
    }

    /// The name in JSON, flags and statistics.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Eof {} => "eof",
            Self::MissingTrailer {} => "missing_trailer",
            Self::TornLine {} => "torn_line",
            Self::TruncatedGzip {} => "truncated_gzip",
            Self::CutMidLine {} => "cut_mid_line",
            Self::CutMidGzip {} => "cut_mid_gzip",
            Self::Reset {} => "reset",
            Self::Stall { .. } => "stall",
            Self::GarbageLine {} => "garbage_line",
            Self::ArrayLine {} => "array_line",
            Self::HugeLine { .. } => "huge_line",
            Self::SplitUtf8 {} => "split_utf8",
            Self::SlowDrip { .. } => "slow_drip",
            Self::Repeat { .. } => "repeat",
            Self::Status { .. } => "status",
            Self::Redirect { .. } => "redirect",
            Self::Hang {} => "hang",
            Self::Drop {} => "drop",
        }
    }

    /// Whether it takes the place of a stream, instead of happening in one.
    pub(crate) fn is_at_connect(&self) -> bool {
        matches!(self, Self::Status { .. } | Self::Redirect { .. } | Self::Hang {} | Self::Drop {})
    }
}

impl Armed {
    /// `fault`, once, as soon as possible.
    pub fn now(fault: Fault) -> Self {
        Self { fault, after_events: 0, at_position: None, times: 1, stream: None }
    }

    /// `fault`, once, on a connection that has written `events` events.
    pub fn after(events: u64, fault: Fault) -> Self {
        Self { after_events: events, ..Self::now(fault) }
    }

    /// `fault`, once, on a connection whose next position is `position` or later.
    pub fn at(position: u64, fault: Fault) -> Self {
        Self { at_position: Some(position), ..Self::now(fault) }
    }

    /// The same, but this often; 0 for no end.
    pub fn times(self, times: u64) -> Self {
        Self { times, ..self }
    }

    /// The same, but only on the stream with this number.
    pub fn on(self, stream: u64) -> Self {
        Self { stream: Some(stream), ..self }
    }

    /// Reads `{"fault": "eof", …}` or `{"fault": {"stall": {"ms": 5}}, …}`.
    pub fn from_json(mut value: Value) -> Result<Self, serde_json::Error> {
        if let Some(fault) = value.get_mut("fault")
            && let Some(name) = fault.as_str()
        {
            *fault = serde_json::json!({ name: {} });
        }
        serde_json::from_value(value)
    }
}

impl FromStr for Armed {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let value = if text.starts_with('{') {
            serde_json::from_str(text).map_err(|error| error.to_string())?
        } else {
            let (rest, times) = text.split_once('*').unwrap_or((text, "1"));
            let (name, after) = rest.split_once('@').unwrap_or((rest, "0"));
            let number = |digits: &str| digits.parse::<u64>().map_err(|error| format!("{digits:?}: {error}"));
            serde_json::json!({ "fault": name, "after_events": number(after)?, "times": number(times)? })
        };
        Self::from_json(value).map_err(|error| error.to_string())
    }
}

/// A fault that fired.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fired {
    /// Its name.
    pub fault: String,
    /// The connection's number, from 1; in the Adobe half that of the connection to the stream.
    pub connection: u64,
    /// The position that was next on the stream; 0 for a fault at connect.
    pub position: u64,
    /// Events written on the connection before.
    pub events: u64,
}

/// The line that `garbage_line` writes when `position` is next; no JSON, and not ASCII.
pub fn garbage_line(position: u64) -> Vec<u8> {
    format!("%% garbage before position {position}: {{\"id\": schön").into_bytes()
}

/// The line that `array_line` writes when `position` is next: JSON, but no object.
pub fn array_line(position: u64) -> Vec<u8> {
    format!("[{{\"before\":{position}}},\"an array\"]").into_bytes()
}

/// `start` and `end` with as much between them as makes a line of so many bytes.
pub(crate) fn stretched(start: String, end: &str, bytes: usize) -> Vec<u8> {
    let mut line = start.into_bytes();
    line.resize(bytes.saturating_sub(end.len()).max(line.len()), b'x');
    line.extend_from_slice(end.as_bytes());
    line
}

#[cfg(test)]
mod tests;
