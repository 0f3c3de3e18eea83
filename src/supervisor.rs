//! Starts every shard of every stream, waits, and drains them within a bounded time. Knows no payloads.
//!
//! What the end of each part does:
//! - a session's end closes its queue, and its shard commits what is left and stops;
//! - a fenced shard stops alone; when all are fenced the process ends with a code of its own;
//! - a shard that ends unasked fails the run: the process exits and whoever runs it starts it again.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::dedupe::{self, Window};
use crate::model::types::ShardId;
use crate::record::{self, Extractor};
use crate::route::{self, Router};
use crate::shard::pipeline::Pipeline;
use crate::shard::{self, Exit, Shard};
use crate::sink::kafka::{KafkaSink, Settings};
use crate::sink::placement::Placement;
use crate::sink::topics::Wanted;
use crate::sink::{self, TopicSpec};
use crate::source::queue::queue;
use crate::source::{Connections, Reader};
use crate::{batch, source, task};

/// How long to wait before looking again for the state topics of a cluster that cannot be used.
const PLACEMENT_PAUSE: Duration = Duration::from_secs(2);

/// One configured stream.
#[derive(Clone, Debug)]
pub struct Stream {
    /// Number of shards.
    pub shards: u32,
    /// Where its lines come from; its name is in there.
    pub source: source::Config,
    /// Which fields are taken.
    pub record: record::Config,
    /// Where its events go.
    pub route: route::Config,
    /// How missing event topics are created.
    pub topic_spec: TopicSpec,
    /// Whether events get headers; dead letters always do.
    pub headers: bool,
    /// Where its dead letters go.
    pub dead_letter_topic: String,
    /// How long the service keeps events.
    pub retention: Duration,
}

/// Everything that runs in this process.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The streams.
    pub streams: Vec<Stream>,
    /// The cluster.
    pub sink: sink::Config,
    /// When transactions close.
    pub batch: batch::Config,
    /// The id window of each shard.
    pub dedupe: dedupe::Config,
    /// Limit for committing what is queued when told to stop.
    pub shutdown_timeout: Duration,
}

/// The figures of one shard, for whoever shows them.
#[derive(Clone, Debug)]
pub struct ShardFigures {
    /// Which shard.
    pub id: ShardId,
    /// Of its session.
    pub source: source::metrics::Metrics,
    /// Of itself.
    pub shard: shard::metrics::Metrics,
}

/// How a run ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ended {
    /// Told to stop, and everything queued is committed.
    Stopped,
    /// Told to stop, and the time was not enough; what was left comes again after the next start.
    TimedOut,
    /// Every shard was fenced.
    AllFenced,
    /// A shard ended unasked.
    Failed,
}

impl Plan {
    /// Every shard, in the order of the configuration, with fresh figures.
    pub fn figures(&self) -> Vec<ShardFigures> {
        let shards = self.streams.iter().flat_map(|stream| {
            (0..stream.shards).map(|index| ShardId { stream: Arc::clone(&stream.source.stream), index })
        });
        shards.map(|id| ShardFigures { id, source: Default::default(), shard: Default::default() }).collect()
    }
}

/// Runs all shards until `stop` is cancelled and they have drained, or until none is left.
pub async fn run(plan: Arc<Plan>, figures: &[ShardFigures], stop: CancellationToken) -> Ended {
    let Some(placement) = place(&plan, figures, &stop).await else { return Ended::Stopped };
    let abandon = CancellationToken::new();
    let (exits, mut exited) = mpsc::unbounded_channel();
    let mut running = 0;
    for (stream, figures) in plan
        .streams
        .iter()
        .flat_map(|stream| std::iter::repeat_n(stream, stream.shards as usize))
        .zip(figures)
    {
        let starter = Starter {
            plan: Arc::clone(&plan),
            stream: stream.clone(),
            figures: figures.clone(),
            partition: placement.partition(&figures.id),
            runtime: Handle::current(),
            stop: stop.clone(),
            abandon: abandon.clone(),
        };
        let (exits, id) = (exits.clone(), figures.id.clone());
        let started = task::spawn_thread(format!("shard-{id}"), move || {
            let exit = starter.run();
            // Nobody listens any more only when the process is ending.
            drop(exits.send((id, exit)));
        });
        match started {
            Ok(()) => running += 1,
            Err(error) => error!(shard = %figures.id, %error, "cannot start a thread for the shard"),
        }
    }
    drop(exits);
    let mut tally = Tally::default();
    let mut deadline = None;
    while tally.ended < running {
        let timed_out = async {
            match deadline {
                Some(deadline) => tokio::time::sleep_until(deadline).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            exit = exited.recv() => match exit {
                Some((id, exit)) => {
                    tally.count(&id, exit, stop.is_cancelled());
                    if exit == Exit::Held {
                        // A start that was asked for by hand takes place as a whole or not at all.
                        stop.cancel();
                    }
                }
                // Every sender is gone: threads that panicked never said how they ended.
                None => { tally.failed += running - tally.ended; break }
            },
            () = stop.cancelled(), if deadline.is_none() => {
                info!(timeout_s = plan.shutdown_timeout.as_secs(), "stopping: committing what is queued");
                deadline = Some(tokio::time::Instant::now() + plan.shutdown_timeout);
            }
            () = timed_out => {
                warn!("shutdown.timeout is over; what is not committed comes again after the next start");
                abandon.cancel();
                return Ended::TimedOut;
            }
        }
    }
    tally.verdict(running)
}

/// Counts how shards ended.
#[derive(Debug, Default)]
struct Tally {
    ended: usize,
    fenced: usize,
    failed: usize,
    abandoned: usize,
}

impl Tally {
    fn count(&mut self, id: &ShardId, exit: Exit, asked: bool) {
        self.ended += 1;
        match exit {
            Exit::Fenced => self.fenced += 1,
            Exit::Abandoned => self.abandoned += 1,
            Exit::Held => self.failed += 1,
            Exit::Stopped if asked => {}
            Exit::Stopped => {
                error!(shard = %id, "the shard's session ended unasked");
                self.failed += 1;
            }
        }
    }

    fn verdict(&self, running: usize) -> Ended {
        if self.failed > 0 {
            Ended::Failed
        } else if running > 0 && self.fenced == running {
            Ended::AllFenced
        } else if self.abandoned > 0 {
            Ended::TimedOut
        } else {
            Ended::Stopped
        }
    }
}

/// Everything one shard's thread needs.
struct Starter {
    plan: Arc<Plan>,
    stream: Stream,
    figures: ShardFigures,
    partition: i32,
    runtime: Handle,
    stop: CancellationToken,
    abandon: CancellationToken,
}

impl Starter {
    fn run(self) -> Exit {
        let id = self.figures.id.clone();
        match self.start() {
            Ok(exit) => exit,
            Err(exit) => {
                if exit == Exit::Fenced {
                    error!(shard = %id, "fenced: another instance took this shard over while it was being opened");
                }
                exit
            }
        }
    }

    fn start(self) -> Result<Exit, Exit> {
        let id = self.figures.id.clone();
        // While Kafka is away nothing was received: a stop then has nothing to wait for.
        let opening = self.stop.clone();
        let config = shard::Config {
            id: id.clone(),
            batch: self.plan.batch,
            retention: self.stream.retention,
            on_unclean: self.stream.source.service.on_unclean(),
        };
        let router = Router::new(self.stream.route.clone());
        let sink = self.sink(&router);
        let pipeline = self.pipeline(router).map_err(|error| {
            error!(shard = %id, %error, "the configured fields cannot be used");
            Exit::Abandoned
        })?;
        let shard =
            Shard::open(config, sink, pipeline, self.figures.shard.clone(), self.abandon.clone(), &opening)?;
        let (input, output) = queue(self.stream.source.queue_bytes, self.figures.shard.queue_bytes.clone());
        let (metrics, stop) = (self.figures.source.clone(), self.stop.clone());
        let source = Arc::new(self.stream.source.clone());
        match Connections::new(source, id.index, shard.resume(), Reader { input, metrics, stop }) {
            Ok(connections) => drop(task::spawn(&self.runtime, "connections", connections.run())),
            Err(failure) => error!(shard = %id, reason = %failure, "cannot connect at all"),
        }
        Ok(shard.run(&output))
    }

    fn sink(&self, router: &Router) -> KafkaSink {
        let mut source = self.stream.source.url.clone();
        source.set_query(None);
        let settings = Settings {
            config: self.plan.sink.clone(),
            shard: self.figures.id.clone(),
            shards: self.stream.shards,
            partition: self.partition,
            source: source.to_string(),
            topics: router.known_topics().map(str::to_owned).collect(),
            topic_spec: self.stream.topic_spec,
            event_headers: self.stream.headers,
            dead_letter_topic: self.stream.dead_letter_topic.clone(),
            window: self.plan.dedupe.window,
            only_if_free: self.stream.source.service.resets(),
        };
        KafkaSink::new(settings, shard::new_owner().to_string(), self.runtime.clone())
    }

    fn pipeline(&self, router: Router) -> Result<Pipeline, record::ConfigError> {
        let extractor = Extractor::new(&self.stream.record)?;
        let window = Window::new(self.plan.dedupe, self.plan.batch.max_events);
        Ok(Pipeline::new(extractor, router, window, self.stream.dead_letter_topic.clone()))
    }
}

/// The topics of a stream that are known before any event.
fn known_topics(stream: &Stream) -> Vec<Wanted> {
    let router = Router::new(stream.route.clone());
    let events = router.known_topics().map(|name| Wanted::event(name, stream.topic_spec));
    events.chain([Wanted::event(&stream.dead_letter_topic, TopicSpec::default())]).collect()
}

/// Finds the partition of every shard, waiting for Kafka where it cannot be reached; `None` when told to stop.
async fn place(plan: &Arc<Plan>, figures: &[ShardFigures], stop: &CancellationToken) -> Option<Placement> {
    let shards: Arc<[ShardId]> = figures.iter().map(|figures| figures.id.clone()).collect();
    let topics: Arc<[Wanted]> = plan.streams.iter().flat_map(known_topics).collect();
    loop {
        let (plan, shards, topics) = (Arc::clone(plan), Arc::clone(&shards), Arc::clone(&topics));
        let runtime = Handle::current();
        let found =
            tokio::task::spawn_blocking(move || Placement::find(&plan.sink, &shards, &topics, runtime));
        let found = tokio::select! {
            () = stop.cancelled() => return None,
            found = found => found,
        };
        match found {
            Ok(Ok(placement)) => return Some(placement),
            Ok(Err(error)) => error!(reason = %error, "cannot prepare the topics; trying again"),
            Err(error) => error!(%error, "cannot prepare the topics; trying again"),
        }
        tokio::select! {
            () = stop.cancelled() => return None,
            () = tokio::time::sleep(PLACEMENT_PAUSE) => {}
        }
    }
}
