//! Spans: how they are named for others, which of them are kept, and the bounded queue to whatever sends them. Knows neither the stages
//! that make them nor how they are sent.
//!
//! A stage makes a span by `tracing`, with the target `TARGET`, and tells of it by `tracing_opentelemetry`. Where nothing is to be sent,
//! nobody asks for this target, so no span is made.
//!
//! Invariants:
//! - handing a span over never waits: where the queue is full, the span is dropped and counted;
//! - a span holds names, numbers and codes of ours alone: nothing of an event, no text of a service, no secret;
//! - the log shows no such span.

use std::sync::Arc;

use opentelemetry::trace::{SpanContext, TraceContextExt, TraceFlags};
use opentelemetry_sdk::trace::SdkTracer;
use tracing::level_filters::LevelFilter;
use tracing::{Metadata, Span, Subscriber};
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::registry::LookupSpan;
use url::Url;

use crate::model::secret::SecretSource;

mod figures;
mod keeping;

pub use figures::Figures;
pub(crate) use keeping::{Keeping, QUEUE, Sampling, Waiting};

/// The target of all spans that are for a collector; their level is `info`.
pub(crate) const TARGET: &str = "tributary::traces";

/// What is configured of traces. What is left open is looked for in the `OTEL_…` variables.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Config {
    /// Where they are sent, without the path of the signal.
    pub endpoint: Option<Url>,
    /// How.
    pub protocol: Option<Protocol>,
    /// Headers of each request, by their names.
    pub headers: Vec<(String, SecretSource)>,
    /// The share of batches that is traced, from 0 to 1.
    pub sample_ratio: Option<f64>,
}

/// How spans are sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Protocol {
    /// OTLP over HTTP, in protobuf.
    #[default]
    HttpProtobuf,
    /// OTLP over gRPC.
    Grpc,
}

/// Whether something is for a collector, and not for the log.
pub(crate) fn is_for_collector(metadata: &Metadata<'_>) -> bool {
    metadata.target() == TARGET
}

/// Makes the spans of [`TARGET`] those of OpenTelemetry, and nothing else.
pub(crate) fn layer<S>(tracer: SdkTracer) -> impl Layer<S>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    // A span says what it is told to say.
    tracing_opentelemetry::layer()
        .with_tracer(tracer)
        .with_location(false)
        .with_target(false)
        .with_threads(false)
        .with_tracked_inactivity(false)
        .with_context_activation(false)
        .with_filter(filter_fn(is_for_collector).with_max_level_hint(LevelFilter::INFO))
}

/// The ids of a span; `None` where it is not made.
pub(crate) fn context(span: &Span) -> Option<SpanContext> {
    let context = span.context();
    let context = context.span().span_context().clone();
    context.is_valid().then_some(context)
}

/// How a context is written for others (W3C Trace Context).
pub(crate) fn traceparent(context: &SpanContext) -> Arc<str> {
    let flags = context.trace_flags() & TraceFlags::SAMPLED;
    format!("00-{}-{}-{flags:02x}", context.trace_id(), context.span_id()).into()
}

/// A number as an attribute has it.
pub(crate) fn number(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

#[cfg(test)]
pub(crate) mod testing;

#[cfg(test)]
mod tests {
    use opentelemetry::trace::{SpanId, TraceId, TraceState};

    use super::*;

    #[test]
    fn a_context_is_written_as_the_standard_says() {
        let (trace, span) = (0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736_u128, 0x00f0_67aa_0ba9_02b7_u64);
        let text = |flags| {
            let ids = (TraceId::from(trace), SpanId::from(span));
            traceparent(&SpanContext::new(ids.0, ids.1, flags, false, TraceState::NONE))
        };
        let ids = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7";
        assert_eq!(*text(TraceFlags::SAMPLED), format!("{ids}-01"));
        assert_eq!(*text(TraceFlags::NOT_SAMPLED), format!("{ids}-00"));
    }

    #[test]
    fn without_anybody_who_asks_there_is_no_span() {
        assert_eq!(context(&tracing::info_span!(target: TARGET, parent: None, "batch")), None);
        assert_eq!((number(7), number(u64::MAX)), (7, i64::MAX));
    }
}
