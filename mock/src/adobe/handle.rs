//! The Adobe half of a running mock, for tests.
//!
//! Invariant: all that a test may do to it, and all that the control plane can.

use std::sync::Arc;

use tokio::time::Instant;

use super::stats::{Seen, Stats};
use super::{Adobe, Log, Sent, Stream, lock};
use crate::engine::fault::{Armed, Fault};

/// The Adobe half of a running mock. What takes no name is about all streams, or about the first.
#[derive(Clone, Debug)]
pub struct Handle(Arc<Adobe>);

/// A connection to a stream that is open.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Connection {
    /// Its number, as in the statistics and in faults.
    pub number: u64,
    /// The stream's name.
    pub name: String,
}

impl Handle {
    pub(crate) fn new(adobe: Arc<Adobe>) -> Self {
        Self(adobe)
    }

    /// The names of the streams.
    pub fn names(&self) -> Vec<String> {
        self.0.streams.iter().map(|stream| stream.name.clone()).collect()
    }

    /// The path of the first stream.
    pub fn path(&self) -> String {
        format!("/api/1/stream/{}", self.0.config.names.first().map_or("", String::as_str))
    }

    /// The log of the first stream, for verifiers.
    pub fn log(&self) -> Log {
        self.0
            .streams
            .first()
            .map_or_else(|| Log::new(super::LogOptions::default()), |stream| stream.log.clone())
    }

    /// The log of a stream.
    pub fn log_of(&self, name: &str) -> Option<Log> {
        self.0.stream(name).map(|stream| stream.log.clone())
    }

    /// What it did so far.
    pub fn stats(&self) -> Stats {
        self.0.counters.snapshot().adobe
    }

    /// Waits until the statistics are as `holds` wants them, for two minutes. `holds` must not call any
    /// handle, since the statistics are locked meanwhile.
    ///
    /// # Panics
    ///
    /// If they do not become so: it is made for tests.
    pub async fn wait_for(&self, holds: impl Fn(&Stats) -> bool) -> Stats {
        self.0.counters.wait_for(|stats| holds(&stats.adobe)).await.adobe
    }

    /// Which hits were sent on which connections so far, in order; empty without `Config::journal`.
    pub fn sent(&self) -> Vec<Sent> {
        lock(&self.0.journal).clone()
    }

    /// The requests that came in at the second port.
    pub fn seen_at_second(&self) -> Vec<Seen> {
        self.stats().requests.into_iter().filter(|seen| seen.second).collect()
    }

    /// Streams that are open.
    pub fn open_streams(&self) -> u64 {
        self.0.counters.snapshot().adobe.open_streams
    }

    /// The connections that are open, in order of opening.
    pub fn connections(&self) -> Vec<Connection> {
        let of = |stream: &Arc<Stream>| -> Vec<Connection> {
            let open = stream.group().open();
            open.into_iter().map(|number| Connection { number, name: stream.name.clone() }).collect()
        };
        let mut connections: Vec<Connection> = self.0.streams.iter().flat_map(of).collect();
        connections.sort_by_key(|connection| connection.number);
        connections
    }

    /// The position of each partition of the first stream: hits below it were sent.
    pub fn positions(&self) -> Vec<u64> {
        self.0.streams.first().map(|stream| stream.group().positions()).unwrap_or_default()
    }

    /// Connections that are gone and still count as open.
    pub fn ghosts(&self) -> usize {
        let now = Instant::now();
        self.0.streams.iter().map(|stream| stream.group().ghosts(now)).sum()
    }

    /// Lets all of those go.
    pub fn forget_ghosts(&self) {
        self.0.streams.iter().for_each(|stream| stream.group().forget_ghosts());
    }

    /// Arms a fault of streams or of connects to them.
    pub fn arm(&self, armed: Armed) {
        self.0.board.arm(armed);
        self.0.feed.changed();
    }

    /// Arms a fault of requests for tokens: one that happens at connect.
    pub fn arm_token(&self, armed: Armed) {
        self.0.token_board.arm(armed);
    }

    /// The faults that are armed.
    pub fn armed(&self) -> Vec<Armed> {
        let mut armed = self.0.board.armed();
        armed.extend(self.0.token_board.armed());
        armed
    }

    /// Disarms all faults.
    pub fn disarm(&self) {
        self.0.board.clear();
        self.0.token_board.clear();
    }

    /// Disarms all faults and forgets what was sent; positions stay.
    pub fn reset(&self) {
        self.disarm();
        lock(&self.0.journal).clear();
    }

    /// The hits that are readable now.
    pub fn readable(&self) -> std::ops::Range<u64> {
        self.0.feed.window(Instant::now())
    }

    /// Lets hits below `up_to` be read, with `hold_at`.
    pub fn release(&self, up_to: u64) {
        self.0.feed.release(up_to);
    }

    /// Lets hits below `oldest` be read no more.
    pub fn expire(&self, oldest: u64) {
        self.0.feed.expire(oldest);
    }

    /// Ends all streams that are open with `fault`.
    pub fn disconnect(&self, fault: Fault) {
        for connection in self.connections() {
            self.arm(Armed::now(fault.clone()).on(connection.number));
        }
    }

    /// Ends the `n`-th of the connections that are open, from 0, with `fault`. Returns its number; `None` if fewer are
    /// open, which ends nothing.
    #[must_use = "fewer connections may be open"]
    pub fn disconnect_one(&self, n: usize, fault: Fault) -> Option<u64> {
        let number = self.connections().get(n)?.number;
        self.arm(Armed::now(fault).on(number));
        Some(number)
    }

    /// From now on `token` is the fixed bearer token; streams that are open go on.
    pub fn rotate_token(&self, token: &str) {
        self.0.tokens.rotate_bearer(token.to_owned());
    }

    /// From now on these are the client secrets that are right.
    pub fn rotate_secrets(&self, secrets: &[&str]) {
        self.0.tokens.rotate_secrets(secrets.iter().map(|secret| (*secret).to_owned()).collect());
    }

    /// All issued tokens expire now.
    pub fn expire_tokens(&self) {
        self.0.tokens.expire(Instant::now());
        self.0.feed.changed();
    }

    /// The next `times` requests for a token are answered with 429 and `Retry-After`, in seconds.
    pub fn throttle(&self, times: u64, retry_after: u64) {
        self.0.tokens.throttle(times, retry_after);
    }

    /// The next `times` requests for a token are answered with `invalid_client`.
    pub fn refuse_tokens(&self, times: u64) {
        self.0.tokens.refuse(times);
    }

    /// Switches a stream off, as after 90 days without a client, or on again. Returns whether there is one.
    pub fn disable(&self, name: &str, disabled: bool) -> bool {
        self.0.stream(name).map(|stream| stream.switches().disabled = disabled).is_some()
    }

    /// Forgets that streams were enabled.
    pub fn forget_enabled(&self) {
        self.0.streams.iter().for_each(|stream| stream.switches().enabled = None);
    }

    /// Redirects connects at the first port to this base address from now on; `None` for not at all.
    pub fn redirect_to(&self, base: Option<&str>) {
        self.0.redirect_to(base.map(str::to_owned));
    }
}
