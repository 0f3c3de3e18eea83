//! Lines to body chunks: where flushes, members and chunks end.
//!
//! Invariant: whatever the borders, what has left decompresses to a prefix of what was written; a tally leaves with the
//! chunk that holds the last byte of its lines. Knows no hits and no clock.

use std::collections::VecDeque;
use std::io;

use bytes::Bytes;

use super::config::{Config, Flush};
use crate::engine::gzip::{GzipWriter, Segment};

/// What a chunk adds to the statistics.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) hits: Vec<u64>,
    pub(super) duplicates: u64,
    pub(super) blank_lines: u64,
}

/// A chunk of the body, and what had left with its last byte.
pub(super) type Chunk = (Bytes, Tally);

/// Compresses one response.
#[derive(Debug)]
pub(super) struct Transfer {
    gzip: GzipWriter,
    withhold: Option<usize>,
    flush_bytes: usize,
    member_bytes: usize,
    member_hits: u64,
    chunk_bytes: usize,
    /// Text that has not been compressed yet.
    held: Vec<u8>,
    /// Bytes of text written and compressed so far.
    written: u64,
    compressed: u64,
    /// What is due when so many bytes are compressed.
    due: VecDeque<(u64, Tally)>,
    /// Bytes of text and hits in the open member.
    in_member: usize,
    hits_in_member: u64,
}

impl Transfer {
    pub(super) fn new(config: &Config) -> Self {
        Self {
            gzip: GzipWriter::new(),
            withhold: (config.flush == Flush::Withheld).then_some(config.withhold_bytes.max(1)),
            flush_bytes: config.flush_bytes,
            member_bytes: config.member_bytes,
            member_hits: config.member_hits,
            chunk_bytes: config.chunk_bytes,
            held: Vec::new(),
            written: 0,
            compressed: 0,
            due: VecDeque::new(),
            in_member: 0,
            hits_in_member: 0,
        }
    }

    /// Whether segments can be put in as they are.
    pub(super) fn takes_segments(&self) -> bool {
        self.withhold.is_none() && self.flush_bytes == 0 && self.member_bytes == 0 && self.chunk_bytes == 0
    }

    /// Writes whole lines.
    pub(super) fn write(&mut self, plain: &[u8], tally: Tally) -> io::Result<Vec<Chunk>> {
        self.written += plain.len() as u64;
        self.due.push_back((self.written, tally));
        let mut chunks = Vec::new();
        match self.withhold {
            None => self.compress(plain, &mut chunks)?,
            Some(size) => {
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
    pub(super) fn segment(&mut self, segment: &Segment, tally: Tally) -> io::Result<Vec<Chunk>> {
        let hits = tally.hits.len() as u64;
        let mut before = Vec::new();
        self.gzip.append(segment, &mut before);
        let mut chunks = vec![(Bytes::from(before), Tally::default()), (segment.deflated.clone(), tally)];
        self.count_in_member(hits, &mut chunks)?;
        Ok(chunks)
    }

    /// Lets out what is withheld.
    pub(super) fn let_out(&mut self) -> io::Result<Vec<Chunk>> {
        let mut chunks = Vec::new();
        let held = std::mem::take(&mut self.held);
        self.compress(&held, &mut chunks)?;
        Ok(chunks)
    }

    /// Lets out what is withheld and ends the member in order.
    pub(super) fn finish(&mut self) -> io::Result<Vec<Chunk>> {
        let mut chunks = self.let_out()?;
        let mut out = Vec::new();
        self.gzip.finish(&mut out)?;
        self.cut(Bytes::from(out), &mut chunks);
        Ok(chunks)
    }

    fn compress(&mut self, plain: &[u8], chunks: &mut Vec<Chunk>) -> io::Result<()> {
        let mut rest = plain;
        while !rest.is_empty() {
            let or_all = |bytes: usize| if bytes == 0 { usize::MAX } else { bytes };
            let to_member_end = or_all(self.member_bytes).saturating_sub(self.in_member).max(1);
            let size = rest.len().min(or_all(self.flush_bytes)).min(to_member_end);
            let (piece, after) = rest.split_at(size);
            rest = after;
            let mut out = Vec::with_capacity(size / 3 + 64);
            self.gzip.write(piece, &mut out)?;
            self.in_member += size;
            self.compressed += size as u64;
            if self.member_bytes != 0 && self.in_member >= self.member_bytes {
                self.gzip.finish(&mut out)?;
                self.in_member = 0;
            }
            self.cut(Bytes::from(out), chunks);
        }
        // A tally without bytes is due at once.
        let mut hits = 0;
        while let Some((_, tally)) = self.due.pop_front_if(|(at, _)| *at <= self.compressed) {
            hits += tally.hits.len() as u64;
            match chunks.last_mut() {
                Some((_, last)) => last.add(tally),
                None => chunks.push((Bytes::new(), tally)),
            }
        }
        self.count_in_member(hits, chunks)
    }

    fn count_in_member(&mut self, hits: u64, chunks: &mut Vec<Chunk>) -> io::Result<()> {
        self.hits_in_member += hits;
        if self.member_hits != 0 && self.hits_in_member >= self.member_hits {
            let mut out = Vec::new();
            self.gzip.finish(&mut out)?;
            self.hits_in_member = 0;
            self.in_member = 0;
            self.cut(Bytes::from(out), chunks);
        }
        Ok(())
    }

    /// Appends `bytes`, in chunks that are not too large.
    fn cut(&self, bytes: Bytes, chunks: &mut Vec<Chunk>) {
        let size = if self.chunk_bytes == 0 { bytes.len() } else { self.chunk_bytes };
        for start in (0..bytes.len()).step_by(size.max(1)) {
            chunks.push((bytes.slice(start..bytes.len().min(start + size)), Tally::default()));
        }
    }
}

impl Tally {
    fn add(&mut self, other: Self) {
        self.hits.extend(other.hits);
        self.duplicates += other.duplicates;
        self.blank_lines += other.blank_lines;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::read::MultiGzDecoder;
    use std::io::Read as _;

    fn run(config: Config) -> (String, Vec<Chunk>) {
        let mut transfer = Transfer::new(&config);
        let mut chunks = Vec::new();
        for number in 0..200_u64 {
            let line = format!("{number} – ünïcode\r\n").repeat(3);
            chunks.extend(
                transfer.write(line.as_bytes(), Tally { hits: vec![number], ..Tally::default() }).unwrap(),
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
        let base = Config::default();
        for config in [
            base.clone(),
            Config { flush: Flush::Withheld, withhold_bytes: 100, ..base.clone() },
            Config { flush: Flush::Withheld, withhold_bytes: 7, member_bytes: 3, ..base.clone() },
            Config { flush_bytes: 5, ..base.clone() },
            Config { member_bytes: 11, ..base.clone() },
            Config { member_hits: 7, chunk_bytes: 2, ..base.clone() },
            Config { flush_bytes: 13, member_bytes: 17, chunk_bytes: 1, ..base.clone() },
        ] {
            let (got, chunks) = run(config.clone());
            assert_eq!(got, text, "{config:?}");
            let hits: Vec<u64> = chunks.iter().flat_map(|(_, tally)| tally.hits.clone()).collect();
            assert_eq!(hits, (0..200).collect::<Vec<_>>());
            if config.chunk_bytes != 0 {
                assert!(chunks.iter().all(|(bytes, _)| bytes.len() <= config.chunk_bytes));
            }
        }
    }

    #[test]
    fn withheld_text_does_not_leave() {
        let config = Config { flush: Flush::Withheld, withhold_bytes: 10, ..Config::default() };
        let mut transfer = Transfer::new(&config);
        let tally = |hit| Tally { hits: vec![hit], ..Tally::default() };
        assert_eq!(transfer.write(b"1234\n", tally(0)).unwrap(), []);
        let chunks = transfer.write(b"5678901\n", tally(1)).unwrap();
        assert_eq!(chunks.last().unwrap().1.hits, [0]);
        assert_eq!(transfer.let_out().unwrap().last().unwrap().1.hits, [1]);
    }
}
