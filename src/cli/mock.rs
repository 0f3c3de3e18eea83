//! `tributary mock`: the mock service until a signal.

use std::process::ExitCode;

use anyhow::Context;
use clap::Args;

use crate::mock;

/// Arguments of `mock`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    config: mock::Config,
}

pub(super) fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let runtime = super::runtime().context("cannot start the runtime")?;
    runtime.block_on(async {
        let listen = arguments.config.listen.clone();
        let mut mock =
            mock::start(arguments.config).await.with_context(|| format!("cannot listen at {listen}"))?;
        println!("mock Airship service at {}/api/events/ (control plane: {0}/_mock/stats)", mock.url());
        for name in mock.adobe().names() {
            println!("mock Adobe Livestream service at {}/api/1/stream/{name}", mock.url());
        }
        println!(
            "mock Adobe token service at {}/ims/token/v3 (control plane: {0}/_mock/adobe/config)",
            mock.url()
        );
        if let Some(second) = mock.second_url() {
            println!("Adobe connects are redirected to {second}");
        }
        tokio::select! {
            error = mock.failed() => Err(error).context("the mock service failed"),
            signal = tokio::signal::ctrl_c() => signal.context("cannot listen for SIGINT"),
        }
    })?;
    runtime.shutdown_background();
    Ok(ExitCode::SUCCESS)
}
