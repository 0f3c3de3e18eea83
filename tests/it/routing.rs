//! Which events go where, and as what: topics, filters, keys, times and headers as they are configured, on a real Kafka.

mod filters;
mod headers;
mod keys;
mod times;
mod topics;
