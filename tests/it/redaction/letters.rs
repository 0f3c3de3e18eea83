//! Dead letters of streams with redaction: redacted where they are events, otherwise withheld.

use super::{KEY, hash};
use crate::harness::adobe::scenes as adobe;
use crate::harness::airship::lines::serve;
use crate::harness::airship::scenes::{Scene, Setup, all_at_once};
use crate::harness::broker::broker;
use crate::harness::listener::Listener;
use crate::harness::reader::{self, Isolation, Message};
use crate::harness::wait::{self, GENEROUS};

/// What a dead letter without its bytes says.
const WITHHELD: &str = "withheld, since the stream has redaction and this is no whole event";

/// Longest head of a line that the dead-letter topic does not take in full.
const HEAD: usize = 64 << 10;

/// In every line, where it must not be seen.
const CLEAR: &str = "clear-4139e16a";

/// A line, the reason, and the value without and with what is hidden.
type Letter = (String, &'static str, Option<String>);

fn letters() -> Vec<Letter> {
    let hashed = hash(KEY, CLEAR);
    let device = |channel: &str| format!(r#""device":{{"channel":"{channel}","x":1.50}}"#);
    let redacted = |line: &str| Some(line.replace(CLEAR, &hashed));
    let no_id = format!(r#"{{"offset":"1","type":"OPEN", {}}}"#, device(CLEAR));
    // Of another shape, in which no rule finds anything.
    let wrapper = format!(r#"{{"events":[{{"id":"w",{}}}]}}"#, device(CLEAR));
    let unroutable = format!(r#"{{"id":"c","offset":"2",{}}}"#, device(CLEAR));
    let list = format!(r#"[{{{}}}, {{{}}}]"#, device(CLEAR), device(CLEAR));
    let padded = |bytes: usize| {
        format!(
            r#"{{"id":"large","offset":"6","type":"OPEN",{},"pad":"{}"}}"#,
            device(CLEAR),
            "x".repeat(bytes)
        )
    };
    let too_large = padded(2 << 20);
    let head = redacted(&too_large).map(|line| line[..HEAD].to_owned());
    vec![
        (no_id, "no_id", None),
        (wrapper, "no_id", None),
        (unroutable.clone(), "unroutable", redacted(&unroutable)),
        (list, "not_an_object", None),
        (format!(r#"["{CLEAR}"]"#), "not_an_object", None),
        (format!("\"{CLEAR}\""), "not_an_object", None),
        (format!(r#"{{"id":"d","offset":"3",{}"#, device(CLEAR)), "not_an_object", None),
        (format!(r#"{{"id":"e",{},"offset":tru}}"#, device(CLEAR)), "not_an_object", None),
        (format!(r#"{{"id":"f","device":{{"channel":"{CLEAR}\q"}}}}"#), "not_an_object", None),
        (format!("garbage {CLEAR}"), "not_an_object", None),
        (too_large, "too_large_for_topic", head),
        (padded(4 << 20), "line_too_long", None),
    ]
}

fn setup(name: &str, more: &str) -> (Setup, Vec<Letter>) {
    let good = format!(
        r#"{{"id":"a","offset":"5","type":"OPEN","occurred":"2026-01-02T03:04:05.006Z","device":{{"channel":"{CLEAR}"}}}}"#
    );
    let letters = letters();
    let address = serve(std::iter::once(&good).chain(letters.iter().map(|(line, ..)| line)));
    let setup = Setup::new(name, all_at_once(0));
    let topic = format!("{}.{{type}}", setup.prefix());
    let keys = format!(
        r#"
        url = "http://{address}/api/events/"
        topic = "{topic}"
        max_line = "3MiB"
        redact = [{{ path = "device.channel", action = "hash", secret = {{ value = "{KEY}" }} }}]
        {more}
        "#
    );
    (setup.stream(&keys), letters)
}

/// Value, reason, length and whether it says that it is withheld; sorted.
fn found(messages: &[Message]) -> Vec<(String, String, String, bool)> {
    let mut found: Vec<_> = messages
        .iter()
        .map(|message| {
            let header = |name: &str| message.header(name).unwrap_or_else(|| panic!("no {name}")).to_owned();
            let detail = header("tributary-detail");
            (
                message.text().to_owned(),
                header("tributary-reason"),
                header("tributary-length"),
                detail.ends_with(WITHHELD),
            )
        })
        .collect();
    found.sort();
    found
}

/// Runs the connector until so many dead letters are committed; gives them.
#[track_caller]
fn carry(setup: Setup, letters: usize) -> (Scene, Vec<Message>) {
    let mut scene = setup.start(broker());
    wait::wait_until(GENEROUS, "dead letters", || {
        scene.metric("tributary_dead_letters_total") >= letters as f64
    });
    scene.stop();
    let messages = reader::read_all(broker(), &scene.dead_letters(), Isolation::Committed);
    (scene, messages)
}

#[test]
fn dead_letters_are_redacted_or_withheld() {
    let (setup, letters) = setup("redact-letters", "");
    let events = format!("{}.OPEN", setup.prefix());
    let (scene, messages) = carry(setup, letters.len());
    let mut expected: Vec<_> = letters
        .iter()
        .map(|(line, reason, kept)| {
            (kept.clone().unwrap_or_default(), (*reason).to_owned(), line.len().to_string(), kept.is_none())
        })
        .collect();
    expected.sort();
    let short = |all: &[(String, String, String, bool)]| {
        all.iter().map(|(value, ..)| value.chars().take(80).collect::<String>()).collect::<Vec<_>>()
    };
    let messages_found = found(&messages);
    assert!(messages_found == expected, "{:#?}\n{:#?}", short(&messages_found), short(&expected));
    super::assert_hidden(&[CLEAR.to_owned()], "the dead-letter topic", &messages);
    super::assert_no_text(&[CLEAR.to_owned()], "the log", &scene.process.log().join("\n"));
    let events = reader::read_all(broker(), &events, Isolation::Committed);
    assert_eq!(events.len(), 1);
    assert!(events[0].text().contains(&hash(KEY, CLEAR)));
    super::assert_hidden(&[CLEAR.to_owned()], "the events", &events);
}

#[test]
fn dead_letters_may_hold_everything_if_that_is_said() {
    let (setup, letters) = setup("redact-letters-received", "dead_letters = \"received\"");
    let (_scene, messages) = carry(setup, letters.len());
    let mut expected: Vec<_> = letters
        .iter()
        .map(|(line, reason, _)| {
            let is_long = ["too_large_for_topic", "line_too_long"].contains(reason);
            let value = if is_long { &line[..HEAD] } else { line };
            (value.to_owned(), (*reason).to_owned(), line.len().to_string(), false)
        })
        .collect();
    expected.sort();
    assert!(found(&messages) == expected);
}

#[test]
fn dead_letters_of_hits_are_redacted_or_withheld() {
    let hit = |id: u64| {
        format!(r#"{{"hitIdHigh":1,"hitIdLow":{id},"customVisId":"{CLEAR}","ip":"198.51.100.24"}}"#)
    };
    let no_id = format!(r#"{{"hitIdHigh":7,"customVisId":"{CLEAR}","ip":"198.51.100.24"}}"#);
    let torn = format!(r#"{{"hitIdHigh":1,"hitIdLow":9,"customVisId":"{CLEAR}""#);
    let body = [hit(1), no_id, torn, hit(2)].join("\r\n") + "\r\n";
    let server = Listener::answering(move |number, _| {
        let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n\r\n";
        (number == 0).then(|| format!("{head}{body}").into_bytes())
    });
    let keys = format!(
        r#"
        url = "{}/api/1/stream/x"
        auth = {{ bearer = {{ value = "t" }} }}
        redact = [
            {{ path = "customVisId", action = "hash", secret = {{ value = "{KEY}" }} }},
            {{ path = "ip", action = "truncate" }},
        ]
        "#,
        server.url()
    );
    let mut scene = adobe::Setup::one("redact-hit-letters", adobe::all_at_once(0), &keys).start();
    scene.wait_delivered("s", 2);
    wait::wait_until(GENEROUS, "dead letters", || scene.metric("tributary_dead_letters_total", "s") >= 2.0);
    scene.stop();
    let hashed = hash(KEY, CLEAR);
    let letters: Vec<_> = found(&scene.dead_letters("s"))
        .into_iter()
        .map(|(value, _, _, withheld)| (value, withheld))
        .collect();
    assert_eq!(letters, [(String::new(), true), (String::new(), true)]);
    let mut events: Vec<_> =
        scene.events("s").iter().map(|message| (message.text().to_owned(), message.key.clone())).collect();
    events.sort();
    let shown = |id: u64| {
        let value =
            format!(r#"{{"hitIdHigh":1,"hitIdLow":{id},"customVisId":"{hashed}","ip":"198.51.100.0"}}"#);
        (value, Some(format!("c:{hashed}").into_bytes()))
    };
    assert_eq!(events, [shown(1), shown(2)]);
}
