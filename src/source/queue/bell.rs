//! Wakes a shard's thread that lets a batch gather.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

/// Wakes a shard's thread that gathers.
#[derive(Debug, Default)]
pub(super) struct Bell {
    rung: Mutex<bool>,
    wakes: Condvar,
}

impl Bell {
    pub(super) fn ring(&self) {
        *self.rung.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.wakes.notify_one();
    }

    /// Waits until it was rung since the last wait, at most `timeout`.
    pub(super) fn wait(&self, timeout: Duration) {
        let rung = self.rung.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.wakes.wait_timeout_while(rung, timeout, |rung| !*rung);
        *waited.unwrap_or_else(PoisonError::into_inner).0 = false;
    }
}

/// Rings when it is dropped.
#[derive(Clone, Debug)]
pub(super) struct LastRing(Arc<Bell>);

impl LastRing {
    pub(super) fn new(bell: &Arc<Bell>) -> Self {
        Self(Arc::clone(bell))
    }

    pub(super) fn ring(&self) {
        self.0.ring();
    }
}

impl Drop for LastRing {
    fn drop(&mut self) {
        self.ring();
    }
}
