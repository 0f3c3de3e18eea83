//! Lists of headers; what is redacted is not in them.

use crate::harness::airship::run::{Run, event, setup};
use std::collections::BTreeMap;

#[test]
fn a_list_of_headers_shows_fields_as_they_may_be_shown() {
    let setup = setup("header-list").stream(
        r#"
        headers = [
            "ce_id", { name = "env", value = "prod" }, { name = "os", field = "device.os" }, "tributary-stream",
            { name = "who", field = "device.who" }, { name = "gone", field = "device.gone" }, { name = "ip", field = "device.ip" },
        ]
        redact = [
            { path = "device.who", action = "hash", secret = { value = "a secret of the test, long enough" } },
            { path = "device.gone", action = "drop" },
            { path = "device.ip", action = "truncate" },
        ]
        key_from = "received"
        "#,
    );
    let device = |members: &str| format!("\"device\":{{{members}}}");
    let hidden = "\"who\":\"plain-name\",\"gone\":\"plain-gone\",\"ip\":\"198.51.100.24\"";
    let long = "x".repeat(100);
    let lines = [
        event(0, "T", &device(&format!("\"os\":\"{long}\",{hidden}"))),
        event(1, "T", &device("\"os\":17,\"who\":null,\"ip\":\"\"")),
        event(2, "T", ""),
    ];
    let mut run = Run::start(&setup, &lines);
    run.wait(lines.len(), 0);
    run.stop();
    let messages = run.read("events");
    let headers: BTreeMap<String, Vec<(String, String)>> = messages
        .iter()
        .map(|message| {
            let pair = |(name, value): &(String, Vec<u8>)| {
                (name.clone(), String::from_utf8_lossy(value).into_owned())
            };
            (message.header("ce_id").expect("an id").to_owned(), message.headers.iter().map(pair).collect())
        })
        .collect();
    let found = |id: &str, name: &str| {
        headers[id].iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    };
    let names = |id: &str| headers[id].iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>();
    assert_eq!(names("0"), ["ce_id", "env", "os", "tributary-stream", "who", "ip"], "in their order");
    assert_eq!(
        (found("0", "os"), found("0", "env"), found("0", "ip")),
        (Some(&*long), Some("prod"), Some("198.51.100.0"))
    );
    assert_eq!(found("0", "who").map(str::len), Some(43), "a hash");
    assert_eq!((names("1"), found("1", "os")), (vec!["ce_id", "env", "os", "tributary-stream"], Some("17")));
    assert_eq!(names("2"), ["ce_id", "env", "tributary-stream"]);
    for message in &messages {
        for (name, value) in &message.headers {
            let value = String::from_utf8_lossy(value);
            assert!(!value.contains("plain") && !value.contains("100.24"), "{name}: {value}");
        }
    }
}
