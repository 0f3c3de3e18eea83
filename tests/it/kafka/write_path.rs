//! The way into Kafka where Kafka is slow or refuses: topics that are missing, records that their topic does not take, a
//! quota. Each event lies there once at the end, as itself or as a dead letter.

mod denied;
mod quota;
mod refusals;
mod topics;

use crate::harness::airship::run::{Run, event, keyed, setup, sorted, with_reason};
