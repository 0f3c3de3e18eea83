//! What a client tells us and asks us for: its log, its errors, its statistics, tokens.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rdkafka::ClientContext;
use rdkafka::client::OAuthToken;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaErrorCode;
use tracing::{debug, info, warn};

use super::causes::{self, Causes};
use super::failures::Failures;
use super::statistics::{Counts, Statistics};
use crate::failpoint;
use crate::model::errors::chain;
use crate::model::hide::Hider;
use crate::sink::kafka::figures::{KafkaFigures, Latest};
use crate::sink::kafka::oauth::TokenSource;
use crate::sink::kafka::partitions::Touched;

/// What a client tells us and asks us for: its log, the records that could not be written, tokens.
#[derive(Clone, Debug, Default)]
pub(crate) struct Context {
    pub(super) failures: Arc<Failures>,
    touched: Arc<Mutex<Touched>>,
    refused: Arc<AtomicBool>,
    figures: KafkaFigures,
    /// What was counted of this client already.
    counted: Arc<Mutex<Counts>>,
    /// Whether it knows no broker any more.
    lost: Arc<AtomicBool>,
    causes: Arc<Causes>,
    pub(super) tokens: Option<Arc<TokenSource>>,
    /// Whether it was ever given a token.
    pub(super) granted: Arc<AtomicBool>,
    /// Takes the client's secrets out of what brokers say, which librdkafka repeats.
    pub(super) hider: Hider,
}

impl Context {
    /// For a client that takes tokens from there, has these secrets, and counts there.
    pub(super) fn new(tokens: Option<Arc<TokenSource>>, hider: Hider, figures: KafkaFigures) -> Self {
        Self { tokens, hider, figures, ..Self::default() }
    }

    /// The records that could not be delivered.
    pub(crate) fn failures(&self) -> &Failures {
        &self.failures
    }

    /// The partitions that acknowledged events of the batch.
    pub(crate) fn touched(&self) -> MutexGuard<'_, Touched> {
        self.touched.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Why Kafka cannot be reached, as far as librdkafka said so lately. Learnt when the client's events are served.
    pub(crate) fn causes(&self) -> Option<String> {
        self.causes.text()
    }

    /// Whether a broker has refused the client's credentials, as when a password was rotated, or TLS failed, as with a
    /// certificate that has expired: the client has its secrets and files from when it was built, and would try them
    /// again for ever. Learnt when the client's events are served.
    pub(crate) fn was_refused(&self) -> bool {
        self.refused.load(Ordering::Acquire)
    }

    /// Whether the client knows no broker any more, and so nobody whom it could ask for brokers. That happens where all of a
    /// cluster's brokers stood still for a while: the controller takes them for gone, and the first that answers again names
    /// none; librdkafka (2.12.1) then forgets all that it knows and does not go back to `bootstrap.servers` by itself. Learnt
    /// when the client's events are served, of clients that `statistics::watch` was called for.
    pub(crate) fn has_lost_brokers(&self) -> bool {
        self.lost.load(Ordering::Acquire)
    }

    /// Why only a new client can go on, if that is so: see [`Self::was_refused`] and [`Self::has_lost_brokers`].
    pub(crate) fn why_useless(&self) -> Option<&'static str> {
        if self.was_refused() {
            Some(
                "Kafka refused the client's credentials, or TLS failed; secrets and files are now read again",
            )
        } else if self.has_lost_brokers() {
            Some("the client was told of a cluster without brokers; it begins again at bootstrap_servers")
        } else {
            None
        }
    }

    /// An error of this code came back from a call.
    pub(crate) fn note_code(&self, code: RDKafkaErrorCode) {
        match (code, &self.tokens) {
            // A token that could not be fetched is reported so too, but it is asked for again without a new client.
            (RDKafkaErrorCode::Authentication, Some(tokens)) => tokens.refused(),
            (RDKafkaErrorCode::Authentication, None) | (RDKafkaErrorCode::SSL, _) => {
                self.refused.store(true, Ordering::Release);
            }
            _ => {}
        }
    }

    /// Every record was acknowledged, so a broker that refused the credentials did so for a moment.
    pub(crate) fn note_accepted(&self) {
        self.refused.store(false, Ordering::Release);
        self.causes.clear();
    }

    /// The client knows no broker any more.
    pub(crate) fn note_lost_brokers(&self) {
        self.lost.store(true, Ordering::Release);
    }

    /// What the client tells every few seconds.
    fn take(&self, statistics: &Statistics) {
        if statistics.names_no_broker() {
            self.note_lost_brokers();
        }
        let (round_trip, throttle) = (statistics.round_trip(), Some(statistics.throttle()));
        self.figures.note(Latest { round_trip, throttle, queued: statistics.msg_cnt });
        let counts = statistics.counts();
        let before =
            std::mem::replace(&mut *self.counted.lock().unwrap_or_else(PoisonError::into_inner), counts);
        self.figures.errors.inc_by(counts.errors.saturating_sub(before.errors));
        self.figures.retries.inc_by(counts.retries.saturating_sub(before.retries));
    }

    /// A connection failed.
    fn note_cause(&self, line: &str) {
        self.causes.note(&self.hider.hide(line));
        if causes::is_tls(line) {
            self.figures.tls_failures.inc();
            self.refused.store(true, Ordering::Release);
        }
    }
}

impl ClientContext for Context {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = true;

    fn generate_oauth_token(&self, _config: Option<&str>) -> Result<OAuthToken, Box<dyn std::error::Error>> {
        let Some(tokens) = &self.tokens else {
            return Err("no sasl.oauthbearer.method is configured".into());
        };
        let token =
            tokens.token().inspect_err(|error| warn!(reason = chain(error), "no OAuth token for Kafka"))?;
        self.granted.store(true, Ordering::Release);
        Ok(token)
    }

    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        if facility == "FAIL" && level as i32 <= RDKafkaLogLevel::Info as i32 {
            self.note_cause(message);
        }
        // Which topic could not be written to, and why, is said nowhere else; of the others nothing is known then.
        if facility == "ADDPARTS" && !message.contains("Operation not attempted") {
            self.note_cause(message);
        }
        match level {
            // Properties are given to producers and consumers alike; each remarks on those of the other.
            _ if facility == "CONFWARN" => debug!(facility, "librdkafka: {}", self.hider.hide(message)),
            RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical => {
                warn!(facility, "librdkafka: {}", self.hider.hide(message));
            }
            // Connection trouble comes many times a second while a broker is away; the shard reports it once.
            RDKafkaLogLevel::Error | RDKafkaLogLevel::Warning => {
                info!(facility, "librdkafka: {}", self.hider.hide(message));
            }
            _ => debug!(facility, "librdkafka: {}", self.hider.hide(message)),
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        debug!(%error, reason = self.hider.hide(reason), "librdkafka reports an error");
        let code = error.rdkafka_error_code();
        // That all brokers are down says not why.
        if code.is_some_and(|code| code != RDKafkaErrorCode::AllBrokersDown && causes::is_unreachable(code)) {
            self.note_cause(reason);
        }
        if let Some(code) = code.filter(|_| !causes::is_cut_off(reason)) {
            self.note_code(code);
        }
    }

    fn stats_raw(&self, statistics: &[u8]) {
        match serde_json::from_slice(statistics) {
            Ok(statistics) => self.take(&statistics),
            Err(error) => debug!(%error, "librdkafka's statistics cannot be read"),
        }
        if failpoint::pass("lost_brokers").is_some() {
            self.note_lost_brokers();
        }
    }
}

impl ConsumerContext for Context {}
