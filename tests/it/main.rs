//! The one integration binary: the harness, its self-tests and the end-to-end tests on top of it.
//!
//! The tests run against a real Kafka broker and the real `tributary` binary; a missing broker fails them, it never
//! skips them. What a test needs:
//!
//! - [`kafka::broker`]: the broker that all tests share; [`kafka::private_broker`]: one to stop, pause and kill.
//! - [`kafka::unique_prefix`]: topic names of the test's own on the shared broker.
//! - [`reader`]: what a topic holds, at either isolation level.
//! - [`process`]: `tributary` (or any command) with its log, signals, memory, CPU time and metrics.
//! - [`wait`]: waiting for a condition. Nothing else in the tests may sleep.
#![cfg(test)]

mod admin;
mod adobe_e2e;
mod adobe_faults;
mod adobe_support;
mod broker_faults;
mod demo;
mod documents;
mod e2e;
mod faults;
mod http;
mod kafka;
mod kafka_client;
mod kafka_secrets;
mod mock_alone;
mod murmur2;
mod official_clients;
mod output;
mod ownership;
mod pipeline;
mod process;
mod proxies;
mod reader;
mod readiness;
mod rights;
mod secrets;
mod selftest;
mod structure;
mod wait;
mod watchdog;
mod write_path;
