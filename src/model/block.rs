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

    /// Cuts it after its first `most` lines, blank ones not counted; tells how many lines the first part has. An over-long
    /// line is one piece.
    pub fn cut_after_lines(self, most: usize) -> (Self, usize, Option<Self>) {
        let Self::Lines(all) = &self else { return (self, 1, None) };
        let (mut lines, mut end) = (0, 0);
        while lines < most && end < all.len() {
            let next = memchr::memchr(b'\n', &all[end..]).map_or(all.len(), |length| end + length + 1);
            lines += usize::from(!matches!(&all[end..next], b"\n" | b"\r\n" | b"\r"));
            end = next;
        }
        let (first, rest) = self.cut_at(end);
        (first, lines, rest)
    }

    /// Cuts it after `bytes`, which must be the end of a line. An over-long line is one piece.
    pub fn cut_at(self, bytes: usize) -> (Self, Option<Self>) {
        match self {
            Self::Lines(mut all) if bytes < all.len() => {
                let rest = all.split_off(bytes);
                (Self::Lines(all), Some(Self::Lines(rest)))
            }
            whole => (whole, None),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_counts_lines_as_they_are_taken() {
        let block = || Block::Lines(Bytes::from_static(b"a\n\r\n\nb\r\nc\n"));
        let part = |text: &'static str| Block::Lines(Bytes::from_static(text.as_bytes()));
        assert_eq!(block().cut_after_lines(1), (part("a\n"), 1, Some(part("\r\n\nb\r\nc\n"))));
        assert_eq!(block().cut_after_lines(2), (part("a\n\r\n\nb\r\n"), 2, Some(part("c\n"))));
        assert_eq!(block().cut_after_lines(9), (block(), 3, None));
        let oversize = Block::Oversize { head: Bytes::from_static(b"x"), length: 9 };
        assert_eq!(oversize.clone().cut_after_lines(1), (oversize, 1, None));
    }
}
