//! Adobe Analytics Livestream: a service that keeps the position itself.
//!
//! `protocol` has its facts as pure functions, `pool` keeps the 1 to 8 connections that share a stream.

pub(crate) mod pool;
pub(crate) mod protocol;

pub(crate) use protocol::{Config, RETENTION, Reset};
