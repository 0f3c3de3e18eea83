//! What all connections of the mock share.

use std::sync::Arc;

use crate::adobe::Adobe;
use crate::airship::Airship;
use crate::stats::Counters;

/// The two halves, and what is counted.
#[derive(Clone, Debug)]
pub(crate) struct Shared {
    pub(crate) airship: Arc<Airship>,
    pub(crate) adobe: Arc<Adobe>,
    pub(crate) counters: Arc<Counters>,
}
