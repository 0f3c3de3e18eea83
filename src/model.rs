//! The words that all stages share: ids, positions, blocks of lines, records, checkpoints, secrets. No I/O.

pub mod block;
pub mod checkpoint;
pub mod errors;
pub mod figure;
pub mod hide;
pub mod member;
pub mod mend;
pub mod numbers;
pub mod offset;
pub mod secret;
pub mod text;
pub mod types;
