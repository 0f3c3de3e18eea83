//! What every reader is given, whatever the service.

use tokio_util::sync::CancellationToken;

use super::metrics::Metrics;
use super::queue::Input;
use crate::model::checkpoint::Hold;
use crate::model::types::Position;

/// What a reader works with besides its service.
#[derive(Debug)]
pub struct ReaderContext {
    /// Where the blocks go.
    pub input: Input,
    /// What it counts.
    pub metrics: Metrics,
    /// Longest line accepted, bytes; what exceeds it becomes a dead letter.
    pub max_line: usize,
    /// Stops the reader.
    pub stop: CancellationToken,
}

/// Where a shard was when it was opened.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Resume {
    /// Its position; `None` for the configured start.
    pub position: Option<Position>,
    /// How it had been left; `None` for a first start.
    pub left: Option<Hold>,
    /// When its checkpoint was committed, milliseconds since the Unix epoch; `None` for a first start.
    pub committed_ms: Option<i64>,
    /// When the service processed the last event before its position, or else when the position was committed; `None`
    /// without a position.
    pub dated_ms: Option<i64>,
}

impl Resume {
    /// Whether something may have been on its way when the shard was left.
    pub fn may_have_lost(&self) -> bool {
        self.left.is_some_and(|left| left != Hold::Drained)
    }
}
