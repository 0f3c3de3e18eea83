//! Searches the models and prints what came out. It ends with 1 where something is not as it should be.

use std::io::{self, Write};
use std::process::ExitCode;

use tributary_model::placement::Placement;
use tributary_model::replay::Replay;
use tributary_model::report::report;
use tributary_model::reshard::Reshard;
use tributary_model::search::Size;
use tributary_model::shard::{Ownership, Shard};

const USAGE: &str = "usage: tributary-model [--short | --deep] [MODEL ...]\n\nMODEL is one of these; all of them where none is named: ";

const MODELS: [&str; 4] = ["shard", "placement", "reshard", "replay"];

fn main() -> io::Result<ExitCode> {
    let (mut size, mut models) = (Size::Full, Vec::new());
    for argument in std::env::args().skip(1) {
        match (argument.as_str(), MODELS.iter().find(|model| **model == argument)) {
            ("--short", _) => size = Size::Short,
            ("--deep", _) => size = Size::Deep,
            (_, Some(model)) => models.push(*model),
            _ => {
                writeln!(io::stderr(), "{USAGE}{}", MODELS.join(", "))?;
                return Ok(ExitCode::from(2));
            }
        }
    }
    let out = &mut io::stdout();
    let mut is_good = true;
    for model in MODELS.into_iter().filter(|model| models.is_empty() || models.contains(model)) {
        is_good &= match model {
            "shard" => {
                report(Shard::subject(Ownership::Static, size), out)?
                    & report(Shard::subject(Ownership::Group, size), out)?
            }
            "placement" => report(Placement::subject(size), out)?,
            "reshard" => {
                let mut is_good = true;
                for subject in Reshard::subjects(size) {
                    is_good &= report(subject, out)?;
                }
                is_good
            }
            _ => report(Replay::subject(size), out)?,
        };
    }
    writeln!(out, "{}", if is_good { "All is as it should be." } else { "NOT ALL IS AS IT SHOULD BE." })?;
    Ok(if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
