//! `tributary probe`: asks a running process whether it is well. For container health checks, where there is no curl.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;

use super::Configured;
use crate::exit;

/// Limit for an answer: a process that takes longer is not well.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Arguments of `probe`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// What to ask [default: /live at admin.listen of the configuration]
    url: Option<String>,
    #[command(flatten)]
    configured: Configured,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let url = match &arguments.url {
        Some(url) => url.clone(),
        None => match arguments.configured.load() {
            Ok(config) => {
                let listen =
                    config.admin.context("admin.enabled is false, so there is nothing to ask; name a URL")?;
                format!("http://{}/live", reachable(listen))
            }
            Err(code) => return Ok(code),
        },
    };
    let status = super::runtime()?.block_on(async {
        let client = reqwest::Client::builder().timeout(TIMEOUT).no_proxy().build()?;
        anyhow::Ok(client.get(&url).send().await?.status())
    });
    let status = status.with_context(|| format!("{url} does not answer"))?;
    if !status.is_success() {
        bail!("{url} answers {status}");
    }
    println!("{url} answers {status}");
    Ok(ExitCode::from(exit::OK))
}

/// Where a process on this machine that listens at `listen` is asked.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_address_is_asked_at_loopback() {
        let asked = |listen: &str| reachable(listen.parse().unwrap()).to_string();
        assert_eq!(asked("0.0.0.0:9464"), "127.0.0.1:9464");
        assert_eq!(asked("[::]:1"), "[::1]:1");
        assert_eq!(asked("10.0.0.7:80"), "10.0.0.7:80");
    }
}
