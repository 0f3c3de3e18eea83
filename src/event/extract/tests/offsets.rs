//! The event path and the reader of a stream see the same offset in any line: one of them makes the checkpoint, the other
//! the position of a reconnect.

use super::*;
use crate::model::offset;

/// The offset as the event path takes it.
fn taken(line: &[u8]) -> Option<String> {
    let extractor = Extractor::new(&config()).unwrap();
    let text = match extractor.extract(line) {
        Ok(Line::Event(record)) => record.offset,
        Ok(Line::PositionOnly(offset) | Line::Filtered { offset, .. }) => offset,
        Err(ExtractError::NoId { offset }) => offset,
        Err(_) => return extractor.offset_in_no_object(line),
    };
    text.map(|text| String::from_utf8(text.to_vec()).unwrap())
}

/// Values that JSON can have, and some that it cannot.
const VALUES: [&str; 30] = [
    "\"7\"",
    "\"\"",
    "\" \"",
    "\"a b\"",
    "\"a\\u0062c\"",
    "\"\\ud83d\"",
    "\"\\ud83d\\ude00\"",
    "\"\\u00\"",
    "\"\\n\"",
    "\"x",
    "700009",
    "-5",
    "-0",
    "0",
    "007",
    "1.5",
    "1e3",
    "1e999",
    "18446744073709551615",
    "18446744073709551616",
    "null",
    "true",
    "[]",
    "[\"8\"]",
    "[[[[1]]]]",
    "{}",
    "{\"offset\":\"9\"}",
    "{\"channel\":\"c\",\"x\":[1]}",
    "tru",
    "",
];

const NAMES: [&str; 9] =
    ["offset", "\\u006fffset", "Offset", "id", "type", "device", "processed", "x", "off\\ud83dset"];

#[test]
fn both_agree_on_every_value_in_every_place() {
    for name in NAMES {
        for value in VALUES {
            for line in [
                format!(r#"{{"id":"1","{name}":{value},"type":"OPEN"}}"#),
                format!(r#"{{"id":"1","offset":"3","{name}":{value}}}"#),
                format!(r#"{{"{name}":{value},"type":"OFFSET_UPDATE","offset":"4"}}"#),
                format!(r#"{{"{name}":{value},"offset":"5"}} "#),
            ] {
                assert_eq!(taken(line.as_bytes()), offset::of_line(line.as_bytes()), "{line}");
            }
        }
    }
    let strange_name = b"{\"offset\":{\"\0x\":1},\"offset\":\"8\"}";
    assert_eq!((taken(strange_name), offset::of_line(strange_name)), (Some("8".into()), Some("8".into())));
    assert_eq!(taken(b"{\"id\":\"1\",\"offset\":700009}").as_deref(), Some("700009"));
    assert_eq!(
        taken(b"{\"id\":1e999,\"offset\":\"6\"}").as_deref(),
        Some("6"),
        "a dead letter has a place too"
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]
    #[test]
    fn both_agree_on_any_line(
        members in prop::collection::vec(
            (prop::sample::select(NAMES.to_vec()), prop::sample::select(VALUES.to_vec()), any::<bool>()), 0..6,
        ),
        noise in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3),
    ) {
        let members = members.iter().map(|(name, value, space)| {
            let space = if *space { " \t" } else { "" };
            format!("{space}\"{name}\"{space}:{space}{value}{space}")
        });
        let mut line = format!("{{{}}}", members.collect::<Vec<_>>().join(",")).into_bytes();
        for (at, byte) in noise {
            let at = at.index(line.len());
            line[at] = byte;
        }
        prop_assert_eq!(taken(&line), offset::of_line(&line), "{}", String::from_utf8_lossy(&line));
    }
}
