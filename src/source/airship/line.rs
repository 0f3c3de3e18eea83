//! What the reader of a stream has to know of its lines: where they stand, and whether they are events at all.

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::protocol::OFFSET_UPDATE;
use crate::model::block::lines;
use crate::model::offset;
use crate::source::vet::Marks;

/// `offset` is what the schema asks of every line; `id` and `type` stand in those that come without one.
pub(crate) const MARKS: Marks = Marks {
    is_line: |names| names.have(&["offset"]) || names.have(&["id", "type"]),
    media_type: Some("application/vnd.urbanairship+"),
    way_past: "give up what is held by `run --start-anew STREAM=WORD` with `start = \"latest\"`",
    refusal_line: |_| None,
};

/// A place in the stream.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Place {
    /// After which line.
    pub offset: String,
    /// When the service processed that line, milliseconds since the Unix epoch, where it says so.
    pub dated_ms: Option<i64>,
}

/// The place after a block of whole lines: that of its last line that has one.
pub(crate) fn last_place(block: &[u8]) -> Option<Place> {
    #[derive(Deserialize)]
    struct Dated {
        processed: String,
    }
    let place = |line: &[u8]| {
        let offset = offset::of_line(line)?;
        let dated = serde_json::from_slice::<Dated>(line).ok();
        let time = dated.and_then(|dated| dated.processed.parse::<jiff::Timestamp>().ok());
        Some(Place { offset, dated_ms: time.map(|time| time.as_millisecond()) })
    };
    lines(block).rev().find_map(place)
}

/// Whether a block has events, and not only lines that keep a connection alive.
pub(crate) fn has_events(block: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Typed<'a> {
        #[serde(rename = "type", default, borrow)]
        name: Option<Cow<'a, str>>,
    }
    let is_event = |line: &[u8]| {
        let typed = serde_json::from_slice::<Typed<'_>>(line);
        // An object whose type cannot be read is no update, whatever it is.
        typed.map_or(line.starts_with(b"{") && serde_json::from_slice::<IgnoredAny>(line).is_ok(), |typed| {
            typed.name.is_none_or(|name| name != OFFSET_UPDATE)
        })
    };
    lines(block).any(is_event)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_with_an_offset_is_the_place() {
        let block = b"{\"offset\":\"1\"}\r\n\n{\"offset\":2,\"x\":{\"offset\":\"9\"}}\n{\"offset\":\"\"}\ngarbage\n{\"id\":1}\n";
        assert_eq!(last_place(block), Some(Place { offset: "2".into(), dated_ms: None }));
        let dated = b"{\"offset\":\"3\",\"processed\":\"1970-01-01T00:00:07.5Z\",\"id\":\"x\"}\n";
        assert_eq!(last_place(dated), Some(Place { offset: "3".into(), dated_ms: Some(7_500) }));
        assert_eq!(last_place(b"garbage\n"), None);
    }

    #[test]
    fn updates_and_blank_lines_are_no_events() {
        for none in ["", "\r\n\n", "{\"offset\":\"1\",\"type\":\"OFFSET_UPDATE\"}\r\n", "garbage\n", "[1]\n"]
        {
            assert!(!has_events(none.as_bytes()), "{none}");
        }
        for some in
            ["{\"offset\":\"1\"}\n", "\n{\"type\":\"OPEN\"}\n", "{\"type\":5}\n", "{\"type\":\"A\\u0042\"}\n"]
        {
            assert!(has_events(some.as_bytes()), "{some}");
        }
    }
}
