//! Sends spans to a collector by OTLP, beside the work and never in its way.
//!
//! Invariants:
//! - memory is bounded: the tracer's queue, and one request;
//! - a collector that is away is tried again, ever more seldom, and complained of once in a while;
//! - the end of the process waits for it for [`LAST`] at most.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::mpsc::Receiver;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::model::errors::chain;
use crate::plan::Plan;
use crate::task;
use crate::trace::{Figures, Span, Tracer};
use crate::web::client;
use crate::web::otlp::{ExportError, Exporter};

mod encode;
mod settings;

use settings::settings;
pub(crate) use settings::{Settings, SettingsError};

/// Spans of one request.
const MOST: usize = 512;

/// How long spans are gathered for one request.
const GATHERING: Duration = Duration::from_secs(1);

/// First and longest pause before a request is made again.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

/// Between two complaints of one trouble.
const COMPLAINT: Duration = Duration::from_secs(300);

/// Limit for what is still to be sent at the end.
const LAST: Duration = Duration::from_secs(2);

/// The sending of spans, at work.
pub(crate) struct Traces {
    tracer: Arc<Tracer>,
    stop: CancellationToken,
    sending: JoinHandle<()>,
}

/// What sends.
struct Sending {
    exporter: Exporter,
    resource: Vec<(String, String)>,
    spans: Receiver<Span>,
    figures: Figures,
    stop: CancellationToken,
    trouble: Trouble,
}

/// What is wrong with the collector, as far as it was said.
#[derive(Default)]
struct Trouble {
    failures: u32,
    said: Option<Instant>,
}

impl Traces {
    /// Begins to send.
    pub(crate) fn start(settings: Settings, http: client::Config, figures: &Figures) -> Self {
        let (tracer, spans) = Tracer::new(settings.sample_ratio, figures.dropped.clone());
        let stop = CancellationToken::new();
        let sending = Sending {
            exporter: settings.exporter(http),
            resource: settings.resource,
            spans,
            figures: figures.clone(),
            stop: stop.clone(),
            trouble: Trouble::default(),
        };
        let sending = task::spawn(&Handle::current(), "traces", sending.run());
        Self { tracer: Arc::new(tracer), stop, sending }
    }

    /// What takes spans.
    pub(crate) fn tracer(&self) -> Arc<Tracer> {
        Arc::clone(&self.tracer)
    }

    /// Sends what is still there, as far as that takes no longer than [`LAST`].
    pub(crate) async fn end(self) {
        self.stop.cancel();
        if tokio::time::timeout(LAST, self.sending).await.is_err() {
            warn!("the last spans were not sent: the collector did not take them in time");
        }
    }
}

/// What counts for this process: the plan, and the variables of OpenTelemetry.
pub(crate) fn of_process(plan: &Plan) -> Result<Option<Settings>, SettingsError> {
    let instance = plan.group.as_ref().map(|group| group.instance_id.as_str());
    settings(&plan.traces, instance, |name| std::env::var(name).ok())
}

/// Asks the collector whether it takes spans, with none.
pub(crate) async fn probe(settings: Settings, http: client::Config) -> Result<(), ExportError> {
    settings.exporter(http).send(encode::request(&settings.resource, &[])).await
}

impl Sending {
    async fn run(mut self) {
        let mut spans = Vec::with_capacity(MOST);
        while self.gather(&mut spans).await {
            self.send(&mut spans).await;
        }
    }

    /// Waits for spans, and for more of them for a moment. Tells whether there are any; there are none only at the end.
    async fn gather(&mut self, spans: &mut Vec<Span>) -> bool {
        let stop = self.stop.clone();
        tokio::select! {
            biased;
            found = self.spans.recv() => spans.extend(found),
            () = stop.cancelled() => {}
        }
        let enough = async {
            while !spans.is_empty() && spans.len() < MOST {
                let room = MOST - spans.len();
                if self.spans.recv_many(spans, room).await == 0 {
                    break;
                }
            }
        };
        tokio::select! {
            biased;
            () = stop.cancelled() => {}
            _ = tokio::time::timeout(GATHERING, enough) => {}
        }
        while let (true, Ok(span)) = (spans.len() < MOST, self.spans.try_recv()) {
            spans.push(span);
        }
        !spans.is_empty()
    }

    /// Sends spans until the collector takes them, or says that it never will. At the end once.
    async fn send(&mut self, spans: &mut Vec<Span>) {
        let (request, count) = (encode::request(&self.resource, spans), spans.len() as u64);
        spans.clear();
        loop {
            match self.exporter.send(request.clone()).await {
                Ok(()) => {
                    self.figures.sent.inc_by(count);
                    self.trouble.over();
                    return;
                }
                Err(error) => {
                    self.figures.failures.inc();
                    self.trouble.note(&error, self.figures.dropped.get());
                    if !error.passes() || self.stop.is_cancelled() {
                        self.figures.dropped.inc_by(count);
                        return;
                    }
                }
            }
            tokio::select! {
                () = self.stop.cancelled() => {}
                () = tokio::time::sleep(self.trouble.pause()) => {}
            }
        }
    }
}

impl Trouble {
    fn note(&mut self, error: &ExportError, dropped: u64) {
        self.failures = self.failures.saturating_add(1);
        if self.said.is_some_and(|said| said.elapsed() < COMPLAINT) {
            return;
        }
        self.said = Some(Instant::now());
        warn!(
            reason = chain(error),
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

    /// Before the next attempt: twice as long each time.
    fn pause(&self) -> Duration {
        let (first, longest) = PAUSES;
        let doublings = self.failures.saturating_sub(1).min(5);
        (first * 2_u32.pow(doublings)).min(longest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_are_bounded() {
        let pause = |failures| Trouble { failures, said: None }.pause().as_secs();
        assert_eq!([1, 2, 3, 4, 5, 6, 7, u32::MAX].map(pause), [1, 2, 4, 8, 16, 30, 30, 30]);
    }
}
