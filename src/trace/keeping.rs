//! Which traces are kept, and the way of their spans into the queue.
//!
//! The share that is configured is chosen where a trace begins. Whether a trace is sent is told where its first span ends: one that says
//! something is sent with all of its parts, though it was not chosen, and one that says nothing is forgotten with them. So who makes a span
//! decides last, when it is known how the work went.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use opentelemetry::trace::{Link, SpanContext, SpanId, SpanKind, TraceId};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{
    Sampler, SamplingDecision, SamplingResult, ShouldSample, Span, SpanData, SpanProcessor,
};
use prometheus_client::metrics::counter::Counter;

/// Spans that may wait to be sent.
pub(crate) const QUEUE: usize = 2048;

/// Chooses a share of the batches, and each connect, of which there are few. The others are recorded all the same, since they may fail yet.
#[derive(Clone, Debug)]
pub(crate) struct Sampling {
    batches: Sampler,
}

/// Hands spans of traces that are kept to what sends them, as far as there is room.
#[derive(Debug)]
pub(crate) struct Keeping<P> {
    next: P,
    /// Spans that ended before the first one of their trace: two for each batch that is open.
    parts: Mutex<HashMap<TraceId, Vec<SpanData>>>,
    waiting: Waiting,
    dropped: Counter,
}

/// How many spans wait to be sent. Clones count together.
#[derive(Clone, Debug, Default)]
pub(crate) struct Waiting(Arc<AtomicUsize>);

impl Sampling {
    /// Chooses this share of the batches.
    pub(crate) fn new(ratio: f64) -> Self {
        Self { batches: Sampler::TraceIdRatioBased(ratio) }
    }
}

impl ShouldSample for Sampling {
    fn should_sample(
        &self,
        parent: Option<&Context>,
        trace: TraceId,
        name: &str,
        kind: &SpanKind,
        attributes: &[KeyValue],
        links: &[Link],
    ) -> SamplingResult {
        let sampler = if *kind == SpanKind::Client { &Sampler::AlwaysOn } else { &self.batches };
        let mut chosen = sampler.should_sample(parent, trace, name, kind, attributes, links);
        if chosen.decision == SamplingDecision::Drop {
            chosen.decision = SamplingDecision::RecordOnly;
        }
        chosen
    }
}

impl Waiting {
    /// One more, if there is room.
    fn enter(&self) -> bool {
        let one_more = |waiting| (waiting < QUEUE).then_some(waiting + 1);
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more).is_ok()
    }

    /// So many are on their way.
    pub(crate) fn leave(&self, count: usize) {
        self.0.fetch_sub(count, Ordering::Relaxed);
    }
}

impl<P> Keeping<P> {
    /// In front of what sends spans, whose queue has to hold [`QUEUE`]. It says by `waiting` what has left the queue; `dropped` counts
    /// what the queue had no room for.
    pub(crate) fn new(next: P, waiting: Waiting, dropped: Counter) -> Self {
        Self { next, parts: Mutex::default(), waiting, dropped }
    }
}

impl<P: SpanProcessor> SpanProcessor for Keeping<P> {
    fn on_start(&self, span: &mut Span, context: &Context) {
        self.next.on_start(span, context);
    }

    fn on_end(&self, span: SpanData) {
        let trace = span.span_context.trace_id();
        let parts = {
            let mut parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
            if span.parent_span_id != SpanId::INVALID {
                parts.entry(trace).or_default().push(span);
                return;
            }
            parts.remove(&trace).unwrap_or_default()
        };
        if span.attributes.is_empty() {
            return;
        }
        for mut span in parts.into_iter().chain([span]) {
            if self.waiting.enter() {
                span.span_context = kept(&span.span_context);
                self.next.on_end(span);
            } else {
                self.dropped.inc();
            }
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.next.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.next.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.next.set_resource(resource);
    }
}

/// The same, marked as chosen: others pass over what is not.
fn kept(context: &SpanContext) -> SpanContext {
    let flags = context.trace_flags().with_sampled(true);
    let state = context.trace_state().clone();
    SpanContext::new(context.trace_id(), context.span_id(), flags, context.is_remote(), state)
}

#[cfg(test)]
mod tests {
    use tracing::info_span;
    use tracing_opentelemetry::OpenTelemetrySpanExt;

    use super::super::testing::{Taken, traced};
    use super::super::{TARGET, context};
    use super::*;

    /// A trace of two spans, of which the first says something or nothing.
    fn batch(says: bool) -> Option<SpanContext> {
        let batch = info_span!(target: TARGET, parent: None, "batch");
        let _part = info_span!(target: TARGET, parent: &batch, "read");
        if says {
            batch.set_attribute("lines", 1);
        }
        context(&batch)
    }

    fn names(taken: &Taken) -> Vec<String> {
        taken.spans().iter().map(|span| span.name.to_string()).collect()
    }

    #[test]
    fn a_trace_is_sent_as_a_whole_if_its_first_span_says_something() {
        let taken = traced(0.0, || assert!(!batch(true).unwrap().is_sampled()));
        assert_eq!(names(&taken), ["read", "batch"]);
        assert!(taken.spans().iter().all(|span| span.span_context.is_sampled()), "others would pass over it");
        assert_eq!(names(&traced(1.0, || assert!(batch(false).unwrap().is_sampled()))), [""; 0]);
    }

    #[test]
    fn a_share_of_batches_and_each_connect_is_chosen() {
        let connect = || context(&info_span!(target: TARGET, parent: None, "connect", otel.kind = "client"));
        let count = |ratio, span: fn() -> Option<SpanContext>| {
            let mut chosen = 0;
            traced(ratio, || {
                chosen = (0..10_000).filter(|_| span().unwrap().is_sampled()).count();
            });
            chosen
        };
        let of_batches = |ratio| count(ratio, || batch(false));
        assert_eq!((of_batches(0.0), of_batches(1.0), count(0.0, connect)), (0, 10_000, 10_000));
        // Twenty times the standard deviation.
        assert!((1_500..=3_500).contains(&of_batches(0.25)));
    }

    #[test]
    fn a_full_queue_drops_and_counts() {
        let dropped = Counter::default();
        let (taken, waiting) = (Taken::default(), Waiting::default());
        let keeping = Keeping::new(taken.clone(), waiting.clone(), dropped.clone());
        let all = traced(1.0, || drop(batch(true))).spans();
        let (read, batch) = (&all[0], &all[1]);
        for _ in 0..QUEUE + 3 {
            keeping.on_end(batch.clone());
        }
        assert_eq!((taken.spans().len(), dropped.get()), (QUEUE, 3));
        waiting.leave(1);
        keeping.on_end(read.clone());
        keeping.on_end(batch.clone());
        assert_eq!((taken.spans().len(), dropped.get()), (QUEUE + 1, 4), "one of the two had room");
    }
}
