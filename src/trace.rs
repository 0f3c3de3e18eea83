//! Spans: what they say, their ids, which are kept, and the bounded queue to whatever sends them. Knows neither the stages that make
//! them nor how they are sent.
//!
//! Invariants:
//! - handing a span over never waits: where the queue is full, the span is dropped and counted;
//! - a span holds names, numbers and codes of ours alone: nothing of an event, no text of a service, no secret.

use std::fmt;
use std::sync::Arc;

use prometheus_client::metrics::counter::Counter;
use tokio::sync::mpsc;
use url::Url;

use crate::model::secret::SecretSource;

mod context;
mod figures;

pub use context::{Context, Traceparent};
pub use figures::Figures;

/// Spans that may wait to be sent.
pub(crate) const QUEUE: usize = 2048;

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

/// A part of the work that took time.
#[derive(Clone, PartialEq, Debug)]
pub struct Span {
    /// What kind of work.
    pub name: &'static str,
    /// How it stands to what is outside.
    pub kind: Kind,
    /// Its trace and its own id.
    pub context: Context,
    /// The span of the same trace that it is a part of.
    pub parent: Option<Context>,
    /// Nanoseconds since the Unix epoch.
    pub start_ns: u64,
    /// Nanoseconds since the Unix epoch.
    pub end_ns: u64,
    /// What is to be said of it.
    pub attributes: Vec<(&'static str, Value)>,
    /// Spans of other traces that led to it.
    pub links: Vec<Context>,
    /// The code of its error, if it failed.
    pub error: Option<String>,
}

/// How a span stands to what is outside.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// It does not leave the process.
    Internal,
    /// It asks a service.
    Client,
    /// It writes records.
    Producer,
}

/// What an attribute says.
#[derive(Clone, PartialEq, Debug)]
pub enum Value {
    /// Text.
    Text(String),
    /// A whole number.
    Number(i64),
}

impl From<u64> for Value {
    fn from(number: u64) -> Self {
        Self::Number(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

/// Makes contexts and takes spans. Clones share the queue.
#[derive(Clone)]
pub struct Tracer {
    spans: mpsc::Sender<Span>,
    /// A trace is kept whose number is below; [`u64::MAX`] keeps all.
    threshold: u64,
    dropped: Counter,
}

impl Tracer {
    /// A tracer that keeps this share of traces, and the other end of its queue. `dropped` counts what the queue had no room for.
    pub fn new(ratio: f64, dropped: Counter) -> (Self, mpsc::Receiver<Span>) {
        let (spans, receiver) = mpsc::channel(QUEUE);
        let threshold = if ratio >= 1.0 { u64::MAX } else { (ratio.max(0.0) * u64::MAX as f64) as u64 };
        (Self { spans, threshold, dropped }, receiver)
    }

    /// The context of a new trace, which tells whether it is kept.
    pub fn root(&self) -> Context {
        let trace_id: u128 = rand::random();
        // The lower half decides, as with others' samplers.
        let number = trace_id as u64;
        Context::new(trace_id, rand::random(), self.threshold == u64::MAX || number < self.threshold)
    }

    /// Whether any trace is kept.
    pub fn is_on(&self) -> bool {
        self.threshold > 0
    }

    /// Hands a span over.
    pub fn send(&self, span: Span) {
        if self.spans.try_send(span).is_err() {
            self.dropped.inc();
        }
    }
}

impl fmt::Debug for Tracer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tracer").field("threshold", &self.threshold).finish_non_exhaustive()
    }
}

/// The tracer of a process that may have none.
pub type MaybeTracer = Option<Arc<Tracer>>;

#[cfg(test)]
mod tests {
    use super::*;

    fn span(tracer: &Tracer) -> Span {
        Span {
            name: "batch",
            kind: Kind::Internal,
            context: tracer.root(),
            parent: None,
            start_ns: 1,
            end_ns: 2,
            attributes: Vec::new(),
            links: Vec::new(),
            error: None,
        }
    }

    #[test]
    fn a_full_queue_drops_and_counts() {
        let dropped = Counter::default();
        let (tracer, mut receiver) = Tracer::new(1.0, dropped.clone());
        for _ in 0..QUEUE + 3 {
            tracer.send(span(&tracer));
        }
        assert_eq!(dropped.get(), 3);
        receiver.try_recv().unwrap();
        tracer.send(span(&tracer));
        assert_eq!(dropped.get(), 3);
        drop(receiver);
        tracer.send(span(&tracer));
        assert_eq!(dropped.get(), 4, "nobody sends any more");
    }

    #[test]
    fn the_share_is_kept() {
        let kept = |ratio| {
            let (tracer, _receiver) = Tracer::new(ratio, Counter::default());
            (0..10_000).filter(|_| tracer.root().is_sampled()).count()
        };
        assert_eq!((kept(0.0), kept(-1.0), kept(1.0), kept(7.0)), (0, 0, 10_000, 10_000));
        // Twenty times the standard deviation.
        assert!((1_500..=3_500).contains(&kept(0.25)), "{}", kept(0.25));
        assert!(!Tracer::new(0.0, Counter::default()).0.is_on());
    }
}
