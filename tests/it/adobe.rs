//! Adobe streams.

pub(crate) mod e2e;
pub(crate) mod faults;
