//! Sends spans to a collector by OTLP, beside the work and never in its way: OpenTelemetry's SDK, with its thread, its queue and its
//! exporter.
//!
//! Invariants:
//! - memory is bounded: the queue, one request, and two spans for each batch that is open;
//! - a collector that is away costs its spans, which are counted, and is complained of once in a while;
//! - the end of the process waits for it for [`LAST`] at most.

use std::time::Duration;

use opentelemetry::InstrumentationScope;
use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::trace::{BatchConfigBuilder, BatchSpanProcessor, SdkTracer, SdkTracerProvider};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::plan::Plan;
use crate::trace::{Figures, Keeping, QUEUE, Sampling, Waiting};
use crate::web::client;
use crate::web::otlp::ExportError;

mod sending;
mod settings;

use sending::Sending;
use settings::settings;
pub(crate) use settings::{Settings, SettingsError};

/// Limit for what is still to be sent at the end.
const LAST: Duration = Duration::from_secs(2);

/// The sending of spans, at work.
pub(crate) struct Traces {
    provider: SdkTracerProvider,
    stop: CancellationToken,
}

impl Traces {
    /// Begins to send, by tasks of this runtime.
    pub(crate) fn start(
        settings: &Settings,
        http: client::Config,
        figures: &Figures,
        runtime: &Handle,
    ) -> Self {
        let (waiting, stop) = (Waiting::default(), CancellationToken::new());
        let exporter = settings.exporter(http);
        let sending = Sending::new(exporter, runtime.clone(), figures.clone(), waiting.clone(), stop.clone());
        // How often, and how many at once, `OTEL_BSP_…` may say.
        let batches = BatchConfigBuilder::default().with_max_queue_size(QUEUE).build();
        let queue = BatchSpanProcessor::builder(sending).with_batch_config(batches).build();
        let provider = SdkTracerProvider::builder()
            .with_sampler(Sampling::new(settings.sample_ratio))
            .with_span_processor(Keeping::new(queue, waiting, figures.dropped.clone()))
            .build();
        Self { provider, stop }
    }

    /// What makes spans.
    pub(crate) fn tracer(&self) -> SdkTracer {
        let scope = InstrumentationScope::builder("tributary").with_version(env!("CARGO_PKG_VERSION"));
        self.provider.tracer_with_scope(scope.build())
    }

    /// Sends what is still there, as far as that takes no longer than [`LAST`].
    pub(crate) async fn end(self) {
        self.stop.cancel();
        let ended = tokio::task::spawn_blocking(move || self.provider.shutdown_with_timeout(LAST)).await;
        if !matches!(ended, Ok(Ok(()))) {
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
pub(crate) async fn probe(settings: &Settings, http: client::Config) -> Result<(), ExportError> {
    settings.exporter(http).send(Vec::new()).await
}
