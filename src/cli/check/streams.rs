//! What `check` asks of streams: their host, their credential, where they would go on, and, where it costs nothing, the stream.

use std::time::Duration;

use super::report::{Class, Finding};
use crate::model::checkpoint::{Checkpoint, Hold};
use crate::model::errors::chain;
use crate::plan::Stream;
use crate::shard::pipeline::redaction::Redaction;
use crate::sink::kafka::placement::Row;
use crate::source;
use crate::source::failure::{Class as Cause, Failure};
use crate::source::looking::{Look, Seen};

/// Our clock may differ so much from a service's, milliseconds: nobody's trouble.
const TOLERATED_MS: i64 = 10_000;

/// How far ahead a record's time may be until a broker refuses it (`message.timestamp.after.max.ms` of Kafka).
const REFUSED_MS: i64 = 3_600_000;

/// What is known of what was committed.
#[derive(Clone, Debug)]
pub(super) enum Committed {
    /// Nothing, since it cannot be read.
    Unknown,
    /// These shards; none in a cluster where nothing ever ran.
    Shards(Vec<Row>),
}

/// How streams are looked at.
#[derive(Clone, Copy)]
pub(super) struct Looking<'a> {
    /// What was committed.
    pub(super) committed: &'a Committed,
    /// Limit of each step.
    pub(super) limit: Duration,
    /// Whether a stream is opened although an instance may be at work on it.
    pub(super) open: bool,
}

/// What was found at a stream.
#[derive(Default)]
pub(super) struct Found {
    /// What is to be shown.
    pub(super) findings: Vec<Finding>,
    /// How far our clock is ahead of the service's, milliseconds.
    pub(super) ahead_ms: Option<i64>,
}

/// All that can be found out about one stream.
pub(super) async fn check(stream: &Stream, looking: Looking<'_>) -> Found {
    let name = stream.name();
    let mut found = Found::default();
    if let Some(redact) = &stream.redact {
        found.findings.push(match Redaction::open(redact) {
            Ok(_) => Finding::ok(Class::Streams, format!("{name} redaction"), "its secrets can be read"),
            Err(error) => {
                let todo =
                    "give the secret that is named; without it nothing of the stream is shown or delivered";
                Finding::failed(Class::Streams, format!("{name} redaction"), chain(&error), todo)
            }
        });
    }
    found.findings.push(resume(stream, looking.committed));
    if let Some(source) = stream.service() {
        of_service(&mut found, stream, source, looking).await;
    }
    found
}

/// Where the stream would go on.
fn resume(stream: &Stream, committed: &Committed) -> Finding {
    let subject = format!("{} position", stream.name());
    let Committed::Shards(rows) = committed else {
        return Finding::not_tried(Class::Streams, subject, "the checkpoints could not be read");
    };
    let shards: Vec<String> = rows_of(rows, stream).map(described).collect();
    if shards.is_empty() {
        let begin = match stream.service() {
            Some(_) if stream.begins_at_oldest() => {
                "it would begin with the oldest event that the service holds"
            }
            Some(_) => "it would begin with what comes after the connect",
            None => "it would begin with the first record of its intake topic",
        };
        return Finding::ok(Class::Streams, subject, format!("no checkpoint: {begin}"));
    }
    Finding::ok(Class::Streams, subject, shards.join("; "))
}

fn rows_of<'a>(rows: &'a [Row], stream: &'a Stream) -> impl Iterator<Item = &'a Row> {
    rows.iter().filter(|row| *row.shard.stream == **stream.name())
}

fn described(row: &Row) -> String {
    let shard = &row.shard;
    let Some(Checkpoint { position, hold, totals, .. }) = &row.checkpoint else {
        return format!("{shard} has no checkpoint yet");
    };
    let place = match position {
        Some(position) => format!("goes on after {position}"),
        None => "has no position yet".to_owned(),
    };
    let held = if *hold == Hold::Held { ", held by an instance" } else { "" };
    format!("{shard} {place} ({} delivered{held})", totals.delivered)
}

async fn of_service(found: &mut Found, stream: &Stream, source: &source::Config, looking: Looking<'_>) {
    let name = stream.name();
    let subject = |what: &str| format!("{name} {what}");
    let look = Look::new(source);
    let host = match look.reach(looking.limit).await {
        Ok(ahead_ms) => {
            found.ahead_ms = ahead_ms;
            let text = match look.way() {
                Some(proxy) => format!("it answers through the proxy {proxy}"),
                None => "its name resolves, and it answers".to_owned(),
            };
            Finding::ok(Class::Streams, subject("host"), text)
        }
        Err(failure) => failed(subject("host"), &failure),
    };
    let is_reached = !host.is_failure();
    found.findings.push(host);
    let credential = match look.credential(looking.limit).await {
        Ok(()) => Finding::ok(
            Class::Streams,
            subject("credential"),
            "the secret can be read, or the token endpoint granted a token; what the service thinks of it shows when the stream is opened",
        ),
        Err(failure) => failed(subject("credential"), &failure),
    };
    let has_credential = !credential.is_failure();
    found.findings.push(credential);
    let subject = subject("stream");
    let not_tried = |why: &str| Finding::not_tried(Class::Streams, subject.as_str(), why);
    found.findings.push(match source.service.harmless_request(0, position(stream, looking.committed)) {
        None => not_tried(
            "opening it would take hits that nobody else gets then: whether the credential may read it is not known",
        ),
        Some(_) if !is_reached || !has_credential => not_tried("it takes the host and the credential"),
        Some(_) if !looking.open && may_be_held(stream, looking.committed) => not_tried(
            "an instance may be at work on it, whose connections the service counts; --open opens one beside them",
        ),
        Some(request) => match look.open(&request, looking.limit).await {
            Ok(Seen::Lines) => Finding::ok(Class::Streams, subject, "was opened, and a line of it came"),
            Ok(Seen::Quiet) => {
                let seconds = looking.limit.as_secs_f64();
                let text = format!("was opened; no line of it came within {seconds} s, as of a stream without events");
                Finding::ok(Class::Streams, subject, text)
            }
            Err(failure) => failed(subject, &failure),
        },
    });
}

/// The position of the stream's first shard.
fn position<'a>(stream: &'a Stream, committed: &'a Committed) -> Option<&'a crate::model::types::Position> {
    let Committed::Shards(rows) = committed else { return None };
    rows_of(rows, stream).next()?.checkpoint.as_ref()?.position.as_ref()
}

/// Whether an instance may be at work on the stream.
fn may_be_held(stream: &Stream, committed: &Committed) -> bool {
    let Committed::Shards(rows) = committed else { return true };
    let is_held = |row: &Row| row.checkpoint.as_ref().is_some_and(|found| found.hold == Hold::Held);
    rows_of(rows, stream).any(is_held)
}

/// What a failed attempt means. What passes by itself is no failure of the configuration.
fn failed(subject: String, failure: &Failure) -> Finding {
    let (passes, todo) = advice(failure.class);
    let text = chain(failure);
    match passes {
        true => Finding::warning(Class::Streams, subject, text, todo),
        false => Finding::failed(Class::Streams, subject, text, todo),
    }
}

/// Whether the connector gets over a failure by itself, and what the operator can do.
fn advice(cause: Cause) -> (bool, &'static str) {
    match cause {
        Cause::Network => (
            false,
            "check the address that is named (url, or token_url of auth), name server, network, proxy and certificates",
        ),
        Cause::Silence => {
            (false, "check that a firewall or proxy lets the answer through; a longer --timeout waits for it")
        }
        Cause::BadBody => (false, "check url: what answers is not the stream"),
        Cause::ServerError => (false, "try again later; the service failed"),
        Cause::TooManyConnections => (
            true,
            "end other consumers of the same connection, or ask for more connections, if nobody of yours is at work",
        ),
        Cause::RateLimited => (true, "wait before the next attempt"),
        Cause::Unauthorized => (false, "exchange the credential, and check that it is that of this stream"),
        Cause::Forbidden => (false, "give the credential the right to read this stream"),
        Cause::NoData => (true, "check url and app key, unless the app is new"),
        Cause::NotEnabled => {
            (true, "wait: the connector enables the stream, which takes the service a quarter of an hour")
        }
        Cause::PositionRejected => (true, "see on_expired_position: it says what the connector does then"),
        Cause::Rejected => (false, "check url and the stream's keys, as the finding says"),
        Cause::Redirect => (false, "check url and redirect_hosts"),
        Cause::Credential => {
            (false, "check `auth` of the stream, `[http]`, and the file or variable that is named")
        }
        Cause::Ended => (true, "try again"),
    }
}

/// What the largest difference between our clock and a service's means.
pub(super) fn clock(ahead_ms: impl Iterator<Item = i64>) -> Finding {
    let subject = "clock";
    let Some(ahead_ms) = ahead_ms.max_by_key(|ahead_ms| ahead_ms.saturating_abs()) else {
        return Finding::not_tried(Class::Machine, subject, "no service told its time");
    };
    let seconds = ahead_ms as f64 / 1000.0;
    if ahead_ms.saturating_abs() <= TOLERATED_MS {
        return Finding::ok(Class::Machine, subject, "agrees with that of a service");
    }
    let (text, todo) = (
        format!("is {seconds} s ahead of a service's (negative: behind)"),
        "set the clock of this machine, as by NTP: what has no time of its own is dated by it",
    );
    if ahead_ms > REFUSED_MS {
        return Finding::failed(
            Class::Machine,
            subject,
            format!("{text}; brokers refuse what is dated so"),
            todo,
        );
    }
    Finding::warning(Class::Machine, subject, text, todo)
}
