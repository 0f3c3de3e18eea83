//! The look for secrets without which nothing of a stream may be shown, before this instance takes anything over: whoever has the
//! streams goes on meanwhile.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tracing::error;

use super::{Ended, ShardFigures};
use crate::model::errors::chain;
use crate::plan::{Plan, Stream};
use crate::shard::pipeline::redaction::{Looker, Redaction, RedactionError};

/// Between two looks for a secret that cannot be read.
pub(super) const PAUSE: Duration = Duration::from_secs(5);

/// Between two looks whether a secret was rotated.
const LOOK_INTERVAL: Duration = Duration::from_secs(30);

/// The class of the error that a secret cannot be read.
pub(super) const SECRET: &str = "secret";

/// Waits until the redaction of every stream can be opened, or says how this run ends without that.
pub(super) async fn wait_for(
    plan: &Arc<Plan>,
    figures: &[ShardFigures],
    stop: &CancellationToken,
) -> Result<(), Ended> {
    loop {
        let all = Arc::clone(plan);
        let looked = tokio::select! {
            () = stop.cancelled() => return Err(Ended::Stopped),
            // A file may be on a disk that does not answer.
            looked = tokio::task::spawn_blocking(move || missing(&all.streams)) => looked,
        };
        let missing = match looked {
            Ok(missing) => missing,
            Err(error) => {
                error!(%error, "cannot look for the secrets of redaction; trying again");
                tokio::select! {
                    () = stop.cancelled() => return Err(Ended::Stopped),
                    () = tokio::time::sleep(PAUSE) => continue,
                }
            }
        };
        for figures in figures {
            match missing.iter().find(|(stream, _)| *stream == figures.id.stream) {
                Some((_, error)) => drop(figures.shard.cannot(SECRET, chain(error))),
                None => figures.shard.health.works(),
            }
        }
        if missing.is_empty() {
            return Ok(());
        }
        for (stream, error) in &missing {
            let reason = chain(error);
            if !error.may_pass() {
                error!(%stream, reason, "no stream was taken over, and waiting would not mend it: mend the configuration or its environment, and start it again");
                return Err(Ended::Misconfigured);
            }
            error!(
                %stream, reason,
                "cannot begin without the secret of a redaction, and takes no stream over until then; trying again"
            );
        }
        tokio::select! {
            () = stop.cancelled() => return Err(Ended::Stopped),
            () = tokio::time::sleep(PAUSE) => {}
        }
    }
}

/// Looks for rotated secrets until `stop`. The disk may be slow, so neither the shard's thread nor a worker of the runtime waits for it.
pub(super) async fn look_again(looker: Looker, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(LOOK_INTERVAL) => {}
        }
        let looker = looker.clone();
        if let Err(error) = tokio::task::spawn_blocking(move || looker.look()).await {
            error!(%error, "cannot look whether the secrets of redaction were rotated; trying again");
        }
    }
}

/// The streams whose redaction cannot be opened, and why. Blocks.
fn missing(streams: &[Stream]) -> Vec<(Arc<str>, RedactionError)> {
    let failure = |stream: &Stream| {
        let error = Redaction::open(stream.redact.as_ref()?).err()?;
        Some((Arc::clone(stream.name()), error))
    };
    streams.iter().filter_map(failure).collect()
}
