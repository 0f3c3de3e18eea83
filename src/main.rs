//! The `tributary` program. Everything is in the library; this wires it.

use std::process::ExitCode;

use clap::Parser;
use tributary::cli::{self, Cli};

fn main() -> ExitCode {
    let done = match Cli::try_parse() {
        Ok(cli) => cli.run(),
        Err(error) => cli::show(&error),
    };
    cli::end(done)
}
