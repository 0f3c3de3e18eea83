//! What the Adobe half did, for assertions.
//!
//! Invariant: counts are raised when the thing was handed to the connection, never ahead; no credential is kept.

use std::collections::{BTreeMap, VecDeque};

use serde::Serialize;

use super::group::Effects;
use crate::engine::fault::Fired;

/// Counts since the start or the last reset, and the latest requests and faults.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Stats {
    /// Responses that were streams.
    pub streams: u64,
    /// Streams open now.
    pub open_streams: u64,
    /// Responses to requests for streams, by status.
    pub statuses: BTreeMap<u16, u64>,
    /// Responses to requests for tokens, by status.
    pub token_statuses: BTreeMap<u16, u64>,
    /// Tokens issued.
    pub minted: u64,
    /// Hits that were sent, those sent again included.
    pub hits: u64,
    /// Hits among those that had been sent before, on whichever connection.
    pub duplicates: u64,
    /// Bytes of streams, compressed.
    pub bytes: u64,
    /// Blank lines.
    pub blank_lines: u64,
    /// Times that a partition got another connection.
    pub rebalances: u64,
    /// Hits by which positions went back at rebalances and breaks.
    pub rewound: u64,
    /// Values of `reset` that were heeded.
    pub resets_honoured: u64,
    /// Values of `reset` that were not, because a connection was open.
    pub resets_ignored: u64,
    /// Connections that went on counting as open after their end.
    pub ghosts: u64,
    /// Connects that were sent to another address.
    pub redirects: u64,
    /// Requests to enable a stream.
    pub enabled: u64,
    /// Faults that fired, by name.
    pub faults: BTreeMap<String, u64>,
    /// The latest of those, in order; `connection` is the stream's number.
    pub fired: VecDeque<Fired>,
    /// The latest requests, in order.
    pub requests: VecDeque<Seen>,
    /// The latest streams, by number.
    pub by_stream: BTreeMap<u64, StreamStats>,
}

/// One stream.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct StreamStats {
    /// The stream's name.
    pub name: String,
    /// The number of its TCP connection.
    pub connection: u64,
    /// Whether it is open.
    pub open: bool,
    /// Hits that were sent.
    pub hits: u64,
    /// Hits among those that had been sent before.
    pub duplicates: u64,
    /// Bytes, compressed.
    pub bytes: u64,
}

/// A request, without its credential.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Seen {
    /// The number of the TCP connection, from 1.
    pub connection: u64,
    /// Whether it came in at the second port.
    pub second: bool,
    /// The number of the stream that it opened.
    pub stream: Option<u64>,
    /// In upper case.
    pub method: String,
    /// `HTTP/1.1` or another.
    pub version: String,
    /// Without query.
    pub path: String,
    /// The query's parameters; without the values of credentials.
    pub query: Vec<(String, String)>,
    /// The status it was answered with; 0 if it was not.
    pub status: u16,
    /// `bearer`, `basic` or whatever else stood before the credential; `None` without `Authorization`.
    pub scheme: Option<String>,
    /// Whether there was `x-api-key`.
    pub has_api_key: bool,
    /// `Accept-Encoding`.
    pub accept_encoding: Option<String>,
    /// `User-Agent`.
    pub user_agent: Option<String>,
    /// `Host`.
    pub host: Option<String>,
}

/// Requests, faults and streams that are kept.
const KEPT: usize = 1_000;

impl Stats {
    pub(super) fn saw(&mut self, seen: Seen, is_token: bool) {
        if seen.status != 0 {
            let statuses = if is_token { &mut self.token_statuses } else { &mut self.statuses };
            *statuses.entry(seen.status).or_default() += 1;
        }
        push(&mut self.requests, seen);
    }

    pub(super) fn fault_fired(&mut self, fired: Fired) {
        *self.faults.entry(fired.fault.clone()).or_default() += 1;
        push(&mut self.fired, fired);
    }

    pub(super) fn opened(&mut self, number: u64, name: &str, connection: u64) {
        self.streams += 1;
        self.open_streams += 1;
        let stream = StreamStats { name: name.to_owned(), connection, open: true, ..StreamStats::default() };
        self.by_stream.insert(number, stream);
        if self.by_stream.len() > KEPT {
            self.by_stream.pop_first();
        }
    }

    pub(super) fn closed(&mut self, number: u64) {
        self.open_streams -= 1;
        if let Some(stream) = self.by_stream.get_mut(&number) {
            stream.open = false;
        }
    }

    pub(super) fn sent(&mut self, number: u64, hits: u64, duplicates: u64, bytes: u64) {
        self.hits += hits;
        self.duplicates += duplicates;
        self.bytes += bytes;
        if let Some(stream) = self.by_stream.get_mut(&number) {
            stream.hits += hits;
            stream.duplicates += duplicates;
            stream.bytes += bytes;
        }
    }

    pub(super) fn happened(&mut self, effects: Effects) {
        self.rebalances += u64::from(effects.rebalanced);
        self.rewound += effects.rewound;
        self.ghosts += u64::from(effects.ghost);
        self.resets_honoured += u64::from(effects.reset == Some(true));
        self.resets_ignored += u64::from(effects.reset == Some(false));
    }

    /// All counts at zero but those of what is open.
    pub(crate) fn after_reset(&self) -> Self {
        Self {
            open_streams: self.open_streams,
            by_stream: self
                .by_stream
                .iter()
                .filter(|(_, stream)| stream.open)
                .map(|(number, stream)| (*number, stream.clone()))
                .collect(),
            ..Self::default()
        }
    }
}

fn push<T>(kept: &mut VecDeque<T>, item: T) {
    if kept.len() == KEPT {
        kept.pop_front();
    }
    kept.push_back(item);
}
