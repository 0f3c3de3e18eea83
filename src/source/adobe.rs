//! Adobe Analytics Livestream: a service that keeps the position itself.
//!
//! `protocol` has its facts as pure functions, `pool` keeps the 1 to 8 connections that share a stream.

pub mod pool;
pub mod protocol;

pub use protocol::{
    Config, MARKS, MAX_HOPS, OnUnclean, RETENTION, Reset, classify, enable_url, explain,
    is_mended_by_a_token, last_received_ms, pause, refusal_line, request, words,
};
