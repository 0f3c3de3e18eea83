//! See `src/fuzzing/redaction.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tributary::fuzzing::hold("redaction", data));
