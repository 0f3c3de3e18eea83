//! Lines to body chunks: where flushes, members and chunks end.
//!
//! Invariant: whatever the borders, what has left decompresses to a prefix of what was written; a tally leaves with the
//! chunk that holds the last byte of its lines. Knows no service and no clock.

use std::collections::VecDeque;
use std::io;

use bytes::Bytes;

use super::gzip::{GzipWriter, Segment};

/// What a chunk adds to the statistics.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// The numbers of the log's lines in it.
    pub(crate) lines: Vec<u64>,
    /// Lines among those that had been sent before.
    pub(crate) duplicates: u64,
    /// Lines that were left out.
    pub(crate) filtered: u64,
    pub(crate) keep_alives: u64,
    pub(crate) offset_updates: u64,
}

/// Where a response is cut. 0 is never.
#[derive(Clone, Debug, Default)]
pub(crate) struct Borders {
    /// Whether there is a flush after each line.
    pub(crate) each_line: bool,
    /// Bytes of text that are withheld until there are so many.
    pub(crate) withhold: usize,
    /// Bytes of text after which there is a flush.
    pub(crate) flush_bytes: usize,
    /// Bytes of text in a gzip member.
    pub(crate) member_bytes: usize,
    /// Lines in a gzip member.
    pub(crate) member_lines: u64,
    /// Bytes in a chunk.
    pub(crate) chunk_bytes: usize,
}

/// A chunk of the body, and what had left with its last byte.
pub(crate) type Chunk = (Bytes, Tally);

/// Compresses one response, or does not.
#[derive(Debug)]
pub(crate) struct Transfer {
    gzip: Option<GzipWriter>,
    borders: Borders,
    /// Text that has not been compressed yet.
    held: Vec<u8>,
    /// Bytes of text written and compressed so far.
    written: u64,
    compressed: u64,
    /// What is due when so many bytes are compressed.
    due: VecDeque<(u64, Tally)>,
    /// Bytes of text and lines in the open member.
    in_member: usize,
    lines_in_member: u64,
}

impl Transfer {
    pub(crate) fn new(compress: bool, borders: Borders) -> Self {
        Self {
            gzip: compress.then(GzipWriter::new),
            borders,
            held: Vec::new(),
            written: 0,
            compressed: 0,
            due: VecDeque::new(),
            in_member: 0,
            lines_in_member: 0,
        }
    }

    /// Whether each line is to be written alone.
    pub(crate) fn is_by_line(&self) -> bool {
        self.borders.each_line
    }

    /// Whether segments can be put in as they are.
    pub(crate) fn takes_segments(&self) -> bool {
        let Borders { each_line, withhold, flush_bytes, member_bytes, chunk_bytes, .. } = self.borders;
        self.gzip.is_some() && !each_line && withhold + flush_bytes + member_bytes + chunk_bytes == 0
    }

    /// Lines that the open member still takes.
    pub(crate) fn lines_left(&self) -> u64 {
        match self.borders.member_lines {
            0 => u64::MAX,
            limit => limit - self.lines_in_member,
        }
    }

    /// Writes whole lines.
    pub(crate) fn write(&mut self, plain: &[u8], tally: Tally) -> io::Result<Vec<Chunk>> {
        self.written += plain.len() as u64;
        self.due.push_back((self.written, tally));
        let mut chunks = Vec::new();
        match self.borders.withhold {
            0 => self.compress(plain, &mut chunks)?,
            size => {
                self.held.extend_from_slice(plain);
                while self.held.len() >= size {
                    let rest = self.held.split_off(size);
                    let full = std::mem::replace(&mut self.held, rest);
                    self.compress(&full, &mut chunks)?;
                }
            }
        }
        Ok(chunks)
    }

    /// Puts in lines that were compressed beforehand.
    pub(crate) fn segment(&mut self, segment: &Segment, tally: Tally) -> io::Result<Vec<Chunk>> {
        let lines = tally.lines.len() as u64;
        let mut before = Vec::new();
        if let Some(gzip) = &mut self.gzip {
            gzip.append(segment, &mut before);
        }
        let mut chunks = vec![(Bytes::from(before), Tally::default()), (segment.deflated.clone(), tally)];
        self.count_in_member(lines, &mut chunks)?;
        Ok(chunks)
    }

    /// Lets out what is withheld.
    pub(crate) fn let_out(&mut self) -> io::Result<Vec<Chunk>> {
        let mut chunks = Vec::new();
        let held = std::mem::take(&mut self.held);
        self.compress(&held, &mut chunks)?;
        Ok(chunks)
    }

    /// Lets out what is withheld and ends the member in order.
    pub(crate) fn finish(&mut self) -> io::Result<Vec<Chunk>> {
        let mut chunks = self.let_out()?;
        self.end_member(&mut chunks)?;
        Ok(chunks)
    }

    fn compress(&mut self, plain: &[u8], chunks: &mut Vec<Chunk>) -> io::Result<()> {
        let mut rest = plain;
        while !rest.is_empty() {
            let or_all = |bytes: usize| if bytes == 0 { usize::MAX } else { bytes };
            let to_member_end = or_all(self.borders.member_bytes).saturating_sub(self.in_member).max(1);
            let size = rest.len().min(or_all(self.borders.flush_bytes)).min(to_member_end);
            let (piece, after) = rest.split_at(size);
            rest = after;
            self.in_member += size;
            self.compressed += size as u64;
            let Some(gzip) = &mut self.gzip else {
                self.cut(Bytes::copy_from_slice(piece), chunks);
                continue;
            };
            let mut out = Vec::with_capacity(size / 3 + 64);
            gzip.write(piece, &mut out)?;
            if self.borders.member_bytes != 0 && self.in_member >= self.borders.member_bytes {
                gzip.finish(&mut out)?;
                self.in_member = 0;
            }
            self.cut(Bytes::from(out), chunks);
        }
        // A tally without bytes is due at once.
        let mut lines = 0;
        while let Some((_, tally)) = self.due.pop_front_if(|(at, _)| *at <= self.compressed) {
            lines += tally.lines.len() as u64;
            match chunks.last_mut() {
                Some((_, last)) => last.add(tally),
                None => chunks.push((Bytes::new(), tally)),
            }
        }
        self.count_in_member(lines, chunks)
    }

    fn count_in_member(&mut self, lines: u64, chunks: &mut Vec<Chunk>) -> io::Result<()> {
        self.lines_in_member += lines;
        if self.borders.member_lines != 0 && self.lines_in_member >= self.borders.member_lines {
            self.end_member(chunks)?;
        }
        Ok(())
    }

    fn end_member(&mut self, chunks: &mut Vec<Chunk>) -> io::Result<()> {
        let mut out = Vec::new();
        if let Some(gzip) = &mut self.gzip {
            gzip.finish(&mut out)?;
        }
        (self.in_member, self.lines_in_member) = (0, 0);
        self.cut(Bytes::from(out), chunks);
        Ok(())
    }

    /// Appends `bytes`, in chunks that are not too large.
    fn cut(&self, bytes: Bytes, chunks: &mut Vec<Chunk>) {
        let size = if self.borders.chunk_bytes == 0 { bytes.len() } else { self.borders.chunk_bytes };
        for start in (0..bytes.len()).step_by(size.max(1)) {
            chunks.push((bytes.slice(start..bytes.len().min(start + size)), Tally::default()));
        }
    }
}

impl Tally {
    fn add(&mut self, other: Self) {
        self.lines.extend(other.lines);
        self.duplicates += other.duplicates;
        self.filtered += other.filtered;
        self.keep_alives += other.keep_alives;
        self.offset_updates += other.offset_updates;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::read::MultiGzDecoder;
    use std::io::Read as _;

    fn run(borders: Borders) -> (String, Vec<Chunk>) {
        let mut transfer = Transfer::new(true, borders);
        let mut chunks = Vec::new();
        for number in 0..200_u64 {
            let line = format!("{number} – ünïcode\r\n").repeat(3);
            chunks.extend(
                transfer.write(line.as_bytes(), Tally { lines: vec![number], ..Tally::default() }).unwrap(),
            );
        }
        chunks.extend(transfer.finish().unwrap());
        let bytes: Vec<u8> = chunks.iter().flat_map(|(bytes, _)| bytes.to_vec()).collect();
        let mut text = String::new();
        MultiGzDecoder::new(&bytes[..]).read_to_string(&mut text).unwrap();
        (text, chunks)
    }

    #[test]
    fn all_borders_give_the_same_text() {
        let text: String = (0..200).map(|number| format!("{number} – ünïcode\r\n").repeat(3)).collect();
        for borders in [
            Borders::default(),
            Borders { withhold: 100, ..Borders::default() },
            Borders { withhold: 7, member_bytes: 3, ..Borders::default() },
            Borders { flush_bytes: 5, ..Borders::default() },
            Borders { member_bytes: 11, ..Borders::default() },
            Borders { member_lines: 7, chunk_bytes: 2, ..Borders::default() },
            Borders { flush_bytes: 13, member_bytes: 17, chunk_bytes: 1, ..Borders::default() },
        ] {
            let (got, chunks) = run(borders.clone());
            assert_eq!(got, text, "{borders:?}");
            let lines: Vec<u64> = chunks.iter().flat_map(|(_, tally)| tally.lines.clone()).collect();
            assert_eq!(lines, (0..200).collect::<Vec<_>>());
            if borders.chunk_bytes != 0 {
                assert!(chunks.iter().all(|(bytes, _)| bytes.len() <= borders.chunk_bytes));
            }
        }
    }

    #[test]
    fn withheld_text_does_not_leave() {
        let borders = Borders { withhold: 10, ..Borders::default() };
        let mut transfer = Transfer::new(true, borders);
        let tally = |line| Tally { lines: vec![line], ..Tally::default() };
        assert_eq!(transfer.write(b"1234\n", tally(0)).unwrap(), []);
        let chunks = transfer.write(b"5678901\n", tally(1)).unwrap();
        assert_eq!(chunks.last().unwrap().1.lines, [0]);
        assert_eq!(transfer.let_out().unwrap().last().unwrap().1.lines, [1]);
    }
}
