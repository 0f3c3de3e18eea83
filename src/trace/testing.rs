//! Takes the spans of a test.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use opentelemetry::Context;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SdkTracerProvider, Span, SpanData, SpanProcessor};
use prometheus_client::metrics::counter::Counter;
use tracing_subscriber::layer::SubscriberExt;

use super::{Keeping, Sampling, Waiting, layer};

/// The spans that were to be sent, in their order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Taken(Arc<Mutex<Vec<SpanData>>>);

impl Taken {
    /// All so far.
    pub(crate) fn spans(&self) -> Vec<SpanData> {
        self.0.lock().unwrap().clone()
    }
}

impl SpanProcessor for Taken {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, span: SpanData) {
        self.0.lock().unwrap().push(span);
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

/// Runs something that makes spans on this thread, and gives those that would be sent.
pub(crate) fn traced(ratio: f64, run: impl FnOnce()) -> Taken {
    let taken = Taken::default();
    let keeping = Keeping::new(taken.clone(), Waiting::default(), Counter::default());
    let provider =
        SdkTracerProvider::builder().with_sampler(Sampling::new(ratio)).with_span_processor(keeping).build();
    let subscriber = tracing_subscriber::registry().with(layer(provider.tracer("test")));
    tracing::subscriber::with_default(subscriber, run);
    taken
}
