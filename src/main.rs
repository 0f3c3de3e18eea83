//! The `tributary` program. Everything is in the library; this wires it.

use std::process::ExitCode;

use clap::Parser;
use tributary::cli::Cli;

fn main() -> ExitCode {
    match Cli::parse().run() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("tributary: {error:#}");
            ExitCode::from(tributary::exit::FAILURE)
        }
    }
}
