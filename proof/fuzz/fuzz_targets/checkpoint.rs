//! See `src/fuzzing/checkpoint.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tributary::fuzzing::hold("checkpoint", data));
