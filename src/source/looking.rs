//! Whether a stream could be opened, for whoever wants to know before it runs: one attempt at each step, without a retry.
//! Knows no service; nothing that comes is handed over.

use std::time::Duration;

use tokio::time::Instant;

use super::Config;
use super::failure::{Class, Failure};
use super::http::connect::{Asked, Connector, Request};
use super::lines::Lines;
use super::metrics::Metrics;
use super::vet::Marks;
use crate::clock::now_ms;

/// Looks at one stream.
pub(crate) struct Look {
    connector: Connector,
    marks: Marks,
    silence: Duration,
    max_line: usize,
}

/// What was seen of a stream that was opened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Seen {
    /// A line of it.
    Lines,
    /// Nothing yet but that the service answers with 200.
    Quiet,
}

impl Look {
    /// Prepares the HTTP client.
    pub(crate) fn new(config: &Config) -> Self {
        let (dialect, marks, pause) = config.service.speech();
        let connector = Connector::new(config.endpoint.clone(), dialect, pause);
        Self { connector, marks, silence: config.endpoint.silence, max_line: config.max_line }
    }

    /// Asks the service's host for nothing of the stream: whether its name resolves, and whether it can be reached, by TLS where the
    /// address says so. Gives how far our clock is ahead of the host's, milliseconds, where it tells its time.
    pub(crate) async fn reach(&self, limit: Duration) -> Result<Option<i64>, Failure> {
        let began_ms = now_ms();
        let told = within(limit, self.connector.reach()).await?;
        // The time is told in whole seconds, so it is that of the answer, or up to a second before.
        Ok(told.map(|at_ms| ahead_ms(began_ms, now_ms(), at_ms)))
    }

    /// The proxy that the host is reached by, if it is by one.
    pub(crate) fn way(&self) -> Option<String> {
        self.connector.way()
    }

    /// Reads the credential, or has a token granted. Shows it to nobody else.
    pub(crate) async fn credential(&self, limit: Duration) -> Result<(), Failure> {
        within(limit, self.connector.credential()).await
    }

    /// Opens the stream and closes it again once a line of it has come, or nothing for `limit`.
    pub(crate) async fn open(&self, request: &Request, limit: Duration) -> Result<Seen, Failure> {
        let opened = within(limit, self.connector.open(request, &Asked::default())).await?;
        let mut lines =
            Lines::new(opened.response, self.marks, self.silence, self.max_line, Metrics::default());
        let end = Instant::now() + limit;
        while !lines.is_proven() {
            match tokio::time::timeout_at(end, lines.read()).await {
                // One that ends in order was one.
                Ok(Some(failure)) if failure.class == Class::Ended => break,
                Ok(Some(failure)) => return Err(failure),
                Ok(None) => {}
                Err(_) => break,
            }
        }
        Ok(if lines.is_proven() { Seen::Lines } else { Seen::Quiet })
    }
}

/// How far our clock is ahead, if a clock with whole seconds said `at_ms` between `began_ms` and `ended_ms` of ours; negative if it
/// is behind.
fn ahead_ms(began_ms: i64, ended_ms: i64, at_ms: i64) -> i64 {
    let (earliest, latest) = (began_ms - at_ms - 1_000, ended_ms - at_ms);
    if earliest > 0 { earliest } else { latest.min(0) }
}

/// What does not end within `limit` is silence.
async fn within<T>(limit: Duration, work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    tokio::time::timeout(limit, work).await.unwrap_or_else(|_| {
        let message = format!("no answer within {} s", limit.as_secs_f64());
        Err(Failure::new(Class::Silence, message))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_request_cannot_explain_is_a_difference() {
        for (at_ms, ahead) in [(10_000, 0), (9_500, 0), (11_000, 0), (7_000, 2_000), (15_000, -4_000)] {
            assert_eq!(ahead_ms(10_000, 11_000, at_ms), ahead, "{at_ms}");
        }
    }
}
