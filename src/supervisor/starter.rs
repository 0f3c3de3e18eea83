//! Everything one shard's thread needs, and the way from there to its end.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

use super::ShardFigures;
use super::announcing::wanted;
use super::{intake, secrets};
use crate::clock::now_ms;
use crate::event::dedupe::Window;
use crate::event::extract::{ConfigError, Extractor};
use crate::event::route::Router;
use crate::failpoint;
use crate::model::errors::chain;
use crate::model::types::ShardId;
use crate::plan::{self, Plan, Stream};
use crate::shard::pipeline::Pipeline;
use crate::shard::pipeline::redaction::Redaction;
use crate::shard::{self, Exit, Shard};
use crate::sink::kafka::placement::record::{Instance, Who};
use crate::sink::kafka::placement::{Latest, Place, Placement};
use crate::sink::kafka::{KafkaSink, Settings};
use crate::source::metrics::Metrics;
use crate::source::pace;
use crate::source::queue::{Due, Input, queue};
use crate::source::reader::{ReaderContext, Resume};
use crate::{source, task};

/// How long the end of a reader is waited for: it may take what is on its way from its connections first.
const READER_END: Duration = Duration::from_secs(10);

/// Starts one shard, as often as it takes.
#[derive(Clone)]
pub(super) struct Starter {
    pub(super) plan: Arc<Plan>,
    pub(super) stream: Stream,
    pub(super) figures: ShardFigures,
    /// Who runs its streams, as the placement record has it.
    pub(super) instance: Instance,
    /// Where the shard's state is; `None` where a later configuration has cut the stream into another number of shards.
    pub(super) place: Option<Place>,
    /// What is recorded of all streams.
    pub(super) placement: Latest,
    /// This process's own name.
    pub(super) process: Arc<str>,
    pub(super) runtime: Handle,
    pub(super) orders: Orders,
}

/// By what a shard is told to end. Each start has its own.
#[derive(Clone, Debug, Default)]
pub(super) struct Orders {
    /// In order: what is queued is committed.
    pub(super) stop: CancellationToken,
    /// At once.
    pub(super) abandon: CancellationToken,
}

impl Starter {
    /// The partition of the shard, which is its number in the consumer group.
    pub(super) fn partition(&self) -> Option<i32> {
        self.place.as_ref().map(|place| place.partition)
    }

    /// Whether its configuration is a later one than that of the record, and has another number of shards.
    pub(super) fn is_ahead_of(&self, placement: &Placement) -> bool {
        placement.is_shared(&self.stream.name()[..])
            && placement.is_behind(&wanted(&self.stream, self.plan.generation))
    }

    /// Why the shard is left to others, if it is.
    pub(super) fn why_superseded(&self) -> Option<String> {
        if self.place.is_some() {
            return None;
        }
        let why = self.placement.get().why_superseded(&wanted(&self.stream, self.plan.generation));
        Some(why.unwrap_or_else(|| "the placement record has another number of shards of this stream".into()))
    }

    /// Opens the shard, connects, and takes lines until the end.
    pub(super) fn run(&self) -> Exit {
        self.start().unwrap_or_else(|exit| exit)
    }

    fn start(&self) -> Result<Exit, Exit> {
        let id = self.figures.id.clone();
        // While Kafka is away nothing was received: a stop then has nothing to wait for.
        let opening = self.orders.stop.clone();
        let config = shard::Config {
            id: id.clone(),
            batch: self.plan.batch,
            retention: self.stream.retention(),
            on_unclean: self.stream.on_unclean(),
        };
        let router = Router::new(self.stream.route.clone());
        let Some(place) = self.place.clone() else {
            error!(shard = %id, "a later configuration has cut the stream into another number of shards");
            return Err(Exit::Abandoned);
        };
        let sink = self.sink(&router, place);
        let redaction = self.redaction(&opening)?;
        let looker = redaction.as_ref().and_then(Redaction::looker);
        let pipeline = self.pipeline(router, redaction).map_err(|error| {
            error!(shard = %id, %error, "the configured fields cannot be used");
            Exit::Misconfigured
        })?;
        let shard = Shard::open(
            config,
            sink,
            pipeline,
            self.figures.shard.clone(),
            self.orders.abandon.clone(),
            &opening,
        )?;
        let (waiting, connections) =
            (self.figures.shard.queue_bytes.clone(), self.figures.source.connections.clone());
        // Lives longer than the queue, so that a reader which waits to hand something over sees that nobody takes it.
        let mut reader = ReaderGuard::new(&self.orders.stop, &self.runtime);
        let (input, output) = queue(self.stream.queue_bytes(), waiting, connections);
        let (metrics, stop) = (self.figures.source.clone(), reader.stop.clone());
        let connections = self.reader(&id, shard.resume(), input, metrics, stop);
        reader.start(&self.stream.input, &id, output.due(), async move {
            if failpoint::pass("reader").is_none() {
                connections.await;
            }
        })?;
        if let Some(looker) = looker {
            drop(task::spawn(&self.runtime, "secrets", secrets::look_again(looker, reader.stop.clone())));
        }
        Ok(shard.run(&output))
    }

    /// What reads the shard.
    fn reader(
        &self,
        id: &ShardId,
        resume: Resume,
        input: Input,
        metrics: Metrics,
        stop: CancellationToken,
    ) -> BoxFuture<'static, ()> {
        match self.stream.input.clone() {
            plan::Input::Service(source) => {
                let context = ReaderContext { input, metrics, max_line: source.max_line, stop };
                source::reader(source, id.index, resume, context)
            }
            plan::Input::Intake { intake, max_line, .. } => {
                let context = ReaderContext { input, metrics, max_line, stop };
                intake::reader(&self.plan.kafka, &intake, id.clone(), &resume, context, &self.runtime)
            }
        }
    }

    fn sink(&self, router: &Router, place: Place) -> KafkaSink {
        let who = Who { instance: &self.instance, process: &self.process, now_ms: now_ms() };
        let settings = Settings {
            config: self.plan.kafka.clone(),
            shard: self.figures.id.clone(),
            place,
            placement: self.placement.clone(),
            source: self.stream.origin(),
            topics: router.known_topics().map(str::to_owned).collect(),
            topic_spec: self.stream.topic_spec,
            event_headers: self.stream.headers.clone(),
            dead_letter_topic: self.stream.dead_letter_topic.clone(),
            window: self.plan.dedupe.window,
            max_ids: self.plan.dedupe.max_ids,
            instance: self.instance.clone(),
            holder: self.plan.group.as_ref().map_or(&*self.process, |group| &group.instance_id).to_owned(),
            begins_at_oldest: self.stream.begins_at_oldest(),
            abandon: self.orders.abandon.clone(),
            was_known: self.placement.get().was_known(&self.figures.id, who),
            figures: self.figures.kafka.clone(),
        };
        KafkaSink::new(settings, shard::new_name().to_string(), self.runtime.clone())
    }

    /// The redaction of the stream, if it has any. A secret that can be read no more is waited for until `stop`: without it nothing
    /// may be shown.
    fn redaction(&self, stop: &CancellationToken) -> Result<Option<Redaction>, Exit> {
        let Some(config) = &self.stream.redact else { return Ok(None) };
        let health = &self.figures.shard.health;
        health.opening(self.plan.batch.interval);
        loop {
            let error = match Redaction::open(config) {
                Ok(redaction) => return Ok(Some(redaction)),
                Err(error) => error,
            };
            let (shard, reason) = (&self.figures.id, chain(&error));
            if !error.may_pass() {
                error!(%shard, reason, "the shard was not opened, and waiting would not mend it: mend the configuration or its environment, and start it again");
                return Err(Exit::Misconfigured);
            }
            error!(%shard, reason, "cannot open the shard without the secret of its redaction; trying again");
            self.figures.shard.cannot(secrets::SECRET, reason);
            let waited = async { tokio::time::timeout(secrets::PAUSE, stop.cancelled()).await };
            if self.runtime.block_on(waited).is_ok() {
                return Err(Exit::Stopped);
            }
        }
    }

    fn pipeline(&self, router: Router, redaction: Option<Redaction>) -> Result<Pipeline, ConfigError> {
        let extractor = Extractor::new(&self.stream.extract)?;
        let window = Window::new(self.plan.dedupe, self.plan.batch.max_events);
        Ok(Pipeline::new(extractor, router, window, redaction, self.stream.dead_letter_topic.clone()))
    }
}

/// The reader of a shard, which ends with the shard, also when that one panics: its connections would go on taking events
/// that nobody writes.
struct ReaderGuard {
    stop: CancellationToken,
    /// Whose other end goes with the reader.
    ended: Option<oneshot::Receiver<()>>,
    runtime: Handle,
}

impl ReaderGuard {
    fn new(stop: &CancellationToken, runtime: &Handle) -> Self {
        Self { stop: stop.child_token(), ended: None, runtime: runtime.clone() }
    }

    /// Runs what reads `input` until it ends.
    fn start(
        &mut self,
        input: &plan::Input,
        id: &ShardId,
        due: Due,
        connections: impl Future<Output = ()> + Send + 'static,
    ) -> Result<(), Exit> {
        let (alive, ended) = oneshot::channel();
        self.ended = Some(ended);
        let connections = async move {
            let _alive = alive;
            connections.await;
        };
        match input {
            plan::Input::Service(_) => pace::spawn(format!("read-{id}"), due, connections).map_err(|error| {
                error!(shard = %id, %error, "cannot start a thread for the shard's connections");
                Exit::Abandoned
            }),
            // It has a thread of its own, and this only waits for it.
            plan::Input::Intake { .. } => {
                drop(task::spawn(&self.runtime, "connections", connections));
                Ok(())
            }
        }
    }
}

impl Drop for ReaderGuard {
    fn drop(&mut self) {
        self.stop.cancel();
        let Some(ended) = self.ended.take() else { return };
        // Nothing is ever sent. A panic of its own was logged; here it only counts that it has ended.
        if self.runtime.block_on(async { tokio::time::timeout(READER_END, ended).await }).is_err() {
            warn!(
                "a reader has not ended in time; its connections may be counted by the service for a while"
            );
        }
    }
}
