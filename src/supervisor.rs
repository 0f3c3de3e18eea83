//! Announces this instance, starts every shard of every stream, starts again the ones that end, and drains all of them within
//! a bounded time. Knows no payloads.
//!
//! What the end of a shard does is decided in `verdict`:
//! - told to stop, it ends with everything queued committed;
//! - one that ends unasked, by a panic too, is opened again alone, after a pause that grows; the others run on;
//! - one that a later instance took over ends all of them: a process runs all of its shards or none;
//! - one that can never work as it is configured ends the process.

use std::sync::Arc;

use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use crate::clock::now_ms;
use crate::model::types::ShardId;
use crate::plan::Plan;
use crate::sink::kafka::placement::Placement;
use crate::sink::kafka::placement::record::Who;
use crate::{shard, source};

mod announcing;
mod run;
mod starter;
mod verdict;

use announcing::{announce, watch};
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
    let starters = starters(&plan, figures, &placement, &instance);
    let mut run = Run::new(starters, drain.clone(), plan.shutdown_timeout);
    run.start_all();
    let watch = watch(&plan, &instance, drain, run.events());
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
) -> Vec<Starter> {
    let who = Who { instance, process: instance, now_ms: now_ms() };
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
            was_known: placement.was_known(&figures.id, who),
            runtime: Handle::current(),
            orders: Orders::default(),
        })
        .collect()
}
