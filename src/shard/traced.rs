//! The trace of a batch: from its first line to its commit, with what it took to gather and to write it. Where nothing is traced, this
//! looks at one pointer for each block.
//!
//! A batch that failed or took long is sent although the sampler would leave it out: that is the one somebody looks for.

use std::time::Duration;

use tokio::time::Instant;

use super::progress::Added;
use crate::clock::ns_at;
use crate::model::types::ShardId;
use crate::trace::{Context, Kind, MaybeTracer, Span, Traceparent, Tracer, Value};

/// A commit that takes so long is slow, whatever the sampler says.
const SLOW: Duration = Duration::from_secs(1);

/// Connections that a batch is linked to. A shard has no more at once.
const MAX_LINKS: usize = 8;

/// What is known of the trace so far.
#[derive(Debug, Default)]
pub(super) struct Traced {
    batch: Option<Begun>,
    /// The connection that the latest block came by.
    latest: Option<Context>,
    links: Vec<Context>,
    failures: u64,
    /// The code of the last of them.
    code: Option<String>,
}

/// A batch that has a line.
#[derive(Clone, Copy, Debug)]
struct Begun {
    context: Context,
    at: Instant,
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
    pub(super) fn came_by(&mut self, connection: Option<Context>) {
        let Some(connection) = connection else { return };
        self.latest = Some(connection);
        if self.batch.is_some() {
            self.link(connection);
        }
    }

    /// A line is about to be taken. Gives what the records of the batch say of it, if they say anything.
    pub(super) fn begin(&mut self, tracer: &MaybeTracer) -> Option<Traceparent> {
        let tracer = tracer.as_ref().filter(|tracer| tracer.is_on())?;
        let begun = *self.batch.get_or_insert_with(|| Begun { context: tracer.root(), at: Instant::now() });
        if let Some(latest) = self.latest {
            self.link(latest);
        }
        Some(begun.context.traceparent())
    }

    fn link(&mut self, connection: Context) {
        if self.links.len() < MAX_LINKS && !self.links.contains(&connection) {
            self.links.push(connection);
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

    /// It is committed: its spans are handed over, if they are kept.
    pub(super) fn committed(&mut self, tracer: &MaybeTracer, batch: &Committed<'_>) {
        if let (Some(tracer), Some(begun)) = (tracer, self.batch) {
            let is_kept = begun.context.is_sampled() || self.failures > 0 || batch.started.elapsed() >= SLOW;
            if is_kept {
                self.send(tracer, begun, batch);
            }
        }
        self.clear();
    }

    fn send(&mut self, tracer: &Tracer, begun: Begun, batch: &Committed<'_>) {
        let Committed { shard, added, bytes, sequence, started } = *batch;
        let context = begun.context.kept();
        // By one look at the clock, so that the parts fit together.
        let now = Instant::now();
        let end_ns = ns_at(now);
        let before = |at: Instant| end_ns.saturating_sub((now - at).as_nanos() as u64);
        let (start_ns, commit_ns) = (before(begun.at), before(started));
        let part = |name, kind, from, to| Span {
            name,
            kind,
            context: context.child(),
            parent: Some(context),
            start_ns: from,
            end_ns: to,
            attributes: Vec::new(),
            links: Vec::new(),
            error: None,
        };
        tracer.send(part("read", Kind::Internal, start_ns, commit_ns));
        tracer.send(Span {
            attributes: vec![
                ("messaging.system", Value::from("kafka")),
                ("tributary.failures", Value::from(self.failures)),
            ],
            error: self.code.take(),
            ..part("commit", Kind::Producer, commit_ns, end_ns)
        });
        let totals = &added.totals;
        tracer.send(Span {
            name: "batch",
            kind: Kind::Internal,
            context,
            parent: None,
            start_ns,
            end_ns,
            attributes: vec![
                ("tributary.stream", Value::from(&*shard.stream)),
                ("tributary.shard", Value::from(u64::from(shard.index))),
                ("tributary.sequence", Value::from(sequence)),
                ("tributary.lines", Value::from(totals.received)),
                ("tributary.bytes", Value::from(bytes as u64)),
                ("tributary.delivered", Value::from(totals.delivered)),
                ("tributary.duplicates", Value::from(totals.duplicates)),
                ("tributary.dead_letters", Value::from(totals.dead_letters)),
                ("tributary.filtered", Value::from(totals.filtered)),
            ],
            links: std::mem::take(&mut self.links),
            error: None,
        });
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use prometheus_client::metrics::counter::Counter;
    use tokio::sync::mpsc::Receiver;

    use super::*;

    fn tracer(ratio: f64) -> (MaybeTracer, Receiver<Span>) {
        let (tracer, spans) = Tracer::new(ratio, Counter::default());
        (Some(Arc::new(tracer)), spans)
    }

    fn commit(traced: &mut Traced, tracer: &MaybeTracer) {
        let shard = ShardId { stream: "s".into(), index: 1 };
        let added = Added::default();
        let started = Instant::now();
        traced.committed(tracer, &Committed { shard: &shard, added: &added, bytes: 7, sequence: 3, started });
    }

    #[test]
    fn a_batch_has_its_parts_and_is_linked_to_the_connections_of_its_lines() {
        let (tracer, mut spans) = tracer(1.0);
        let [one, two] = [1, 2].map(|id| Context::new(id, 9, true));
        let mut traced = Traced::default();
        traced.came_by(Some(one));
        let parent = traced.begin(&tracer).unwrap();
        traced.came_by(Some(two));
        traced.came_by(None);
        assert_eq!(traced.begin(&tracer), Some(parent), "it is the same batch");
        commit(&mut traced, &tracer);
        let [read, commit, batch] = [(); 3].map(|()| spans.try_recv().unwrap());
        assert_eq!([read.name, commit.name, batch.name], ["read", "commit", "batch"]);
        assert_eq!(
            (read.parent, commit.parent, batch.parent),
            (Some(batch.context), Some(batch.context), None)
        );
        assert_eq!(batch.links, [one, two]);
        assert_eq!(batch.context.traceparent(), parent);
        assert!(batch.start_ns <= read.end_ns && read.end_ns <= commit.end_ns, "{batch:?}");
        // What follows came by the latest connection.
        traced.begin(&tracer);
        self::commit(&mut traced, &tracer);
        assert_eq!([(); 3].map(|()| spans.try_recv().unwrap())[2].links, [two]);
    }

    #[test]
    fn what_the_sampler_leaves_out_is_sent_where_it_failed() {
        let (tracer, mut spans) = tracer(f64::MIN_POSITIVE);
        // One number of 2^64 would be kept.
        let (tracer, mut traced) = (tracer, Traced::default());
        assert!(tracer.as_ref().unwrap().is_on() || traced.begin(&tracer).is_none());
        traced.batch = Some(Begun { context: Context::new(1, 1, false), at: Instant::now() });
        commit(&mut traced, &tracer);
        assert!(spans.try_recv().is_err(), "it was quick, and nothing failed");
        traced.batch = Some(Begun { context: Context::new(1, 1, false), at: Instant::now() });
        traced.failed("aborted");
        commit(&mut traced, &tracer);
        let [_, commit, batch] = [(); 3].map(|()| spans.try_recv().unwrap());
        assert_eq!(commit.error.as_deref(), Some("aborted"));
        assert!(batch.context.is_sampled() && traced.code.is_none());
    }

    #[test]
    fn without_a_tracer_there_is_nothing() {
        let mut traced = Traced::default();
        traced.came_by(None);
        assert_eq!(traced.begin(&None), None);
        traced.failed("aborted");
        commit(&mut traced, &None);
        assert!(traced.code.is_none() && traced.links.is_empty());
        let (off, _spans) = tracer(0.0);
        assert_eq!(traced.begin(&off), None);
    }
}
