//! What is counted of spans.

use prometheus_client::metrics::counter::Counter;

use crate::model::figure::Figure;

/// Counters of one process. Clones count together.
#[derive(Clone, Debug, Default)]
pub struct Figures {
    /// Spans that a collector took.
    pub(crate) sent: Counter,
    /// Spans that were lost: no room in the queue, or the collector did not take them.
    pub(crate) dropped: Counter,
    /// Requests that failed, with their repeats.
    pub(crate) failures: Counter,
}

impl Figures {
    /// All of them, in an order of their own.
    pub(crate) fn figures(&self) -> Vec<Figure> {
        vec![
            Figure::counter("tributary_trace_spans_sent", "Spans that the collector took", &self.sent),
            Figure::counter(
                "tributary_trace_spans_dropped",
                "Spans that were lost, since the queue was full or the collector did not take them",
                &self.dropped,
            ),
            Figure::counter(
                "tributary_trace_export_failures",
                "Requests to the collector that failed, each with its repeats",
                &self.failures,
            ),
        ]
    }
}
