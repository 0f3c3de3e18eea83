//! One pass over a line, beside the tree of configured paths.
//!
//! A member or an element is taken out with one comma: the one before it, or, while nothing before it was kept, the one behind
//! it; white space between it and that comma goes with it.

use std::ops::Range;

use super::values::{put_address, put_hash, text, truncated};
use super::{Act, Node, is_json};
use crate::event::scan::{Scanner, Unreadable};

/// Arrays and objects inside one another that are gone through; bounds the stack. What is deeper, and has something to redact
/// below it, is taken out. Deeper than any path goes, so that only arrays of arrays come to it.
pub(super) const MAX_DEPTH: usize = 128;

/// A pass at work.
pub(super) struct Pass<'a, 'o> {
    scan: Scanner<'a>,
    out: &'o mut Vec<u8>,
    /// How much of the line is in `out`, redacted; 0 while nothing was.
    copied: usize,
}

/// What becomes of a member or an element.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Kept,
    Gone,
}

/// An object or an array that is being gone through.
struct List {
    close: u8,
    /// Where the member or element at hand begins.
    start: usize,
    /// The last comma before it.
    comma: usize,
    /// Whether anything before it was kept.
    has_kept: bool,
}

impl<'a, 'o> Pass<'a, 'o> {
    pub(super) fn new(line: &'a [u8], out: &'o mut Vec<u8>) -> Self {
        Self { scan: Scanner::new(line), out, copied: 0 }
    }

    /// Puts the redacted line down, and tells whether that is another one.
    pub(super) fn run(mut self, root: &Node<Option<Act>>) -> Result<bool, Unreadable> {
        self.scan.space();
        self.document(root, 0)?;
        self.scan.space();
        if !self.scan.is_at_end() {
            return Err(Unreadable);
        }
        if self.copied > 0 {
            self.out.extend_from_slice(self.scan.rest(self.copied));
        }
        Ok(self.copied > 0)
    }

    /// An object, or an array of them. Anything else has no names by which to tell what it is.
    fn document(&mut self, root: &Node<Option<Act>>, depth: usize) -> Result<(), Unreadable> {
        match self.scan.peek() {
            Some(b'{') => self.members(root, depth),
            Some(b'[') if depth < MAX_DEPTH => {
                let Some(mut list) = self.open(b'[', b']')? else { return Ok(()) };
                loop {
                    self.document(root, depth + 1)?;
                    if !self.next(&mut list, Fate::Kept)? {
                        return Ok(());
                    }
                }
            }
            _ => Err(Unreadable),
        }
    }

    fn members(&mut self, node: &Node<Option<Act>>, depth: usize) -> Result<(), Unreadable> {
        let Some(mut list) = self.open(b'{', b'}')? else { return Ok(()) };
        loop {
            let name = self.scan.string()?;
            let child = node.child(&text(name)?);
            self.scan.space();
            self.scan.take(b':')?;
            self.scan.space();
            let fate = match child {
                Some(child) => self.value(child, depth)?,
                None => self.scan.value().map(|_| Fate::Kept)?,
            };
            // As with what goes with it: nobody else would notice that it is broken.
            if fate == Fate::Gone && !is_json(name) {
                return Err(Unreadable);
            }
            if !self.next(&mut list, fate)? {
                return Ok(());
            }
        }
    }

    fn elements(&mut self, node: &Node<Option<Act>>, depth: usize) -> Result<(), Unreadable> {
        let Some(mut list) = self.open(b'[', b']')? else { return Ok(()) };
        loop {
            let fate = self.value(node, depth)?;
            if !self.next(&mut list, fate)? {
                return Ok(());
            }
        }
    }

    /// The value of a member that is on a path or at its end, or an element of it.
    fn value(&mut self, node: &Node<Option<Act>>, depth: usize) -> Result<Fate, Unreadable> {
        let is_nested = match (self.scan.peek(), &node.wanted) {
            (Some(b'{'), None) | (Some(b'['), None | Some(Act::Hash(_) | Act::Truncate)) => true,
            (_, None) => return self.scan.value().map(|_| Fate::Kept),
            (_, Some(_)) => false,
        };
        if is_nested && depth < MAX_DEPTH {
            if self.scan.peek() == Some(b'{') {
                self.members(node, depth + 1)?;
            } else {
                self.elements(node, depth + 1)?;
            }
            return Ok(Fate::Kept);
        }
        let start = self.scan.at;
        let value = self.scan.value()?;
        // It may not be seen any more, so nobody else would notice that it is broken.
        if !is_json(value) {
            return Err(Unreadable);
        }
        let span = start..self.scan.at;
        match &node.wanted {
            Some(Act::Hash(_) | Act::Truncate) if value == b"null" => {}
            // What many services write where there is nothing: its hash would be a key that strangers share.
            Some(Act::Hash(_)) if value == b"\"\"" => {}
            Some(Act::Hash(key)) if !is_nested => self.edit(span, |out| put_hash(key, value, out))?,
            Some(Act::Truncate) => match truncated(value) {
                Some(address) => self.edit(span, |out| put_address(address, out))?,
                None => return Ok(Fate::Gone),
            },
            Some(Act::Drop | Act::Hash(_)) | None => return Ok(Fate::Gone),
        }
        Ok(Fate::Kept)
    }

    /// Goes into an object or an array; `None` if it is empty, and so over.
    fn open(&mut self, open: u8, close: u8) -> Result<Option<List>, Unreadable> {
        self.scan.take(open)?;
        self.scan.space();
        if self.scan.peek() == Some(close) {
            self.scan.take(close)?;
            return Ok(None);
        }
        Ok(Some(List { close, start: self.scan.at, comma: 0, has_kept: false }))
    }

    /// Goes on behind a member or an element, and tells whether there is another one.
    fn next(&mut self, list: &mut List, fate: Fate) -> Result<bool, Unreadable> {
        let end = self.scan.at;
        self.scan.space();
        let comma = self.scan.at;
        let has_more = self.scan.peek() == Some(b',');
        self.scan.take(if has_more { b',' } else { list.close })?;
        if has_more {
            self.scan.space();
        }
        let next = self.scan.at;
        match fate {
            Fate::Kept => list.has_kept = true,
            Fate::Gone if list.has_kept => self.edit(list.comma..end, |_| Ok(()))?,
            Fate::Gone => self.edit(list.start..if has_more { next } else { end }, |_| Ok(()))?,
        }
        (list.start, list.comma) = (next, comma);
        Ok(has_more)
    }

    /// Puts something in place of a part that lies behind all those before.
    fn edit(
        &mut self,
        span: Range<usize>,
        put: impl FnOnce(&mut Vec<u8>) -> Result<(), Unreadable>,
    ) -> Result<(), Unreadable> {
        if self.copied == 0 {
            self.out.clear();
        }
        self.out.extend_from_slice(self.scan.part(self.copied, span.start));
        self.copied = span.end;
        put(self.out)
    }
}
