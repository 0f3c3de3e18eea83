//! Bytes to blocks of whole lines, with no I/O. Does not know gzip or JSON.
//!
//! Invariant: the cap is enforced while bytes are buffered, so never more than the cap plus one read is held; any
//! cutting of the same bytes into reads gives the same lines and the same over-long lines. A line without its
//! line end is never given out: what a disconnect tears is dropped with the framer.

use std::collections::VecDeque;

use bytes::BytesMut;

use crate::model::block::{Block, OVERSIZE_HEAD};

/// Bytes offered to one read; also about the size of a block under full load.
pub const READ_SIZE: usize = 128 << 10;

/// With less room than this a new buffer is begun. A trickle of small events shares one buffer until then.
const MIN_ROOM: usize = 16 << 10;

/// Cuts what is read into blocks.
#[derive(Debug)]
pub struct Framer {
    max_line: usize,
    /// Bytes that were read. Up to `searched` there is no line end in them.
    buffer: BytesMut,
    searched: usize,
    /// Set while the rest of a line above the cap is being skipped.
    skipping: Option<Skipping>,
    ready: VecDeque<Block>,
}

#[derive(Debug)]
struct Skipping {
    head: bytes::Bytes,
    length: u64,
    /// Whether the last byte skipped was a CR, which may be half of the line end.
    after_cr: bool,
}

impl Framer {
    /// A framer for lines of at most `max_line` bytes, line end not counted.
    pub fn new(max_line: usize) -> Self {
        Self { max_line, buffer: BytesMut::new(), searched: 0, skipping: None, ready: VecDeque::new() }
    }

    /// Where to read into. Bytes are to be appended, then [`Self::cut`] called.
    pub fn buffer(&mut self) -> &mut BytesMut {
        if self.buffer.capacity() - self.buffer.len() < MIN_ROOM {
            self.buffer.reserve(READ_SIZE);
        }
        &mut self.buffer
    }

    /// Takes in what was appended. Afterwards [`Self::next_block`] gives the blocks.
    pub fn cut(&mut self) {
        if self.skipping.is_some() {
            self.skip();
        }
        let Some(last) = memchr::memrchr(b'\n', &self.buffer[self.searched..]) else {
            self.searched = self.buffer.len();
            self.cap_partial_line();
            return;
        };
        let lines = self.buffer.split_to(self.searched + last + 1);
        self.searched = self.buffer.len();
        if lines.len() <= self.max_line {
            // The common case: together they are below the cap, so each is.
            self.push_lines(lines);
        } else {
            self.push_capped(lines);
        }
        self.cap_partial_line();
    }

    /// The next block, oldest first.
    pub fn next_block(&mut self) -> Option<Block> {
        self.ready.pop_front()
    }

    /// The beginning of a line whose end was not appended; of one above the cap its head.
    pub fn partial(&self) -> Option<&[u8]> {
        let partial = self.skipping.as_ref().map_or(&self.buffer[..], |skipping| &skipping.head);
        (self.skipping.is_some() || !partial.is_empty()).then_some(partial)
    }

    fn push_lines(&mut self, lines: BytesMut) {
        if !lines.is_empty() {
            self.ready.push_back(Block::Lines(lines.freeze()));
        }
    }

    /// Takes lines above the cap out of `lines`.
    fn push_capped(&mut self, mut lines: BytesMut) {
        let mut at = 0;
        while let Some(end) = memchr::memchr(b'\n', &lines[at..]) {
            let line = &lines[at..at + end];
            let length = line.strip_suffix(b"\r").unwrap_or(line).len();
            if length <= self.max_line {
                at += end + 1;
                continue;
            }
            let before = lines.split_to(at);
            self.push_lines(before);
            let line = lines.split_to(end + 1).freeze();
            self.push_oversize(line.slice(..length.min(OVERSIZE_HEAD)), length as u64);
            at = 0;
        }
        self.push_lines(lines);
    }

    /// Begins to skip when what is buffered of a line is above the cap already.
    fn cap_partial_line(&mut self) {
        // One byte more than the cap may be the CR of a line end.
        if self.skipping.is_none() && self.buffer.len() > self.max_line + 1 {
            let head = bytes::Bytes::copy_from_slice(&self.buffer[..self.buffer.len().min(OVERSIZE_HEAD)]);
            let after_cr = self.buffer.ends_with(b"\r");
            self.skipping = Some(Skipping { head, length: self.buffer.len() as u64, after_cr });
            self.buffer.clear();
            self.searched = 0;
        }
    }

    /// Skips what was appended up to the line end.
    fn skip(&mut self) {
        let Some(mut skipping) = self.skipping.take() else { return };
        let end = memchr::memchr(b'\n', &self.buffer);
        let part = &self.buffer[..end.unwrap_or(self.buffer.len())];
        let missing = OVERSIZE_HEAD.saturating_sub(skipping.head.len()).min(part.len());
        if missing > 0 {
            skipping.head = [&skipping.head[..], &part[..missing]].concat().into();
        }
        skipping.length += part.len() as u64;
        skipping.after_cr = part.last().map_or(skipping.after_cr, |byte| *byte == b'\r');
        self.searched = 0;
        match end {
            Some(end) => {
                drop(self.buffer.split_to(end + 1));
                let length = skipping.length - u64::from(skipping.after_cr);
                let head = skipping.head.len().min(usize::try_from(length).unwrap_or(usize::MAX));
                self.push_oversize(skipping.head.slice(..head), length);
            }
            None => {
                self.buffer.clear();
                self.skipping = Some(skipping);
            }
        }
    }

    fn push_oversize(&mut self, head: bytes::Bytes, length: u64) {
        // Copied, so that 64 KiB do not keep a whole line in memory.
        self.ready.push_back(Block::Oversize { head: bytes::Bytes::copy_from_slice(&head), length });
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::fuzzing::frame::{Out, expected, framed};

    #[test]
    fn the_torn_last_line_is_kept_back() {
        assert_eq!(
            framed(&[b"a\r\n\n\r\nb\nto", &b"rn"[..]], 100),
            [Out::Line(b"a".into()), Out::Line(b"b".into())]
        );
    }

    #[test]
    fn a_line_above_the_cap_leaves_its_head_and_the_next_lines_go_on() {
        let long = vec![b'x'; OVERSIZE_HEAD + 10];
        let reads: Vec<&[u8]> = long.chunks(1000).chain([&b"y\r\nnext\n"[..]]).collect();
        let head = vec![b'x'; OVERSIZE_HEAD];
        assert_eq!(
            framed(&reads, 5000),
            [Out::Oversize(head, OVERSIZE_HEAD as u64 + 11), Out::Line(b"next".into())]
        );
    }

    proptest! {
        #[test]
        fn any_chunking_gives_the_same_lines(
            bytes in prop::collection::vec(prop_oneof![6 => Just(b'x'), 2 => Just(b'\n'), 1 => Just(b'\r'), 1 => any::<u8>()], 0..300),
            cuts in prop::collection::vec(0usize..300, 0..12),
            max_line in 1usize..40,
        ) {
            let mut cuts: Vec<_> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
            cuts.sort_unstable();
            let mut reads = Vec::new();
            let mut from = 0;
            for cut in cuts.into_iter().chain([bytes.len()]) {
                reads.push(&bytes[from..cut]);
                from = cut;
            }
            prop_assert_eq!(framed(&reads, max_line), expected(&bytes, max_line));
        }
    }
}
