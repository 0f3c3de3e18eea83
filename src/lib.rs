//! Tributary carries long-lived HTTP event streams into Apache Kafka, exactly once.
//!
//! The way of an event, and the module that has the job:
//!
//! ```text
//!  source/connect   one attempt: request, credential, redirects, response class
//!  source/body      inflate gzip members, notice silence
//!  source/vet       is it the stream at all?
//!  source/frame     cut at line ends into blocks of whole lines
//!  source/session   the reconnect loop; its blocks wait in a byte-bounded queue
//!        │
//!  shard            one thread a shard: resume, then block after block
//!  record           id, key, type, times, offset in one pass over the raw bytes
//!  dedupe           a bounded window of 128-bit ids
//!  route            topic, key, headers, timestamp
//!  batch            when a transaction closes
//!  sink             one transaction: events, dead letters, id journal, checkpoint
//! ```
//!
//! Imports run one way: `model` ← stages ← `shard` ← `supervisor` ← `main`. Stages never import one another;
//! a test checks every `use crate::` against the table in `ARCHITECTURE.md`.

pub mod admin;
pub mod batch;
pub mod cli;
pub mod clock;
pub mod config;
pub mod dedupe;
pub mod exit;
pub mod failpoint;
pub mod mock;
pub mod model;
pub mod output;
pub mod plan;
pub mod record;
pub mod route;
pub mod shard;
pub mod sink;
pub mod source;
pub mod status;
pub mod supervisor;
pub mod task;
pub mod telemetry;
pub mod web;
