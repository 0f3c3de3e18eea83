//! What is counted of reloads of the configuration.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use prometheus_client::metrics::counter::Counter;

use crate::clock::now_ms;
use crate::model::figure::Figure;

/// How a reload went.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(usize)]
pub enum Outcome {
    /// All of it is in effect.
    Applied,
    /// It takes a restart, or Kafka refuses it.
    Refused,
    /// It has errors, or cannot be read.
    Invalid,
}

impl Outcome {
    const ALL: [Self; 3] = [Self::Applied, Self::Refused, Self::Invalid];

    fn name(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::Refused => "refused",
            Self::Invalid => "invalid",
        }
    }
}

/// Counters of one process. Clones count together.
#[derive(Clone, Debug)]
pub struct Reloads {
    counts: [Counter; Outcome::ALL.len()],
    /// When the configuration in effect was read, milliseconds since the Unix epoch.
    good_ms: Arc<AtomicI64>,
}

impl Default for Reloads {
    /// The start has read a good one.
    fn default() -> Self {
        Self { counts: Default::default(), good_ms: Arc::new(AtomicI64::new(now_ms())) }
    }
}

impl Reloads {
    /// Counts a reload.
    pub fn count(&self, outcome: Outcome) {
        self.counts[outcome as usize].inc();
        if outcome == Outcome::Applied {
            self.good_ms.store(now_ms(), Ordering::Relaxed);
        }
    }

    /// All of them.
    pub(crate) fn figures(&self) -> Vec<Figure> {
        let counts = Outcome::ALL.map(|outcome| (outcome.name(), self.counts[outcome as usize].get()));
        vec![
            Figure::counters(
                "tributary_config_reloads",
                "Reloads of the configuration, by outcome",
                "outcome",
                counts,
            ),
            Figure::timestamp(
                "tributary_config_last_good_timestamp",
                "When the configuration in effect was read, seconds since 1970",
                Some(self.good_ms.load(Ordering::Relaxed) / 1000),
            ),
        ]
    }
}
