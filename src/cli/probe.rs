//! `tributary probe`: asks a running process whether it is well. For container health checks, where there is no curl.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use reqwest::StatusCode;
use tokio::time::Instant;
use url::Url;

use super::Configured;
use super::exit;
use crate::model::secret::HIDDEN;
use crate::output;

/// Limit for an answer: a process that takes longer is not well.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Between two questions.
const PAUSE: Duration = Duration::from_secs(1);

/// Arguments of `probe`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// What to ask [default: /live at admin.listen of the configuration]
    url: Option<String>,
    /// Ask again each second for so long, e.g. 60s, until it is well
    #[arg(long, value_parser = super::duration)]
    within: Option<Duration>,
    /// Take it for well where there is no configuration file: for the health check of an image, in which other commands than
    /// `run` may be at work
    #[arg(long, conflicts_with = "url")]
    if_configured: bool,
    #[command(flatten)]
    configured: Configured,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    if arguments.if_configured && !arguments.configured.has_file() {
        output::mention("there is no configuration file, so nothing to ask");
        return Ok(ExitCode::from(exit::OK));
    }
    let url = match asked(arguments.url.as_deref(), &arguments.configured, "/live")? {
        Asked::Url(url) => url,
        Asked::Nobody(code) => return Ok(code),
    };
    let status = super::runtime()?.block_on(ask(&url, arguments.within.unwrap_or_default()))?;
    output::mention(format_args!("{} answers {status}", shown(&url)));
    Ok(ExitCode::from(exit::OK))
}

/// Whom to ask.
pub(super) enum Asked {
    Url(String),
    /// The configuration is wrong, as was said.
    Nobody(ExitCode),
}

/// What to ask: what was named, else this path of the admin address of the configuration.
pub(super) fn asked(named: Option<&str>, configured: &Configured, path: &str) -> anyhow::Result<Asked> {
    if let Some(url) = named {
        return Ok(Asked::Url(url.to_owned()));
    }
    Ok(match configured.load() {
        Ok(config) => {
            let listen =
                config.admin.context("admin.enabled is false, so there is nothing to ask; name a URL")?;
            Asked::Url(format!("http://{}{path}", reachable(listen)))
        }
        Err(code) => Asked::Nobody(code),
    })
}

/// The answer of a process that is well. Asks at least once, and no more after `limit`.
async fn ask(url: &str, limit: Duration) -> anyhow::Result<StatusCode> {
    let client = reqwest::Client::builder().timeout(TIMEOUT).no_proxy().build()?;
    let (shown, end) = (shown(url), Instant::now() + limit);
    loop {
        let answered = client.get(url).send().await.map(|response| response.status());
        match answered {
            Ok(status) if status.is_success() => return Ok(status),
            _ if Instant::now() + PAUSE < end => tokio::time::sleep(PAUSE).await,
            Ok(status) => bail!("{shown} answers {status}"),
            Err(error) => return Err(error).with_context(|| format!("{shown} does not answer")),
        }
    }
}

/// The address without a credential that may be in it.
pub(super) fn shown(url: &str) -> String {
    match Url::parse(url) {
        Ok(mut parsed) if parsed.password().is_some() || !parsed.username().is_empty() => {
            // Only an address without a host takes neither, and has neither.
            if parsed.set_username("").and_then(|()| parsed.set_password(None)).is_err() {
                return HIDDEN.to_owned();
            }
            parsed.to_string()
        }
        _ => url.to_owned(),
    }
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
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    /// Answers one question after another with these.
    async fn answering(statuses: &'static [u16]) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/ready", listener.local_addr().unwrap());
        crate::task::spawn(&tokio::runtime::Handle::current(), "answers", async move {
            for status in statuses {
                let (mut connection, _) = listener.accept().await.unwrap();
                assert_ne!(connection.read(&mut [0; 4096]).await.unwrap(), 0);
                let answer = format!("HTTP/1.1 {status} -\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
                connection.write_all(answer.as_bytes()).await.unwrap();
            }
        });
        url
    }

    #[tokio::test]
    async fn asks_once_or_until_it_is_well() {
        let url = answering(&[503, 503, 200]).await;
        let error = ask(&url, Duration::ZERO).await.unwrap_err();
        assert_eq!(error.to_string(), format!("{url} answers 503 Service Unavailable"));
        assert_eq!(ask(&url, Duration::from_secs(60)).await.unwrap(), StatusCode::OK);
        // The server is gone.
        let error = ask(&url, Duration::ZERO).await.unwrap_err();
        assert_eq!(error.to_string(), format!("{url} does not answer"));
    }

    #[tokio::test]
    async fn a_credential_in_the_address_is_not_shown() {
        let secret = "http://user:hunter2@127.0.0.1:1/ready";
        let error = format!("{:#}", ask(secret, Duration::ZERO).await.unwrap_err());
        assert!(error.starts_with("http://127.0.0.1:1/ready does not answer: "), "{error}");
        assert!(!error.contains("hunter2"), "{error}");
        assert_eq!(shown("http://127.0.0.1:1"), "http://127.0.0.1:1", "as it was given");
    }

    #[test]
    fn any_address_is_asked_at_loopback() {
        let asked = |listen: &str| reachable(listen.parse().unwrap()).to_string();
        assert_eq!(asked("0.0.0.0:9464"), "127.0.0.1:9464");
        assert_eq!(asked("[::]:1"), "[::1]:1");
        assert_eq!(asked("10.0.0.7:80"), "10.0.0.7:80");
    }
}
