//! End to end: the mock service, the real binary and a real broker, judged by [`crate::pipeline::oracle`].

mod plain;
