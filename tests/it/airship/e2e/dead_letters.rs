//! Lines that are no events, or cannot be carried, land intact in the dead-letter topic, in the same transaction.

use crate::harness::airship::lines::serve;
use crate::harness::airship::oracle::Found;
use crate::harness::airship::{LIMIT, Mock, STREAM, Setup, service, stop, wait_hit};
use crate::harness::broker::broker;
use crate::harness::reader::{Isolation, Message, read_all};
use tributary_mock::airship::fault::{garbage_line, huge_line};
use tributary_mock::airship::{self, Armed, Fault};

const EVENTS: u64 = 3_000;

/// What is kept of a line that the dead-letter topic does not take in full.
const HEAD: usize = 64 << 10;

/// Value, reason and length of the whole line.
type Letter = (Vec<u8>, String, usize);

fn letters(messages: &[Message], source: &str) -> Vec<Letter> {
    let mut letters: Vec<Letter> = messages
        .iter()
        .map(|message| {
            let header = |name: &str| message.header(name).unwrap_or_else(|| panic!("no {name}")).to_owned();
            assert_eq!(message.key, None);
            let others = ["tributary-bytes", "tributary-position"].map(|name| message.header(name).is_some());
            assert_eq!(message.headers.len(), 6 + others.into_iter().filter(|is_there| *is_there).count());
            assert_eq!(header("tributary-stream"), STREAM);
            assert_eq!(header("tributary-shard"), "0");
            assert_eq!(header("tributary-source"), source);
            let detail = header("tributary-detail");
            eprintln!("{}: {detail}", header("tributary-reason"));
            let length = header("tributary-length").parse().expect("a number");
            (message.value.clone().expect("a value"), header("tributary-reason"), length)
        })
        .collect();
    letters.sort_by_key(|(value, ..)| (value.len(), value.clone()));
    letters
}

fn whole(line: Vec<u8>, reason: &str) -> Letter {
    let length = line.len();
    (line, reason.to_owned(), length)
}

fn head(mut line: Vec<u8>, reason: &str) -> Letter {
    let length = line.len();
    line.truncate(HEAD);
    (line, reason.to_owned(), length)
}

#[test]
fn dead_letters_are_part_of_their_transaction() {
    let huge = |bytes, valid| Fault::HugeLine { bytes, valid };
    let faults = vec![
        Armed::at(50, Fault::GarbageLine {}),
        Armed::at(1_000, huge(300_000, false)),
        Armed::at(1_200, huge(2 << 20, true)),
        Armed::at(1_400, huge(17 << 20, true)),
    ];
    let mock = Mock::start(airship::Config { faults, ..service(EVENTS) });
    let mut setup = Setup::new("dead-letters", &mock);
    // So that the first batch closes by its number alone, with the garbage in it.
    setup.commit_interval = "5s";
    let mut process = setup.start_with("before_commit=2:abort");
    wait_hit(&process);
    let mut progress = setup.progress();
    progress.wait_for("everything", |checkpoint| checkpoint.delivered >= EVENTS - setup.max_events as u64);
    stop(&mut process);
    let mut rest = setup.start();
    rest.wait_for_log("connected", LIMIT);
    let last = progress.wait_for("everything", |checkpoint| checkpoint.delivered >= EVENTS);
    stop(&mut rest);

    assert_eq!(setup.expectation(&mock).check(), Found { records: EVENTS as usize, repeats: 0 });
    assert_eq!((last.received, last.dead_letters), (EVENTS + 4, 4));
    let log = mock.log();
    let committed = read_all(broker(), &setup.dead_letters(), Isolation::Committed);
    let expected = [
        whole(garbage_line(50), "not_an_object"),
        head(huge_line(log, 1_200, 2 << 20, true), "too_large_for_topic"),
        head(huge_line(log, 1_400, 17 << 20, true), "line_too_long"),
        whole(huge_line(log, 1_000, 300_000, false), "not_an_object"),
    ];
    let mut expected = expected.to_vec();
    expected.sort_by_key(|(value, ..)| (value.len(), value.clone()));
    let found = letters(&committed, &setup.streams[0].url);
    assert!(found == expected, "{:?}", found.iter().map(|(v, r, l)| (v.len(), r, l)).collect::<Vec<_>>());
    // The abort took the garbage of the first batch with it, and the second attempt brought it.
    let written = read_all(broker(), &setup.dead_letters(), Isolation::Uncommitted).len();
    assert_eq!((written, committed.len()), (5, 4));
}

#[test]
fn what_has_no_id_or_no_topic_is_a_dead_letter() {
    let good = r#"{"id":"a","offset":"5","type":"OPEN","occurred":"2026-01-02T03:04:05.006Z"}"#;
    let bad = [
        (r#"{"offset":"1","type":"OPEN"}"#, "no_id"),
        (r#"{"id":"","offset":"2","type":"OPEN","text":"ä\u00e4"}"#, "no_id"),
        (r#"{"id":null,"offset":"2","type":"OPEN"}"#, "no_id"),
        (r#"["id","a"]"#, "not_an_object"),
        (r#"{"id":"b","offset":"3","type":"OPEN""#, "not_an_object"),
        (r#"{"id":"c","offset":"6"}"#, "unroutable"),
        // With this template they would name topics of the connector's own, of which one holds its checkpoints.
        (r#"{"id":"d","offset":"7","type":"checkpoints"}"#, "unroutable"),
        (r#"{"id":"e","offset":"8","type":"dead-letters"}"#, "unroutable"),
    ];
    let mut lines: Vec<&str> = bad.iter().map(|(line, _)| *line).collect();
    lines.insert(3, good);
    let address = serve(&lines);
    let mock = Mock::start(service(0));
    let mut setup = Setup::new("no-id", &mock);
    setup.streams[0].url = format!("http://{address}/api/events/");
    setup.streams[0].topic = format!("{}.{{type}}", setup.prefix);
    let mut process = setup.start();
    let last = setup.progress().wait_received(lines.len() as u64);
    stop(&mut process);
    assert_eq!((last.received, last.delivered, last.dead_letters), (9, 1, 8));
    assert_eq!(last.offset.as_deref(), Some("8"), "dead letters move the position too");
    let committed = read_all(broker(), &setup.dead_letters(), Isolation::Committed);
    let mut expected: Vec<Letter> =
        bad.iter().map(|(line, reason)| whole(line.as_bytes().to_vec(), reason)).collect();
    expected.sort_by_key(|(value, ..)| (value.len(), value.clone()));
    assert_eq!(letters(&committed, &setup.streams[0].url), expected);
    let events = read_all(broker(), &format!("{}.OPEN", setup.prefix), Isolation::Committed);
    assert_eq!(events.iter().map(Message::text).collect::<Vec<_>>(), [good]);
}
