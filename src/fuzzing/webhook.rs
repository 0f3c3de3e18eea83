//! Whatever is pushed to us, in whatever pieces: what is read is what was sent, within its limits; and the events of a body are its
//! parts, in their order, with nothing between them but what JSON has between values.

use std::convert::Infallible;

use axum::body::Body;
use bytes::Bytes;
use futures_util::stream;

use super::gzip::{Form, sent};
use super::json::Json;
use super::{Input, block_on, is_json, pieces};
use crate::webhook::body::{Budget, Encoding, read};
use crate::webhook::cut::{MOST_EVENTS, NoEvents, events};

/// The largest body. A search makes few bytes.
const MOST: usize = 16 << 10;

/// What all bodies may take: both forms of the largest one, and a step of inflating beyond them.
const BUDGET: usize = 2 * MOST + 1 + (64 << 10);

pub(super) fn check(data: &[u8]) {
    let mut input = Input::new(data);
    let (encoding, lengths) =
        (if input.flag() { Encoding::Gzip } else { Encoding::Identity }, input.lengths());
    let (form, plain, sent) = sent(&mut input);
    check_body(encoding, form, plain, &pieces(&sent, &lengths), sent.len());
    check_events(plain);
}

fn check_body(encoding: Encoding, form: Form, plain: &[u8], pieces: &[&[u8]], length: usize) {
    let budget = Budget::new(BUDGET);
    let chunks: Vec<Result<Bytes, Infallible>> =
        pieces.iter().map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
    let body = Body::from_stream(stream::iter(chunks));
    let received = block_on(read(body, encoding, MOST, budget.share())).map(Option::unwrap);
    let sent = pieces.concat();
    match received {
        Ok(received) => {
            let is_whole = received.is_whole;
            let (bytes, share) = received.into_parts();
            assert!(
                bytes.len() <= MOST && bytes.len() <= budget.used(),
                "no more than it may, and all of it paid for"
            );
            match (encoding, form) {
                (Encoding::Identity, _) => assert!(is_whole && bytes == sent),
                (Encoding::Gzip, Form::Packed) => assert!(is_whole && bytes == plain),
                (Encoding::Gzip, Form::Cut) if is_whole => {
                    assert!(plain.starts_with(&bytes), "whole members")
                }
                (Encoding::Gzip, _) if !is_whole => assert_eq!(bytes, sent, "as it came"),
                (Encoding::Gzip, _) => {}
            }
            drop(share);
        }
        Err(_) => assert!(length > MOST || encoding == Encoding::Gzip, "what fits is read"),
    }
    assert_eq!(budget.used(), 0, "all of it is given back");
}

fn check_events(body: &[u8]) {
    let events = match events(body) {
        Ok(events) => events,
        Err(NoEvents::Empty) => return assert!(body.trim_ascii().is_empty()),
        Err(NoEvents::NotJson) => return assert!(!is_json(body)),
        Err(NoEvents::Neither) => return assert!(is_json(body)),
        Err(NoEvents::TooMany) => return assert!(body.len() > MOST_EVENTS),
    };
    assert!(is_json(body) && events.iter().all(|event| is_json(event)), "each event is JSON");
    let is_list = body.trim_ascii_start().starts_with(b"[");
    let mut at = 0;
    for (n, event) in events.iter().enumerate() {
        let from = event.as_ptr().addr() - body.as_ptr().addr();
        assert!(at <= from && from + event.len() <= body.len(), "in their order, and parts of the body");
        let mark: &[u8] = if !is_list {
            b""
        } else if n == 0 {
            b"["
        } else {
            b","
        };
        assert_eq!(body[at..from].trim_ascii(), mark, "nothing is left out");
        at = from + event.len();
    }
    let end: &[u8] = if !is_list {
        b""
    } else if events.is_empty() {
        b"["
    } else {
        b"]"
    };
    assert!(body[at..].trim_ascii().starts_with(end), "nothing is left out at the end");
    match Json::read(body) {
        Some(Json::Array(values)) => {
            let found: Vec<_> = events.iter().map(|event| Json::read(event).unwrap()).collect();
            assert_eq!(found, values, "the values that serde_json reads");
        }
        Some(value) => assert_eq!(Json::read(events[0]), Some(value)),
        None => {}
    }
}
