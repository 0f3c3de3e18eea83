//! The one integration binary. It runs against a real Kafka broker and the real `tributary` binary; a missing broker fails the
//! tests, it never skips them.
//!
//! - [`harness`]: what tests share.
//! - [`airship`], [`adobe`]: each service from end to end, and everything that can go wrong at its side.
//! - [`kafka`]: everything that can go wrong at Kafka's side.
//! - [`routing`]: which events go where, and as what.
//! - [`webhook`]: streams that are pushed to us.
//! - [`ownership`]: several instances. The rest is about the program itself.
#![cfg(test)]

mod admin;
mod adobe;
mod airship;
mod check;
mod checkpoints;
mod dead_letters;
mod demo;
mod documents;
mod fuzzing;
mod harness;
mod install;
mod kafka;
mod mock_alone;
mod official_clients;
mod output;
mod ownership;
mod proxies;
mod reaching;
mod readiness;
mod redaction;
mod reload;
mod routing;
mod secrets;
mod status;
mod structure;
mod traces;
mod webhook;
