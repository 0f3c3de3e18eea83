//! What a package installs besides the program: completions for shells and pages for `man`, made of the command line itself.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, CommandFactory};
use clap_complete::Shell;
use clap_mangen::Man;

use super::{Cli, exit};
use crate::output;

/// Arguments of `completions`.
#[derive(Debug, Args)]
pub(super) struct CompletionsArguments {
    /// For which shell
    #[arg(value_enum)]
    shell: Shell,
}

/// Arguments of `man`.
#[derive(Debug, Args)]
pub(super) struct ManArguments {
    /// Write the pages of all commands into this directory, which has to be there
    #[arg(long, value_name = "DIRECTORY")]
    all: Option<PathBuf>,
}

pub(super) fn completions(arguments: &CompletionsArguments) -> anyhow::Result<ExitCode> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut Cli::command(), "tributary", &mut script);
    print(&script)
}

pub(super) fn man(arguments: &ManArguments) -> anyhow::Result<ExitCode> {
    if let Some(directory) = &arguments.all {
        write_all(directory)?;
        return Ok(ExitCode::from(exit::OK));
    }
    let mut page = Vec::new();
    Man::new(Cli::command()).render(&mut page)?;
    print(&page)
}

fn write_all(directory: &Path) -> anyhow::Result<()> {
    clap_mangen::generate_to(Cli::command(), directory).with_context(|| {
        format!("cannot write pages into {}: is it a directory that is there?", directory.display())
    })
}

fn print(text: &[u8]) -> anyhow::Result<ExitCode> {
    output::print(String::from_utf8_lossy(text).trim_end())?;
    Ok(ExitCode::from(exit::OK))
}
