//! The real connector between a mock service that does things wrong and a real Kafka: nothing lost, nothing twice, every
//! byte equal. Each test asserts that its fault really hit, by the mock's own count.

mod bodies;
mod cli;
mod lines;
mod positions;
mod redirects;
mod refusals;
mod stream;
mod topics;
