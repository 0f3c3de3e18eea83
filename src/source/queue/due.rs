//! When a shard will take what it has let gather.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// When a shard will take what it has let gather; nothing while it does not let anything gather.
#[derive(Clone, Debug, Default)]
pub(crate) struct Due(Arc<Mutex<Option<Instant>>>);

impl Due {
    /// The shard takes it in so much time, or nothing gathers any more.
    pub(super) fn set(&self, left: Option<Duration>) {
        let at = left.and_then(|left| Instant::now().checked_add(left));
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = at;
    }

    /// How long it is until then.
    pub(crate) fn left(&self, now: Instant) -> Option<Duration> {
        let at = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        at.map(|at| at.saturating_duration_since(now))
    }
}
