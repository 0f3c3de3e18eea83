//! What tests share. What a test needs:
//!
//! - [`broker::broker`]: the broker that all tests share; [`broker::private_broker`]: one to stop, pause and kill;
//!   [`broker::unique_prefix`]: topic names of the test's own on the shared one.
//! - [`reader`]: what a topic holds, at either isolation level.
//! - [`process`]: `tributary` (or any command) with its log, signals, memory, CPU time and metrics.
//! - [`airship`], [`adobe`]: the mock service, the configuration of a run, and the oracle that says what must have arrived;
//!   in their `scenes` a mock, a connector and the checks at the end in one.
//! - [`settings`], [`expected`]: what the configurations, and what the oracles of scenes have in common.
//! - [`asked`]: what a longer run is asked for.
//! - [`collector`]: takes traces.
//! - [`front`]: TLS in front of a mock, and a proxy on the way there.
//! - [`rights`]: those that the documents list, for a broker with an authorizer.
//! - [`wait`]: waiting for a condition. Nothing else in the tests may sleep.

pub(crate) mod adobe;
pub(crate) mod airship;
pub(crate) mod asked;
pub(crate) mod broker;
pub(crate) mod collector;
pub(crate) mod expected;
pub(crate) mod front;
pub(crate) mod http;
pub(crate) mod listener;
pub(crate) mod murmur2;
pub(crate) mod process;
pub(crate) mod reader;
pub(crate) mod rights;
mod selftest;
pub(crate) mod settings;
pub(crate) mod wait;
pub(crate) mod watchdog;
