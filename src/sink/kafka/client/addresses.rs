//! Why an admin client's request failed: it keeps its log to itself, so the way to the brokers is tried again here.
//!
//! The usual trouble is an address that a broker advertises and this machine cannot resolve or reach: then the list of
//! topics, which any broker gives at the bootstrap address, is there, and everything else times out.

use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

use rdkafka::consumer::Consumer;
use rdkafka::error::KafkaError;

use super::causes::{explain, is_unreachable};
use super::{Clients, close_beside};

/// Limit for the list of brokers.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// Limit for a connection to one broker.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// Brokers that are tried: enough to see what is wrong.
const MOST: usize = 5;

/// An admin client's error as text, with its cause where it only says that Kafka could not be asked. Blocks.
pub(in crate::sink) fn explain_admin(clients: &Clients, error: &KafkaError) -> String {
    let text = error.to_string();
    let code = match error {
        // rdkafka gives no code for these.
        KafkaError::AdminOp(code) => Some(*code),
        other => other.rdkafka_error_code(),
    };
    if !code.is_some_and(is_unreachable) {
        return text;
    }
    let Ok(consumer) = clients.consumer(true) else { return text };
    let cause = match consumer.fetch_metadata(None, REQUEST_TIMEOUT) {
        Err(error) => Some(explain(&consumer, &error)),
        Ok(metadata) => {
            let brokers = metadata.brokers().iter().take(MOST);
            let troubles: Vec<_> = brokers
                .filter_map(|broker| trouble(broker.host(), u16::try_from(broker.port()).ok()?))
                .collect();
            (!troubles.is_empty()).then(|| troubles.join("; "))
        }
    };
    close_beside(consumer);
    match cause {
        Some(cause) => format!("{text} ({cause})"),
        None => text,
    }
}

/// Why a broker cannot be connected to at the address that it advertises; `None` if it can.
fn trouble(host: &str, port: u16) -> Option<String> {
    let address = format!("the advertised address {host}:{port} of a broker");
    let found = match (host, port).to_socket_addrs() {
        Ok(found) => found,
        Err(error) => return Some(format!("{address} cannot be resolved: {error}")),
    };
    let mut last = None;
    for socket in found {
        match TcpStream::connect_timeout(&socket, CONNECT_TIMEOUT) {
            Ok(_) => return None,
            Err(error) => last = Some(error),
        }
    }
    last.map(|error| format!("{address} cannot be reached: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_advertised_address_that_cannot_be_used_is_named() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        assert_eq!(trouble("127.0.0.1", port), None);
        drop(listener);
        let refused = trouble("127.0.0.1", port).unwrap();
        let address = format!("the advertised address 127.0.0.1:{port} of a broker");
        assert!(refused.starts_with(&format!("{address} cannot be reached: ")), "{refused}");
        // The name is one that never exists (RFC 6761).
        let unknown = trouble("kafka.invalid", 9092).unwrap();
        assert!(
            unknown.starts_with("the advertised address kafka.invalid:9092 of a broker cannot be resolved: "),
            "{unknown}"
        );
    }
}
