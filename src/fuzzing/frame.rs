//! However bytes are cut into reads, the same lines come out, and none that is longer than the limit.

use super::{Input, pieces};
use crate::model::block::{Block, OVERSIZE_HEAD, lines};
use crate::source::frame::Framer;

/// What comes out, line by line: the line, or head and length of one above the limit.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Out {
    Line(Vec<u8>),
    Oversize(Vec<u8>, u64),
}

pub(super) fn check(data: &[u8]) {
    let mut input = Input::new(data);
    let max_line = usize::from(input.byte()) + 1;
    let lengths = input.lengths();
    let reads = pieces(input.rest, &lengths);
    assert_eq!(framed(&reads, max_line), expected(input.rest, max_line));
}

/// What the framer makes of these reads.
pub(crate) fn framed(reads: &[&[u8]], max_line: usize) -> Vec<Out> {
    let mut framer = Framer::new(max_line);
    let mut out = Vec::new();
    for read in reads {
        framer.buffer().extend_from_slice(read);
        framer.cut();
        let held = framer.buffer().len();
        assert!(held <= max_line + 1, "no more than the limit stays buffered");
        while let Some(block) = framer.next_block() {
            match block {
                Block::Lines(bytes) => out.extend(lines(&bytes).map(|line| Out::Line(line.to_vec()))),
                Block::Oversize { head, length } => out.push(Out::Oversize(head.to_vec(), length)),
                Block::Records(records) => assert_eq!(records.iter().count(), 0, "there are only lines"),
            }
        }
    }
    out
}

/// The rule without any buffering.
pub(crate) fn expected(bytes: &[u8], max_line: usize) -> Vec<Out> {
    let Some(end) = bytes.iter().rposition(|byte| *byte == b'\n') else { return Vec::new() };
    let each = bytes[..end].split(|byte| *byte == b'\n');
    let each = each.map(|line| line.strip_suffix(b"\r").unwrap_or(line)).filter(|line| !line.is_empty());
    each.map(|line| match line.len() > max_line {
        true => Out::Oversize(line[..line.len().min(OVERSIZE_HEAD)].to_vec(), line.len() as u64),
        false => Out::Line(line.to_vec()),
    })
    .collect()
}
