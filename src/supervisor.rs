//! Waits for the secrets of redaction, announces this instance, starts every shard of every stream, starts again the ones that
//! end, and drains all of them within a bounded time. Knows no payloads.
//!
//! What the end of a shard does is decided in `verdict`:
//! - told to stop, it ends with everything queued committed;
//! - one that ends unasked, by a panic too, is opened again alone, after a pause that grows; the others run on;
//! - one that a later instance took over ends all of them, unless the consumer group shares the shards;
//! - one that can never work as it is configured ends the process.

use std::sync::Arc;

use tokio::runtime::Handle;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio_util::sync::CancellationToken;

use crate::model::types::ShardId;
use crate::plan::Plan;
use crate::sink::kafka::figures::KafkaFigures;
use crate::sink::kafka::group::Seat;
use crate::sink::kafka::placement::Latest;
use crate::sink::kafka::placement::record::Instance;
use crate::{shard, source};

mod announcing;
mod changing;
mod intake;
mod membership;
pub mod replay;
mod run;
mod secrets;
mod starter;
mod verdict;

pub(crate) use announcing::{all_topics, place_unknown};
use announcing::{announce, watch};
pub use changing::{AllFigures, StreamChange, no_changes};
use membership::Membership;
use run::Run;
use starter::{Orders, Starter};

/// The figures of one shard, for whoever shows them.
#[derive(Clone, Debug)]
pub struct ShardFigures {
    /// Which shard.
    pub id: ShardId,
    /// Of its reader.
    pub source: source::metrics::Metrics,
    /// Of itself.
    pub shard: shard::metrics::Metrics,
    /// Of its Kafka clients.
    pub kafka: KafkaFigures,
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
        let reasons = stream.extract.filters.reasons();
        (0..stream.shards).map(move |index| ShardFigures {
            id: ShardId { stream: Arc::clone(stream.name()), index },
            source: Default::default(),
            shard: shard::metrics::Metrics::new(&reasons),
            kafka: Default::default(),
        })
    });
    shards.collect()
}

/// Runs all shards until `stop` is cancelled and they have drained, or until they have to end.
///
/// With a group, `seat` tells how this process stands in it. `announced` is cancelled once this instance is in the placement record.
pub async fn run(
    plan: Arc<Plan>,
    figures: &[ShardFigures],
    seat: Option<&Seat>,
    announced: &CancellationToken,
    stop: CancellationToken,
    changes: UnboundedReceiver<StreamChange>,
) -> Ended {
    let names = Names::new(&plan);
    run_as(names, plan, figures, seat, announced, stop, changes).await
}

/// [`run`] by these names: those by which streams were placed before count as new, so that they may be without a checkpoint.
pub(crate) async fn run_as(
    names: Names,
    plan: Arc<Plan>,
    figures: &[ShardFigures],
    seat: Option<&Seat>,
    announced: &CancellationToken,
    stop: CancellationToken,
    mut changes: UnboundedReceiver<StreamChange>,
) -> Ended {
    if let Err(ended) = secrets::wait_for(&plan, figures, &stop).await {
        return ended;
    }
    if plan.group.is_some() {
        // None is this instance's until the group says so.
        figures.iter().for_each(|figures| figures.shard.health.standby());
    }
    let placement = match announce(&plan, figures, &names, &stop).await {
        Ok(placement) => Latest::new(placement),
        Err(ended) => return ended,
    };
    announced.cancel();
    let drain = stop.child_token();
    let starters = starters(&plan, figures, &placement, &names);
    let mut run = Run::new(
        starters,
        drain.clone(),
        plan.shutdown_timeout,
        placement.clone(),
        seat.filter(|_| plan.group.is_some()).cloned(),
    );
    run.begin();
    let membership = match (&plan.group, seat) {
        (Some(group), Some(seat)) => {
            Some(Membership::join(&plan.kafka, group, &placement, seat, run.events()))
        }
        _ => None,
    };
    let watch = watch(&plan, &names.instance, drain, run.events());
    let ended = tokio::select! {
        ended = run.supervise(&mut changes) => ended,
        // Never ends by itself.
        ended = watch => ended,
    };
    // All shards have let go, so nobody has to wait for them.
    drop(run);
    if let Some(membership) = membership {
        membership.leave().await;
    }
    ended
}

/// How this process is called in the placement record.
#[derive(Clone, Debug)]
pub(crate) struct Names {
    /// The process, unlike any other.
    process: Arc<str>,
    /// Who runs the streams: this process alone, or the group.
    instance: Instance,
}

impl Names {
    /// Names that nobody had before.
    pub(crate) fn new(plan: &Plan) -> Self {
        let process: Arc<str> = shard::new_name();
        // The members of the group share the streams, so none of them is called the one that runs them.
        let instance =
            if plan.group.is_some() { Instance::Group } else { Instance::One(Arc::clone(&process)) };
        Self { process, instance }
    }
}

/// One for each shard, in the order of the configuration.
fn starters(plan: &Arc<Plan>, figures: &[ShardFigures], placement: &Latest, names: &Names) -> Vec<Starter> {
    plan.streams
        .iter()
        .flat_map(|stream| std::iter::repeat_n(stream, stream.shards as usize))
        .zip(figures)
        .map(|(stream, figures)| Starter {
            plan: Arc::clone(plan),
            stream: stream.clone(),
            figures: figures.clone(),
            instance: names.instance.clone(),
            place: placement.get().place(&figures.id, stream.shards),
            placement: placement.clone(),
            process: Arc::clone(&names.process),
            runtime: Handle::current(),
            orders: Orders::default(),
        })
        .collect()
}
