//! Tests of the harness itself: what later tests conclude is worth what these prove.

mod brokers;
mod partitioner;
mod processes;
mod transactions;
mod waiting;
