//! Tributary carries long-lived HTTP event streams into Apache Kafka, exactly once.
//!
//! The way of an event, and the module that has the job:
//!
//! ```text
//!  source/airship, source/adobe   keep the connections of their service
//!  source/http      one attempt: request, credential, redirects, response class; inflate gzip members, notice silence
//!  source/vet       is it the stream at all?
//!  source/frame     cut at line ends into blocks of whole lines, which wait in a byte-bounded queue
//!        │
//!  shard            one thread a shard: resume, then block after block, in batches
//!  event/extract    id, key, type, times, offset in one pass over the raw bytes
//!  event/dedupe     a bounded window of 128-bit ids
//!  event/route      topic and timestamp
//!  sink             one transaction: events, dead letters, id journal, checkpoint
//! ```
//!
//! Imports run one way: `model` ← stages ← `shard` ← `plan` ← `config` and `supervisor` ← `cli` ← `main`. Stages never import one another;
//! a test checks every `use crate::` against a table.

mod admin;
pub mod cli;
mod clock;
pub mod config;
pub mod event;
mod failpoint;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
pub mod model;
mod output;
mod plan;
pub mod shard;
pub mod sink;
pub mod source;
pub mod supervisor;
pub mod task;
pub mod telemetry;
pub mod trace;
mod web;
pub mod webhook;
