//! `tributary dead-letters`: what could not be delivered, and what becomes of it.

mod kinds;
mod limits;
mod look;
mod races;
mod replay;
pub(crate) mod scene;
