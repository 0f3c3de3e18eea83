//! What both services are made of: clock, random numbers, compression, faults, streams, the control plane, the connection.
//!
//! Invariant: no service is known here.

pub(crate) mod clock;
pub(crate) mod control;
pub mod fault;
pub(crate) mod feed;
pub(crate) mod gzip;
pub(crate) mod limits;
pub(crate) mod prepared;
pub(crate) mod random;
pub(crate) mod reply;
pub(crate) mod session;
pub(crate) mod transfer;
pub(crate) mod wire;
