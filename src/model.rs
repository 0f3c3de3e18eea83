//! The words that all stages share: ids, positions, blocks of lines, records, checkpoints, secrets. No I/O, but that secrets are read.

pub mod block;
pub mod checkpoint;
pub(crate) mod errors;
pub(crate) mod figure;
pub(crate) mod file;
pub(crate) mod hide;
pub mod last_error;
pub(crate) mod legacy;
pub mod letters;
pub(crate) mod member;
pub(crate) mod mend;
pub(crate) mod numbers;
pub(crate) mod offset;
pub(crate) mod packed;
pub mod ranges;
pub(crate) mod rate;
pub(crate) mod secret;
pub(crate) mod text;
pub(crate) mod topic;
pub mod trail;
pub mod types;
