//! The faults of `engine::fault`, and the one invented line that looks like an event of Airship.
//!
//! Invariant: the line is a pure function, so that a verifier can tell it from events.

pub use crate::engine::fault::{Armed, ErrorBody, Fault, array_line, garbage_line};

use super::log::Log;
use super::offset::OffsetNumber;
use crate::engine::fault::stretched;

/// The line that `huge_line` writes when `position` is next, exactly `bytes` long if that is at least 300.
pub fn huge_line(log: &Log, position: u64, bytes: usize, valid: bool) -> Vec<u8> {
    let style = log.options().offsets;
    let offset = style.json(&OffsetNumber::before(position).text(style));
    if !valid {
        return stretched(format!("huge garbage before position {position}: "), "", bytes);
    }
    let start = format!(
        r#"{{"id":"huge-{position}","offset":{offset},"occurred":"2026-03-02T07:40:00.000Z","processed":"2026-03-02T07:40:00.000Z","type":"CUSTOM","body":{{"name":"huge","source":"API","properties":{{"blob":""#
    );
    stretched(start, r#""}}}"#, bytes)
}
