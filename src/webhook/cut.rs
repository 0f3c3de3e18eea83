//! A body to its events, and an event to its partition. Pure.
//!
//! Invariant: an event's bytes are a part of the body, and none of them is changed.

use serde::de::IgnoredAny;

use crate::event::extract::{Extractor, Line};
use crate::event::scan::Scanner;
use crate::model::types::EventId;

/// Events of one body at most: all of them are in the producer's queue at once.
pub(crate) const MOST_EVENTS: usize = 5_000;

/// Why a body has no events.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum NoEvents {
    /// It has more than [`MOST_EVENTS`].
    TooMany,
    /// It is empty.
    Empty,
    /// It is no JSON.
    NotJson,
    /// It is JSON, but neither an object nor an array.
    Neither,
}

impl NoEvents {
    /// What the sender is told.
    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::TooMany => "the body has more than 5000 events\n",
            Self::Empty => "the body is empty\n",
            Self::NotJson => "the body is not JSON\n",
            Self::Neither => "the body is neither an object nor an array\n",
        }
    }
}

/// The events of a body: itself where it is an object, or its elements where it is an array, whatever they are.
pub(crate) fn events(body: &[u8]) -> Result<Vec<&[u8]>, NoEvents> {
    if body.trim_ascii().is_empty() {
        return Err(NoEvents::Empty);
    }
    // The scanner finds ends and judges nothing.
    serde_json::from_slice::<IgnoredAny>(body).map_err(|_| NoEvents::NotJson)?;
    let mut scan = Scanner::new(body);
    scan.space();
    match scan.peek() {
        Some(b'{') => Ok(vec![scan.value().map_err(|_| NoEvents::NotJson)?]),
        Some(b'[') => elements(&mut scan),
        _ => Err(NoEvents::Neither),
    }
}

fn elements<'b>(scan: &mut Scanner<'b>) -> Result<Vec<&'b [u8]>, NoEvents> {
    let mut events = Vec::new();
    scan.take(b'[').map_err(|_| NoEvents::NotJson)?;
    scan.space();
    if scan.peek() == Some(b']') {
        return Ok(events);
    }
    loop {
        if events.len() == MOST_EVENTS {
            return Err(NoEvents::TooMany);
        }
        scan.space();
        events.push(scan.value().map_err(|_| NoEvents::NotJson)?);
        scan.space();
        match scan.peek() {
            Some(b',') => scan.take(b',').map_err(|_| NoEvents::NotJson)?,
            Some(b']') => return Ok(events),
            _ => return Err(NoEvents::NotJson),
        }
    }
}

/// The partition of an event, of so many. Every instance and every release has to say the same, so it must never change: all
/// copies of an event have to be in one.
pub(crate) fn partition(event: &[u8], extractor: &Extractor, partitions: u32) -> i32 {
    let id = match extractor.extract(event) {
        Ok(Line::Event(record)) => record.id,
        // It will be a dead letter; copies of it are alike.
        _ => EventId::from_text(event),
    };
    partition_of(id, partitions)
}

/// Mixes all bits of the id: of some kinds of UUIDs half of them are the same in all.
fn partition_of(EventId(id): EventId, partitions: u32) -> i32 {
    let folded = (id >> 64) as u64 ^ id as u64;
    let mixed = (folded ^ (folded >> 32)).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32;
    let partition = (mixed * u64::from(partitions)) >> 32;
    i32::try_from(partition).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::event::extract::{self, EventType, Filters, Id, Key, TimeFormat};
    use crate::event::paths::Spelling;

    fn texts(body: &str) -> Result<Vec<&str>, NoEvents> {
        events(body.as_bytes())
            .map(|events| events.into_iter().map(|event| std::str::from_utf8(event).unwrap()).collect())
    }

    #[test]
    fn each_event_keeps_its_bytes() {
        assert_eq!(texts(" {\"a\" :\t1.0e5}\r\n").unwrap(), ["{\"a\" :\t1.0e5}"]);
        let pretty = "[\n  {\n \"id\": \"\\u0041]}\\\"\"\n },{}\n,\n 5, \"x,]\", null , [1,[2]]\n]\n";
        let expected = ["{\n \"id\": \"\\u0041]}\\\"\"\n }", "{}", "5", "\"x,]\"", "null", "[1,[2]]"];
        assert_eq!(texts(pretty).unwrap(), expected);
        assert_eq!(texts(" [ ] ").unwrap(), [""; 0]);
    }

    #[test]
    fn what_is_no_json_has_no_events() {
        for body in [
            "{",
            "[{}",
            "[{},]",
            "[,{}]",
            "{}{}",
            "{}\n{}",
            "[{}]]",
            "[{}} ",
            "[{\"a\":}]",
            "garbage",
            "{]",
            "[}",
        ] {
            assert_eq!(texts(body), Err(NoEvents::NotJson), "{body}");
        }
        assert_eq!(texts(" \n"), Err(NoEvents::Empty));
        assert_eq!(texts("\"x\""), Err(NoEvents::Neither));
        assert_eq!(texts("17"), Err(NoEvents::Neither));
    }

    #[test]
    fn the_number_of_events_is_bounded() {
        let body = |count: usize| format!("[{}]", vec!["0"; count].join(","));
        assert_eq!(texts(&body(MOST_EVENTS)).map(|events| events.len()), Ok(MOST_EVENTS));
        assert_eq!(texts(&body(MOST_EVENTS + 1)), Err(NoEvents::TooMany));
        assert!(NoEvents::TooMany.text().contains(&MOST_EVENTS.to_string()));
    }

    #[test]
    fn text_that_is_broken_and_nesting_without_end_are_left_to_the_event_path() {
        let broken = b"[{\"id\":\"\xff\"},{\"a\":\"\\ud800\"}]";
        assert_eq!(events(broken).unwrap(), [&b"{\"id\":\"\xff\"}"[..], b"{\"a\":\"\\ud800\"}"]);
        let deep = format!("[{}{}]", "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(texts(&deep).unwrap().len(), 1);
    }

    fn extractor() -> Extractor {
        Extractor::new(&extract::Config {
            id: Id::Field("id".into()),
            key: Key::Fields(Vec::new()),
            event_type: EventType::Field("type".into()),
            topic_fields: Vec::new(),
            occurred: "occurred".into(),
            processed: "processed".into(),
            times: TimeFormat::Rfc3339,
            time: None,
            header_fields: Vec::new(),
            offset: None,
            position_only_type: None,
            spelling: Spelling::default(),
            filters: Filters::default(),
        })
        .unwrap()
    }

    /// These are fixed for ever: another partition would let an event through twice.
    #[test]
    fn the_partition_of_an_event_never_changes() {
        let extractor = extractor();
        let of = |event: &str| partition(event.as_bytes(), &extractor, 12);
        let first = of("{\"id\":\"00000000-0000-4000-8000-000000000001\"}");
        assert_eq!(of("{ \"offset\": \"7\", \"id\" : \"00000000-0000-4000-8000-000000000001\" }"), first);
        let found = ["x", "y", "z", "00000000-0000-4000-8000-000000000001"]
            .map(|id| of(&format!("{{\"id\":\"{id}\"}}")));
        assert_eq!(found, PINNED);
    }

    const PINNED: [i32; 4] = [8, 4, 1, 8];

    #[test]
    fn ids_of_every_kind_are_spread() {
        let mut counts = [0; 7];
        // As of a machine that numbers its UUIDs, and as of random text.
        for n in 0..7_000u128 {
            counts[partition_of(EventId(n << 96 | 0x8000_1234_5678_9abc), 7) as usize] += 1;
            counts[partition_of(EventId::from_text(format!("id {n}").as_bytes()), 7) as usize] += 1;
        }
        assert!(counts.iter().all(|count| (1_700..2_300).contains(count)), "{counts:?}");
    }

    proptest! {
        #[test]
        fn whatever_json_writes_is_cut_where_serde_cuts(values in prop::collection::vec(json(), 0..6), pretty: bool) {
            let whole = serde_json::Value::Array(values.clone());
            let text = if pretty { serde_json::to_string_pretty(&whole) } else { serde_json::to_string(&whole) };
            let text = text.unwrap();
            let found: Vec<serde_json::Value> =
                events(text.as_bytes()).unwrap().into_iter().map(|event| serde_json::from_slice(event).unwrap()).collect();
            prop_assert_eq!(found, values);
        }

        #[test]
        fn a_body_that_was_cut_has_no_events(values in prop::collection::vec(json(), 1..4), at in 0.0f64..1.0) {
            let text = serde_json::to_vec(&values).unwrap();
            let at = (text.len() as f64 * at) as usize;
            prop_assert!(events(&text[..at]).is_err());
        }
    }

    fn json() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(Into::into),
            any::<i64>().prop_map(Into::into),
            ".{0,9}".prop_map(Into::into),
        ];
        leaf.prop_recursive(3, 20, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Into::into),
                prop::collection::btree_map(".{0,4}", inner, 0..4)
                    .prop_map(|members| serde_json::Value::Object(members.into_iter().collect())),
            ]
        })
    }
}
