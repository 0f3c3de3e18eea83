//! Streams that are pushed to us: what was answered with 200 is in its topic exactly once, whatever happens, and whoever sends
//! too much, too slowly or something else does no harm.

mod bodies;
mod campaign;
mod crowd;
mod endings;
mod limits;
mod mock;
mod positions;
mod replays;
mod rights;
mod scene;
mod sender;
mod sending;
