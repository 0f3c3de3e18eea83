//! Blocks of whole lines: what the reader hands to the shard's thread.

use bytes::Bytes;

/// Bytes of an over-long line that are kept for its dead letter.
pub const OVERSIZE_HEAD: usize = 64 << 10;

/// Whole lines, or what is left of one line that was too long. Cloning shares the bytes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Block {
    /// Whole lines, each ended by LF; blank lines and CR before LF are still in it.
    Lines(Bytes),
    /// A line above the cap: its first [`OVERSIZE_HEAD`] bytes and its length without the line end.
    Oversize {
        /// The beginning of the line.
        head: Bytes,
        /// Length of the whole line, bytes.
        length: u64,
    },
}

impl Block {
    /// Bytes that this block holds in memory.
    pub fn len(&self) -> usize {
        match self {
            Self::Lines(bytes) => bytes.len(),
            Self::Oversize { head, .. } => head.len(),
        }
    }

    /// Whether it holds nothing.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Calls `each` for every non-blank line of `bytes`, without its LF or CRLF.
pub fn lines(bytes: &[u8]) -> impl DoubleEndedIterator<Item = &[u8]> {
    bytes
        .split(|byte| *byte == b'\n')
        .map(|line| line.strip_suffix(b"\r").unwrap_or(line))
        .filter(|line| !line.is_empty())
}
