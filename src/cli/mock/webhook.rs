//! `tributary mock webhook`: sends what it is told to, and says how that went.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use tokio::time::{Instant, interval_at};
use tokio_util::sync::CancellationToken;
use tributary_mock::airship::webhook::{Config, Report, Sender};

use crate::cli::exit;
use crate::cli::run::stop_on_signals;
use crate::output;

/// Between two lines of progress.
const PROGRESS: Duration = Duration::from_secs(2);

/// Arguments of `mock webhook`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    config: Config,
    /// Print the summary as JSON, on one line
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let runtime = crate::cli::runtime().context("cannot start the runtime")?;
    let report = runtime.block_on(send(&arguments.config))?;
    runtime.shutdown_background();
    if arguments.json {
        output::print(report.to_json()?)?;
    } else {
        output::print(&report)?;
    }
    if report.is_complete() {
        return Ok(ExitCode::from(exit::OK));
    }
    output::remark(format_args!(
        "tributary: {} of {} requests were not acknowledged",
        report.begun - report.acknowledged,
        report.begun
    ));
    Ok(ExitCode::from(exit::FAILURE))
}

async fn send(config: &Config) -> anyhow::Result<Report> {
    let stop = CancellationToken::new();
    stop_on_signals(stop.clone())?;
    let sender = Sender::new(config)?;
    let mut sending = std::pin::pin!(sender.run());
    let mut progress = interval_at(Instant::now() + PROGRESS, PROGRESS);
    loop {
        tokio::select! {
            report = &mut sending => return Ok(report),
            _ = progress.tick() => output::remark(sender.report().progress()),
            () = stop.cancelled(), if !sender.is_stopped() => {
                output::remark("sending what has begun, for as long as --give-up says; a second signal ends at once");
                sender.stop();
            }
        }
    }
}
