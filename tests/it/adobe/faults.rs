//! The real connector between a mock of Adobe Livestream that does things wrong and a real Kafka: nothing lost, nothing
//! twice, every byte equal. Each test asserts that its fault really hit, by the mock's own count.

mod cli;
mod connects;
mod credentials;
mod endings;
mod expiry;
mod lines;
mod redirects;
mod refusals;
mod routing;
mod secrets;
mod transfer;
