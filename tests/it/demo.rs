//! The demo as a user runs it, with nothing but the program: what it shows, and that its counts are right.

use crate::harness::airship::LIMIT;
use crate::harness::broker::free_port;
use crate::harness::process;
use crate::harness::wait::GENEROUS;
use std::thread;

const SERVICES: [&str; 2] = ["airship", "adobe"];

#[test]
fn the_demo_shows_the_services_that_are_named_and_loses_nothing() {
    let selections: [(&str, &[&str]); 3] =
        [("airship", &["airship"]), ("adobe", &["adobe"]), ("both", &SERVICES)];
    // Mostly they wait for their time to be over.
    thread::scope(|scope| {
        for (selection, services) in selections {
            scope.spawn(move || shows(selection, services));
        }
    });
}

#[test]
fn a_kafka_that_is_not_there_is_named_soon() {
    let address = format!("127.0.0.1:{}", free_port());
    let mut process = process::subcommand(&["demo", "--kafka", &address], &[]);
    assert_eq!(process.wait_exit(GENEROUS).code(), Some(1));
    let log = process.log();
    let said = format!("tributary: Kafka cannot be reached at {address}: no answer within 10 s: ");
    assert!(log.last().is_some_and(|line| line.starts_with(&said) && line.contains("refused")), "{log:#?}");
    // Nothing was tried without it.
    assert!(log.iter().all(|line| !line.contains("announce")), "{log:#?}");
}

fn shows(selection: &str, services: &[&str]) {
    // Long enough for a fault of each service.
    let mut process = process::subcommand(&["demo", "--for", "6s", "--service", selection], &[]);
    let status = process.wait_exit(LIMIT);
    let log = process.log();
    let text = log.join("\n");
    assert_eq!(status.code(), Some(0), "{selection}: {text}");

    let introduction = format!("mock services ({}) at ", services.join(" and "));
    assert!(log.iter().any(|line| line.starts_with(&introduction)), "{selection}: {text}");
    for service in SERVICES {
        // The report of every other second.
        let shard = format!("{service}/0 ");
        let reports = log.iter().filter(|line| line.starts_with(&shard) && line.contains(" total ")).count();
        assert_eq!(reports > 0, services.contains(&service), "{selection}: {reports} of {service} in {text}");
    }

    assert_eq!(heads(&log), [services], "{selection}: {text}");
    let zeros = vec!["0"; services.len()];
    for name in ["lost", "delivered twice"] {
        assert_eq!(cells(&log, name), zeros, "{selection}: {name} in {text}");
    }
    let delivered = cells(&log, "events delivered to Kafka");
    assert_eq!(delivered, cells(&log, "events made by the service"), "{selection}");
    assert!(delivered.len() == services.len() && !delivered.contains(&"0"), "{selection}: {delivered:?}");
}

/// The heads of the table's columns: lines of services' names and nothing else, of which there is one.
fn heads(log: &[String]) -> Vec<Vec<&str>> {
    let words = log.iter().map(|line| line.split_whitespace().collect::<Vec<_>>());
    words.filter(|words| !words.is_empty() && words.iter().all(|word| SERVICES.contains(word))).collect()
}

/// What the table's row of that name has in each column; nothing if there is no such row.
fn cells<'a>(log: &'a [String], name: &str) -> Vec<&'a str> {
    let start = format!("  {name} ");
    let row = log.iter().find_map(|line| line.strip_prefix(start.as_str()));
    row.unwrap_or_default().split_whitespace().collect()
}
