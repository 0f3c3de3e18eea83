//! The protocol by which nothing is lost and nothing comes twice, as small state machines that are searched exhaustively.

pub mod broker;
pub mod placement;
pub mod replay;
pub mod report;
pub mod reshard;
pub mod search;
pub mod shard;
