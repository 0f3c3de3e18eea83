//! Airship Real-Time Data Streaming: a service that is told where to resume.
//!
//! `protocol` and `line` are its facts as pure functions, `session` keeps the one connection of a shard, and `retry` says what
//! follows a failure.

pub mod filter;
pub mod line;
pub mod protocol;
pub mod retry;
pub mod session;

pub use filter::{DeviceSelector, Filter, NotificationSelector, UserSelector};
pub use line::{MARKS, Place, has_events, last_place};
pub use protocol::{Begin, Config, OFFSET_UPDATE, OnExpired, RETENTION, Start, request};
