//! What must hold for any bytes. `proof/fuzz` searches for bytes for which it does not, and `cargo test` looks at those that the
//! searches have left.
//!
//! Each property takes bytes, of which the first may say what is done with the rest, and panics where it does not hold. Where it
//! can, it compares with another way to the same result, which is as plain as possible. Only in tests and searches, see the feature.
#![expect(clippy::unwrap_used, reason = "a panic is how a property says that it does not hold")]

use std::cell::RefCell;

use serde::de::IgnoredAny;

mod checkpoint;
mod configuration;
mod extract;
pub(crate) mod frame;
mod gzip;
mod journal;
mod json;
mod redaction;
mod redirects;
mod webhook;

/// A property that must hold for any bytes.
pub type Property = fn(&[u8]);

/// All of them by name.
pub const PROPERTIES: [(&str, Property); 9] = [
    ("checkpoint", checkpoint::check),
    ("configuration", configuration::check),
    ("extract", extract::check),
    ("frame", frame::check),
    ("gzip", gzip::check),
    ("journal", journal::check),
    ("redaction", redaction::check),
    ("redirects", redirects::check),
    ("webhook", webhook::check),
];

/// Panics where the property of this name does not hold for these bytes.
pub fn hold(name: &str, bytes: &[u8]) {
    let (_, check) = PROPERTIES.iter().find(|(known, _)| *known == name).unwrap();
    check(bytes);
}

/// Bytes that say what is done, taken from the front. Behind their end are zeros.
struct Input<'a> {
    rest: &'a [u8],
}

impl<'a> Input<'a> {
    fn new(rest: &'a [u8]) -> Self {
        Self { rest }
    }

    fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.rest.split_first() else { return 0 };
        self.rest = rest;
        *first
    }

    fn flag(&mut self) -> bool {
        self.byte() & 1 == 1
    }

    fn number(&mut self) -> u64 {
        u64::from_be_bytes(std::array::from_fn(|_| self.byte()))
    }

    fn signed(&mut self) -> i64 {
        self.number().cast_signed()
    }

    fn maybe<T>(&mut self, take: impl FnOnce(&mut Self) -> T) -> Option<T> {
        self.flag().then(|| take(self))
    }

    fn some<T>(&mut self, most: u8, mut take: impl FnMut(&mut Self) -> T) -> Vec<T> {
        let count = self.byte() % (most + 1);
        (0..count).map(|_| take(self)).collect()
    }

    fn bytes(&mut self) -> &'a [u8] {
        let length = usize::from(self.byte()).min(self.rest.len());
        let (bytes, rest) = self.rest.split_at(length);
        self.rest = rest;
        bytes
    }

    fn text(&mut self) -> String {
        String::from_utf8_lossy(self.bytes()).into_owned()
    }

    /// Lengths of pieces, from 1 to 256, of which the last is followed by the first again.
    fn lengths(&mut self) -> Vec<usize> {
        let lengths = self.some(8, |input| usize::from(input.byte()) + 1);
        if lengths.is_empty() { vec![usize::MAX] } else { lengths }
    }
}

/// Bytes in pieces of these lengths.
fn pieces<'a>(mut bytes: &'a [u8], lengths: &[usize]) -> Vec<&'a [u8]> {
    let mut pieces = Vec::new();
    for length in lengths.iter().cycle() {
        if bytes.is_empty() {
            break;
        }
        let (piece, rest) = bytes.split_at((*length).min(bytes.len()));
        pieces.push(piece);
        bytes = rest;
    }
    pieces
}

/// Whether this is JSON, however broken its texts are and however deep it is nested.
fn is_json(bytes: &[u8]) -> bool {
    serde_json::from_slice::<IgnoredAny>(bytes).is_ok()
}

/// Runs something that waits for nothing.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    thread_local! {
        static RUNTIME: RefCell<tokio::runtime::Runtime> =
            RefCell::new(tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap());
    }
    RUNTIME.with_borrow(|runtime| runtime.block_on(future))
}
