//! What the mock did, for assertions: that a fault really hit, how many connections there are, what was asked.
//!
//! Invariant: counts are raised when the thing was handed to the connection, never ahead; no credential is kept.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde::Serialize;
use tokio::sync::Notify;

use crate::engine::fault::Fired;

/// Counts since the start or the last reset, and the latest requests and faults.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Stats {
    /// TCP connections accepted.
    pub connections: u64,
    /// TCP connections open now.
    pub open_connections: u64,
    /// Responses that were streams.
    pub streams: u64,
    /// Streams open now.
    pub open_streams: u64,
    /// Responses by status, streams included, control plane excluded.
    pub statuses: BTreeMap<u16, u64>,
    /// Lines of the log that were written, duplicates included; a line counts for each connection.
    pub events: u64,
    /// Duplicates among `events`.
    pub duplicates: u64,
    /// Positions that a filter or subset left out.
    pub filtered: u64,
    /// Bytes of response bodies, compressed.
    pub bytes: u64,
    /// Blank lines.
    pub keep_alives: u64,
    /// `OFFSET_UPDATE` lines.
    pub offset_updates: u64,
    /// Faults that fired, by name.
    pub faults: BTreeMap<String, u64>,
    /// The latest of those, in order.
    pub fired: VecDeque<Fired>,
    /// The latest requests, in order.
    pub requests: VecDeque<Seen>,
    /// The same of the Adobe half; all above but connections is of the Airship half.
    pub adobe: crate::adobe::stats::Stats,
}

/// A request, without its credential.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Seen {
    /// The connection's number, from 1.
    pub connection: u64,
    /// In upper case.
    pub method: String,
    /// Without query.
    pub path: String,
    /// The status it was answered with; 0 if it was not.
    pub status: u16,
    /// `bearer`, `basic` or whatever else stood before the credential; `None` without `Authorization`.
    pub scheme: Option<String>,
    /// `X-UA-Appkey`.
    pub app_key: Option<String>,
    /// `Accept`.
    pub accept: Option<String>,
    /// `Accept-Encoding`.
    pub accept_encoding: Option<String>,
    /// `Content-Type`.
    pub content_type: Option<String>,
    /// `Cookie`: made by the mock, so no secret.
    pub cookie: Option<String>,
    /// The body, cut at 64 KiB.
    pub body: String,
}

/// How long `wait_for` waits.
const PATIENCE: Duration = Duration::from_secs(120);

/// Requests and faults that are kept.
const KEPT: usize = 1_000;

/// The counters of a running mock.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    stats: Mutex<Stats>,
    changed: Notify,
}

impl Counters {
    /// Changes the counts and wakes `wait_for`.
    pub(crate) fn update<T>(&self, change: impl FnOnce(&mut Stats) -> T) -> T {
        let result = change(&mut self.stats.lock().unwrap_or_else(PoisonError::into_inner));
        self.changed.notify_waiters();
        result
    }

    pub(crate) fn snapshot(&self) -> Stats {
        self.stats.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until `holds` says so, for `PATIENCE` at most: a test that waits for what never comes says what came instead.
    #[expect(clippy::panic, reason = "only tests wait: no command does")]
    pub(crate) async fn wait_for(&self, holds: impl Fn(&Stats) -> bool) -> Stats {
        let Ok(stats) = tokio::time::timeout(PATIENCE, self.until(holds)).await else {
            panic!("what was waited for has not come in {PATIENCE:?}, but: {:#?}", self.snapshot())
        };
        stats
    }

    async fn until(&self, holds: impl Fn(&Stats) -> bool) -> Stats {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            // Enabled before the look, so that no change falls between look and wait.
            changed.as_mut().enable();
            {
                // Looked at in place: copying a thousand requests for each batch of events would be slow.
                let stats = self.stats.lock().unwrap_or_else(PoisonError::into_inner);
                if holds(&stats) {
                    return stats.clone();
                }
            }
            changed.await;
        }
    }

    /// Sets all counts to zero but those of what is open.
    pub(crate) fn reset(&self) {
        self.update(|stats| {
            *stats = Stats {
                open_connections: stats.open_connections,
                open_streams: stats.open_streams,
                adobe: stats.adobe.after_reset(),
                ..Stats::default()
            };
        });
    }
}

impl Stats {
    pub(crate) fn saw(&mut self, seen: Seen) {
        if seen.status != 0 {
            *self.statuses.entry(seen.status).or_default() += 1;
        }
        if self.requests.len() == KEPT {
            self.requests.pop_front();
        }
        self.requests.push_back(seen);
    }

    pub(crate) fn fault_fired(&mut self, fired: Fired) {
        *self.faults.entry(fired.fault.clone()).or_default() += 1;
        if self.fired.len() == KEPT {
            self.fired.pop_front();
        }
        self.fired.push_back(fired);
    }
}
