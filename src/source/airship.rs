//! Airship Real-Time Data Streaming: a service that is told where to resume.
//!
//! `protocol` and `line` are its facts as pure functions, `session` keeps the one connection of a shard, and `retry` says what
//! follows a failure.

pub(crate) mod filter;
pub(crate) mod line;
pub(crate) mod protocol;
pub(crate) mod retry;
pub(crate) mod session;

pub(crate) use filter::{DeviceSelector, Filter, NotificationSelector, UserSelector};
pub(crate) use protocol::{Config, OFFSET_UPDATE, OnExpired, RETENTION, Start};
