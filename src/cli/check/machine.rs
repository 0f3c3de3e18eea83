//! What `check` asks of this machine: addresses to listen at, the webhook's certificate and secrets, open files.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use super::report::{Class, Finding};
use crate::clock::now_ms;
use crate::model::errors::chain;
use crate::plan::{Input, Plan};
use crate::sink::kafka::config::Config as Kafka;
use crate::telemetry::traces;
use crate::web::client;
use crate::webhook::{self, Receiver, ReceiverError};

/// A certificate that ends so soon should be exchanged, days.
const SOON: i64 = 14;

/// Seconds of a day.
const DAY: i64 = 86_400;

/// What the system says of this process's limits.
const LIMITS: &str = "/proc/self/limits";

/// Files that a process of ours has open besides its connections.
const USUAL_FILES: u64 = 64;

/// Clients of Kafka that a shard may have at once; each may have a connection to each broker.
const CLIENTS: u64 = 4;

/// What receives the streams that are pushed to us.
pub(super) async fn receiver(plan: &Plan) -> Vec<Finding> {
    let Some(webhook) = &plan.webhook else { return Vec::new() };
    let mut findings = vec![listener(webhook, &plan.kafka).await];
    findings.extend(webhook.tls.as_ref().map(certificate));
    for stream in &webhook.streams {
        let subject = format!("{} access", stream.name);
        findings.push(match stream.access.as_ref().map(webhook::Access::read_all) {
            None => Finding::warning(
                Class::Streams,
                subject,
                "anybody may push to it",
                "set `auth` of the stream, unless something in front of it looks at who pushes",
            ),
            Some(Ok(())) => Finding::ok(Class::Streams, subject, "its secrets can be read"),
            Some(Err(error)) => {
                let todo = "give the secret that is named, or nobody is let in by it";
                Finding::failed(Class::Streams, subject, chain(&error), todo)
            }
        });
    }
    findings
}

async fn listener(webhook: &webhook::Config, kafka: &Kafka) -> Finding {
    let subject = "webhook.listen";
    match Receiver::bind(webhook, kafka).await {
        Ok(_) => Finding::ok(Class::Streams, subject, format!("{} is free", webhook.listen)),
        Err(ReceiverError::Listen { source, .. }) if source.kind() == ErrorKind::AddrInUse => {
            taken(Class::Streams, subject, webhook.listen)
        }
        Err(error) => Finding::failed(
            Class::Streams,
            subject,
            chain(&error),
            "set webhook.listen to an address of this machine that this user may have, and webhook.tls to a certificate and its key",
        ),
    }
}

/// Where probes and metrics are served.
pub(super) fn admin(listen: Option<SocketAddr>) -> Option<Finding> {
    let (listen, subject) = (listen?, "admin.listen");
    Some(match TcpListener::bind(listen) {
        Ok(_) => Finding::ok(Class::Machine, subject, format!("{listen} is free")),
        Err(error) if error.kind() == ErrorKind::AddrInUse => taken(Class::Machine, subject, listen),
        Err(error) => {
            let todo = "set admin.listen to an address of this machine that this user may have";
            Finding::failed(Class::Machine, subject, format!("cannot listen at {listen}: {error}"), todo)
        }
    })
}

/// An address that somebody has.
fn taken(class: Class, subject: &str, listen: SocketAddr) -> Finding {
    let text = format!("{listen} is in use");
    Finding::warning(
        class,
        subject,
        text,
        "nothing if this connector runs here already; else choose another port",
    )
}

/// What requests to services and token endpoints need besides their credential; whether hosts are reached with it is seen there.
pub(super) fn http(plan: &Plan) -> Option<Finding> {
    let http = &plan.kafka.http;
    if *http == client::Config::default() {
        return None;
    }
    let subject = "http";
    Some(match http.check() {
        Ok(Some(at)) => of_seconds("http.client_cert", at.saturating_sub(now_ms() / 1000)),
        Ok(None) if http.identity.is_some() => Finding::not_tried(
            Class::Streams,
            subject,
            "when the client certificate expires is not understood",
        ),
        Ok(None) => Finding::ok(Class::Streams, subject, "its files and secrets can be used"),
        Err(error) => {
            let todo = "give files in PEM form: certificates of authorities, a client certificate and its own key without a \
                        passphrase; and a proxy's address that can be read";
            Finding::failed(Class::Streams, subject, chain(&error), todo)
        }
    })
}

/// Whether the collector takes spans. Without it everything else goes on, so its trouble is a warning.
pub(super) async fn traces(plan: &Plan, limit: Duration) -> Option<Finding> {
    let subject = "traces";
    let settings = match traces::of_process(plan) {
        Ok(settings) => settings?,
        Err(error) => {
            let todo = "set the variable right, or unset it";
            return Some(Finding::failed(Class::Configuration, subject, error.to_string(), todo));
        }
    };
    let collector = settings.endpoint();
    let asked = traces::probe(&settings, plan.kafka.http.clone());
    let reason = match tokio::time::timeout(limit, asked).await {
        Ok(Ok(())) => {
            let text = format!("the collector at {collector} takes spans");
            return Some(Finding::ok(Class::Machine, subject, text));
        }
        Ok(Err(error)) => chain(&error),
        Err(_) => format!("the collector at {collector} did not answer within {} s", limit.as_secs_f64()),
    };
    let todo = "check what is named: [http], [traces], or the OTEL_… variables";
    Some(Finding::warning(Class::Machine, subject, reason, todo))
}

fn certificate(files: &webhook::Tls) -> Finding {
    let subject = "webhook.tls";
    match files.expires() {
        Ok(Some(at)) => of_seconds(subject, at.saturating_sub(now_ms() / 1000)),
        Ok(None) => {
            Finding::not_tried(Class::Streams, subject, "when the certificate expires is not understood")
        }
        Err(error) => {
            let todo = "give a certificate in PEM form, with the chain below it, and its key";
            Finding::failed(Class::Streams, subject, chain(&error), todo)
        }
    }
}

/// What the time means for which the certificate is good yet.
fn of_seconds(subject: &str, left: i64) -> Finding {
    let todo = "exchange the certificate; its files are read again under way";
    if left < 0 {
        return Finding::failed(Class::Streams, subject, "the certificate has expired", todo);
    }
    let days = left / DAY;
    let text = format!("the certificate is good for {days} days yet");
    if days < SOON {
        return Finding::warning(Class::Streams, subject, text, todo);
    }
    Finding::ok(Class::Streams, subject, text)
}

/// Whether as many files may be open as the configuration may need.
pub(super) fn files(plan: &Plan, brokers: usize) -> Finding {
    match std::fs::read_to_string(LIMITS).ok().as_deref().and_then(soft_limit) {
        Some(limit) => of_limit(limit, needed(plan, brokers)),
        None => Finding::not_tried(
            Class::Machine,
            "open files",
            format!("{LIMITS} does not say how many are allowed"),
        ),
    }
}

fn needed(plan: &Plan, brokers: usize) -> u64 {
    let shards: u64 = plan.streams.iter().map(|stream| u64::from(stream.shards)).sum();
    let services = plan.streams.iter().map(|stream| match &stream.input {
        Input::Service(source) => u64::from(source.service.connections()),
        Input::Intake { .. } => 0,
    });
    let pushed = plan.webhook.as_ref().map_or(0, |webhook| webhook.max_connections);
    let of_kafka = (shards + 1) * CLIENTS * u64::try_from(brokers.max(1)).unwrap_or(1);
    USUAL_FILES + of_kafka + services.sum::<u64>() + u64::try_from(pushed).unwrap_or(u64::MAX / 2)
}

/// How many files may be open; `None` where the text does not say it.
fn soft_limit(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    match line.split_whitespace().next()? {
        "unlimited" => Some(u64::MAX),
        number => number.parse().ok(),
    }
}

fn of_limit(limit: u64, needed: u64) -> Finding {
    let subject = "open files";
    if limit >= needed {
        return Finding::ok(
            Class::Machine,
            subject,
            format!("{limit} are allowed; up to about {needed} may be needed"),
        );
    }
    let text = format!("only {limit} are allowed; up to about {needed} may be needed");
    Finding::warning(
        Class::Machine,
        subject,
        text,
        "raise the limit: `ulimit -n`, or LimitNOFILE= of the unit",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::check::report::json;

    fn result(finding: Finding) -> String {
        json(&[finding])["checks"][0]["result"].as_str().unwrap().to_owned()
    }

    #[test]
    fn a_certificate_is_exchanged_in_time() {
        for (days, expected) in [(-1, "failed"), (0, "warning"), (SOON - 1, "warning"), (SOON, "ok")] {
            assert_eq!(result(of_seconds("webhook.tls", days * DAY)), expected, "{days}");
        }
    }

    #[test]
    fn the_limit_of_open_files_is_read() {
        let text = "Limit                     Soft Limit           Hard Limit           Units\n\
                    Max open files            1024                 524288               files\n";
        assert_eq!(soft_limit(text), Some(1024));
        assert_eq!(soft_limit("Max open files  unlimited  unlimited  files"), Some(u64::MAX));
        assert_eq!(soft_limit("Max processes 7 7 processes"), None);
        assert_eq!(result(of_limit(1024, 1024)), "ok");
        assert_eq!(result(of_limit(1023, 1024)), "warning");
    }
}
