//! The dead letters of one stream, once more through its event path: from those that were not replayed yet to the end as it is when
//! the replay begins. It runs beside the stream's shards and touches nothing of theirs.
//!
//! Invariants:
//! - What became of a letter and that it was replayed are one transaction. So after a crash it counts with both or with neither.
//! - A replay fences the one before it, and only then reads what was replayed.

use std::ops::ControlFlow;
use std::sync::mpsc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use super::Ended;
use crate::event::dedupe::{self, Window};
use crate::event::extract::{self, Extractor};
use crate::event::redact;
use crate::event::route::Router;
use crate::failpoint;
use crate::model::letters::Replayed;
use crate::model::types::{EventId, Position, ShardId};
use crate::plan::{Plan, Stream};
use crate::shard::metrics::Metrics;
use crate::shard::pipeline::Pipeline;
use crate::shard::pipeline::redaction::{Redaction, RedactionError};
use crate::shard::{self, Exit, Shard};
use crate::sink::kafka::config::{Config, Delivery};
use crate::sink::kafka::placement::record::Instance;
use crate::sink::kafka::placement::{Latest, Place};
use crate::sink::kafka::readback::{Letters, Span};
use crate::sink::kafka::replaying::{replayed, uphold};
use crate::sink::kafka::{KafkaSink, Settings};
use crate::sink::{Sink, SinkError};
use crate::source::queue::queue;
use crate::task;

mod feeding;
mod judging;

pub use feeding::Tally;
use feeding::{FeedError, Feeder};
use judging::Judge;
pub(crate) use judging::was_replayed;
pub use judging::{Choice, Obstacle};

/// How long Kafka may be out of use before a replay that has not begun gives up.
const OPENING_LIMIT: Duration = Duration::from_secs(60);

/// Ids of events that were delivered are made known so many at a time.
const IDS: usize = 4_096;

/// Why there was no replay, or not all of it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReplayError {
    /// Kafka refuses or lacks something.
    #[error(transparent)]
    Kafka(#[from] SinkError),
    /// There is no topic of dead letters.
    #[error("there is no topic {0}, and so no dead letter")]
    NoTopic(String),
    /// The stream's redaction cannot be made.
    #[error(transparent)]
    Redaction(#[from] RedactionError),
    /// The configured fields cannot be used.
    #[error("the configured fields cannot be used")]
    Fields(#[from] extract::ConfigError),
    /// The topic is not the one that it was.
    #[error(
        "{topic} partition {partition} is not the one that was replayed before: the letter at offset {offset} is not the one that \
         was there. If the topic was deleted and made again, or its end was lost, --forget-replayed takes all that is in it now as \
         not replayed"
    )]
    Recreated {
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
        /// Where the latest letter stood that was replayed.
        offset: i64,
    },
    /// Kafka could not be used for the replay to begin.
    #[error("the replay could not begin within {} s; the log says why", OPENING_LIMIT.as_secs())]
    NotOpened,
    /// The reading ended early.
    #[error("not all dead letters were replayed, and what was replayed stays so")]
    Incomplete(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// What a replay came to.
#[derive(Debug)]
pub struct Replay {
    /// What was found in the topic.
    pub tally: Tally,
    /// What became of what was taken up, as far as it is committed.
    pub figures: Metrics,
    /// How it ended.
    pub ended: Ended,
    /// Why it did not come to its end, if it did not.
    pub error: Option<ReplayError>,
}

/// One replay.
pub struct Replaying<'a> {
    /// The configuration.
    pub plan: &'a Plan,
    /// The stream.
    pub stream: &'a Stream,
    /// Which letters.
    pub choice: Choice,
    /// Whether it is forgotten what was replayed of the topic before.
    pub forget: bool,
    /// Where the clients' tasks run.
    pub runtime: Handle,
    /// Ends it in order.
    pub stop: CancellationToken,
}

impl Replaying<'_> {
    /// Counts what would be replayed. Nothing is written and nobody is disturbed. Blocks.
    pub fn foresee(&self, tell: impl Fn(&Tally)) -> Result<Tally, ReplayError> {
        let topic = &self.stream.dead_letter_topic;
        let letters = self.letters()?;
        let found = replayed(&self.plan.kafka, &self.id(), self.runtime.clone())?;
        let (known, spans) = self.stand(&letters, found.unwrap_or_default())?;
        let judge = self.judge();
        let (stop, tell): (_, &dyn Fn(&Tally)) = (&self.stop, &tell);
        let feeder =
            Feeder { letters: &letters, topic, judge: &judge, replayed: known, input: None, stop, tell };
        let (tally, fed) = feeder.feed(&spans);
        fed.map_err(|error| ReplayError::Incomplete(error.into()))?;
        Ok(tally)
    }

    /// Replays. Blocks until all is committed.
    pub fn run(&self, tell: impl Fn(&Tally) + Send + 'static) -> Result<Replay, ReplayError> {
        let letters = self.letters()?;
        let figures = Metrics::new(&self.stream.extract.filters.reasons());
        let abandon = CancellationToken::new();
        let mut shard = match self.open(&figures, &abandon)? {
            Ok(shard) => shard,
            Err(exit) => {
                let is_late = exit == Exit::Stopped && !self.stop.is_cancelled();
                let ended = ended(exit);
                let error = is_late.then_some(ReplayError::NotOpened);
                return Ok(Replay { tally: Tally::default(), figures, ended, error });
            }
        };
        // The topic is there by now, whoever made it.
        uphold(&self.plan.kafka, &self.runtime)?;
        failpoint::pass("replay_opened");
        let found = match shard.resume().position {
            Some(Position::Letters(replayed)) => replayed,
            _ => Replayed::default(),
        };
        let (known, spans) = self.stand(&letters, found)?;
        self.know_delivered(&letters, &known, &spans, &mut shard)?;
        let topic = self.stream.dead_letter_topic.clone();
        shard.keep_letters(&topic, known.clone());
        let (input, output) = queue(self.stream.queue_bytes(), Default::default(), Default::default());
        let (done, fed) = mpsc::channel();
        let (judge, stop, runtime) = (self.judge(), self.stop.child_token(), self.runtime.clone());
        let feeding = stop.clone();
        task::spawn_thread("dead-letters".into(), move || {
            let feeder = Feeder {
                letters: &letters,
                topic: &topic,
                judge: &judge,
                replayed: known,
                input: Some((input, runtime)),
                stop: &stop,
                tell: &tell,
            };
            drop(done.send(feeder.feed(&spans)));
        })
        .map_err(|error| ReplayError::Incomplete(error.into()))?;
        let ended = ended(shard.run(&output));
        // The reader looks for nothing more, and waits for room in the queue no longer.
        feeding.cancel();
        drop(output);
        // A panic of its own was logged.
        let lost = || (Tally::default(), Err(FeedError::Lost));
        let (tally, fed) = fed.recv().unwrap_or_else(|_| lost());
        let error = match fed {
            Ok(()) | Err(FeedError::Closed(_)) => None,
            Err(error) => Some(ReplayError::Incomplete(error.into())),
        };
        Ok(Replay { tally, figures, ended, error })
    }

    fn id(&self) -> ShardId {
        ShardId::replay(self.stream.name().clone())
    }

    fn judge(&self) -> Judge {
        let redact = self.stream.redact.as_ref();
        Judge {
            stream: self.stream.name().to_string(),
            choice: self.choice,
            hashes: redact.is_some_and(|redact| redact.secrets().next().is_some()),
            rules: redact.map(redact::Config::fingerprint),
        }
    }

    fn letters(&self) -> Result<Letters, ReplayError> {
        let topic = &self.stream.dead_letter_topic;
        let letters = Letters::open(&self.plan.kafka, self.runtime.clone(), topic)?;
        letters.ok_or_else(|| ReplayError::NoTopic(topic.clone()))
    }

    /// Takes over from a replay before it.
    fn open(
        &self,
        figures: &Metrics,
        abandon: &CancellationToken,
    ) -> Result<Result<Shard<KafkaSink>, Exit>, ReplayError> {
        let Self { plan, stream, .. } = self;
        let router = Router::new(stream.route.clone());
        let topics = router.known_topics().map(str::to_owned).collect();
        let redaction = stream.redact.as_ref().map(Redaction::open).transpose()?;
        // What was delivered before must not be forgotten with time.
        let window = dedupe::Config { window: Duration::MAX, ..plan.dedupe };
        let window = Window::new(window, plan.batch.max_events);
        let extractor = Extractor::new(&stream.extract)?;
        let pipeline = Pipeline::new(extractor, router, window, redaction, stream.dead_letter_topic.clone());
        let process = shard::new_name().to_string();
        let settings = Settings {
            // Whatever is asked of events: the letters are to be replayed exactly once.
            config: Config { delivery: Delivery::ExactlyOnce, ..plan.kafka.clone() },
            shard: self.id(),
            place: Place::of_replay(stream.name()),
            placement: Latest::none(),
            source: stream.origin(),
            topics,
            topic_spec: stream.topic_spec,
            event_headers: stream.headers.clone(),
            dead_letter_topic: stream.dead_letter_topic.clone(),
            window: plan.dedupe.window,
            max_ids: plan.dedupe.max_ids,
            instance: Instance::One(process.as_str().into()),
            holder: process.clone(),
            begins_at_oldest: true,
            abandon: abandon.clone(),
            was_known: false,
            figures: Default::default(),
        };
        let config =
            shard::Config { id: self.id(), batch: plan.batch, retention: Duration::MAX, on_unclean: None };
        let opening = self.stop.child_token();
        let (opened, late) = (CancellationToken::new(), opening.clone());
        let (is_opened, stopped, abandoned) = (opened.clone(), self.stop.clone(), abandon.clone());
        let limit = plan.shutdown_timeout;
        drop(task::spawn(&self.runtime, "replay limits", async move {
            let waited = tokio::time::timeout(OPENING_LIMIT, is_opened.cancelled()).await;
            if waited.is_err() {
                late.cancel();
            }
            stopped.cancelled().await;
            tokio::time::sleep(limit).await;
            abandoned.cancel();
        }));
        let sink = KafkaSink::new(settings, process, self.runtime.clone());
        let shard = Shard::open(config, sink, pipeline, figures.clone(), abandon.clone(), &opening);
        opened.cancel();
        Ok(shard)
    }

    /// What of the topic was replayed, and what there is of it now.
    fn stand(&self, letters: &Letters, mut known: Replayed) -> Result<(Replayed, Vec<Span>), ReplayError> {
        let topic = &self.stream.dead_letter_topic;
        if self.forget {
            known.forget(topic);
        }
        let spans = letters.spans(self.choice.since_ms)?;
        for partition in known.partitions.iter().filter(|known| known.topic == *topic) {
            let (number, Some(latest)) = (partition.partition, partition.latest) else { continue };
            let low = spans.iter().find(|span| span.partition == number).map_or(0, |span| span.low);
            if latest.offset < low {
                continue;
            }
            let found = letters.at(number, latest.offset, |letter| letter.stamp())?;
            if found != Some(latest) {
                let (topic, offset) = (topic.clone(), latest.offset);
                return Err(ReplayError::Recreated { topic, partition: number, offset });
            }
        }
        for span in &spans {
            known.forget_before(topic, span.partition, span.low);
        }
        Ok((known, spans))
    }

    /// Makes known which events earlier replays have delivered. The letters themselves tell.
    fn know_delivered<S: Sink>(
        &self,
        letters: &Letters,
        known: &Replayed,
        spans: &[Span],
        shard: &mut Shard<S>,
    ) -> Result<(), ReplayError> {
        let (topic, stream) = (&self.stream.dead_letter_topic, self.stream.name());
        let mut ids: Vec<EventId> = Vec::with_capacity(IDS);
        for span in spans {
            let delivered = known.of(topic, span.partition).map(|known| &known.delivered);
            let Some((delivered, bounds)) = delivered.and_then(|it| Some((it, it.bounds()?))) else {
                continue;
            };
            let span = letters.as_of_now(span)?;
            let read = Span { from: bounds.start.max(span.low), end: bounds.end.min(span.end), ..span };
            letters.read(&read, |letter| {
                if delivered.contains(letter.offset) && letter.header("tributary-stream") == **stream {
                    ids.extend(shard.id_of(letter.value));
                }
                if ids.len() >= IDS {
                    shard.know(&ids);
                    ids.clear();
                }
                // Nothing is replayed then, so nothing has to be known.
                if self.stop.is_cancelled() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            })?;
        }
        shard.know(&ids);
        Ok(())
    }
}

/// How a replay ended whose shard ended so.
fn ended(exit: Exit) -> Ended {
    match exit {
        Exit::Stopped => Ended::Stopped,
        Exit::Fenced | Exit::Overtaken => Ended::Fenced,
        Exit::Misconfigured => Ended::Misconfigured,
        Exit::Abandoned => Ended::TimedOut,
    }
}
