//! What the process tells of itself while it runs.

pub mod log;
pub mod metrics;
