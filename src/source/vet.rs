//! Whether a response with status 200 is the stream at all: a proxy, a gateway or a login page may answer in its place.
//! One rule for all services, pure.
//!
//! A stream is proven by its first line that has what each line of its service has. What comes before is held back, since
//! an event that is broken may stand first in a stream for ever; if nothing better follows it is no stream, and nothing of
//! it is an event or a dead letter. Invariant: what is no stream is never quoted, since nobody knows what it holds.

use std::collections::HashMap;
use std::iter::Chain;
use std::{option, vec};

use http::{HeaderMap, header};
use serde::de::IgnoredAny;

use super::failure::{Class, Failure};
use crate::model::block::{Block, lines};

/// What is held back at most: broken events are few and short, pages are not.
const MOST_LINES: usize = 100;
const MOST_BYTES: usize = 256 << 10;

/// What looks like the stream may hold back so many times more, since refusing it would stop the stream for good.
const PATIENCE: usize = 16;

/// Bytes of a `Content-Type` that are shown.
const SHOWN_TYPE: usize = 64;

/// How a service's stream is known.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Marks {
    /// Whether a JSON object with these names is one of its lines.
    pub is_line: fn(&Names) -> bool,
    /// What its media types begin with, if it labels its streams.
    pub media_type: Option<&'static str>,
    /// How an operator gets past lines that nobody can read.
    pub way_past: &'static str,
    /// Where in a text a line stands that is a refusal in place of events.
    pub refusal_line: fn(&[u8]) -> Option<usize>,
}

/// The names in a JSON object.
#[derive(Debug)]
pub(crate) struct Names(HashMap<String, IgnoredAny>);

/// What has arrived of a response so far.
#[derive(Debug)]
pub(crate) struct Vetting {
    marks: Marks,
    /// Its media type, fit to be shown.
    media_type: Option<String>,
    is_proven: bool,
    is_compressed: bool,
    held: Vec<Block>,
    held_lines: usize,
    held_bytes: usize,
    /// Whether each line that was held back begins as an event does.
    looks_broken: bool,
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
pub(crate) type Blocks = Chain<vec::IntoIter<Block>, option::IntoIter<Block>>;

impl Names {
    /// `None` for what is no JSON object.
    fn of(text: &[u8]) -> Option<Self> {
        serde_json::from_slice(text).ok().map(Self)
    }

    /// Whether all of these are among them.
    pub(crate) fn have(&self, names: &[&str]) -> bool {
        names.iter().all(|name| self.0.contains_key(*name))
    }
}

impl Vetting {
    /// Of a response with these headers, from a service with these marks.
    pub(crate) fn new(headers: &HeaderMap, marks: Marks) -> Self {
        let media_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).map(shown);
        Self {
            marks,
            media_type,
            is_proven: false,
            is_compressed: false,
            held: Vec::new(),
            held_lines: 0,
            held_bytes: 0,
            looks_broken: true,
            looks: None,
        }
    }

    /// Whether this is the stream.
    pub(crate) fn is_proven(&self) -> bool {
        self.is_proven
    }

    /// Whether something is held back.
    pub(crate) fn holds(&self) -> bool {
        !self.held.is_empty()
    }

    /// Whether nothing but blank lines has come.
    pub(crate) fn is_blank(&self) -> bool {
        !self.is_proven && self.looks.is_none()
    }

    /// Notes that the body is compressed, as the services' streams are.
    pub(crate) fn note_compression(&mut self, is_compressed: bool) {
        self.is_compressed |= is_compressed;
    }

    /// Takes the next block; gives what is certainly of the stream by now.
    pub(crate) fn take(&mut self, block: Block) -> Result<Blocks, Failure> {
        if !self.is_proven {
            match &block {
                Block::Lines(bytes) => lines(bytes).try_for_each(|line| self.look_at(line))?,
                Block::Oversize { head, .. } => self.look_at_oversize(head)?,
                // Nothing that comes by HTTP.
                Block::Records(_) => {}
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
    pub(crate) fn look_at_partial(&mut self, partial: Option<&[u8]>, has_ended: bool) -> Result<(), Failure> {
        if self.is_proven {
            return Ok(());
        }
        let partial = partial.map(<[u8]>::trim_ascii_start).filter(|partial| !partial.is_empty());
        // It may become an event. At an end it is one that was torn, if nothing else came and if it is not whole.
        let is_whole = |partial: &[u8]| Names::of(partial).is_some_and(|names| !(self.marks.is_line)(&names));
        let may_be_event = |partial: &[u8]| partial.starts_with(b"{") && !(has_ended && is_whole(partial));
        let is_torn_event = partial.is_some_and(may_be_event) && !self.is_markup_by_type();
        if let Some(partial) = partial.filter(|_| !is_torn_event) {
            self.looks.get_or_insert_with(|| Looks::of(partial));
        }
        let most = MOST_BYTES * self.patience();
        let is_too_much = partial.is_some_and(|partial| !is_torn_event && partial.len() > most);
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
        let begins_as_event = line.starts_with(b"{");
        // So long a line is no page but a broken event, which would be refused at each connect: it counts as an event.
        let is_line = begins_as_event
            && (line.len() > MOST_BYTES || Names::of(line).is_some_and(|names| (self.marks.is_line)(&names)));
        if is_line && !self.is_markup_by_type() {
            self.is_proven = true;
            return Ok(());
        }
        self.held_lines += 1;
        self.looks_broken &= begins_as_event;
        let looks = *self.looks.get_or_insert_with(|| Looks::of(line));
        let most = MOST_LINES * self.patience();
        if self.is_certain() || self.held_lines > most { Err(self.failure(looks)) } else { Ok(()) }
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
            Some(looks) if self.held_bytes > MOST_BYTES * self.patience() => Err(self.failure(looks)),
            _ => Ok(()),
        }
    }

    /// The factor by which more is held back where the response is labelled as a stream or looks like one.
    fn patience(&self) -> usize {
        let labelled = self.media_type.as_ref().is_some_and(|media| {
            let bare = media.split(';').next().unwrap_or_default();
            bare.ends_with("ndjson") || self.marks.media_type.is_some_and(|begin| bare.starts_with(begin))
        });
        if labelled || (self.is_compressed && self.looks_broken) { PATIENCE } else { 1 }
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
        let is_long = self.held_lines > MOST_LINES || self.held_bytes > MOST_BYTES;
        // It may be the stream all the same, and then begins like that with each connect.
        let advice = if is_long && (self.looks_broken || self.patience() > 1) {
            format!(
                "is it what url should give? if it is, and its first lines are broken, ask the service, or {}",
                self.marks.way_past
            )
        } else {
            "is a proxy or a login page in between? check url".to_owned()
        };
        let message = format!(
            "the service answered 200 with something that is no stream ({}{labelled}); {advice}",
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

/// A media type, without the characters that no media type has.
fn shown(value: &str) -> String {
    let is_usual = |c: &char| c.is_ascii_alphanumeric() || "/+-.;=_ ".contains(*c);
    value.trim().to_ascii_lowercase().chars().filter(is_usual).take(SHOWN_TYPE).collect()
}

#[cfg(test)]
mod tests;
