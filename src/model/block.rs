//! Blocks of whole lines, or of records that are one event each: what the reader hands to the shard's thread.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

use super::letters::{Letter, Stamp};
use super::trail::RecordMark;

/// Bytes of an over-long line that are kept for its dead letter.
pub const OVERSIZE_HEAD: usize = 64 << 10;

/// Whole lines, or what is left of one line that was too long, or records. Cloning shares the bytes.
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
    /// Records of a partition.
    Records(Records),
}

/// Records of a partition, each of them one event, however many lines it has.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Records {
    /// Their bytes, one after the other.
    bytes: Bytes,
    /// Where in the whole that it was cut from the bytes begin.
    from: usize,
    ends: Arc<[End]>,
    /// Where each of the whole is a dead letter: which one.
    letters: Option<Arc<[Arc<Letter>]>>,
    /// Which of `ends` are those of this part.
    part: Range<usize>,
}

/// Where a record ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct End {
    /// In the bytes of the whole.
    at: usize,
    /// Bytes of what was sent, more than the record has where only the head was kept.
    length: u64,
    /// Where it stood.
    mark: RecordMark,
}

/// One record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Record<'a> {
    /// Its value.
    pub bytes: &'a [u8],
    /// Bytes of what was sent, more than `bytes` where only the head was kept.
    pub length: u64,
    /// Where it stood.
    pub mark: RecordMark,
    /// The dead letter that it is, if it is one.
    pub letter: Option<&'a Arc<Letter>>,
}

/// Puts records together.
#[derive(Clone, Debug, Default)]
pub struct RecordsBuilder {
    bytes: Vec<u8>,
    ends: Vec<End>,
    letters: Vec<Arc<Letter>>,
}

impl RecordsBuilder {
    /// Adds a record, of which `length` bytes were sent and which stood there.
    pub fn push(&mut self, bytes: &[u8], length: u64, mark: RecordMark) {
        self.bytes.extend_from_slice(bytes);
        self.ends.push(End { at: self.bytes.len(), length, mark });
    }

    /// Adds a dead letter, whole. All of a block's records are letters, or none.
    pub fn push_letter(&mut self, bytes: &[u8], letter: Letter) {
        let Stamp { offset, timestamp_ms, .. } = letter.stamp;
        self.push(bytes, bytes.len() as u64, RecordMark { offset, timestamp_ms });
        self.letters.push(Arc::new(letter));
    }

    /// Records so far.
    pub fn count(&self) -> usize {
        self.ends.len()
    }

    /// Bytes so far.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// All of them.
    pub fn build(self) -> Records {
        let part = 0..self.ends.len();
        let letters = (!self.letters.is_empty()).then(|| self.letters.into());
        Records { bytes: self.bytes.into(), from: 0, ends: self.ends.into(), letters, part }
    }
}

impl Records {
    /// Each record, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = Record<'_>> {
        let mut begin = 0;
        let letters = self.letters.as_deref();
        self.part.clone().zip(&self.ends[self.part.clone()]).map(move |(number, end)| {
            let at = end.at - self.from;
            let bytes = &self.bytes[begin..at];
            begin = at;
            let letter = letters.and_then(|letters| letters.get(number));
            Record { bytes, length: end.length, mark: end.mark, letter }
        })
    }

    /// Its first `most` records, and the rest.
    fn cut_after(mut self, most: usize) -> (Self, Option<Self>) {
        if most >= self.part.len() {
            return (self, None);
        }
        let middle = self.part.start + most;
        let at = match middle.checked_sub(1) {
            Some(last) if most > 0 => self.ends[last].at,
            _ => self.from,
        };
        let bytes = self.bytes.split_off(at - self.from);
        let (ends, letters) = (Arc::clone(&self.ends), self.letters.clone());
        let rest = Self { bytes, from: at, ends, letters, part: middle..self.part.end };
        self.part.end = middle;
        (self, Some(rest))
    }
}

impl Block {
    /// Bytes of what was sent that are in it.
    pub fn len(&self) -> usize {
        match self {
            Self::Lines(bytes) => bytes.len(),
            Self::Oversize { head, .. } => head.len(),
            Self::Records(records) => records.bytes.len(),
        }
    }

    /// Bytes of memory that it takes: small records cost more than their bytes.
    pub fn held(&self) -> usize {
        match self {
            Self::Lines(_) | Self::Oversize { .. } => self.len(),
            Self::Records(records) => records.bytes.len() + size_of_val(&records.ends[records.part.clone()]),
        }
    }

    /// Cuts it after its first `most` lines or records, blank lines not counted; tells how many the first part has. An over-long
    /// line is one piece.
    pub fn cut_after_lines(self, most: usize) -> (Self, usize, Option<Self>) {
        let all = match &self {
            Self::Lines(all) => all,
            Self::Oversize { .. } => return (self, 1, None),
            Self::Records(records) => {
                let count = records.part.len().min(most);
                let (first, rest) = self.cut_at(count, 0);
                return (first, count, rest);
            }
        };
        let (mut lines, mut end) = (0, 0);
        while lines < most && end < all.len() {
            let next = memchr::memchr(b'\n', &all[end..]).map_or(all.len(), |length| end + length + 1);
            lines += usize::from(!matches!(&all[end..next], b"\n" | b"\r\n" | b"\r"));
            end = next;
        }
        let (first, rest) = self.cut_at(lines, end);
        (first, lines, rest)
    }

    /// Cuts lines after `bytes`, which must be the end of a line, and records after `lines` of them. An over-long line is one
    /// piece.
    pub fn cut_at(self, lines: usize, bytes: usize) -> (Self, Option<Self>) {
        match self {
            Self::Records(records) => {
                let (first, rest) = records.cut_after(lines);
                (Self::Records(first), rest.map(Self::Records))
            }
            Self::Lines(mut all) if bytes < all.len() => {
                let rest = all.split_off(bytes);
                (Self::Lines(all), Some(Self::Lines(rest)))
            }
            whole => (whole, None),
        }
    }

    /// Whether it holds nothing.
    pub fn is_empty(&self) -> bool {
        match self {
            Self::Lines(_) | Self::Oversize { .. } => self.len() == 0,
            Self::Records(records) => records.part.is_empty(),
        }
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

    #[test]
    fn records_are_cut_between_two_of_them() {
        let mut builder = RecordsBuilder::default();
        for (text, offset) in [("{\n}", 4), ("", 5), ("{}", 8), ("x", 9)] {
            builder.push(text.as_bytes(), text.len() as u64, RecordMark { offset, timestamp_ms: 7 });
        }
        let all = Block::Records(builder.build());
        let found = |block: &Block| -> Vec<(String, RecordMark)> {
            let Block::Records(records) = block else { panic!("{block:?}") };
            let text = |record: Record<'_>| (String::from_utf8(record.bytes.to_vec()).unwrap(), record.mark);
            records.iter().map(text).collect()
        };
        assert_eq!((all.len(), all.held()), (6, 6 + 4 * size_of::<End>()));
        let whole = found(&all);
        assert_eq!(whole[2], ("{}".to_owned(), RecordMark { offset: 8, timestamp_ms: 7 }));
        for first in 0..=4 {
            let (head, count, rest) = all.clone().cut_after_lines(first);
            assert_eq!((count, head.len()), (first, whole[..first].iter().map(|(text, _)| text.len()).sum()));
            let Some(rest) = rest else {
                assert_eq!(first, 4);
                continue;
            };
            assert_eq!([found(&head), found(&rest)].concat(), whole);
            let (second, third) = rest.cut_at(1, 0);
            assert_eq!(found(&second), whole[first..=first]);
            assert_eq!(third.map_or(0, |third| found(&third).len()), 4 - first - 1);
        }
    }
}
