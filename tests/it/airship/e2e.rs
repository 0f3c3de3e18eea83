//! End to end: the mock service, the real binary and a real broker, judged by [`crate::harness::airship::oracle`].

mod at_least_once;
mod dead_letters;
mod duplicates;
mod failpoints;
mod journal;
mod kills;
mod plain;
mod shards;
mod shutdown;
mod state_lost;
mod state_topics;
mod timeouts;
mod wakeups;
mod window;
mod zombies;
