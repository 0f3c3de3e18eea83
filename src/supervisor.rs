//! Announces this instance, starts every shard of every stream, starts again the ones that end, and drains all of them within
//! a bounded time. Knows no payloads.
//!
//! What the end of a shard does is decided in `verdict`:
//! - told to stop, it ends with everything queued committed;
//! - one that ends unasked, by a panic too, is opened again alone, after a pause that grows; the others run on;
//! - one that a later instance took over ends all of them: a process runs all of its shards or none;
//! - one that can never work as it is configured ends the process.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::model::types::ShardId;
use crate::plan::Plan;
use crate::sink::kafka::placement::Placement;
use crate::{shard, source, task};

mod announcing;
mod starter;
mod verdict;

use announcing::{announce, watch};
use starter::Starter;
use verdict::{Consequence, Ending, Streak, Tally};

const GIVES_UP: &str = "this process gives up all of its shards; run one instance for a set of streams";

/// The figures of one shard, for whoever shows them.
#[derive(Clone, Debug)]
pub struct ShardFigures {
    /// Which shard.
    pub id: ShardId,
    /// Of its reader.
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
    /// Another instance took over; this one has given up all of its shards.
    Fenced,
    /// A stream can never work as it is configured.
    Misconfigured,
    /// A deliberate reset was refused, since another instance may hold the stream.
    Held,
}

/// Every shard, in the order of the configuration, with fresh figures.
pub fn figures(plan: &Plan) -> Vec<ShardFigures> {
    let shards = plan.streams.iter().flat_map(|stream| {
        (0..stream.shards).map(|index| ShardId { stream: Arc::clone(stream.name()), index })
    });
    shards.map(|id| ShardFigures { id, source: Default::default(), shard: Default::default() }).collect()
}

/// Runs all shards until `stop` is cancelled and they have drained, or until they have to end.
pub async fn run(plan: Arc<Plan>, figures: &[ShardFigures], stop: CancellationToken) -> Ended {
    let instance: Arc<str> = shard::new_name();
    let placement = match announce(&plan, figures, &instance, &stop).await {
        Ok(placement) => Arc::new(placement),
        Err(ended) => return ended,
    };
    let drain = stop.child_token();
    let starters = starters(&plan, figures, &placement, &instance, &drain);
    let mut run = Run::new(starters, drain.clone(), plan.shutdown_timeout);
    run.start_all();
    let watch = watch(&plan, &instance, drain, run.happened.0.clone());
    tokio::select! {
        ended = run.supervise() => ended,
        // Never ends by itself.
        ended = watch => ended,
    }
}

/// One for each shard, in the order of the configuration.
fn starters(
    plan: &Arc<Plan>,
    figures: &[ShardFigures],
    placement: &Arc<Placement>,
    instance: &Arc<str>,
    drain: &CancellationToken,
) -> Vec<Starter> {
    let abandon = CancellationToken::new();
    plan.streams
        .iter()
        .flat_map(|stream| std::iter::repeat_n(stream, stream.shards as usize))
        .zip(figures)
        .map(|(stream, figures)| Starter {
            plan: Arc::clone(plan),
            stream: stream.clone(),
            figures: figures.clone(),
            instance: Arc::clone(instance),
            partition: placement.partition(&figures.id),
            placement: Arc::clone(placement),
            was_known: placement.was_known(&figures.id),
            runtime: Handle::current(),
            stop: drain.clone(),
            abandon: abandon.clone(),
        })
        .collect()
}

/// Shards at work.
struct Run {
    slots: Vec<Slot>,
    drain: CancellationToken,
    shutdown_timeout: Duration,
    happened: (mpsc::UnboundedSender<Event>, mpsc::UnboundedReceiver<Event>),
    tally: Tally,
}

/// One shard, and what is remembered of its ends.
struct Slot {
    starter: Starter,
    streak: Streak,
    started: Instant,
}

/// What happens to a shard, by its number.
enum Event {
    /// It ended.
    Ended(usize, Ending),
    /// The pause before it is opened again is over.
    Due(usize),
    /// An instance of this name announced itself for one of the streams.
    TakenOver(String),
}

impl Run {
    fn new(starters: Vec<Starter>, drain: CancellationToken, shutdown_timeout: Duration) -> Self {
        let slots = starters.into_iter().map(|starter| Slot {
            starter,
            streak: Streak::default(),
            started: Instant::now(),
        });
        let slots: Vec<_> = slots.collect();
        let tally = Tally::new(slots.len());
        Self { slots, drain, shutdown_timeout, happened: mpsc::unbounded_channel(), tally }
    }

    fn start_all(&mut self) {
        for number in 0..self.slots.len() {
            self.start(number);
        }
    }

    /// Starts a shard in a thread of its own, which always says how it ended.
    fn start(&mut self, number: usize) {
        let slot = &mut self.slots[number];
        slot.started = Instant::now();
        let starter = slot.starter.clone();
        // A reset that was asked for on the command line is made once, and not again when the shard restarts.
        slot.starter.stream.source.service.forget_reset();
        let events = self.happened.0.clone();
        let name = format!("shard-{}", slot.starter.figures.id);
        let started = task::spawn_thread(name, move || {
            let ending = Ending::of(|| starter.run());
            // Nobody listens any more only when the process is ending.
            drop(events.send(Event::Ended(number, ending)));
        });
        if let Err(error) = started {
            error!(shard = %slot.starter.figures.id, %error, "cannot start a thread for the shard");
            drop(self.happened.0.send(Event::Ended(number, Ending::NoThread)));
        }
    }

    /// Until every shard has ended for good.
    async fn supervise(&mut self) -> Ended {
        let mut deadline = None;
        while !self.tally.is_complete() {
            let timed_out = async {
                match deadline {
                    Some(deadline) => tokio::time::sleep_until(deadline).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                event = self.happened.1.recv() => match event {
                    Some(Event::Ended(number, ending)) => self.ended(number, ending),
                    Some(Event::Due(number)) if self.drain.is_cancelled() => self.tally.count_stopped(number),
                    Some(Event::Due(number)) => self.start(number),
                    Some(Event::TakenOver(instance)) => {
                        error!(instance, "{GIVES_UP}");
                        self.tally.take_over();
                        self.drain.cancel();
                    }
                    // `Run` holds a sender itself, so the channel never closes.
                    None => break,
                },
                () = self.drain.cancelled(), if deadline.is_none() => {
                    info!(timeout_s = self.shutdown_timeout.as_secs(), "stopping: committing what is queued");
                    deadline = Some(Instant::now() + self.shutdown_timeout);
                }
                () = timed_out => {
                    warn!("shutdown.timeout is over; what is not committed comes again after the next start");
                    if let Some(slot) = self.slots.first() {
                        slot.starter.abandon.cancel();
                    }
                    self.tally.time_out();
                    break;
                }
            }
        }
        self.tally.verdict()
    }

    fn ended(&mut self, number: usize, ending: Ending) {
        let slot = &mut self.slots[number];
        let id = &slot.starter.figures.id;
        slot.starter.figures.shard.health.ended(ending.to_string());
        match verdict::consequence(&ending, self.drain.is_cancelled()) {
            Consequence::Done => self.tally.count(number, &ending),
            Consequence::EndAll => {
                match ending {
                    Ending::Exit(shard::Exit::Fenced) => error!(shard = %id, reason = %ending, "{GIVES_UP}"),
                    _ => error!(shard = %id, reason = %ending, "this process ends"),
                }
                self.tally.count(number, &ending);
                self.drain.cancel();
            }
            Consequence::Restart => {
                let pause = slot.streak.pause(slot.started.elapsed(), rand::random());
                error!(
                    shard = %id, reason = %ending, pause_ms = pause.as_millis() as u64,
                    "the shard ended unasked; it is opened again, the others run on"
                );
                slot.starter.figures.shard.restarts.inc();
                let (events, drain) = (self.happened.0.clone(), self.drain.clone());
                drop(task::spawn(&Handle::current(), "restart", async move {
                    tokio::select! {
                        () = drain.cancelled() => {}
                        () = tokio::time::sleep(pause) => {}
                    }
                    drop(events.send(Event::Due(number)));
                }));
            }
        }
    }
}
