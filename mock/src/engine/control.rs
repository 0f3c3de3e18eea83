//! What the control planes of all services can do: faults, and the events that may be read.
//!
//! Invariant: a request is done as a whole or not at all.

use std::ops::Range;

use http::Method;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::fault::{Armed, Board, Fault};
use super::feed::Feed;

/// The answer of a control plane; `None` if it has no such path or method.
pub(crate) type Answer = Result<Option<Value>, serde_json::Error>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Release {
    up_to: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Retention {
    oldest: u64,
}

/// Answers what concerns the events that may be read and the faults of streams.
pub(crate) fn answer(feed: &Feed, board: &Board, method: &Method, path: &str, body: &[u8]) -> Answer {
    Ok(Some(match (method.as_str(), path) {
        ("POST", "faults") => {
            let armed = arm(board, body)?;
            feed.changed();
            armed
        }
        ("POST", "release") => {
            feed.release(parse::<Release>(body)?.up_to);
            readable(feed)
        }
        ("POST", "retention") => {
            feed.expire(parse::<Retention>(body)?.oldest);
            readable(feed)
        }
        _ => return Ok(None),
    }))
}

/// Arms one fault or several; all or none, since a mistake in the second must not leave the first armed.
pub(crate) fn arm(board: &Board, body: &[u8]) -> Result<Value, serde_json::Error> {
    let faults = match parse(body)? {
        Value::Array(faults) => faults,
        fault => vec![fault],
    };
    let armed = faults.into_iter().map(Armed::from_json).collect::<Result<Vec<_>, _>>()?;
    let count = armed.len();
    armed.into_iter().for_each(|armed| board.arm(armed));
    Ok(json!({ "armed": count }))
}

pub(crate) fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, serde_json::Error> {
    serde_json::from_slice(body)
}

/// The fault in the body, or an end in order.
pub(crate) fn parse_fault(body: &[u8]) -> Result<Fault, serde_json::Error> {
    if body.is_empty() { Ok(Fault::Eof {}) } else { Ok(Armed::from_json(parse(body)?)?.fault) }
}

fn readable(feed: &Feed) -> Value {
    let Range { start, end } = feed.window(Instant::now());
    json!({ "readable": { "start": start, "end": end } })
}
