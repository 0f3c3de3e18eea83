//! Searches the models and prints what came out. It ends with 1 where something is not as it should be.

use std::io::{self, Write};
use std::process::ExitCode;

use tributary_model::placement::Placement;
use tributary_model::replay::Replay;
use tributary_model::report::report;
use tributary_model::reshard::Reshard;
use tributary_model::search::Size;
use tributary_model::shard::{Ownership, Shard};

const USAGE: &str = "usage: tributary-model [--short | --deep]";

fn main() -> io::Result<ExitCode> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let size = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => Size::Full,
        ["--short"] => Size::Short,
        ["--deep"] => Size::Deep,
        _ => {
            writeln!(io::stderr(), "{USAGE}")?;
            return Ok(ExitCode::from(2));
        }
    };
    let out = &mut io::stdout();
    let mut is_good = true;
    for ownership in [Ownership::Static, Ownership::Group] {
        is_good &= report(Shard::subject(ownership, size), out)?;
    }
    is_good &= report(Placement::subject(size), out)?;
    for subject in Reshard::subjects(size) {
        is_good &= report(subject, out)?;
    }
    is_good &= report(Replay::subject(size), out)?;
    writeln!(out, "{}", if is_good { "All is as it should be." } else { "NOT ALL IS AS IT SHOULD BE." })?;
    Ok(if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
