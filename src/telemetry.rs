//! What the process tells of itself while it runs.

pub(crate) mod log;
pub mod metrics;
pub mod reloads;
pub(crate) mod traces;
