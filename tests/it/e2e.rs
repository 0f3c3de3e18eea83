//! End to end: the mock service, the real binary and a real broker, judged by [`crate::pipeline::oracle`].

mod at_least_once;
mod dead_letters;
mod duplicates;
mod failpoints;
mod kills;
mod plain;
mod shards;
mod shutdown;
mod timeouts;
mod zombies;
