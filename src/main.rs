//! The `tributary` command line.
fn main() {}
