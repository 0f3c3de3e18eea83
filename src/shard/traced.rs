//! The trace of a batch: from its first line to its commit, with what it took to gather and to write it. Where nothing is traced, this
//! asks for each block whether anybody wants spans, and nothing else.
//!
//! A batch that failed or took long is told of although it was not chosen: that is the one somebody looks for. One that came to nothing
//! tells nothing, and so is not sent (`trace/keeping`).

use std::sync::Arc;
use std::time::Duration;

use opentelemetry::trace::{SpanContext, Status};
use tokio::time::Instant;
use tracing::{Span, info_span};
use tracing_opentelemetry::OpenTelemetrySpanExt;

use super::progress::Added;
use crate::model::types::ShardId;
use crate::trace::{TARGET, context, number, traceparent};

/// A commit that takes so long is slow, whatever the sampler says.
const SLOW: Duration = Duration::from_secs(1);

/// Connections that a batch is linked to. A shard has no more at once.
const MAX_LINKS: usize = 8;

/// What is known of the trace so far.
#[derive(Debug, Default)]
pub(super) struct Traced {
    batch: Option<Begun>,
    /// The connection that the latest block came by.
    latest: Option<SpanContext>,
    links: Vec<SpanContext>,
    failures: u64,
    /// The code of the last of them.
    code: Option<String>,
}

/// A batch that has a line.
#[derive(Debug)]
struct Begun {
    span: Span,
    /// The part of it that is under way: `read`, then `commit`.
    part: Span,
    is_chosen: bool,
    /// What its records say of it.
    traceparent: Arc<str>,
}

/// A batch that is committed.
pub(super) struct Committed<'a> {
    pub(super) shard: &'a ShardId,
    pub(super) added: &'a Added,
    /// Bytes of its lines.
    pub(super) bytes: usize,
    pub(super) sequence: u64,
    /// When its commit began.
    pub(super) started: Instant,
}

impl Traced {
    /// A block follows that came by this connection.
    pub(super) fn came_by(&mut self, connection: Option<SpanContext>) {
        let Some(connection) = connection else { return };
        if self.batch.is_some() {
            self.link(&connection);
        }
        self.latest = Some(connection);
    }

    /// A line is about to be taken. Gives what the records of the batch say of it, if they say anything.
    pub(super) fn begin(&mut self) -> Option<Arc<str>> {
        if self.batch.is_none() {
            self.batch = Some(Begun::now()?);
        }
        if let Some(latest) = self.latest.clone() {
            self.link(&latest);
        }
        self.batch.as_ref().map(|batch| Arc::clone(&batch.traceparent))
    }

    fn link(&mut self, connection: &SpanContext) {
        if self.links.len() < MAX_LINKS && !self.links.contains(connection) {
            self.links.push(connection.clone());
        }
    }

    /// Nothing more is taken: what is there is about to be committed.
    pub(super) fn committing(&mut self) {
        if let Some(batch) = &mut self.batch {
            // The part before ends first.
            batch.part = Span::none();
            batch.part = info_span!(target: TARGET, parent: &batch.span, "commit", otel.kind = "producer");
        }
    }

    /// Writing it failed; it is tried again.
    pub(super) fn failed(&mut self, code: &str) {
        if self.batch.is_some() {
            self.failures += 1;
            self.code = Some(code.to_owned());
        }
    }

    /// It came to nothing that has to be written.
    pub(super) fn clear(&mut self) {
        self.batch = None;
        self.links.clear();
        (self.failures, self.code) = (0, None);
    }

    /// It is committed: its spans say so, if they are to be kept.
    pub(super) fn committed(&mut self, batch: &Committed<'_>) {
        if let Some(begun) = self.batch.take()
            && (begun.is_chosen || self.failures > 0 || batch.started.elapsed() >= SLOW)
        {
            self.tell(begun, batch);
        }
        self.clear();
    }

    fn tell(&mut self, Begun { span, part, .. }: Begun, batch: &Committed<'_>) {
        part.set_attribute("messaging.system", "kafka");
        part.set_attribute("tributary.failures", number(self.failures));
        if let Some(code) = self.code.take() {
            part.set_status(Status::error(code));
        }
        drop(part);
        let totals = &batch.added.totals;
        span.set_attribute("tributary.stream", batch.shard.stream.to_string());
        for (key, value) in [
            ("tributary.shard", batch.shard.index.into()),
            ("tributary.sequence", batch.sequence),
            ("tributary.lines", totals.received),
            ("tributary.bytes", batch.bytes as u64),
            ("tributary.delivered", totals.delivered),
            ("tributary.duplicates", totals.duplicates),
            ("tributary.dead_letters", totals.dead_letters),
            ("tributary.filtered", totals.filtered),
        ] {
            span.set_attribute(key, number(value));
        }
        self.links.drain(..).for_each(|connection| span.add_link(connection));
    }
}

impl Begun {
    /// Begins now; `None` where nobody wants spans.
    fn now() -> Option<Self> {
        let span = info_span!(target: TARGET, parent: None, "batch");
        let context = context(&span)?;
        let part = info_span!(target: TARGET, parent: &span, "read");
        Some(Self { span, part, is_chosen: context.is_sampled(), traceparent: traceparent(&context) })
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry::trace::{SpanId, TraceFlags, TraceId, TraceState};
    use opentelemetry_sdk::trace::SpanData;

    use super::*;
    use crate::trace::testing;

    fn commit(traced: &mut Traced) {
        let shard = ShardId { stream: "s".into(), index: 1 };
        let added = Added::default();
        traced.committing();
        let started = Instant::now();
        traced.committed(&Committed { shard: &shard, added: &added, bytes: 7, sequence: 3, started });
    }

    fn connection(id: u128) -> SpanContext {
        let ids = (TraceId::from(id), SpanId::from(9));
        SpanContext::new(ids.0, ids.1, TraceFlags::SAMPLED, false, TraceState::NONE)
    }

    /// The spans of so many batches, in threes.
    #[track_caller]
    fn batches<const N: usize>(ratio: f64, run: impl FnOnce()) -> [[SpanData; 3]; N] {
        let spans = testing::traced(ratio, run).spans();
        let batches: Vec<_> = spans.chunks(3).map(|batch| batch.to_vec().try_into().unwrap()).collect();
        batches.try_into().unwrap()
    }

    #[test]
    fn a_batch_has_its_parts_and_is_linked_to_the_connections_of_its_lines() {
        let [one, two] = [1, 2].map(connection);
        let mut parents = Vec::new();
        let [first, second] = batches(1.0, || {
            let mut traced = Traced::default();
            traced.came_by(Some(one.clone()));
            parents.push(traced.begin().unwrap());
            traced.came_by(Some(two.clone()));
            traced.came_by(None);
            assert_eq!(traced.begin().as_ref(), parents.last(), "it is the same batch");
            commit(&mut traced);
            // What follows came by the latest connection.
            parents.push(traced.begin().unwrap());
            commit(&mut traced);
        });
        let linked = |batch: &SpanData| -> Vec<_> {
            batch.links.iter().map(|link| link.span_context.clone()).collect()
        };
        for ([read, commit, batch], parent) in [&first, &second].into_iter().zip(&parents) {
            assert_eq!([&read.name, &commit.name, &batch.name], ["read", "commit", "batch"]);
            let id = batch.span_context.span_id();
            assert_eq!(
                [read.parent_span_id, commit.parent_span_id, batch.parent_span_id],
                [id, id, SpanId::INVALID]
            );
            assert_eq!(traceparent(&batch.span_context), *parent);
            assert!(batch.start_time <= read.start_time && read.end_time <= commit.start_time, "{batch:?}");
            assert!(commit.end_time <= batch.end_time, "{batch:?}");
        }
        assert_eq!((linked(&first[2]), linked(&second[2])), (vec![one, two.clone()], vec![two]));
    }

    #[test]
    fn what_was_not_chosen_is_told_of_where_it_failed() {
        let [[read, commit, batch]] = batches(0.0, || {
            let mut traced = Traced::default();
            assert!(traced.begin().unwrap().ends_with("-00"));
            // It is quick, and nothing fails.
            commit(&mut traced);
            traced.begin();
            traced.failed("aborted");
            commit(&mut traced);
            assert!(traced.code.is_none() && traced.failures == 0);
        });
        assert_eq!(commit.status, Status::error("aborted"));
        assert!([read, commit, batch].iter().all(|span| span.span_context.is_sampled()));
    }

    #[test]
    fn a_batch_that_came_to_nothing_or_has_no_end_is_not_sent() {
        let [] = batches(1.0, || {
            let mut traced = Traced::default();
            traced.begin();
            traced.clear();
            traced.begin();
            traced.committing();
        });
    }

    #[test]
    fn where_nobody_wants_spans_there_is_nothing() {
        let mut traced = Traced::default();
        traced.came_by(None);
        assert_eq!(traced.begin(), None);
        traced.failed("aborted");
        commit(&mut traced);
        assert!(traced.code.is_none() && traced.links.is_empty());
    }
}
