//! Between the SDK's thread, which asks for one request after the other, and the exporter: counts, complains, and ends in time.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::trace::{SpanData, SpanExporter};
use tokio::runtime::Handle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::model::errors::chain;
use crate::task;
use crate::trace::{Figures, Waiting};
use crate::web::otlp::Exporter;

/// Between two complaints of one trouble.
const COMPLAINT: Duration = Duration::from_secs(300);

/// What sends.
#[derive(Debug)]
pub(super) struct Sending {
    exporter: Arc<Exporter>,
    /// Where requests run: the SDK's thread is of no runtime.
    runtime: Handle,
    figures: Figures,
    waiting: Waiting,
    stop: CancellationToken,
    trouble: Mutex<Trouble>,
}

/// What is wrong with the collector, as far as it was said.
#[derive(Debug, Default)]
struct Trouble {
    failures: u32,
    said: Option<Instant>,
}

impl Sending {
    pub(super) fn new(
        exporter: Exporter,
        runtime: Handle,
        figures: Figures,
        waiting: Waiting,
        stop: CancellationToken,
    ) -> Self {
        Self { exporter: Arc::new(exporter), runtime, figures, waiting, stop, trouble: Mutex::default() }
    }

    /// Sends spans, or gives the reason why they were not taken.
    async fn send(&self, spans: Vec<SpanData>) -> Result<(), String> {
        if self.stop.is_cancelled() && self.trouble(|trouble| trouble.failures > 0) {
            // At the end a collector that is away is not asked for each request that is left.
            return Err("the collector is away".to_owned());
        }
        let exporter = Arc::clone(&self.exporter);
        let sent = task::spawn(&self.runtime, "traces", async move { exporter.send(spans).await }).await;
        let result = match sent {
            Ok(sent) => sent.map_err(|error| chain(&error)),
            // The process ends, or a panic was logged.
            Err(ended) => Err(ended.to_string()),
        };
        self.trouble(|trouble| match &result {
            Ok(()) => trouble.over(),
            Err(reason) => {
                self.figures.failures.inc();
                trouble.note(reason, self.figures.dropped.get());
            }
        });
        result
    }

    fn trouble<T>(&self, look: impl FnOnce(&mut Trouble) -> T) -> T {
        look(&mut self.trouble.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl SpanExporter for Sending {
    async fn export(&self, spans: Vec<SpanData>) -> OTelSdkResult {
        let count = spans.len();
        self.waiting.leave(count);
        let sent = self.send(spans).await;
        let counter = if sent.is_ok() { &self.figures.sent } else { &self.figures.dropped };
        counter.inc_by(count as u64);
        sent.map_err(OTelSdkError::InternalFailure)
    }
}

impl Trouble {
    fn note(&mut self, reason: &str, dropped: u64) {
        self.failures = self.failures.saturating_add(1);
        if self.said.is_some_and(|said| said.elapsed() < COMPLAINT) {
            return;
        }
        self.said = Some(Instant::now());
        warn!(
            reason,
            failures = self.failures,
            dropped,
            "spans cannot be sent; the streams are not affected, and this is said once in five minutes"
        );
    }

    fn over(&mut self) {
        if self.said.is_some() {
            info!(failures = self.failures, "the collector takes spans again");
        }
        *self = Self::default();
    }
}
