//! What a reader counts. Handles are cheap to clone and live in the registry, see `telemetry`.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use tokio::time::Instant;

use super::failure::Class;
use crate::model::figure::Figure;
use crate::model::last_error::LastErrors;

/// The state of a shard's connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(i64)]
pub enum ConnectionState {
    /// Not tried yet, or stopped.
    #[default]
    Idle = 0,
    /// A request is under way, or what answers has not shown that it is the stream.
    Connecting = 1,
    /// The stream is open.
    Connected = 2,
    /// Waiting before the next attempt.
    BackingOff = 3,
    /// Waiting before the next attempt, which a person must make succeed.
    NeedsOperator = 4,
}

impl ConnectionState {
    /// For people and for `/ready`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Connecting => "connecting",
            Self::Connected => "connected",
            Self::BackingOff => "backing off",
            Self::NeedsOperator => "needs an operator",
        }
    }
}

/// A reader's metrics.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    /// Bytes received from the service, as they came (compressed).
    pub bytes: Counter,
    /// Endings by class, in the order of [`Class::ALL`].
    pub reconnects: [Counter; Class::ALL.len()],
    /// Connections that are open.
    pub connections: Gauge,
    /// Positions that the service refused and that were given up.
    pub positions_abandoned: Counter,
    /// Attempts to renew a token ahead of its expiry that failed.
    pub token_failures: Counter,
    /// The latest failure of each [`Class`], but for [`Class::Ended`], which is routine.
    pub errors: LastErrors,
    was_connected: Arc<AtomicBool>,
    state: Arc<AtomicI64>,
    last_byte_ms: Arc<AtomicI64>,
    trouble: Arc<Mutex<Option<(String, i64)>>>,
    outage: Arc<Mutex<Option<Outage>>>,
    longest_pause_ms: Arc<AtomicU64>,
}

/// Since when the service does not let us read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Outage {
    /// By the monotonic clock.
    pub since: Instant,
    /// Milliseconds since the Unix epoch.
    pub since_ms: i64,
}

/// A connection that counts as open until this is dropped, by a panic too. What follows is said with
/// [`Metrics::set_state`].
#[derive(Debug)]
pub struct OpenConnection {
    connections: Gauge,
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.connections.dec();
    }
}

impl Metrics {
    /// Everything that is counted, at `now_ms`, milliseconds since the Unix epoch.
    pub fn figures(&self, now_ms: i64) -> Vec<Figure> {
        let reconnects = Class::ALL.iter().map(|class| class.name()).zip(&self.reconnects);
        vec![
            Figure::counter(
                "tributary_positions_abandoned",
                "Positions that the service refused and that were given up",
                &self.positions_abandoned,
            ),
            Figure::counter(
                "tributary_token_renewal_failures",
                "Attempts to renew a token ahead of its expiry that failed",
                &self.token_failures,
            ),
            Figure::counter(
                "tributary_received_bytes",
                "Bytes received from the service, compressed",
                &self.bytes,
            ),
            Figure::counters(
                "tributary_reconnects",
                "Connections that ended or failed",
                "class",
                reconnects.map(|(class, counter)| (class, counter.get())),
            ),
            Figure::age(
                "tributary_last_byte_age",
                "Since the last byte from the service",
                self.last_byte_ms(),
                now_ms,
            ),
            Figure::gauge("tributary_connections_open", "Connections that are open", self.connections.get()),
            Figure::gauge(
                "tributary_connected",
                "1 while the stream is open",
                i64::from(self.state() == ConnectionState::Connected),
            ),
        ]
    }

    /// A connection ended or could not be made, at `now_ms`.
    pub fn failed(&self, class: Class, reason: String, now_ms: i64) {
        if class != Class::Ended {
            self.errors.note(class.name(), reason.clone(), now_ms);
        }
        let mut trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        let since = trouble.as_ref().filter(|_| self.state() != ConnectionState::Connected);
        let since_ms = since.map_or(now_ms, |(_, since_ms)| *since_ms);
        *trouble = Some((reason, since_ms));
    }

    /// An outage begins, unless a connection is open. An attempt that opens something does not end it, only the
    /// stream does.
    pub fn went_away(&self, now_ms: i64) {
        if self.connections.get() == 0 {
            let outage = Outage { since: Instant::now(), since_ms: now_ms };
            self.outage.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(outage);
        }
    }

    /// Since when there is an outage; `None` while there is none.
    pub fn outage(&self) -> Option<Outage> {
        *self.outage.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The usual pause before an attempt is at most this.
    pub fn set_longest_pause(&self, pause: Duration) {
        let pause_ms = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX);
        self.longest_pause_ms.store(pause_ms, Ordering::Relaxed);
    }

    /// The usual pause before an attempt is at most this.
    pub fn longest_pause(&self) -> Duration {
        Duration::from_millis(self.longest_pause_ms.load(Ordering::Relaxed))
    }

    /// Why the stream is not open, and since when, milliseconds since the Unix epoch.
    pub fn trouble(&self) -> Option<(String, i64)> {
        if self.state() == ConnectionState::Connected {
            return None;
        }
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Counts an ending.
    pub fn count_reconnect(&self, class: Class) {
        if let Some(index) = Class::ALL.iter().position(|known| *known == class) {
            self.reconnects[index].inc();
        }
    }

    /// Endings of a class.
    pub fn reconnects_of(&self, class: Class) -> u64 {
        Class::ALL.iter().position(|known| *known == class).map_or(0, |index| self.reconnects[index].get())
    }

    /// Endings of all classes.
    pub fn total_reconnects(&self) -> u64 {
        self.reconnects.iter().map(|counter| counter.get()).sum()
    }

    /// A connection is open, which may yet turn out to be no stream, so the state stays what it is until it is
    /// [proven](Self::proven).
    #[must_use]
    pub fn opened(&self) -> OpenConnection {
        self.connections.inc();
        OpenConnection { connections: self.connections.clone() }
    }

    /// What is open is the stream.
    pub fn proven(&self) {
        self.was_connected.store(true, Ordering::Relaxed);
        *self.outage.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.state.store(ConnectionState::Connected as i64, Ordering::Relaxed);
    }

    /// Sets the state of a connection that is not open; ignored while another one is. While a person has to act, the
    /// next attempt alone changes nothing: readiness would flap with each.
    pub fn set_state(&self, state: ConnectionState) {
        let attempt = state == ConnectionState::Connecting && self.state() == ConnectionState::NeedsOperator;
        if !attempt && self.connections.get() == 0 {
            self.state.store(state as i64, Ordering::Relaxed);
        }
    }

    /// The connection's state.
    pub fn state(&self) -> ConnectionState {
        match self.state.load(Ordering::Relaxed) {
            1 => ConnectionState::Connecting,
            2 => ConnectionState::Connected,
            3 => ConnectionState::BackingOff,
            4 => ConnectionState::NeedsOperator,
            _ => ConnectionState::Idle,
        }
    }

    /// Whether the stream was ever open.
    pub fn was_connected(&self) -> bool {
        self.was_connected.load(Ordering::Relaxed)
    }

    /// Counts a chunk that arrived at `now_ms`.
    pub fn received(&self, bytes: usize, now_ms: i64) {
        self.bytes.inc_by(bytes as u64);
        self.last_byte_ms.store(now_ms, Ordering::Relaxed);
    }

    /// When the last byte arrived, milliseconds since the Unix epoch; 0 for never.
    pub fn last_byte_ms(&self) -> i64 {
        self.last_byte_ms.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_keeps_the_stream_closed_is_dated_from_its_beginning() {
        let metrics = Metrics::default();
        assert_eq!(metrics.trouble(), None);
        metrics.failed(Class::ServerError, "503".into(), 1_000);
        metrics.set_state(ConnectionState::BackingOff);
        metrics.failed(Class::Unauthorized, "401".into(), 2_000);
        assert_eq!(metrics.trouble(), Some(("401".into(), 1_000)));
        metrics.set_state(ConnectionState::Connected);
        assert_eq!(metrics.trouble(), None);
        metrics.failed(Class::Ended, "ended".into(), 3_000);
        metrics.set_state(ConnectionState::BackingOff);
        assert_eq!(metrics.trouble(), Some(("ended".into(), 3_000)));
        assert_eq!(
            metrics.errors.times(),
            [("server_error", 1_000), ("unauthorized", 2_000)],
            "an end in order is no error"
        );
    }

    #[test]
    fn an_outage_lasts_until_the_stream_is_proven() {
        let metrics = Metrics::default();
        let since = || metrics.outage().map(|outage| outage.since_ms);
        let open = metrics.opened();
        metrics.went_away(1_000);
        assert_eq!(since(), None, "another connection is open");
        drop(open);
        metrics.went_away(2_000);
        metrics.went_away(3_000);
        let open = metrics.opened();
        assert_eq!(since(), Some(2_000), "it may be a page");
        drop(open);
        metrics.went_away(4_000);
        assert_eq!(since(), Some(2_000));
        let _open = metrics.opened();
        metrics.proven();
        assert_eq!(since(), None);
    }

    #[test]
    fn an_attempt_is_no_recovery() {
        let metrics = Metrics::default();
        metrics.set_state(ConnectionState::Connecting);
        assert_eq!(metrics.state(), ConnectionState::Connecting);
        metrics.set_state(ConnectionState::NeedsOperator);
        metrics.set_state(ConnectionState::Connecting);
        assert_eq!(metrics.state(), ConnectionState::NeedsOperator);
        let open = metrics.opened();
        assert_eq!(metrics.state(), ConnectionState::NeedsOperator, "it may be a page");
        assert!(!metrics.was_connected());
        metrics.proven();
        assert_eq!(metrics.state(), ConnectionState::Connected);
        assert!(metrics.was_connected());
        metrics.set_state(ConnectionState::BackingOff);
        assert_eq!(metrics.state(), ConnectionState::Connected, "another connection is open");
        drop(open);
        metrics.set_state(ConnectionState::BackingOff);
        assert_eq!(metrics.state(), ConnectionState::BackingOff);
    }
}
