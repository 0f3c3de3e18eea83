//! See `src/fuzzing/redirects.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tributary::fuzzing::hold("redirects", data));
