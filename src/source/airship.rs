//! Airship Real-Time Data Streaming: a service that is told where to resume.
//!
//! `protocol` and `line` are its facts as pure functions, `session` keeps the one connection of a shard, and `retry` says what
//! follows a failure.

pub mod line;
pub mod protocol;
pub mod retry;
pub mod session;

pub use line::{MARKS, Place, has_events, last_place};
pub use protocol::{
    Begin, Config, DeviceSelector, Filter, MAX_HOPS, NotificationSelector, OFFSET_UPDATE, OnExpired,
    RETENTION, Start, UserSelector, classify, explain, is_own_refusal, request,
};
