//! Tributary carries long-lived HTTP event streams into Apache Kafka, exactly once.

pub mod mock;
