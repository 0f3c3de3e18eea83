//! Whether a response with status 200 is the stream at all: a proxy, a gateway or a login page may answer in its place.
//! One rule for all services, pure.
//!
//! A stream is proven by its first line that is a JSON object. What comes before is held back, since an event that is
//! broken may stand first in a stream for ever; if nothing better follows it is no stream, and nothing of it is an event
//! or a dead letter. Invariant: what is no stream is never quoted, since nobody knows what it holds.

use std::iter::Chain;
use std::{option, vec};

use http::{HeaderMap, header};
use serde::de::IgnoredAny;

use super::failure::{Class, Failure};
use crate::model::block::{Block, lines};

/// What is held back at most: broken events are few and short, pages are not.
const MOST_LINES: usize = 100;
const MOST_BYTES: usize = 256 << 10;

/// Bytes of a `Content-Type` that are shown.
const SHOWN_TYPE: usize = 64;

/// What has arrived of a response so far.
#[derive(Debug)]
pub struct Vetting {
    /// Its media type, fit to be shown.
    media_type: Option<String>,
    is_proven: bool,
    held: Vec<Block>,
    held_lines: usize,
    held_bytes: usize,
    /// What the first line that was held back looks like.
    looks: Option<Looks>,
}

/// What something looks like that is no event.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Looks {
    Markup,
    Json,
    Text,
    Binary,
}

/// What was held back and a block.
pub type Blocks = Chain<vec::IntoIter<Block>, option::IntoIter<Block>>;

impl Vetting {
    /// Of a response with these headers.
    pub fn new(headers: &HeaderMap) -> Self {
        let media_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).map(shown);
        Self { media_type, is_proven: false, held: Vec::new(), held_lines: 0, held_bytes: 0, looks: None }
    }

    /// Whether this is the stream.
    pub fn is_proven(&self) -> bool {
        self.is_proven
    }

    /// Whether something is held back.
    pub fn holds(&self) -> bool {
        !self.held.is_empty()
    }

    /// Takes the next block; gives what is certainly of the stream by now.
    pub fn take(&mut self, block: Block) -> Result<Blocks, Failure> {
        if !self.is_proven {
            match &block {
                Block::Lines(bytes) => lines(bytes).try_for_each(|line| self.look_at(line))?,
                Block::Oversize { head, .. } => self.look_at_oversize(head)?,
            }
            if !self.is_proven {
                if self.looks.is_some() {
                    self.hold(block)?;
                }
                // Blank lines alone say nothing, and nobody needs them.
                return Ok(Vec::new().into_iter().chain(None));
            }
        }
        Ok(std::mem::take(&mut self.held).into_iter().chain(Some(block)))
    }

    /// Looks at the beginning of a line whose end has not arrived, or never will if the response `has_ended`.
    pub fn look_at_partial(&mut self, partial: Option<&[u8]>, has_ended: bool) -> Result<(), Failure> {
        if self.is_proven {
            return Ok(());
        }
        let partial = partial.map(<[u8]>::trim_ascii_start).filter(|partial| !partial.is_empty());
        // It may become an event. At an end it is one that was torn, if nothing else came.
        let is_torn_event =
            partial.is_some_and(|partial| partial.starts_with(b"{")) && !self.is_markup_by_type();
        if let Some(partial) = partial.filter(|_| !is_torn_event) {
            self.looks.get_or_insert_with(|| Looks::of(partial));
        }
        let is_too_much = partial.is_some_and(|partial| !is_torn_event && partial.len() > MOST_BYTES);
        match self.looks {
            Some(looks) if has_ended || is_too_much || self.is_certain() => Err(self.failure(looks)),
            _ => Ok(()),
        }
    }

    fn look_at(&mut self, line: &[u8]) -> Result<(), Failure> {
        let line = line.trim_ascii();
        if self.is_proven || line.is_empty() {
            return Ok(());
        }
        let is_object = line.starts_with(b"{") && is_json(line);
        if is_object && !self.is_markup_by_type() {
            self.is_proven = true;
            return Ok(());
        }
        self.held_lines += 1;
        let looks = *self.looks.get_or_insert_with(|| Looks::of(line));
        if self.is_certain() || self.held_lines > MOST_LINES { Err(self.failure(looks)) } else { Ok(()) }
    }

    /// A line above the cap, of which only the head is left.
    fn look_at_oversize(&mut self, head: &[u8]) -> Result<(), Failure> {
        if head.trim_ascii_start().starts_with(b"{") && !self.is_markup_by_type() {
            self.is_proven = true;
            return Ok(());
        }
        self.look_at(head)
    }

    fn hold(&mut self, block: Block) -> Result<(), Failure> {
        self.held_bytes += block.len();
        self.held.push(block);
        match self.looks {
            Some(looks) if self.held_bytes > MOST_BYTES => Err(self.failure(looks)),
            _ => Ok(()),
        }
    }

    /// Whether no event can follow.
    fn is_certain(&self) -> bool {
        self.is_markup_by_type() || self.looks == Some(Looks::Markup)
    }

    /// Whether the response says itself that it is a page. Streams are labelled in many ways, or not at all, but not so.
    fn is_markup_by_type(&self) -> bool {
        let is_markup = |media: &String| {
            let bare = media.split(';').next().unwrap_or_default();
            matches!(bare, "text/html" | "application/xhtml+xml" | "text/xml" | "application/xml")
        };
        self.media_type.as_ref().is_some_and(is_markup)
    }

    fn failure(&self, looks: Looks) -> Failure {
        let labelled =
            self.media_type.as_ref().map_or_else(String::new, |media| format!(", labelled {media}"));
        let message = format!(
            "the service answered 200 with something that is no stream ({}{labelled}); is a proxy or a login page in \
             between? check url",
            looks.name()
        );
        Failure::new(Class::BadBody, message)
    }
}

impl Looks {
    fn of(text: &[u8]) -> Self {
        match std::str::from_utf8(text) {
            _ if text.starts_with(b"<") => Self::Markup,
            _ if is_json(text) => Self::Json,
            Ok(text) if !text.contains(|c: char| c.is_control() && !c.is_whitespace()) => Self::Text,
            _ => Self::Binary,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Markup => "markup, such as a page",
            Self::Json => "JSON that is no event",
            Self::Text => "text that is no JSON",
            Self::Binary => "binary data",
        }
    }
}

fn is_json(text: &[u8]) -> bool {
    serde_json::from_slice::<IgnoredAny>(text).is_ok()
}

/// A media type without anything that such have not.
fn shown(value: &str) -> String {
    let is_usual = |c: &char| c.is_ascii_alphanumeric() || "/+-.;=_ ".contains(*c);
    value.trim().to_ascii_lowercase().chars().filter(is_usual).take(SHOWN_TYPE).collect()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::HeaderValue;

    use super::*;

    fn vetting(media_type: Option<&'static str>) -> Vetting {
        let headers = media_type.map(|media| (header::CONTENT_TYPE, HeaderValue::from_static(media)));
        Vetting::new(&headers.into_iter().collect())
    }

    fn block(text: &str) -> Block {
        Block::Lines(Bytes::copy_from_slice(text.as_bytes()))
    }

    /// What comes out of these blocks, or the message of the refusal.
    fn run(media_type: Option<&'static str>, blocks: &[&str], partial: &str) -> Result<Vec<String>, String> {
        let (mut vetting, mut out) = (vetting(media_type), Vec::new());
        for text in blocks {
            for block in vetting.take(block(text)).map_err(|failure| failure.message)? {
                let Block::Lines(bytes) = block else { panic!("{block:?}") };
                out.push(String::from_utf8(bytes.to_vec()).unwrap());
            }
        }
        vetting.look_at_partial(Some(partial.as_bytes()), true).map_err(|failure| failure.message)?;
        Ok(out)
    }

    #[test]
    fn a_json_object_proves_a_stream_however_it_is_labelled() {
        let labels = [None, Some("application/vnd.urbanairship+x-ndjson; version=3;"), Some("text/plain")];
        for label in labels {
            assert_eq!(
                run(label, &["\r\n", "{\"a\":1}\n", "garbage\n"], "tor").unwrap(),
                ["{\"a\":1}\n", "garbage\n"]
            );
            assert_eq!(run(label, &["\n"], "").unwrap(), [""; 0], "a quiet stream");
            assert_eq!(run(label, &[], "{\"torn\":").unwrap(), [""; 0]);
        }
    }

    #[test]
    fn a_broken_first_line_is_kept_for_what_follows() {
        let out = run(None, &["%% broken\n", "[1]\n\n", "{\"a\":1}\n"], "").unwrap();
        assert_eq!(out, ["%% broken\n", "[1]\n\n", "{\"a\":1}\n"], "nothing is lost, and in its order");
        let mut held = vetting(None);
        assert_eq!(held.take(block("%% broken\n")).unwrap().count(), 0);
        assert!(held.holds() && !held.is_proven());
        let head = Bytes::from_static(b"{\"long\":");
        assert_eq!(held.take(Block::Oversize { head, length: 9 << 20 }).unwrap().count(), 2);
        assert!(held.is_proven() && !held.holds());
    }

    #[test]
    fn what_is_no_stream_is_told_by_its_class_and_never_quoted() {
        let page = "<html>\n<script>\n{\"@context\":\"x\"}\n</script>\n";
        let many = "secret\n".repeat(MOST_LINES + 1);
        for (label, blocks, partial, class) in [
            (Some("text/html"), vec![page], "", "markup, such as a page, labelled text/html"),
            (None, vec![page], "", "markup, such as a page"),
            (None, vec![], "<!doctype secret", "markup, such as a page"),
            (
                Some("text/html; charset=utf-8"),
                vec!["{\"secret\":1}\n"],
                "",
                "labelled text/html; charset=utf-8",
            ),
            (Some("text/html"), vec![], "{\"secret\":", "labelled text/html"),
            (Some("text/plain"), vec!["secret\n"], "", "text that is no JSON, labelled text/plain"),
            (None, vec![&many], "", "text that is no JSON"),
            (None, vec!["{ secret: 1 }\n"], "", "text that is no JSON"),
            (None, vec![], "secret", "text that is no JSON"),
            (None, vec!["[{\"secret\":1}]\n"], "", "JSON that is no event"),
            (None, vec!["\u{1}secret\n"], "{\"a", "binary data"),
        ] {
            let message = run(label, &blocks, partial).unwrap_err();
            assert!(message.contains(class), "{message}");
            assert!(!message.contains("secret"), "{message}");
        }
        let odd = vetting(Some("a<b>\"c d")).failure(Looks::Text).message;
        assert!(odd.contains("labelled abc d)"), "{odd}");
    }

    #[test]
    fn what_is_held_back_has_a_limit() {
        let mut vetting = vetting(None);
        let line = format!("{}\n", "x".repeat(MOST_BYTES / 2));
        assert!(vetting.take(block(&line)).is_ok());
        assert!(vetting.take(block(&line)).is_err());
        let mut vetting = self::vetting(None);
        vetting.look_at_partial(Some(&[b'x'; MOST_BYTES]), false).unwrap();
        vetting.look_at_partial(Some(&[b'x'; MOST_BYTES + 1]), false).unwrap_err();
        let mut vetting = self::vetting(None);
        vetting.look_at_partial(Some(b"<html"), false).unwrap_err();
    }
}
