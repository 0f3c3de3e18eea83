//! Why Kafka cannot be reached, in librdkafka's own words.
//!
//! Its errors say only "Broker transport failure" or "Timed out"; what was wrong (a refused password, a name that does
//! not resolve, a certificate that cannot be verified) is in its log alone. The latest such lines are kept here until a
//! request of the client succeeds. librdkafka prints no passwords, and neither does what is kept.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::producer::{BaseProducer, Producer};
use rdkafka::types::RDKafkaErrorCode as Code;
use tokio::time::Instant;

use super::Context;

/// Causes that are kept: as many brokers may each have another trouble.
const MOST: usize = 3;

/// Longest text of one, bytes.
const LONGEST: usize = 300;

/// How long one counts. librdkafka says the same again only after 30 s.
const FRESH: Duration = Duration::from_secs(60);

/// How long what a client has to say is waited for after it failed.
const LAST_WORDS: Duration = Duration::from_millis(50);

/// The latest causes, oldest first.
#[derive(Debug, Default)]
pub(super) struct Causes {
    latest: Mutex<VecDeque<Cause>>,
    /// Whether there are any: asked for with each batch.
    any: AtomicBool,
}

#[derive(Debug)]
struct Cause {
    text: String,
    at: Instant,
}

impl Causes {
    /// Keeps what librdkafka logged of a connection. The same cause again takes the place of the former one.
    pub(super) fn note(&self, line: &str) {
        let text = tidy(line);
        if text.is_empty() {
            return;
        }
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        latest.retain(|known| known.text != text);
        if latest.len() >= MOST {
            latest.pop_front();
        }
        latest.push_back(Cause { text, at: Instant::now() });
        self.any.store(true, Ordering::Release);
    }

    /// Everything works again.
    pub(super) fn clear(&self) {
        if self.any.swap(false, Ordering::AcqRel) {
            self.latest.lock().unwrap_or_else(PoisonError::into_inner).clear();
        }
    }

    /// The causes that count still, latest first.
    pub(super) fn text(&self) -> Option<String> {
        let latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = latest.iter().rev().filter(|cause| cause.at.elapsed() < FRESH);
        let texts: Vec<&str> = fresh.map(|cause| cause.text.as_str()).collect();
        (!texts.is_empty()).then(|| texts.join("; "))
    }
}

/// A client whose events somebody has to serve.
pub(in crate::sink) trait Served {
    /// Serves what there is and what comes within `time`.
    fn serve(&self, time: Duration);

    /// Its own context.
    fn own_context(&self) -> &Context;
}

impl Served for BaseProducer<Context> {
    fn serve(&self, time: Duration) {
        self.poll(time);
    }

    fn own_context(&self) -> &Context {
        self.client().context()
    }
}

impl Served for BaseConsumer<Context> {
    fn serve(&self, time: Duration) {
        let until = Instant::now() + time;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            // What it gives back is a record that nobody waits for any more, or an error that was noted on the way.
            drop(self.poll(left));
            if left.is_zero() {
                break;
            }
        }
    }

    fn own_context(&self) -> &Context {
        self.client().context()
    }
}

/// An error as text, with its cause where it only says that Kafka could not be asked. For clients that are given up: a
/// consumer that goes on would lose records.
pub(in crate::sink) fn explain(client: &impl Served, error: &KafkaError) -> String {
    let text = error.to_string();
    if !error.rdkafka_error_code().is_some_and(is_unreachable) {
        return text;
    }
    client.serve(LAST_WORDS);
    with_causes(text, client.own_context())
}

/// `text` with the causes that are known.
pub(in crate::sink) fn with_causes(text: String, context: &Context) -> String {
    match context.causes() {
        Some(causes) => format!("{text} ({causes})"),
        None => text,
    }
}

/// Whether an error says only that a broker could not be asked, so that its cause stands elsewhere.
pub(super) fn is_unreachable(code: Code) -> bool {
    matches!(
        code,
        Code::BrokerTransportFailure
            | Code::AllBrokersDown
            | Code::OperationTimedOut
            | Code::RequestTimedOut
            | Code::Resolve
            | Code::SSL
            | Code::Authentication
            | Code::MessageTimedOut
            | Code::CoordinatorNotAvailable
    )
}

/// Whether a consumer that is given its partitions goes on after an error of this code: librdkafka mends it by itself. So it is with
/// the refusal of the group, whose coordinator librdkafka looks for in the background although nobody asked for one.
pub(in crate::sink) fn passes(code: Code) -> bool {
    matches!(
        code,
        Code::AllBrokersDown
            | Code::BrokerTransportFailure
            | Code::OperationTimedOut
            | Code::Resolve
            | Code::GroupAuthorizationFailed
            | Code::NotLeaderForPartition
            | Code::LeaderNotAvailable
    )
}

/// Whether a line of librdkafka's log says that TLS failed: of our certificate or of the broker's. With TLS 1.3 a broker
/// refuses a certificate only after the handshake, so it is no TLS error by its code but a connection that was closed.
pub(super) fn is_tls(line: &str) -> bool {
    [
        "SSL routines",
        "SSL alert",
        "SSL handshake failed",
        "broker certificate",
        "tlsv1 alert",
        "ssl/tls alert",
    ]
    .iter()
    .any(|sign| line.contains(sign))
}

/// Whether what librdkafka reports as a failed authentication is only a connection that was lost before it was asked for the
/// credentials.
pub(super) fn is_cut_off(line: &str) -> bool {
    line.contains("mechanism handshake failed: Local:")
}

/// The line without the thread's name before it and the counts behind it, so that the same cause is the same text.
fn tidy(line: &str) -> String {
    let line = match line.strip_prefix("[thrd:") {
        Some(rest) => rest.split_once("]: ").map_or(rest, |(_, rest)| rest),
        None => line,
    };
    let counts = line.rfind(" (after ").filter(|_| line.ends_with(')'));
    let line = counts.map_or(line, |at| &line[..at]);
    let mut text = line.split_whitespace().collect::<Vec<_>>().join(" ");
    text.retain(|c| !c.is_control());
    text.truncate(text.floor_char_boundary(LONGEST));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_cause_is_the_same_text() {
        let logged = "[thrd:sasl_plaintext://127.0.0.1:9/bootstrap]: sasl_plaintext://127.0.0.1:9/bootstrap: SASL \
                      authentication error: Authentication failed (after 3ms in state AUTH_REQ, 4 identical error(s) \
                      suppressed)";
        let reported = "sasl_plaintext://127.0.0.1:9/bootstrap: SASL authentication error: Authentication failed \
                        (after 12ms in state AUTH_REQ)";
        let tidied =
            "sasl_plaintext://127.0.0.1:9/bootstrap: SASL authentication error: Authentication failed";
        assert_eq!(tidy(logged), tidied);
        assert_eq!(tidy(reported), tidied);
        let causes = Causes::default();
        causes.note(logged);
        causes.note("k:1/1: Failed to resolve 'k:1': Name or service not known (after 2ms in state CONNECT)");
        causes.note(reported);
        let resolve = "k:1/1: Failed to resolve 'k:1': Name or service not known";
        assert_eq!(causes.text(), Some(format!("{tidied}; {resolve}")));
    }

    #[test]
    fn a_cause_is_bounded_one_line_and_only_the_latest_are_kept() {
        let causes = Causes::default();
        assert_eq!(causes.text(), None);
        causes.note(" ");
        assert_eq!(causes.text(), None, "nothing was said");
        for number in 0..5 {
            causes.note(&format!("b/{number}: down\u{1b}\n{}", "é".repeat(400)));
        }
        let text = causes.text().unwrap();
        let begins: Vec<_> = text.split("; ").map(|cause| &cause[..9]).collect();
        assert_eq!(begins, ["b/4: down", "b/3: down", "b/2: down"]);
        assert!(text.len() <= MOST * (LONGEST + 2) && !text.contains(char::is_control), "{text}");
        causes.clear();
        assert_eq!(causes.text(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn an_old_cause_is_none() {
        let causes = Causes::default();
        causes.note("a: old");
        tokio::time::advance(FRESH - Duration::from_secs(1)).await;
        causes.note("b: new");
        assert_eq!(causes.text().unwrap(), "b: new; a: old");
        tokio::time::advance(Duration::from_secs(2)).await;
        assert_eq!(causes.text().unwrap(), "b: new");
    }

    #[test]
    fn a_lost_connection_is_no_refusal() {
        let handshake = "sasl_plaintext://k:1/1: SASL SCRAM-SHA-512 mechanism handshake failed: ";
        let lost =
            format!("{handshake}Local: Broker transport failure: broker's supported mechanisms: (n/a)");
        assert!(is_cut_off(&lost));
        let refused =
            format!("{handshake}Broker: Unsupported SASL mechanism: broker's supported mechanisms: PLAIN");
        assert!(!is_cut_off(&refused));
        assert!(!is_cut_off("sasl_plaintext://k:1/1: SASL authentication error: Authentication failed"));
    }

    #[test]
    fn tls_failures_are_known_by_their_text() {
        for line in [
            "ssl://k:1/bootstrap: SSL handshake failed: error:0A000086:SSL routines::certificate verify failed: broker \
             certificate could not be verified",
            "ssl://k:1/1: Receive failed: error:0A000412:SSL routines::ssl/tls alert bad certificate: SSL alert number 42",
            "ssl://k:1/1: SSL handshake failed: ssl/record/rec_layer_s3.c:1600: tlsv1 alert unknown ca",
        ] {
            assert!(is_tls(line), "{line}");
        }
        for line in [
            "ssl://k:1/bootstrap: Connect to ipv4#127.0.0.1:1 failed: Connection refused",
            "ssl://k:1/1: Disconnected: connection closed by peer: receive 0 after POLLIN",
            "sasl_ssl://k:1/1: SASL authentication error: Authentication failed",
        ] {
            assert!(!is_tls(line), "{line}");
        }
    }
}
