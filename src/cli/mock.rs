//! `tributary mock`: the mock service until a signal, or what it pushes to a receiver.

mod webhook;

use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, Subcommand};

use crate::output;

/// Arguments of `mock`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct Arguments {
    #[command(flatten)]
    config: tributary_mock::Config,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Push Airship events to a webhook receiver, such as a running connector
    ///
    /// Each request is sent until it is acknowledged, also after SIGTERM or Ctrl-C, which begins no new ones. A second signal
    /// ends at once. Exit code 0: all were acknowledged; 1: some were not.
    Webhook(Box<webhook::Arguments>),
}

pub(super) fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    if let Some(Command::Webhook(arguments)) = arguments.command {
        return webhook::run(&arguments);
    }
    let runtime = super::runtime().context("cannot start the runtime")?;
    runtime.block_on(async {
        let listen = arguments.config.listen.clone();
        let mut mock =
            tributary_mock::start(arguments.config).await.with_context(|| format!("cannot listen at {listen}"))?;
        let url = mock.url();
        output::mention(format_args!(
            "mock Airship service at {url}/api/events/ (control plane: {url}/_mock/stats)"
        ));
        for name in mock.adobe().names() {
            output::mention(format_args!("mock Adobe Livestream service at {url}/api/1/stream/{name}"));
        }
        output::mention(format_args!(
            "mock Adobe token service at {url}/ims/token/v3 (control plane: {url}/_mock/adobe/config)"
        ));
        output::mention(format_args!(
            "as in the documents: curl --compressed -u sample_connection:sample_connection -d '{{}}' {url}/api/events/"
        ));
        if let Some(second) = mock.second_url() {
            output::mention(format_args!("Adobe connects are redirected to {second}"));
        }
        tokio::select! {
            error = mock.failed() => Err(error).context("the mock service failed"),
            signal = tokio::signal::ctrl_c() => signal.context("cannot listen for SIGINT"),
        }
    })?;
    runtime.shutdown_background();
    Ok(ExitCode::SUCCESS)
}
