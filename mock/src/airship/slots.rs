//! The limit of simultaneous connections, with dropped connections that still count for a while.
//!
//! Invariant: a slot is either open, lingering or free; a guard frees its slot exactly once. Knows no HTTP.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// All slots of a service.
#[derive(Debug)]
pub(super) struct Slots {
    /// 0 for no limit.
    limit: usize,
    linger: Duration,
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    open: usize,
    /// When each dropped connection stops counting.
    lingering: Vec<Instant>,
}

/// An open slot. Dropped without `release`, it lingers.
#[derive(Debug)]
pub(super) struct Slot {
    slots: Arc<Slots>,
    ended_cleanly: bool,
}

impl Slots {
    pub(super) fn new(limit: usize, linger: Duration) -> Arc<Self> {
        Arc::new(Self { limit, linger, table: Mutex::default() })
    }

    /// A slot, unless all are taken.
    pub(super) fn take(self: &Arc<Self>) -> Option<Slot> {
        let mut table = self.table();
        let now = Instant::now();
        table.lingering.retain(|until| *until > now);
        if self.limit != 0 && table.open + table.lingering.len() >= self.limit {
            return None;
        }
        table.open += 1;
        Some(Slot { slots: Arc::clone(self), ended_cleanly: false })
    }

    /// Connections that are open.
    pub(super) fn open(&self) -> usize {
        self.table().open
    }

    fn table(&self) -> std::sync::MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Slot {
    /// The connection ended in order: the slot is free as soon as this is dropped.
    pub(super) fn end_cleanly(&mut self) {
        self.ended_cleanly = true;
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut table = self.slots.table();
        table.open -= 1;
        if !self.ended_cleanly && !self.slots.linger.is_zero() {
            table.lingering.push(Instant::now() + self.slots.linger);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_dropped_connection_counts_until_it_lingered() {
        let slots = Slots::new(1, Duration::from_secs(30));
        let slot = slots.take().unwrap();
        assert!(slots.take().is_none());
        drop(slot);
        assert!(slots.take().is_none());
        tokio::time::advance(Duration::from_secs(31)).await;
        assert!(slots.take().is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn a_clean_end_frees_at_once() {
        let slots = Slots::new(1, Duration::from_secs(30));
        slots.take().unwrap().end_cleanly();
        assert!(slots.take().is_some());
    }
}
