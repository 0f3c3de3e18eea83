//! `tributary dead-letters`: what could not be delivered, and what becomes of it.

mod look;
mod races;
mod replay;
pub(crate) mod scene;
