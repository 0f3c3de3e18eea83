//! What both services are made of: clock, random numbers, compression, faults, the connection.
//!
//! Invariant: no service is known here.

pub(crate) mod clock;
pub mod fault;
pub(crate) mod feed;
pub(crate) mod gzip;
pub(crate) mod random;
pub(crate) mod reply;
pub(crate) mod wire;
