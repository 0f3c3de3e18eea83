//! The `tributary` program. Everything is in the library; this wires it.

use std::process::ExitCode;

use clap::Parser;
use tributary::cli::{self, Cli};

fn main() -> ExitCode {
    // Before librdkafka does so in its own way: at the end of the process OpenSSL would clean up beneath threads that still close
    // connections.
    openssl::init();
    let done = match Cli::try_parse() {
        Ok(cli) => cli.run(),
        Err(error) => cli::show(&error),
    };
    cli::end(done)
}
